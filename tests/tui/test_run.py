"""The run place: one selection in all panes, following and freezing, filters, start and stop."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from tests.tui.support import NASTY, FakeDesk, application, opened, write_flow
from tests.tui.test_parts import events
from workbench.observe import EventsReceived
from workbench.tui.app import WorkbenchApp
from workbench.tui.screens.run.screen import RunScreen
from workbench.tui.store import Store
from workbench.tui.widgets.dialogs import AskDialog, ConfirmDialog

SIZE = (120, 40)


def publish(desk: FakeDesk, *names: str, first: int = 1) -> None:
    for number, name in enumerate(names, first):
        data = json.dumps({"id": f"C-{number}", "name": name}).encode()
        desk.source.publish(data, f"crm.contacts.{name if name.isalpha() else 'x'}")


async def caught_up(pilot: Pilot[None], desk: FakeDesk, seconds: float = 0.0) -> RunScreen:
    """The run screen once the engine has done what it can in `seconds` of its own time."""
    await desk.clock.advance(seconds)
    app = pilot.app
    assert isinstance(app, WorkbenchApp)
    app._tick()
    app._look()
    app._draw()
    await pilot.pause()
    app._tick()
    app._look()
    app._draw()
    await pilot.pause()
    screen = app.screen_stack[0]
    assert isinstance(screen, RunScreen)
    return screen


@asynccontextmanager
async def running(
    tmp_path: Path, *names: str, size: tuple[int, int] = SIZE
) -> AsyncIterator[tuple[Pilot[None], FakeDesk, RunScreen]]:
    """A flow being run on these events."""
    desk = FakeDesk()
    app = application(write_flow(tmp_path), desk)
    async with opened(app, size=size, notifications=True) as pilot:
        await pilot.press("f3")
        await pilot.press("f5")
        await pilot.pause()
        publish(desk, *names)
        screen = await caught_up(pilot, desk, 1.0)
        yield pilot, desk, screen
        for run in desk.runs:
            run.hurry()
        await desk.clock.advance(1.0)
        await asyncio.gather(*(run.wait() for run in desk.runs))


async def test_one_selection_in_all_panes(tmp_path: Path) -> None:
    async with running(tmp_path, "ada", "refuse", "bob") as (pilot, _desk, screen):
        states = [row.state for row in screen.store.rows()]  # type: ignore[union-attr]
        assert states == ["ok", "FAILED", "ok"]
        await pilot.press("home", "down")
        await pilot.pause(0.1)
        assert '"name": "refuse"' in screen.event_view.text
        assert '"LastName": "refuse"' in screen.request_view.text
        assert "✗ REFUSED  FIELD_CUSTOM_VALIDATION_EXCEPTION" in screen.answer_view.text
        assert "fields: A__c" in screen.answer_view.text
        assert "record 2 of 3" in str(screen.request_view.border_title)
        await pilot.press("w")
        assert '"allOrNone": false' in screen.request_view.text


async def test_the_list_follows_until_it_is_held(tmp_path: Path) -> None:
    async with running(tmp_path, *["ada"] * 40) as (pilot, desk, screen):
        events = screen.event_list
        assert events.is_following
        assert events.current is not None
        assert events.current.sequence == 40
        assert events.scroll_offset.y == events.max_scroll_y > 0
        await pilot.press("space")
        publish(desk, *["bob"] * 40, first=41)
        await caught_up(pilot, desk, 1.0)
        assert events.current.sequence == 40
        assert events.shown.new_rows == 40
        assert "40 new" in str(events.border_subtitle)
        await pilot.press("end")
        assert events.is_following
        assert events.current.sequence == 80
        await pilot.press("up")
        assert not events.is_following
        assert events.current.sequence == 79


async def test_holding_keeps_the_cursor_in_view_though_rows_came_and_went_since_it_was_drawn(
    tmp_path: Path,
) -> None:
    async with running(tmp_path, "ada") as (_pilot, _desk, screen):
        store, listed = Store(100), screen.event_list
        store.notify(EventsReceived("f", events(*range(1, 101))))
        store.absorb()
        listed.store = store
        chosen = listed.current
        store.notify(EventsReceived("f", events(*range(101, 151))))
        store.absorb()
        listed.freeze()
        assert chosen is not None
        assert listed.current is chosen
        assert listed.place in listed.places_in_view


async def test_filters_work_while_held_and_while_running(tmp_path: Path) -> None:
    async with running(tmp_path, "ada", "refuse", "bob", "refuse") as (pilot, desk, screen):
        await pilot.press("space", "slash", *"code:custom", "enter")
        assert screen.event_list.count == 2
        publish(desk, "refuse", "ada", first=5)
        await caught_up(pilot, desk, 1.0)
        assert screen.event_list.count == 3
        await pilot.press("slash")
        screen.filter_field.value = "key:C-1"
        await pilot.pause()
        assert screen.event_list.count == 1
        for text in ("-state:ok", "subject:crm.contacts.refuse", "colour:red", "code:", "(", "-"):
            screen.filter_field.value = text
            await pilot.pause()
        assert "key:" not in str(screen.event_list.border_title)
        await pilot.press("escape")
        assert screen.event_list.count == 6
        assert not screen.filter_field.display


async def test_going_from_failure_to_failure(tmp_path: Path) -> None:
    names = ["ada", "refuse", "bob", "refuse", "ada"]
    async with running(tmp_path, *names) as (pilot, _desk, screen):
        sequences = []
        for key in ("n", "n", "n", "N"):
            await pilot.press(key)
            assert screen.event_list.current is not None
            sequences.append(screen.event_list.current.sequence)
        assert sequences == [2, 4, 2, 4]


async def test_a_lock_is_seen_and_then_written(tmp_path: Path) -> None:
    async with running(tmp_path, "lock") as (pilot, desk, screen):
        await caught_up(pilot, desk, 5.0)
        await pilot.press("home")
        await pilot.pause(0.1)
        row = screen.event_list.current
        assert row is not None
        assert row.state == "ok"
        assert len(row.calls) == 2
        assert "retries 1" in str(screen.rates.content)


async def test_pausing_and_resuming(tmp_path: Path) -> None:
    async with running(tmp_path, "ada") as (pilot, desk, screen):
        await pilot.press("p")
        publish(desk, "bob", first=2)
        await caught_up(pilot, desk, 1.0)
        assert desk.runs[0].calls == ["pause"]
        assert "PAUSED" in str(screen.query_one("StatusBar").content)  # type: ignore[attr-defined]
        assert "‖ operator" in str(screen.rates.content)
        await pilot.press("p")
        await caught_up(pilot, desk, 1.0)
        assert desk.runs[0].calls == ["pause", "resume"]
        assert desk.runs[0].engine.snapshot().acked == 2


async def test_stopping_drains_and_stopping_again_asks(tmp_path: Path) -> None:
    async with running(tmp_path, "ada") as (pilot, desk, _screen):
        desk.sink.hold = asyncio.Event()
        publish(desk, "bob", first=2)
        await caught_up(pilot, desk, 1.0)
        await pilot.press("f5")
        await pilot.pause()
        assert desk.runs[0].calls == ["stop"]
        await pilot.press("f5")
        await pilot.pause()
        assert isinstance(pilot.app.screen, ConfirmDialog)
        await pilot.press("escape")
        await pilot.pause()
        assert desk.runs[0].calls == ["stop"]
        await pilot.press("f5")
        await pilot.pause()
        await pilot.click("#yes")
        await pilot.pause()
        assert desk.runs[0].calls[-1] == "hurry"


async def test_a_real_org_is_written_to_only_after_its_name_is_typed(tmp_path: Path) -> None:
    desk = FakeDesk(is_sandbox=False)
    app = application(write_flow(tmp_path), desk)
    async with opened(app, size=SIZE) as pilot:
        await pilot.press("f5")
        await pilot.pause()
        dialog = app.screen
        assert isinstance(dialog, ConfirmDialog)
        said = "\n".join(dialog._lines)
        assert "acme.my.salesforce.com" in said
        assert "ada@acme.example" in said
        assert dialog.query_one("#yes").disabled
        await pilot.press("enter")
        await pilot.pause()
        assert desk.runs == []
        await pilot.press("f5")
        await pilot.pause()
        app.screen.query_one(Input).value = "acme"
        await pilot.pause()
        await pilot.click("#yes")
        await pilot.pause()
        assert len(desk.runs) == 1
        app._look()
        app._draw()
        assert "REAL ORG" in str(app.screen.query_one("StatusBar").content)  # type: ignore[attr-defined]
        desk.runs[0].hurry()
        await desk.clock.advance(1.0)
        await desk.runs[0].wait()


async def test_a_flow_with_errors_is_not_started(tmp_path: Path) -> None:
    path = write_flow(tmp_path, "flow: {}\n")
    desk = FakeDesk()
    app = application(path, desk)
    async with opened(app, size=SIZE, notifications=True) as pilot:
        await pilot.press("f5")
        await pilot.pause()
        assert desk.runs == []
        assert any("can't run" in notice.message for notice in app._notifications)


async def test_copy_export_and_editing_with_this_event(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied: list[str] = []
    async with running(tmp_path, "ada", "refuse") as (pilot, _desk, screen):
        monkeypatch.setattr(pilot.app, "copy_to_clipboard", copied.append)
        await pilot.press("n", "y")
        assert json.loads(copied[-1])["name"] == "refuse"
        screen.focus_pane("request")
        await pilot.press("y")
        assert json.loads(copied[-1])["LastName"] == "refuse"
        await pilot.press("x")
        await pilot.pause()
        assert isinstance(pilot.app.screen, AskDialog)
        target = tmp_path / "case.json"
        for wrong in ("", str(tmp_path)):
            pilot.app.screen.query_one(Input).value = wrong
            await pilot.press("enter")
            assert not target.exists()
        pilot.app.screen.query_one(Input).value = str(target)
        await pilot.press("enter")
        await pilot.pause()
        case = json.loads(target.read_text(encoding="utf-8"))
        assert case["records"][0]["code"] == "FIELD_CUSTOM_VALIDATION_EXCEPTION"
        assert case["event"]["sequence"] == 2
        screen.event_list.focus()
        await pilot.press("e")
        await pilot.pause()
        assert pilot.app.current_mode == "edit"
        assert pilot.app.screen.sample.origin == "run"  # type: ignore[attr-defined]


async def test_zoom_and_back(tmp_path: Path) -> None:
    async with running(tmp_path, "ada") as (pilot, _desk, screen):
        screen.focus_pane("answer")
        await pilot.press("z")
        assert screen.maximized is screen.answer_view
        await pilot.press("z")
        assert screen.maximized is None


async def test_foreign_text_never_reaches_the_terminal_raw(tmp_path: Path) -> None:
    async with running(tmp_path, *NASTY) as (pilot, desk, screen):
        for text in NASTY:
            desk.source.publish(b"\x1b]0;owned\x07 not json", text.replace(" ", "_"))
        await caught_up(pilot, desk, 1.0)
        await pilot.press("home")
        for _ in range(2 * len(NASTY)):
            await pilot.press("down")
            await pilot.pause(0.06)
            for y in range(screen.event_list.size.height):
                assert "\x1b" not in screen.event_list.render_line(y).text
            for view in (screen.event_view, screen.request_view, screen.answer_view):
                assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(view.text)
        await pilot.press("f9")
        await pilot.pause()
        assert "\x1b" not in pilot.app.export_screenshot()


async def test_narrow_screens_show_one_pane_at_a_time(tmp_path: Path) -> None:
    async with running(tmp_path, "ada", size=(80, 24)) as (pilot, _desk, screen):
        shown = [pane.id for pane in screen.panes() if pane.region.area]
        assert shown == ["events", "records"]
        screen.focus_pane("answer")
        await pilot.pause()
        shown = [pane.id for pane in screen.panes() if pane.region.area]
        assert shown == ["events", "answer"]
        await pilot.click(".deck--tabs", offset=(12, 0))
        await pilot.pause()
        assert screen.deck.current == "request"
