"""A picture of each place, empty, busy and failing, at two sizes and more.

`pytest tests/tui/test_pictures.py --snapshot-update` takes them anew; look at them before they are
committed. The pictures lie in `__snapshots__`.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from tests.tui.support import FLOW, NASTY, FakeDesk, application, write_flow
from workbench.model import Event
from workbench.tui.app import WorkbenchApp
from workbench.tui.screens.edit.screen import EditScreen
from workbench.tui.screens.place import PlaceScreen
from workbench.tui.screens.run.screen import RunScreen

Prepare = Callable[[Pilot[None]], Awaitable[None]]
Compare = Callable[..., bool]

SIZES = [(80, 24), (120, 40)]
sizes = pytest.mark.parametrize("size", SIZES, ids=["80x24", "120x40"])


async def ready(pilot: Pilot[None]) -> None:
    """Wait until the application is open, checked and previewed, with nothing left to say."""
    async with asyncio.timeout(30):
        while not (isinstance(pilot.app.screen, PlaceScreen) and pilot.app.screen.is_mounted):
            await pilot.pause()
        for _ in range(3):
            await pilot.pause()
            await pilot.app.workers.wait_for_complete(
                [w for w in pilot.app.workers if w.group in ("check", "check-all", "settle")]
            )
    await pilot.pause()


async def still(pilot: Pilot[None]) -> None:
    """Wait until the picture no longer changes."""
    before = ""
    async with asyncio.timeout(30):
        while before != (before := re.sub(r"terminal-\d+", "", pilot.app.export_screenshot())):
            await pilot.pause(0.12)


def desk_of(pilot: Pilot[None]) -> FakeDesk:
    assert isinstance(pilot.app, WorkbenchApp)
    assert isinstance(pilot.app.desk, FakeDesk)
    return pilot.app.desk


async def drawn(pilot: Pilot[None]) -> None:
    """Everything that happened is on the screen, and no notice covers it."""
    app = pilot.app
    assert isinstance(app, WorkbenchApp)
    app.failed._next_count = float("inf")
    app.failed._given_up = app.runs.failed()
    await app.failed._count(app.file)
    for _ in range(2):
        app._tick()
        app._look()
        app._draw()
        await pilot.pause()
    app.clear_notifications()
    await ready(pilot)
    await still(pilot)


def edit(*keys: str) -> Prepare:
    async def prepare(pilot: Pilot[None]) -> None:
        await ready(pilot)
        app = pilot.app
        assert isinstance(app, WorkbenchApp)
        # As it is before anything is counted, however long the machine takes to come here.
        app.failed._next_count = float("inf")
        app.failed.is_unknown = False
        app.update_status()
        for key in keys:
            await pilot.press(key)
            if isinstance(app.screen, PlaceScreen):
                await ready(pilot)
        app.clear_notifications()
        await still(pilot)

    return prepare


async def misspelt(pilot: Pilot[None]) -> None:
    await ready(pilot)
    screen = pilot.app.screen
    assert isinstance(screen, EditScreen)
    screen.editor.replace_all(FLOW.replace("sobject_type", "sobject_typ"))
    await ready(pilot)
    await pilot.press("f8", "f8")
    await ready(pilot)


async def changed(pilot: Pilot[None]) -> None:
    await ready(pilot)
    screen = pilot.app.screen
    assert isinstance(screen, EditScreen)
    screen.editor.replace_all(FLOW.replace('"{{event.data.name}}"', '"{{event.data.name|upper}}"'))
    await ready(pilot)


async def unfit(pilot: Pilot[None]) -> None:
    await ready(pilot)
    screen = pilot.app.screen
    assert isinstance(screen, EditScreen)
    screen.use_events([Event("crm.contacts.upsert", b'{"id": "1"}', None, "crm", 7)])
    await ready(pilot)


async def completing(pilot: Pilot[None]) -> None:
    await ready(pilot)
    screen = pilot.app.screen
    assert isinstance(screen, EditScreen)
    screen.editor.go_to(18, 100)
    await pilot.press("enter", "a")
    await ready(pilot)


def publish(desk: FakeDesk, names: list[str]) -> None:
    for number, name in enumerate(names, desk.source._sequence + 1):
        data = json.dumps({"id": f"C-{number}", "name": name}).encode()
        desk.source.publish(data, "crm.contacts.upsert")


def running(names: list[str], *keys: str, then: list[str] | None = None) -> Prepare:
    """The run place after these events, and with `then` still in flight."""

    async def prepare(pilot: Pilot[None]) -> None:
        await ready(pilot)
        await pilot.press("f3", "f5")
        desk = desk_of(pilot)
        await ready(pilot)
        publish(desk, names)
        await desk.clock.advance(1.0)
        if then is not None:
            desk.sink.hold = asyncio.Event()
            publish(desk, then)
            await desk.clock.advance(0.2)
        app = pilot.app
        assert isinstance(app, WorkbenchApp)
        store = app.runs.store_of(app.path)
        assert store is not None
        await drawn(pilot)
        for history, values in (
            (store.rates.received, [0, 800, 2400, 4800, 4700, 4812, 4790, 4800]),
            (store.rates.settled, [0, 700, 2300, 4700, 4700, 4790, 4790, 4800]),
            (store.rates.latency, [0, 150, 148, 410, 150, 148, 160, 148]),
        ):
            history.clear()
            history.extend(values * 3)
        await drawn(pilot)
        await pilot.press(*keys)
        await drawn(pilot)

    return prepare


async def figures(pilot: Pilot[None]) -> None:
    await running(["ada", "refuse"] * 6, then=["bob"])(pilot)
    screen = pilot.app.screen
    assert isinstance(screen, RunScreen)
    screen.rates.focus()
    await drawn(pilot)


NAMES = ["ada", "bob", "refuse", "eve", "dan"] * 6

SCENES: dict[str, tuple[str | None, Prepare]] = {
    "edit_empty": (None, edit()),
    "edit": (FLOW, edit()),
    "edit_problem": (FLOW, misspelt),
    "edit_changed": (FLOW, changed),
    "edit_unfit": (FLOW, unfit),
    "edit_completion": (FLOW, completing),
    "edit_find": (FLOW, edit("ctrl+f", *"contacts", "enter")),
    "run_empty": (FLOW, edit("f3")),
    "run_busy": (FLOW, running(["ada", "bob"] * 10, then=["eve"] * 4)),
    "run_failing": (FLOW, running(NAMES, "n")),
    "run_figures": (FLOW, figures),
    "run_paused": (FLOW, running(["ada"], "p")),
    "run_nasty": (FLOW, running(list(NASTY), "home", "down")),
    "run_filter": (FLOW, running(NAMES, "slash", *"code:custom", "enter")),
    "run_filter_typed": (FLOW, running(NAMES, "slash", *"code:custom")),
    "health_empty": (FLOW, edit("f9")),
    "health_failing": (FLOW, running(NAMES, "f9", "t")),
    "help": (FLOW, edit("f1")),
    "jump": (FLOW, edit("ctrl+o")),
    "publish": (FLOW, edit("ctrl+t", "enter")),
    "events": (FLOW, edit("f12")),
    "changes": (FLOW, edit("#", "ctrl+l")),
}


@sizes
@pytest.mark.parametrize("scene", SCENES)
def test_picture(snap_compare: Compare, tmp_path: Path, scene: str, size: tuple[int, int]) -> None:
    text, prepare = SCENES[scene]
    place = tmp_path if text is None else write_flow(tmp_path, text)
    assert snap_compare(application(place), terminal_size=size, run_before=prepare)


@sizes
def test_picture_of_the_question_before_a_real_org(
    snap_compare: Compare, tmp_path: Path, size: tuple[int, int]
) -> None:
    app = application(write_flow(tmp_path), FakeDesk(is_sandbox=False))
    assert snap_compare(app, terminal_size=size, run_before=edit("f5"))


@pytest.mark.parametrize("theme", ["workbench-light", "ansi-dark"])
def test_picture_in_other_colours(snap_compare: Compare, tmp_path: Path, theme: str) -> None:
    app = application(write_flow(tmp_path))
    app.theme = theme
    assert snap_compare(app, terminal_size=(120, 40), run_before=running(NAMES, "n"))


def test_picture_without_colours(
    snap_compare: Compare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app = application(write_flow(tmp_path))
    assert snap_compare(app, terminal_size=(120, 40), run_before=running(NAMES, "n"))


def test_picture_of_a_large_screen(snap_compare: Compare, tmp_path: Path) -> None:
    app = application(write_flow(tmp_path))
    prepare: Any = running(NAMES, "n")
    assert snap_compare(app, terminal_size=(200, 60), run_before=prepare)
