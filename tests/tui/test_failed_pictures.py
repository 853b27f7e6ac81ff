"""Pictures of the place of failed batches; see `test_pictures`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Input, TextArea

from tests.tui.failures import batch, refused, unfit, unknown, written
from tests.tui.support import FLOW, NASTY, FakeDesk, application, write_flow
from tests.tui.test_failed import dialog, read, until
from tests.tui.test_pictures import Compare, Prepare, ready, sizes
from workbench.model import FailedBatch
from workbench.tui.app import WorkbenchApp
from workbench.tui.screens.failed.edit_dialog import EditDialog
from workbench.tui.screens.failed.replay_dialog import ReplayDialog
from workbench.tui.screens.failed.screen import FailedScreen
from workbench.tui.widgets.dialogs import AskDialog, ReadDialog
from workbench.tui.widgets.diff_view import DiffView

LISTS = FLOW.replace(
    '        payload:\n          ExternalId__c: "{{event.data.id}}"\n'
    '          LastName: "{{event.data.name}}"\n',
    "        payload: {from_event: true}\n",
)


def many() -> list[FailedBatch]:
    refusals = [batch(81_000 + n, [refused(0, n)]) for n in range(1, 30)]
    duplicates = [
        batch(n, [refused(0, n, "ada", "DUPLICATES_DETECTED", "Use one of these records?", ())])
        for n in range(82_001, 82_005)
    ]
    doubtful = batch(82_011, [unknown(0, 300)], kind="unknown", reason="it may be written")
    return [*refusals, *duplicates, unfit(82_010), doubtful]


def a_list() -> list[FailedBatch]:
    records = [refused(n, n) if n % 5 == 2 else written(n, n) for n in range(30)]
    return [batch(82_000, records, reason="6 of 30 records were refused")]


def nasty() -> list[FailedBatch]:
    return [
        batch(n, [refused(0, n, text, text, text, (text,))], reason=text, subject=f"crm.{text}")
        for n, text in enumerate(NASTY, 1)
    ]


async def drawn(pilot: Pilot[None]) -> FailedScreen:
    """The place as it is when all is read and told."""
    screen = await dialog(pilot, FailedScreen)
    await read(pilot, screen)
    app = pilot.app
    assert isinstance(app, WorkbenchApp)
    await app.failed._count(app.file)
    screen.figures()
    app.update_status()
    app.clear_notifications()
    # Lines made before the scroll bar was there are padded where others are as wide as it leaves:
    # the same to the eye, and another picture.
    screen.group_list._clear_caches()
    screen.group_list.refresh()
    await pilot.pause()
    return screen


def failed(*keys: str) -> Prepare:
    async def prepare(pilot: Pilot[None]) -> None:
        await ready(pilot)
        await pilot.press("f4")
        await drawn(pilot)
        await pilot.press(*keys)
        await drawn(pilot)

    return prepare


async def away(pilot: Pilot[None]) -> None:
    await failed()(pilot)
    app = pilot.app
    assert isinstance(app, WorkbenchApp)
    assert isinstance(app.desk, FakeDesk)
    app.desk.dead_letters.is_down = True
    await drawn(pilot)


async def field_set(pilot: Pilot[None]) -> None:
    await failed()(pilot)
    await pilot.press("a", "s")
    asking = await dialog(pilot, AskDialog)
    asking.query_one(Input).value = "Title=Dr"
    await pilot.press("enter")
    screen = await drawn(pilot)
    screen.focus_pane("change")
    await drawn(pilot)


async def editing(pilot: Pilot[None]) -> None:
    await failed()(pilot)
    await pilot.press("e")
    editor = await dialog(pilot, EditDialog)
    editor.query_one(TextArea).text = editor.text.replace('"refuse"', '"mended"')
    await until(pilot, lambda: "mended" in editor.query_one(DiffView).text)
    await until(
        pilot,
        lambda: all(w.is_finished for w in pilot.app.workers if w.group == "edit-check"),
    )


async def dry_run(pilot: Pilot[None]) -> None:
    await failed("A")(pilot)
    await pilot.press("d")
    await dialog(pilot, ReadDialog)


async def asking(pilot: Pilot[None]) -> None:
    await failed("A")(pilot)
    await pilot.press("r")
    shown = await dialog(pilot, ReplayDialog)
    await until(pilot, lambda: shown._plan is not None)


async def replaying(pilot: Pilot[None]) -> None:
    await asking(pilot)
    await pilot.click("#yes")
    app = pilot.app
    assert isinstance(app, WorkbenchApp)
    await until(pilot, lambda: app.failed.session and app.failed.session.state == "paused")
    await drawn(pilot)


SCENES: dict[str, tuple[str, Callable[[], Sequence[FailedBatch]], Callable[..., Awaitable[None]]]]
SCENES = {
    "failed_empty": (FLOW, list, failed()),
    "failed": (FLOW, many, failed()),
    "failed_list": (LISTS, a_list, failed("enter", "down")),
    "failed_marked": (FLOW, many, failed("down", "space", "v", "down", "down")),
    "failed_unfit": (FLOW, lambda: [unfit(5)], failed("enter", "enter")),
    "failed_away": (FLOW, many, away),
    "failed_nasty": (FLOW, nasty, failed("down", "down", "down", "down", "down")),
    "failed_edited": (FLOW, many, field_set),
    "failed_edit": (FLOW, many, editing),
    "failed_dry_run": (FLOW, many, dry_run),
    "failed_replay": (FLOW, many, asking),
    "failed_replaying": (FLOW, many, replaying),
}


def with_entries(
    batches: Sequence[FailedBatch], prepare: Callable[..., Awaitable[None]]
) -> Prepare:
    async def both(pilot: Pilot[None]) -> None:
        app = pilot.app
        assert isinstance(app, WorkbenchApp)
        assert isinstance(app.desk, FakeDesk)
        await app.desk.dead_letters.store(batches)
        await prepare(pilot)

    return both


@sizes
@pytest.mark.parametrize("scene", SCENES)
def test_picture(snap_compare: Compare, tmp_path: Path, scene: str, size: tuple[int, int]) -> None:
    text, batches, prepare = SCENES[scene]
    app = application(write_flow(tmp_path, text))
    assert snap_compare(app, terminal_size=size, run_before=with_entries(batches(), prepare))


@sizes
def test_picture_of_the_question_before_a_real_org(
    snap_compare: Compare, tmp_path: Path, size: tuple[int, int]
) -> None:
    app = application(write_flow(tmp_path), FakeDesk(is_sandbox=False))
    assert snap_compare(app, terminal_size=size, run_before=with_entries(many(), asking))


def test_picture_of_a_large_screen(snap_compare: Compare, tmp_path: Path) -> None:
    app = application(write_flow(tmp_path))
    assert snap_compare(app, terminal_size=(200, 60), run_before=with_entries(many(), field_set))
