"""The event that is previewed, taken from a failed batch."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.tui.failures import batch, refused
from tests.tui.support import FakeDesk, application, opened, write_flow
from workbench.tui.screens.edit.screen import EditScreen
from workbench.tui.widgets.dialogs import ChooseDialog


async def test_an_open_failed_batch_of_this_flow_gives_the_event(tmp_path: Path) -> None:
    desk = FakeDesk()
    mine, other = batch(41, [refused(0, 7, "Lovelace")]), batch(42, [refused(0, 8)], flow="other")
    await desk.dead_letters.store([mine, other])
    app = application(write_flow(tmp_path), desk)
    async with opened(app, size=(120, 40)) as pilot:
        screen = app.screen
        assert isinstance(screen, EditScreen)
        screen.action_choose_event()
        await pilot.pause()
        assert isinstance(app.screen, ChooseDialog)
        app.screen.dismiss("failed")
        async with asyncio.timeout(20):
            while not (isinstance(app.screen, ChooseDialog) and len(app.screen._shown) == 1):
                await pilot.pause()
        assert app.screen._shown[0].key == mine.id
        await pilot.press("enter")
        await pilot.pause()
        sample = screen.sample
        assert sample is not None
        assert (sample.origin, sample.data) == ("failed", mine.data)
        assert sample.event is not None
        assert sample.event.sequence == 41
        assert "failed" in str(screen.event_view.border_title)


async def test_without_any_it_says_so(tmp_path: Path) -> None:
    app = application(write_flow(tmp_path))
    async with opened(app, size=(120, 40)) as pilot:
        screen = app.screen
        assert isinstance(screen, EditScreen)
        screen.action_choose_event()
        await pilot.pause()
        app.screen.dismiss("failed")
        async with asyncio.timeout(20):
            while not app._notifications:
                await pilot.pause()
        assert "no open failed batch" in next(iter(app._notifications)).message
