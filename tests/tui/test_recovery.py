"""Unsaved text outlives a crash."""

from __future__ import annotations

import asyncio
import os
import stat
from pathlib import Path

import pytest
from textual.pilot import Pilot

from tests.tui.support import FLOW, application, opened, write_flow
from workbench.tui.app import WorkbenchApp
from workbench.tui.files import OpenFile
from workbench.tui.recovery import Recovery
from workbench.tui.screens.edit.screen import EditScreen
from workbench.tui.widgets.code_editor import CodeEditor
from workbench.tui.widgets.dialogs import ConfirmDialog, ReadDialog

_LEFT = FLOW.replace("contacts", "people")


def left_behind(folder: Path, flow: Path, text: str = _LEFT) -> None:
    """As a program leaves it that is killed while it edits."""
    Recovery(folder).keep([OpenFile(flow, text, FLOW)])


async def editor_of(app: WorkbenchApp) -> CodeEditor:
    screen = app.screen_stack[0]
    assert isinstance(screen, EditScreen)
    return screen.editor


async def offered(pilot: Pilot[None]) -> ReadDialog:
    async with asyncio.timeout(20):
        while not isinstance(pilot.app.screen, ReadDialog):
            await pilot.pause()
    await pilot.pause()
    return pilot.app.screen


async def test_unsaved_text_is_kept_for_its_owner_only_and_forgotten_once_saved(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "state" / "recovery"
    app = application(write_flow(tmp_path), recovery=Recovery(folder))
    async with opened(app) as pilot:
        app._look_at_disk()
        assert not folder.exists()
        await pilot.press("x")
        app._look_at_disk()
        [kept] = folder.iterdir()
        if os.name == "posix":
            assert stat.S_IMODE(kept.stat().st_mode) == 0o600
        assert Recovery(folder).text_of(app.path) == f"x{FLOW}"  # type: ignore[arg-type]
        await pilot.press("ctrl+s")
        app._look_at_disk()
        assert list(folder.iterdir()) == []


@pytest.mark.parametrize("answer", ["take", "drop", "later"])
async def test_it_is_offered_when_the_file_is_opened_again(tmp_path: Path, answer: str) -> None:
    folder, flow = tmp_path / "recovery", write_flow(tmp_path)
    left_behind(folder, flow)
    app = application(flow, recovery=Recovery(folder))
    async with app.run_test(size=(120, 40)) as pilot:
        await offered(pilot)
        app._look_at_disk()
        if answer == "later":
            await pilot.press("escape")
        else:
            await pilot.click(f"#{answer}")
        await pilot.pause()
        app._look_at_disk()
        assert (await editor_of(app)).text == (_LEFT if answer == "take" else FLOW)
        kept = Recovery(folder).text_of(flow)
        assert kept == (None if answer == "drop" else _LEFT)


async def test_whoever_leaves_without_saving_is_not_asked_again(tmp_path: Path) -> None:
    folder, flow = tmp_path / "recovery", write_flow(tmp_path)
    app = application(flow, recovery=Recovery(folder))
    async with opened(app) as pilot:
        await pilot.press("x")
        app._look_at_disk()
        await pilot.press("ctrl+q")
        await pilot.pause()
        assert isinstance(app.screen, ConfirmDialog)
        app.screen.dismiss(True)
        async with asyncio.timeout(20):
            while app.is_running and any(folder.iterdir()):
                await pilot.pause()
    assert list(folder.iterdir()) == []


def test_what_is_no_recovery_file_is_nothing_to_recover(tmp_path: Path) -> None:
    flow = write_flow(tmp_path)
    left_behind(tmp_path / "r", flow)
    [kept] = (tmp_path / "r").iterdir()
    for data in (b"", b"[]", b'{"text": 1}', b"\xff"):
        kept.write_bytes(data)
        assert Recovery(tmp_path / "r").text_of(flow) is None
    assert Recovery(None).text_of(flow) is None
