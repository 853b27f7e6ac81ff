"""The application's place of failed batches on the real store and the emulator."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from textual.pilot import Pilot
from textual.widgets import Button, Input

from tests.integration.failed.conftest import NEEDS_TITLE, World, contact
from workbench.app.desk import Desk
from workbench.tui.app import WorkbenchApp
from workbench.tui.config import Config, State
from workbench.tui.screens.failed.replay_dialog import ReplayDialog
from workbench.tui.screens.failed.screen import FailedScreen
from workbench.tui.screens.place import PlaceScreen
from workbench.tui.widgets.dialogs import AskDialog


async def until(pilot: Pilot[None], is_so: Callable[[], object]) -> None:
    async with asyncio.timeout(30):
        while not is_so():
            await pilot.pause()
    await pilot.pause()


@asynccontextmanager
async def place(
    world: World, size: tuple[int, int]
) -> AsyncIterator[tuple[Pilot[None], WorkbenchApp, FailedScreen]]:
    """The application, at the place of failed batches."""
    desk = Desk(world.settings, world.stores.of)
    app = WorkbenchApp(world.flow_file, desk, config=Config(), state=State())
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: isinstance(app.screen, PlaceScreen))
        await pilot.press("f4")
        await until(pilot, lambda: isinstance(app.screen, FailedScreen))
        screen = app.screen
        assert isinstance(screen, FailedScreen)
        yield pilot, app, screen
    await desk.aclose()


async def test_records_are_mended_and_replayed_from_the_screen(world: World) -> None:
    await world.rule(NEEDS_TITLE)
    titled = [contact(number, Title="Dr") for number in range(3)]
    await world.run([*titled, [contact(3), contact(4), contact(5, Title="Dr")], contact(6)])
    assert len(await world.rows()) == 4

    async with place(world, (120, 40)) as (pilot, app, screen):
        await until(pilot, lambda: len(screen.entry_list.entries) == 2)
        await until(pilot, lambda: app.failed.count == 3)

        screen.group_list.focus()
        await pilot.press("down", "a", "s")
        await until(pilot, lambda: isinstance(app.screen, AskDialog))
        app.screen.query_one(Input).value = "Title=Ms"
        await pilot.press("enter")
        await until(pilot, lambda: app.screen is screen and len(screen.edits) == 2)

        await pilot.press("r")
        await until(pilot, lambda: isinstance(app.screen, ReplayDialog))
        button = app.screen.query_one("#yes", Button)
        await until(pilot, lambda: not button.disabled)
        facts = str(app.screen.query_one("#replay-facts").visual)
        assert "SANDBOX" in facts
        assert "left" in facts
        button.press()
        await until(pilot, lambda: app.failed.session and app.failed.session.state == "paused")
        assert app.failed.session is not None
        assert app.failed.session.cause == "the trial is written"
        await pilot.press("p")
        await until(pilot, lambda: app.failed.session and app.failed.session.state == "ended")
        await until(pilot, lambda: not screen.entry_list.entries and not screen.edits)
        await until(pilot, lambda: app.failed.count == 0)

    rows = await world.rows()
    assert {key: row["Title"] for key, row in rows.items()} == {
        **{f"c{number:03}": "Dr" for number in (0, 1, 2, 5)},
        **{f"c{number:03}": "Ms" for number in (3, 4, 6)},
    }


async def test_nats_away_and_back_is_told_and_survived(world: World) -> None:
    await world.rule(NEEDS_TITLE)
    await world.run([contact(1)])
    async with place(world, (80, 24)) as (pilot, _app, screen):
        await until(pilot, lambda: len(screen.entry_list.entries) == 1)
        assert world.sandbox.nats is not None
        world.sandbox.nats.kill()
        await until(pilot, lambda: screen.problem)
        assert len(screen.entry_list.entries) == 1
        world.sandbox.nats.restart()
        await until(pilot, lambda: not screen.problem)
