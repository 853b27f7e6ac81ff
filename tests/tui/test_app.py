"""What holds everywhere: places, help, palette, jump, themes, keys, publishing, leaving."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from textual.command import CommandPalette
from textual.widgets import Input, OptionList, TextArea

from tests.tui.support import FakeDesk, application, opened, write_flow
from workbench.app.settings import Settings
from workbench.errors import SettingsError
from workbench.tui import run
from workbench.tui.actions import ACTIONS, PLACES, keys_page
from workbench.tui.app import WorkbenchApp
from workbench.tui.commands import Commands
from workbench.tui.config import Config, State
from workbench.tui.screens.health.screen import HealthScreen
from workbench.tui.screens.help import HelpScreen
from workbench.tui.widgets.dialogs import ConfirmDialog, TypeDialog
from workbench.tui.widgets.jump import JumpScreen

ROOT = Path(__file__).parents[2]
SIZE = (120, 40)


def told(app: WorkbenchApp) -> list[str]:
    return [notice.message for notice in app._notifications]


async def test_every_place_has_its_key(tmp_path: Path) -> None:
    app = application(write_flow(tmp_path))
    async with opened(app, size=SIZE) as pilot:
        for key, place in (("f3", "run"), ("f9", "health"), ("f2", "edit")):
            await pilot.press(key)
            assert app.place == place


@pytest.mark.parametrize("place", ["edit", "run", "health"])
def test_every_action_of_a_place_has_a_method(place: str) -> None:
    from workbench.tui.screens.edit.screen import EditScreen
    from workbench.tui.screens.run.screen import RunScreen

    owner = {"edit": EditScreen, "run": RunScreen, "health": HealthScreen}[place]
    missing = [
        action.id
        for action in ACTIONS
        if action.place in (place, "app")
        and not hasattr(WorkbenchApp if action.place == "app" else owner, f"action_{action.name}")
    ]
    assert missing == []


def test_ids_are_unique_and_their_places_known() -> None:
    assert len({action.id for action in ACTIONS}) == len(ACTIONS)
    assert {action.place for action in ACTIONS} <= PLACES.keys()


def test_no_key_means_two_things_in_one_place() -> None:
    for place in PLACES:
        keys = [
            key
            for action in ACTIONS
            if action.place in (place, "app") and action.keys
            for key in action.keys.split(",")
        ]
        assert len(keys) == len(set(keys)), place


def test_the_page_of_keys_is_current() -> None:
    assert (ROOT / "docs" / "keys.md").read_text(encoding="utf-8") == keys_page()


async def test_help_lists_and_does_what_is_possible(tmp_path: Path) -> None:
    app = application(write_flow(tmp_path))
    async with opened(app, size=SIZE) as pilot:
        await pilot.press("f3", "question_mark")
        await pilot.pause()
        assert isinstance(app.screen, HelpScreen)
        await pilot.press(*"health", "enter")
        await pilot.pause()
        assert app.place == "health"
        await pilot.press("f1")
        await pilot.pause()
        await pilot.press("down", "up", *"zzzz", "enter", "escape")
        await pilot.pause()
        assert isinstance(app.screen, HealthScreen)


async def test_the_palette_offers_every_action_and_runs_it(tmp_path: Path) -> None:
    app = application(write_flow(tmp_path))
    async with opened(app, size=SIZE) as pilot:
        await pilot.press("ctrl+p")
        await pilot.pause()
        assert isinstance(app.screen, CommandPalette)
        provider = Commands(app.screen_stack[0])
        hits = [hit async for hit in provider.discover()]
        named = [action for action in ACTIONS if action.label]
        assert len(hits) == len(named) - 1
        await pilot.press(*"app: health")
        await pilot.pause(0.3)
        await pilot.press("enter")
        await pilot.pause(0.3)
        assert app.place == "health"


async def test_an_action_of_another_place_goes_there_first(tmp_path: Path) -> None:
    app = application(write_flow(tmp_path))
    async with opened(app, size=SIZE) as pilot:
        by_id = {action.id: action for action in ACTIONS}
        await app.run_registered(by_id["health.level"])
        await pilot.pause()
        assert isinstance(app.screen, HealthScreen)
        assert app.screen.level == "warning"
        await app.run_registered(by_id["run.copy"])
        await pilot.pause()
        assert "not possible now" in told(app)[-1]


async def test_any_pane_is_two_keys_away(tmp_path: Path) -> None:
    app = application(write_flow(tmp_path))
    async with opened(app, size=SIZE) as pilot:
        screen = app.screen
        await pilot.press("ctrl+o")
        await pilot.pause()
        jump = app.screen
        assert isinstance(jump, JumpScreen)
        letter = next(key for key, (name, _, _) in jump._targets.items() if name == "request")
        await pilot.press(letter)
        await pilot.pause()
        assert screen.focused is screen.query_one("#request")
        await pilot.press("ctrl+o", "escape")
        assert app.screen is screen


async def test_themes_are_chosen_and_remembered(tmp_path: Path) -> None:
    app = application(write_flow(tmp_path))
    async with opened(app, size=SIZE) as pilot:
        app.action_theme()
        await pilot.pause()
        await pilot.press(*"light", "enter")
        await pilot.pause()
        assert app.theme == "workbench-light"
        assert app.state.theme == "workbench-light"


async def test_a_theme_that_is_not_there_is_told(tmp_path: Path) -> None:
    app = application(write_flow(tmp_path))
    app.config = Config(theme="nope")
    async with opened(app):
        (notice,) = app._notifications
        assert "no theme 'nope'" in notice.message


def test_our_themes_say_every_colour() -> None:
    from workbench.tui.themes import THEMES

    names = ("primary", "secondary", "accent", "warning", "error", "success")
    for theme in THEMES:
        assert all(getattr(theme, name) for name in names)
        assert all((theme.foreground, theme.background, theme.surface, theme.panel))


async def test_keys_follow_the_settings(tmp_path: Path) -> None:
    desk = FakeDesk()
    config = Config(keys={"app.mode_health": "f6", "run.pause": "o"})
    app = WorkbenchApp(write_flow(tmp_path), desk, config=config, state=State(), clock=desk.clock)
    async with opened(app, size=SIZE) as pilot:
        await pilot.press("f3", "f6")
        assert app.place == "health"
        assert "f6 Health" not in str(app.screen.query_one("KeyBar").content)  # type: ignore[attr-defined]


async def test_publishing_a_test_event(tmp_path: Path) -> None:
    desk = FakeDesk()
    app = application(write_flow(tmp_path), desk)
    async with opened(app, size=SIZE, notifications=True) as pilot:
        await pilot.press("ctrl+t")
        await pilot.pause()
        for wrong in ("crm.>", "a b", "a..b", ""):
            app.screen.query_one(Input).value = wrong
            await pilot.press("enter")
            await pilot.pause()
            assert app.screen.query(Input)
        app.screen.query_one(Input).value = "crm.contacts.upsert"
        await pilot.press("enter")
        await pilot.pause()
        app.screen.query_one(TextArea).text = '{"id": "1"}'
        await pilot.press("ctrl+s")
        await pilot.pause()
        assert desk.published == [("crm.contacts.upsert", b'{"id": "1"}')]
        desk.is_down = True
        await pilot.press("ctrl+t")
        await pilot.pause()
        await pilot.press("enter")
        await pilot.pause()
        app.screen.query_one(TextArea).text = "{"
        await pilot.press("ctrl+s")
        await pilot.pause()
        assert isinstance(app.screen, ConfirmDialog)
        await pilot.click("#yes")
        await pilot.pause()
        assert len(desk.published) == 1
        assert "did not confirm" in told(app)[-1]
        desk.is_down = False
        assert app.screen.query_one(TextArea).text == "{"
        app.screen.query_one(TextArea).text = "{}"
        await pilot.press("ctrl+s")
        await pilot.pause()
        assert desk.published[1:] == [("crm.contacts.upsert", b"{}")]
        assert app.screen is app.place_screen


async def test_publishing_outside_the_sandbox_asks(tmp_path: Path) -> None:
    desk = FakeDesk(is_sandbox=False)
    app = application(write_flow(tmp_path), desk)
    async with opened(app, size=SIZE) as pilot:
        await pilot.press("ctrl+t")
        await pilot.pause()
        await pilot.press("enter")
        await pilot.pause()
        await pilot.press("ctrl+s")
        await pilot.pause()
        assert isinstance(app.screen, ConfirmDialog)
        await pilot.press("escape")
        await pilot.pause()
        assert isinstance(app.screen, TypeDialog)
        await pilot.press("escape")
        await pilot.pause()
        assert app.screen is app.place_screen
        assert desk.published == []


class Switches:
    def __init__(self) -> None:
        self.on = {"latency": False, "down": True}

    async def faults(self) -> Mapping[str, bool]:
        return self.on

    async def switch(self, name: str, on: bool) -> None:
        self.on[name] = on


async def test_faults_are_switched_where_there_is_a_sandbox(tmp_path: Path) -> None:
    switches = Switches()
    app = application(write_flow(tmp_path), faults=switches)
    async with opened(app, size=SIZE) as pilot:
        for name, expected in (("latency", True), ("down", False)):
            await pilot.press("f10")
            await pilot.pause()
            await pilot.press(*name, "enter")
            await pilot.pause()
            assert switches.on[name] is expected
    without = application(write_flow(tmp_path))
    async with opened(without, size=SIZE) as pilot:
        await pilot.press("f10")
        assert len(without.screen_stack) == 1


async def test_health_tries_the_connections_and_shows_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = FakeDesk()
    desk.is_down = True
    app = application(write_flow(tmp_path), desk)
    async with opened(app, size=SIZE) as pilot:
        await pilot.press("f9", "t")
        await pilot.pause()
        screen = app.screen
        assert isinstance(screen, HealthScreen)
        assert "✗ NATS" in str(screen.nats.content)
        assert "✓ Salesforce login" in str(screen.salesforce.content)
        logging.getLogger("workbench").error("a [/] line \x1b[31m")
        app.log_lines.add("info", "another line")
        screen.figures()
        assert "a [/] line ␛[31m" in screen.log_view.text
        await pilot.press("l", "l")
        assert "another" not in screen.log_view.text
        await pilot.press("l", "slash", *"another", "enter")
        assert "a [/]" not in screen.log_view.text
        await pilot.press("escape")
        assert "a [/]" in screen.log_view.text
        copied: list[str] = []
        monkeypatch.setattr(app, "copy_to_clipboard", copied.append)
        await pilot.press("y")
        assert "another line" in copied[0]


async def test_leaving_asks_once_where_something_would_be_lost(tmp_path: Path) -> None:
    desk = FakeDesk()
    app = application(write_flow(tmp_path), desk)
    async with opened(app, size=SIZE) as pilot:
        await pilot.press("ctrl+end", "#")
        await pilot.press("f5")
        await pilot.pause()
        await pilot.press("ctrl+q")
        await pilot.pause()
        dialog = app.screen
        assert isinstance(dialog, ConfirmDialog)
        assert len(dialog._lines) == 2
        await pilot.press("escape")
        await pilot.pause()
        assert app.is_running
        await pilot.press("ctrl+q")
        await pilot.pause()
        await pilot.click("#yes")
        await desk.clock.advance(1.0)
        await asyncio.wait_for(desk.runs[0].wait(), 5)
        await pilot.pause()
    assert desk.runs[0].calls == ["stop"]
    assert not app.is_running


async def test_an_empty_folder_says_how_to_begin(tmp_path: Path) -> None:
    app = application(tmp_path)
    async with opened(app, size=(80, 24)) as pilot:
        await pilot.pause()
        assert "ctrl+n" in app.screen.query_one("#editor").placeholder  # type: ignore[attr-defined]
        for key in (
            "f5",
            "ctrl+s",
            "ctrl+f",
            "ctrl+t",
            "f12",
            "f7",
            "ctrl+r",
            "f3",
            "n",
            "y",
            "x",
            "f9",
            "t",
        ):
            await pilot.press(key)
            await pilot.pause()
            if len(app.screen_stack) > 1:
                await pilot.press("escape")
        assert app.is_running


async def test_a_flow_file_that_is_not_there_is_a_new_one(tmp_path: Path) -> None:
    app = application(tmp_path / "new.yaml")
    async with opened(app, size=SIZE) as pilot:
        await pilot.press("ctrl+s")
        assert (tmp_path / "new.yaml").read_text(encoding="utf-8").startswith("flow:")


async def test_no_terminal_is_refused_with_the_headless_command(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="--headless"):
        await run(tmp_path, Settings({}), dead_letters=lambda flow: None)  # type: ignore[arg-type, return-value]


def test_the_door_and_the_engine_import_no_textual() -> None:
    code = (
        "import sys, workbench.tui, workbench.app.desk, workbench.cli, workbench.engine;"
        "sys.exit('textual' in sys.modules or 'rich' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_first_picture_waits_for_no_client() -> None:
    code = (
        "import sys, workbench.tui.start, workbench.tui.app, workbench.tui.screens.edit.screen;"
        "sys.exit(', '.join({'nats', 'httpcore2', 'grpc', 'aiohttp', 'jinja2', 'fastavro'}"
        " & sys.modules.keys()) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True)
    assert done.returncode == 0, done.stderr


async def test_option_lists_take_no_markup(tmp_path: Path) -> None:
    app = application(write_flow(tmp_path, name="[red]x[_]y.yaml"))
    async with opened(app, size=SIZE) as pilot:
        await pilot.pause(0.3)
        for key in ("f3", "f9", "f2"):
            await pilot.press(key)
            for options in app.screen.query(OptionList):
                assert not options._markup
        assert "[red]" in str(app.screen.query_one("StatusBar").content)  # type: ignore[attr-defined]


async def test_a_pane_behind_its_tab_has_a_letter_too(tmp_path: Path) -> None:
    app = application(write_flow(tmp_path))
    async with opened(app, size=(80, 24)) as pilot:
        screen = app.screen
        await pilot.press("ctrl+o")
        await pilot.pause()
        jump = app.screen
        assert isinstance(jump, JumpScreen)
        letters = {name: key for key, (name, _, _) in jump._targets.items()}
        assert letters.keys() == {"editor", "request", "event", "problems"}
        await pilot.press(letters["event"])
        await pilot.pause()
        assert screen.focused is screen.query_one("#event")
        assert screen.query_one("#event").region.area
