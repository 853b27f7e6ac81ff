"""The place of failed batches: what it shows, and every action of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widgets import Button, Input, Static, TextArea

from tests.tui.failures import batch, refused, unfit, unknown
from tests.tui.support import FLOW, NASTY, FakeDesk, application, opened, write_flow
from workbench.app import failed_edit
from workbench.model import Entry, FailedBatch
from workbench.tui.actions import ACTIONS
from workbench.tui.app import WorkbenchApp
from workbench.tui.screens.failed import deeds
from workbench.tui.screens.failed.edit_dialog import EditDialog
from workbench.tui.screens.failed.filters import parse_filter
from workbench.tui.screens.failed.replay_dialog import ReplayDialog
from workbench.tui.screens.failed.screen import FailedScreen
from workbench.tui.widgets.dialogs import AskDialog, ReadDialog

S = TypeVar("S", bound="Screen[Any]")
SIZE = (120, 40)
RULE = "FIELD_CUSTOM_VALIDATION_EXCEPTION"


def three() -> list[FailedBatch]:
    return [batch(number, [refused(0, number)]) for number in (9, 10, 11)]


async def until(pilot: Pilot[None], is_so: Callable[[], object]) -> None:
    """Wait for something to become true."""
    async with asyncio.timeout(20):
        while not is_so():
            await pilot.pause()
    await pilot.pause()


async def dialog(pilot: Pilot[None], kind: type[S]) -> S:
    """The dialogue of that kind, once it is up."""
    await until(pilot, lambda: isinstance(pilot.app.screen, kind) and pilot.app.screen.is_mounted)
    screen = pilot.app.screen
    assert isinstance(screen, kind)
    return screen


async def read(pilot: Pilot[None], screen: FailedScreen) -> None:
    """The screen has read the store and shows the entry under the cursor."""
    await until(pilot, lambda: pilot.app.screen is screen)
    await screen.read()
    await screen.show_detail()
    await pilot.pause()


@asynccontextmanager
async def failing(
    tmp_path: Path,
    batches: Sequence[FailedBatch],
    *,
    flow: str = FLOW,
    size: tuple[int, int] = SIZE,
    is_sandbox: bool = True,
) -> AsyncIterator[tuple[Pilot[None], FakeDesk, FailedScreen]]:
    """The place of failed batches with these in the store."""
    desk = FakeDesk(is_sandbox=is_sandbox)
    await desk.dead_letters.store(batches)
    app = application(write_flow(tmp_path, flow), desk)
    async with opened(app, size=size) as pilot:
        await pilot.press("f4")
        screen = await dialog(pilot, FailedScreen)
        await read(pilot, screen)
        yield pilot, desk, screen


def app_of(pilot: Pilot[None]) -> WorkbenchApp:
    assert isinstance(pilot.app, WorkbenchApp)
    return pilot.app


def told(pilot: Pilot[None]) -> str:
    return "\n".join(notice.message for notice in pilot.app._notifications)


def entry_of(desk: FakeDesk, sequence: int) -> Entry:
    return desk.dead_letters.entries[f"crm.{sequence}.contacts.upsert"]


def test_every_action_has_a_method() -> None:
    names = [action.name for action in ACTIONS if action.place == "failed"]
    assert [name for name in names if not hasattr(FailedScreen, f"action_{name}")] == []


# -- looking -----------------------------------------------------------------------------------


async def test_groups_count_by_code_and_field_and_follow_the_store(tmp_path: Path) -> None:
    more = batch(20, [refused(0, 1, code="DUPLICATES_DETECTED", fields=())])
    async with failing(tmp_path, [*three(), more]) as (pilot, desk, screen):
        lines = [str(screen.group_list.get_option_at_index(i).prompt) for i in range(3)]
        assert "all: 4 batches, 4 records" in lines[0]
        assert lines[1].startswith(f"✗ 3 {RULE}"[:20])
        assert lines[1].rstrip().endswith("Title")
        assert "✗ 1 DUPLICATES_DETECTED" in lines[2]
        await desk.dead_letters.store([batch(21, [refused(0, 2, code="OTHER", fields=())])])
        await read(pilot, screen)
        assert screen.group_list.option_count == 4
        assert len(screen.entry_list.entries) == 5


async def test_a_group_shows_its_batches_and_enter_goes_deeper(tmp_path: Path) -> None:
    more = batch(20, [refused(0, 1, code="DUPLICATES_DETECTED", fields=())])
    async with failing(tmp_path, [*three(), more]) as (pilot, _desk, screen):
        screen.group_list.focus()
        await pilot.press("down", "down")
        await until(pilot, lambda: len(screen.entry_list.entries) == 1)
        assert screen.entry_list.entries[0].sequence == 20
        for pane in ("entries", "failed-records", "change"):
            await pilot.press("enter")
            assert screen.focused is not None
            assert screen.focused.id == pane


async def test_grouping_by_field_and_by_flow(tmp_path: Path) -> None:
    async with failing(tmp_path, three()) as (pilot, _desk, screen):
        found = []
        for _ in range(3):
            await pilot.press("g")
            await read(pilot, screen)
            found.append((screen.by, str(screen.group_list.get_option_at_index(1).prompt).strip()))
        assert found[0] == ("field", "✗ 3 Title")
        assert found[1] == ("flow", "✗ 3 contacts upsert")
        assert found[2][0] == "code"


async def test_everything_that_is_known_of_a_record_is_shown(tmp_path: Path) -> None:
    async with failing(tmp_path, three()) as (_pilot, _desk, screen):
        why = screen.story_view.text
        assert f"REFUSED  {RULE}" in why
        assert "A contact needs a title." in why
        assert "fields: Title" in why
        assert "200  by engine" in why
        assert "PATCH /services/data/v65.0" in why
        assert "version 5e215e215e21" in why
        assert (
            '+   "external_id_field": "ExternalId__c"' in why
        )  # not in the version it failed under
        assert '"LastName": "refuse"' in screen.change_view.text
        assert "Nats-Msg-Id: e-9" in screen.event_view.text
        assert '"name": "refuse"' in screen.event_view.text


async def test_a_changed_flow_shows_what_it_would_send_now(tmp_path: Path) -> None:
    flow = FLOW.replace("{{event.data.name}}", "{{event.data.name | upper}}")
    async with failing(tmp_path, three(), flow=flow) as (_pilot, _desk, screen):
        assert '-   "LastName": "refuse"' in screen.change_view.text
        assert '+   "LastName": "REFUSE"' in screen.change_view.text
        assert "the flow has changed" in str(screen.change_view.border_title)


async def test_an_event_that_makes_no_record_says_why(tmp_path: Path) -> None:
    async with failing(tmp_path, [unfit(5)]) as (_pilot, _desk, screen):
        assert "event.data.name" in screen.change_view.text
        assert "none: nothing was sent" in screen.story_view.text


async def test_an_entry_of_a_flow_that_is_gone_is_shown_all_the_same(tmp_path: Path) -> None:
    async with failing(tmp_path, [batch(5, [refused(0, 5)], flow="gone")]) as (_, _desk, screen):
        assert "named 'gone'" in screen.change_view.text
        assert '"LastName": "refuse"' in screen.change_view.text


async def test_filters(tmp_path: Path) -> None:
    more = batch(20, [refused(0, 1, code="DUPLICATES_DETECTED", fields=())], subject="crm.x.y")
    async with failing(tmp_path, [*three(), more]) as (pilot, _desk, screen):
        for text, count in (
            ("code:dup", 1),
            ("-code:dup", 3),
            ("field:title", 3),
            ("subject:crm.*.y", 1),
            ("subject:contacts", 3),
            ("flow:contacts seq:10", 1),
            ("DUPLICATES", 1),
            ("code:", 4),
            ("nowhere", 0),
        ):
            screen.filter_field.display = True
            screen.filter_field.value = text
            await pilot.pause()
            await read(pilot, screen)
            assert len(screen.entry_list.entries) == count, text
        screen.filter_field.value = "colour:red"
        await pilot.pause()
        await read(pilot, screen)
        assert "unknown: colour" in str(screen.entry_list.border_title)
        await pilot.press("escape")
        await read(pilot, screen)
        assert len(screen.entry_list.entries) == 4
        assert not screen.filter_field.display


@pytest.mark.parametrize("text", ["", ":", "-", "-:", "code:(", *NASTY])
def test_no_filter_is_an_error(text: str) -> None:
    parse_filter(text)(Entry(three()[0]).summary)


async def test_the_badge_has_the_count_wherever_one_is(tmp_path: Path) -> None:
    async with failing(tmp_path, three()) as (pilot, desk, _screen):
        app = app_of(pilot)
        await pilot.press("f9")
        await app.failed._count(app.file)
        assert app.failed.count == 3
        desk.dead_letters.is_down = True
        await app.failed._count(app.file)
        assert app.failed.count is None
        assert app.failed.shown(0) is None
        assert app.failed.shown(2) == 2


async def test_a_second_deed_waits_for_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assigned, may_end = failed_edit.assigned, asyncio.Event()

    async def slow(*arguments: Any) -> Any:
        await may_end.wait()
        return await assigned(*arguments)

    monkeypatch.setattr(failed_edit, "assigned", slow)
    monkeypatch.setattr(deeds, "_MANY", 3)
    async with failing(tmp_path, three()) as (pilot, _desk, screen):
        await pilot.press("A", "s")
        ask = await dialog(pilot, AskDialog)
        ask.query_one(Input).value = "Title=Dr"
        await pilot.press("enter")
        await pilot.press("d")
        await pilot.pause()
        said = [notice.message for notice in pilot.app._notifications]
        begun = "changing 3 entries …; c ends it"
        assert said == [begun, "what you asked for before is not done yet"]
        may_end.set()
        await until(pilot, lambda: len(screen.edits) == 3)
        await pilot.press("d")
        await dialog(pilot, ReadDialog)


async def test_what_takes_long_can_be_ended_and_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def endless(*arguments: Any) -> Any:
        await asyncio.Event().wait()

    monkeypatch.setattr(failed_edit, "assigned", endless)
    async with failing(tmp_path, three()) as (pilot, _desk, screen):
        await pilot.press("A", "s")
        ask = await dialog(pilot, AskDialog)
        ask.query_one(Input).value = "Title=Dr"
        await pilot.press("enter")
        await until(pilot, lambda: pilot.app.screen is screen)
        await pilot.press("c")
        await pilot.pause()
        said = [notice.message for notice in pilot.app._notifications]
        assert said == ["ended before it was done; nothing is changed"]
        assert screen.edits == {}
        await pilot.press("d")
        await dialog(pilot, ReadDialog)


async def test_the_badge_does_not_count_backwards_when_a_run_begins_anew(tmp_path: Path) -> None:
    async with failing(tmp_path, three()) as (pilot, _desk, _screen):
        app = app_of(pilot)
        failed = app.failed
        failed._next_count = 0.0
        failed.look(app.file, 7)
        await failed._counting
        assert [failed.shown(given_up) for given_up in (7, 9, 0, 1)] == [3, 5, 3, 3]


async def test_the_badge_says_nothing_of_a_store_that_no_flow_leads_to(tmp_path: Path) -> None:
    app = application(write_flow(tmp_path, "flow: {"), FakeDesk())
    async with opened(app) as pilot:
        await app.failed._count(app.file)
        assert app.failed.shown(0) is None
        app.update_status()
        await pilot.pause()
        assert "0 failed" not in app.export_screenshot(simplify=True)


async def test_nothing_failed_and_a_store_that_is_away_say_so(tmp_path: Path) -> None:
    async with failing(tmp_path, []) as (pilot, desk, screen):
        assert "Nothing has failed" in str(screen.note.content)
        for key in ("r", "e", "d", "D", "x", "y", "space", "a", "v", "s", "u", "t", "p", "c", "h"):
            await pilot.press(key)
        await pilot.press("escape")
        await desk.dead_letters.store(three())
        await read(pilot, screen)
        assert not screen.note.display
        desk.dead_letters.is_down = True
        await screen.read()
        assert "the store is down" in str(screen.note.content)
        assert "as it was" in str(screen.note.content)
        assert len(screen.entry_list.entries) == 3
        desk.dead_letters.is_down = False
        await read(pilot, screen)
        assert not screen.note.display


async def test_a_file_that_is_no_flow_says_so(tmp_path: Path) -> None:
    desk = FakeDesk()
    app = application(write_flow(tmp_path, "flow: {"), desk)
    async with opened(app) as pilot:
        await pilot.press("f4")
        screen = await dialog(pilot, FailedScreen)
        await read(pilot, screen)
        assert screen.problem


@pytest.mark.parametrize("size", [(80, 24), (200, 60)])
async def test_nasty_data_at_every_size(tmp_path: Path, size: tuple[int, int]) -> None:
    batches = [
        batch(n, [refused(0, n, text, text, text, (text,))], reason=text, subject=f"crm.{text}")
        for n, text in enumerate(NASTY, 1)
    ]
    async with failing(tmp_path, batches, size=size) as (pilot, _desk, screen):
        for _ in NASTY:
            await screen.show_detail()
            await pilot.press("down")
        shown = pilot.app.export_screenshot()
        assert not {"\x1b", "\x07", "\x9b", "\x00"} & set(shown)
        for key in ("e", "escape", "d", "escape", "r", "escape"):
            await pilot.press(key)
            await pilot.pause()


async def test_thousands_are_listed_and_drawn_only_where_seen(tmp_path: Path) -> None:
    batches = [batch(number, [refused(0, number)]) for number in range(1, 3_001)]
    async with failing(tmp_path, batches) as (pilot, _desk, screen):
        assert len(screen.entry_list.entries) == 3_000
        await pilot.press("end")
        assert screen.entry_list.current is not None
        assert screen.entry_list.current.sequence == 3_000
        await pilot.press("A")
        assert "3,000 marked" in str(screen.entry_list.border_subtitle)


# -- marks -------------------------------------------------------------------------------------


async def test_marks(tmp_path: Path) -> None:
    more = batch(20, [refused(0, 1, code="DUPLICATES_DETECTED", fields=())])
    async with failing(tmp_path, [*three(), more]) as (pilot, desk, screen):
        await pilot.press("space")
        assert screen.chosen_ids() == [entry_of(desk, 9).id]
        await pilot.press("v", "down", "v")  # from the second to the third
        assert len(screen.chosen_ids()) == 3
        assert "3 marked" in str(screen.entry_list.border_subtitle)
        await pilot.press("A")
        assert len(screen.chosen_ids()) == 4
        await pilot.press("A")
        assert screen.entry_list.marked == set()
        screen.group_list.focus()
        await pilot.press("down", "down")
        await until(pilot, lambda: len(screen.entry_list.entries) == 1)
        await pilot.press("a")
        assert screen.chosen_ids() == [entry_of(desk, 20).id]
        await pilot.press("v", "escape")
        assert not screen.entry_list.is_ranging
        assert screen.chosen_ids() == [entry_of(desk, 20).id]


# -- editing -----------------------------------------------------------------------------------


async def test_a_record_is_edited_checked_and_shown_with_its_difference(tmp_path: Path) -> None:
    async with failing(tmp_path, three()) as (pilot, desk, screen):
        await pilot.press("e")
        editor = await dialog(pilot, EditDialog)
        area = editor.query_one(TextArea)
        checks = editor.query_one("#edit-checks", Static)
        area.text = '{"ExternalId__c": "C-9", "LastName": '
        await until(pilot, lambda: "not JSON" in str(checks.content))
        await pilot.press("ctrl+s")
        assert pilot.app.screen is editor  # what is no JSON is not taken
        area.text = '["a list"]'
        await until(pilot, lambda: "no longer a JSON object" in str(checks.content))
        area.text = '{"ExternalId__c": "C-9", "LastName": "mended"}'
        await until(pilot, lambda: "can be sent" in str(checks.content))
        await pilot.press("ctrl+s")
        await read(pilot, screen)
        assert '-   "LastName": "refuse"' in screen.change_view.text
        assert '+   "LastName": "mended"' in screen.change_view.text
        assert screen.entry_list.notes == {entry_of(desk, 9).id: "edited"}
        await pilot.press("u")
        await read(pilot, screen)
        assert screen.edits == {}
        assert "would be sent as it failed" in screen.change_view.text


async def test_escape_keeps_the_text_as_a_draft(tmp_path: Path) -> None:
    async with failing(tmp_path, three()) as (pilot, _desk, screen):
        await pilot.press("e")
        editor = await dialog(pilot, EditDialog)
        original = editor.text
        editor.query_one(TextArea).text = "half a thought"
        await pilot.press("escape")
        await read(pilot, screen)
        assert screen.edits == {}
        assert list(screen.entry_list.notes.values()) == ["draft"]
        await pilot.press("e")
        editor = await dialog(pilot, EditDialog)
        assert editor.text == "half a thought"
        await pilot.click("#revert")
        await until(pilot, lambda: editor.text == original)
        await pilot.click("#keep")
        await read(pilot, screen)
        assert screen.drafts == {}


async def test_an_event_without_records_is_edited_itself(tmp_path: Path) -> None:
    async with failing(tmp_path, [unfit(5)]) as (pilot, _desk, screen):
        await pilot.press("e")
        editor = await dialog(pilot, EditDialog)
        checks = editor.query_one("#edit-checks", Static)
        await until(pilot, lambda: "▲" in str(checks.content))
        editor.query_one(TextArea).text = '{"id": "C-9", "name": "bob"}'
        await until(pilot, lambda: "✓" in str(checks.content))
        await pilot.press("f5")
        await read(pilot, screen)
        assert '"LastName": "bob"' in screen.change_view.text


async def test_all_marked_records_are_edited_in_one_text(tmp_path: Path) -> None:
    async with failing(tmp_path, three()) as (pilot, desk, screen):
        await pilot.press("A", "e")
        editor = await dialog(pilot, EditDialog)
        items = json.loads(editor.text)
        assert [item["entry"] for item in items] == screen.chosen_ids()
        items[1]["record"]["LastName"] = "mended"
        editor.query_one(TextArea).text = json.dumps(items)
        await pilot.press("ctrl+s")
        await read(pilot, screen)
        assert list(screen.edits) == [entry_of(desk, 10).id]


async def test_a_field_is_set_in_all_records_that_are_meant(tmp_path: Path) -> None:
    async with failing(tmp_path, three()) as (pilot, _desk, screen):
        screen.group_list.focus()
        await pilot.press("down")
        await pilot.press("a", "s")
        asking = await dialog(pilot, AskDialog)
        assert asking.query_one(Input).value == "Title="
        asking.query_one(Input).value = "nothing"
        await pilot.press("enter")
        assert pilot.app.screen is asking
        asking.query_one(Input).value = "Title="
        await pilot.press("D", "r", "enter")
        await read(pilot, screen)
        assert [edit.records[0]["Title"] for edit in screen.edits.values()] == ["Dr"] * 3
        assert "3 records edited" in told(pilot)


# -- trying and replaying ----------------------------------------------------------------------


async def test_a_dry_run_shows_request_and_difference_and_sends_nothing(tmp_path: Path) -> None:
    flow = FLOW.replace("{{event.data.name}}", "{{event.data.name | upper}}")
    async with failing(tmp_path, three(), flow=flow) as (pilot, desk, _screen):
        await pilot.press("A", "d")
        shown = await dialog(pilot, ReadDialog)
        text = shown._text
        assert "3 entries, 3 records in 1 request" in text
        assert '- record 1 /LastName: "refuse"' in text
        assert '+ record 1 /LastName: "REFUSE"' in text
        assert "PATCH /services/data/" in text
        assert desk.replays.requests == []
        await pilot.click("#replay")
        await dialog(pilot, ReplayDialog)
        await pilot.press("escape")


async def asked(pilot: Pilot[None], *keys: str) -> ReplayDialog:
    """The replay dialogue, once it has its plan."""
    await pilot.press(*keys, "r")
    shown = await dialog(pilot, ReplayDialog)
    await until(pilot, lambda: shown._plan is not None)
    return shown


async def all_at_once(pilot: Pilot[None]) -> WorkbenchApp:
    """Begin to replay everything that is listed, without a trial."""
    shown = await asked(pilot, "A")
    shown._row("mode").action_choose(1)
    await pilot.pause()
    await pilot.click("#yes")
    return app_of(pilot)


def facts(shown: ReplayDialog) -> str:
    return str(shown.query_one("#replay-facts", Static).content)


async def test_the_dialogue_says_where_what_and_at_what_cost(tmp_path: Path) -> None:
    async with failing(tmp_path, three()) as (pilot, desk, screen):
        shown = await asked(pilot, "A")
        said = facts(shown)
        for part in (
            "SANDBOX on this machine",
            "ada@sandbox",
            "3 records of 3 events in 1 request (upsert Contact 3)",
            "1,204 of 100,000 used today, 98,796 left",
            "older events first",
        ):
            assert part in said
        assert screen.app.focused is not None
        assert screen.app.focused.id == "no"  # Cancel
        await pilot.press("enter")
        await read(pilot, screen)
        assert desk.replays.requests == []


async def test_a_trial_then_all_of_the_rest_in_the_order_of_the_events(tmp_path: Path) -> None:
    batches = [batch(number, [refused(0, number, "ada")]) for number in (11, 9, 10)]
    async with failing(tmp_path, batches) as (pilot, desk, screen):
        shown = await asked(pilot, "A")
        assert str(shown.query_one("#yes", Button).label) == "Replay 1, then ask"
        await pilot.click("#yes")
        app = app_of(pilot)
        await until(pilot, lambda: app.failed.session and app.failed.session.state == "paused")
        assert app.failed.session is not None
        assert app.failed.session.cause == "the trial is written"
        screen.figures()
        assert "2 left" in str(screen.box.border_title)
        assert "p go on" in str(screen.box.border_subtitle)
        app.update_status()
        await pilot.press("r")
        assert "not at its end" in told(pilot)
        await pilot.press("p")
        await until(pilot, lambda: not app.failed.is_replaying)
        screen.figures()
        assert "done" in str(screen.box.border_title)
        assert "3 resolved" in str(screen.box.content)
        await read(pilot, screen)
        assert len(screen.entry_list.entries) == 0
        assert [entry_of(desk, n).state for n in (9, 10, 11)] == ["resolved"] * 3
        await pilot.press("h")
        assert not screen.box.is_shown


async def test_edits_go_along_and_are_forgotten_when_written(tmp_path: Path) -> None:
    async with failing(tmp_path, three()) as (pilot, desk, screen):
        await pilot.press("A", "s")
        asking = await dialog(pilot, AskDialog)
        asking.query_one(Input).value = "LastName=bob"
        await pilot.press("enter")
        await read(pilot, screen)
        shown = await asked(pilot)
        assert "3 events by hand" in facts(shown)
        shown._row("mode").action_choose(1)
        await until(pilot, lambda: str(shown.query_one("#yes", Button).label) == "Replay 3")
        await pilot.click("#yes")
        app = app_of(pilot)
        await until(pilot, lambda: app.failed.session and app.failed.session.state == "ended")
        await read(pilot, screen)
        assert screen.edits == {}
        assert entry_of(desk, 10).batch.records[0].record == {
            "ExternalId__c": "C-10",
            "LastName": "bob",
        }


async def test_it_pauses_by_itself_after_three_failures_in_a_row(tmp_path: Path) -> None:
    batches = [batch(number, [refused(0, number)]) for number in range(1, 11)]
    async with failing(tmp_path, batches) as (pilot, _desk, screen):
        app = await all_at_once(pilot)
        await until(pilot, lambda: app.failed.session and app.failed.session.state == "paused")
        session = app.failed.session
        assert session is not None
        assert session.cause == "3 failures in a row"
        assert (session.again, session.left) == (3, 7)
        screen.figures()
        assert RULE in str(screen.box.content)
        await pilot.press("c")
        await until(pilot, lambda: session.state == "ended")
        screen.figures()
        assert "7 left as they were" in str(screen.box.border_title)
        await read(pilot, screen)
        assert len(screen.entry_list.entries) == 10


async def test_closing_the_box_and_leaving_the_place_do_not_stop_it(tmp_path: Path) -> None:
    batches = [batch(number, [refused(0, number, "ada")]) for number in range(1, 4)]
    async with failing(tmp_path, batches) as (pilot, desk, screen):
        desk.replays.hold = asyncio.Event()
        app = await all_at_once(pilot)
        await until(pilot, lambda: screen.box.is_shown)
        await pilot.press("h")
        assert not screen.box.is_shown
        await pilot.press("f9")
        app.update_status()
        assert app.failed.is_replaying
        desk.replays.hold.set()
        await until(pilot, lambda: not app.failed.is_replaying)
        assert app.failed.session is not None
        assert app.failed.session.ok == 3


async def test_pausing_by_hand_waits_for_what_is_in_flight(tmp_path: Path) -> None:
    batches = [batch(number, [refused(0, number, "ada")]) for number in range(1, 4)]
    async with failing(tmp_path, batches) as (pilot, desk, _screen):
        desk.replays.hold = asyncio.Event()
        app = await all_at_once(pilot)
        await until(pilot, lambda: desk.replays.requests)
        await pilot.press("p")
        session = app.failed.session
        assert session is not None
        assert session.state == "pausing"
        desk.replays.hold.set()
        await until(pilot, lambda: session.state == "paused")
        await pilot.press("p")
        await until(pilot, lambda: session.state == "ended")
        assert session.ok == 3


async def test_a_real_org_wants_its_name_typed(tmp_path: Path) -> None:
    async with failing(tmp_path, three(), is_sandbox=False) as (pilot, desk, screen):
        shown = await asked(pilot)
        assert "production or Developer Edition org" in facts(shown)
        button = shown.query_one("#yes", Button)
        assert button.disabled
        field = shown.query_one(Input)
        field.value = "sandbox"
        await pilot.pause()
        assert button.disabled
        field.value = "acme"
        await until(pilot, lambda: not button.disabled)
        await pilot.click("#yes")
        await until(pilot, lambda: desk.replays.requests)
        await until(pilot, lambda: not app_of(pilot).failed.is_replaying)
        await read(pilot, screen)


async def test_what_may_be_written_already_needs_a_yes_of_its_own(tmp_path: Path) -> None:
    flow = FLOW.replace("operation: upsert", "operation: create").replace(
        "        external_id_field: ExternalId__c\n", ""
    )
    doubtful = batch(5, [unknown(0, 5)], kind="unknown", operation="create")
    async with failing(tmp_path, [doubtful], flow=flow) as (pilot, desk, screen):
        shown = await asked(pilot)
        button = shown.query_one("#yes", Button)
        assert "1 may be written already" in facts(shown)
        assert button.disabled
        row = shown._row("doubles")
        assert row.display
        row.focus()
        await pilot.press("right")
        await until(pilot, lambda: not button.disabled)
        assert "WRITTEN AGAIN" in facts(shown)
        await pilot.click("#yes")
        await until(pilot, lambda: desk.replays.requests)
        assert desk.replays.requests[0].accept_duplicates
        await until(pilot, lambda: not app_of(pilot).failed.is_replaying)
        await read(pilot, screen)


async def test_options_of_the_replay(tmp_path: Path) -> None:
    async with failing(tmp_path, three()) as (pilot, desk, screen):
        shown = await asked(pilot)
        shown._row("which").action_choose(-1)
        await pilot.pause()
        shown._row("flow").action_choose(1)
        await until(pilot, lambda: shown._plan is not None)
        assert (shown.request.which, shown.request.with_flow) == ("all", "recorded")
        await pilot.click("#replay-which", offset=(12, 0))
        assert shown.request.which == "default"
        await pilot.press("escape")
        await read(pilot, screen)
        assert desk.replays.requests == []


async def test_an_org_that_refuses_the_login_is_told_in_the_dialogue(tmp_path: Path) -> None:
    async with failing(tmp_path, three()) as (pilot, desk, _screen):
        desk.replays.org_problem = "the org refuses the login: invalid_grant"
        shown = await asked(pilot)
        assert "not known: the org refuses the login: invalid_grant" in facts(shown)
        await pilot.press("escape")


async def test_leaving_asks_while_a_replay_is_not_at_its_end(tmp_path: Path) -> None:
    batches = [batch(number, [refused(0, number, "ada")]) for number in range(1, 4)]
    async with failing(tmp_path, batches) as (pilot, _desk, _screen):
        await asked(pilot, "A")
        await pilot.click("#yes")
        app = app_of(pilot)
        await until(pilot, lambda: app.failed.session and app.failed.session.state == "paused")
        await pilot.press("ctrl+q")
        await until(pilot, lambda: type(app.screen).__name__ == "ConfirmDialog")
        await pilot.press("escape")
        assert app.failed.is_replaying


# -- the rest ----------------------------------------------------------------------------------


async def test_discarding_needs_a_reason_and_keeps_it(tmp_path: Path) -> None:
    async with failing(tmp_path, three()) as (pilot, desk, screen):
        await pilot.press("space", "D")
        asking = await dialog(pilot, AskDialog)
        await pilot.press("enter")
        assert pilot.app.screen is asking
        asking.query_one(Input).value = "a test contact"
        await pilot.press("enter")
        await read(pilot, screen)
        assert entry_of(desk, 9).state == "discarded"
        assert entry_of(desk, 9).history[-1].note == "a test contact"
        assert len(screen.entry_list.entries) == 2
        await pilot.press("D", "escape")
        assert len(screen.entry_list.entries) == 2


async def test_export_writes_json_lines_that_can_be_read_again(tmp_path: Path) -> None:
    async with failing(tmp_path, three()) as (pilot, _desk, screen):
        await pilot.press("A", "x")
        asking = await dialog(pilot, AskDialog)
        place = tmp_path / "out.jsonl"
        asking.query_one(Input).value = str(tmp_path)
        await pilot.press("enter")
        assert pilot.app.screen is asking
        asking.query_one(Input).value = str(place)
        await pilot.press("enter")
        await until(pilot, lambda: "3 entries" in told(pilot))
        await read(pilot, screen)
        found = [Entry.from_json(json.loads(line)) for line in place.read_bytes().splitlines()]
        assert [entry.batch for entry in found] == three()


async def test_copying_gives_the_entry_or_what_the_pane_shows(tmp_path: Path) -> None:
    async with failing(tmp_path, three()) as (pilot, desk, screen):
        copied: list[str] = []
        app_of(pilot).copy = lambda text, what: copied.append(text)  # type: ignore[method-assign]
        await pilot.press("y")
        assert Entry.from_json(json.loads(copied[0])).id == entry_of(desk, 9).id
        screen.event_view.focus()
        await pilot.press("y")
        assert json.loads(copied[1]) == {"id": "C-9", "name": "refuse"}


async def test_a_flow_test_is_made_of_an_entry(tmp_path: Path) -> None:
    async with failing(tmp_path, three()) as (pilot, _desk, screen):
        await pilot.press("t")
        asking = await dialog(pilot, AskDialog)
        place = tmp_path / "contacts.test.yaml"
        asking.query_one(Input).value = str(place)
        await pilot.press("enter")
        await until(pilot, place.exists)
        await read(pilot, screen)
        assert "refuse" in place.read_text()


async def test_zoom_and_back(tmp_path: Path) -> None:
    async with failing(tmp_path, three()) as (pilot, _desk, screen):
        await pilot.press("z")
        assert screen.maximized is screen.entry_list
        await pilot.press("escape")
        assert screen.maximized is None


async def test_a_narrow_screen_has_tabs(tmp_path: Path) -> None:
    async with failing(tmp_path, three(), size=(80, 24)) as (pilot, _desk, screen):
        assert screen.entry_list.region.height > 5
        await pilot.press("enter")
        assert screen.record_list.region.height > 5
        assert screen.entry_list.region.height == 0
        screen.focus_pane("story")
        await pilot.pause()
        assert screen.story_view.region.height > 5
