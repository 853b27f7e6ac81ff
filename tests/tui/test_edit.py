"""The edit place: every action, and what happens while one types."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from pathlib import Path

import pytest
from textual.document._wrapped_document import WrappedDocument
from textual.events import Key
from textual.pilot import Pilot
from textual.widgets import Input, OptionList, TextArea

from tests.tui.support import FLOW, NASTY, FakeDesk, application, opened, write_flow
from workbench.app import desk as desk_module
from workbench.app.desk import Desk
from workbench.app.settings import Settings
from workbench.errors import Problem, StreamError
from workbench.flow import Flow
from workbench.model import Event
from workbench.testing import MemoryFailedStore
from workbench.tui.app import WorkbenchApp
from workbench.tui.files import read_bytes, read_text
from workbench.tui.screens.edit.find_bar import FindBar
from workbench.tui.screens.edit.screen import EditScreen
from workbench.tui.widgets.completion_list import CompletionList
from workbench.tui.widgets.dialogs import AskDialog, ChooseDialog, ConfirmDialog, ReadDialog


async def settled(pilot: Pilot[None]) -> EditScreen:
    """The edit screen, once checks and previews have caught up."""
    await pilot.pause()
    await pilot.app.workers.wait_for_complete(
        [worker for worker in pilot.app.workers if worker.group in ("check", "check-all")]
    )
    await pilot.pause()
    screen = pilot.app.screen_stack[0]
    assert isinstance(screen, EditScreen)
    return screen


def line_of(text: str) -> int:
    """The line of the sample flow, from 1, that holds this."""
    return next(number for number, line in enumerate(FLOW.split("\n"), 1) if text in line)


def write_bytes(path: Path, text: str) -> None:
    path.write_bytes(text.encode())


def told(app: WorkbenchApp) -> list[str]:
    return [notice.message for notice in app._notifications]


@pytest.fixture
def flow(tmp_path: Path) -> Path:
    return write_flow(tmp_path)


async def test_a_flow_opens_with_its_request_beside_it(flow: Path) -> None:
    app = application(flow)
    async with opened(app, size=(120, 40)) as pilot:
        screen = await settled(pilot)
        assert screen.editor.text == FLOW
        assert '"ExternalId__c": "sample id"' in screen.request_view.text
        assert "1 request, 1 record" in str(screen.request_view.border_title)
        assert not [p for p in screen.problems if p.severity == "error"]


async def test_typing_shows_the_problem_marks_it_and_keeps_the_last_good_request(
    flow: Path,
) -> None:
    app = application(flow)
    async with opened(app, size=(120, 40)) as pilot:
        screen = await settled(pilot)
        before = screen.request_view.text
        line = line_of("operation")
        screen.editor.go_to(line, 20)
        await pilot.press("x")
        await settled(pilot)
        problem = next(p for p in screen.problems if p.severity == "error")
        assert problem.line == line
        assert screen.editor.problem_here() == problem
        assert screen.request_view.text == before
        assert screen.request_view.has_class("-stale")
        assert "●" in screen.editor.render_line(line - 1 - int(screen.editor.scroll_offset.y)).text


async def test_an_edit_is_compared_with_what_is_saved(flow: Path) -> None:
    app = application(flow)
    async with opened(app, size=(120, 40)) as pilot:
        screen = await settled(pilot)
        screen.editor.replace_all(FLOW.replace("sobject_type: Contact", "sobject_type: Lead"))
        await settled(pilot)
        assert "// was  PATCH" in screen.request_view.text
        assert "differ from saved" in str(screen.request_view.border_title)


async def test_next_problem_and_fix(flow: Path) -> None:
    write_flow(flow.parent, FLOW.replace("sobject_type", "sobject_typ"))
    app = application(flow)
    async with opened(app, size=(120, 40)) as pilot:
        screen = await settled(pilot)
        assert any(p.fix == "sobject_type" for p in screen.problems)
        for _ in range(4):
            await pilot.press("f8")
            problem = screen.editor.problem_here()
            if problem is not None and problem.fix == "sobject_type":
                break
        await pilot.press("ctrl+r")
        await settled(pilot)
        assert screen.editor.text == FLOW
        await pilot.press("ctrl+z")
        assert "sobject_typ:" in screen.editor.text
        await settled(pilot)
        await pilot.press("shift+f8")
        assert screen.editor.problem_here() is not None


async def test_completion_offers_keys_and_fields_of_the_event(flow: Path) -> None:
    app = application(flow)
    async with opened(app, size=(120, 40)) as pilot:
        screen = await settled(pilot)
        screen.editor.go_to(line_of("external_id_field"), 100)
        await pilot.press("enter", "o", "r", "d", "e")
        completions = screen.query_one(CompletionList)
        assert [offer.label for offer in completions.offered] == ["order_by"]
        await pilot.press("enter")
        assert "\n        order_by: " in screen.editor.text
        assert not completions.is_open
        await pilot.press(
            '"', "{", "{", "space", "e", "v", "e", "n", "t", ".", "d", "a", "t", "a", "."
        )
        labels = [offer.label for offer in completions.offered]
        assert labels[:2] == ["event.data.id", "event.data.name"]
        await pilot.press("down", "tab")
        assert "{{ event.data.name" in screen.editor.text
        await pilot.press("escape")


async def test_completion_by_key_and_by_mouse(flow: Path) -> None:
    app = application(flow)
    async with opened(app, size=(120, 40)) as pilot:
        screen = await settled(pilot)
        row = line_of("operation") - 1
        screen.editor.replace("", (row, 19), (row, 25))
        screen.editor.go_to(row + 1, 20)
        await pilot.press("ctrl+@")
        completions = screen.query_one(CompletionList)
        assert "delete" in [offer.label for offer in completions.offered]
        await pilot.click(completions, offset=(2, 1))
        assert screen.editor.document.get_line(row).startswith("        operation: ")
        assert not completions.is_open
        screen.editor.go_to(line_of("max_deliver"), 22)
        await pilot.press("ctrl+@")
        assert not completions.is_open


async def test_the_hint_explains_the_field_and_describe_opens_it(flow: Path) -> None:
    app = application(flow)
    async with opened(app, size=(120, 40)) as pilot:
        screen = await settled(pilot)
        screen.editor.go_to(line_of("sobject_type"), 12)
        await pilot.pause()
        assert "sobject_type" in str(screen.query_one("#hint").content)  # type: ignore[attr-defined]
        await pilot.press("ctrl+k")
        await pilot.pause()
        assert isinstance(app.screen, ReadDialog)
        await pilot.press("escape")


async def test_saving_writes_the_file_and_clears_the_mark(flow: Path) -> None:
    app = application(flow)
    async with opened(app, size=(120, 40)) as pilot:
        screen = await settled(pilot)
        await pilot.press("#", "space")
        await settled(pilot)
        assert screen.file is not None
        assert screen.file.is_dirty
        await pilot.press("ctrl+s")
        assert read_text(flow) == "# " + FLOW
        assert not screen.file.is_dirty


async def test_save_as_asks_before_it_replaces(flow: Path) -> None:
    other = write_flow(flow.parent, "flow: {}\n", "other.yaml")
    app = application(flow)
    async with opened(app, size=(120, 40)) as pilot:
        screen = await settled(pilot)
        for answer, expected in (("no", "flow: {}\n"), ("yes", FLOW)):
            screen.action_save_as()
            await pilot.pause()
            dialog = app.screen
            assert isinstance(dialog, AskDialog)
            dialog.query_one(Input).value = "nothing"
            await pilot.press("enter")
            assert app.screen is dialog
            dialog.query_one(Input).value = str(other)
            await pilot.press("enter")
            await pilot.pause()
            assert isinstance(app.screen, ConfirmDialog)
            await pilot.click(f"#{answer}")
            await pilot.pause()
            assert other.read_text(encoding="utf-8") == expected
        assert app.path == other


@pytest.mark.parametrize("kind", ["upsert", "create", "update", "delete", "get", "tree", "publish"])
async def test_a_new_flow_has_no_errors(tmp_path: Path, kind: str) -> None:
    app = application(tmp_path)
    async with opened(app, size=(120, 40)) as pilot:
        screen = await settled(pilot)
        await pilot.press("ctrl+n")
        await pilot.pause()
        assert isinstance(app.screen, ChooseDialog)
        await pilot.press(*kind, "enter")
        await pilot.pause()
        await pilot.press("enter")
        screen = await settled(pilot)
        assert screen.file is not None
        assert screen.file.is_new
        assert [p for p in screen.problems if p.severity == "error"] == []
        assert "request" in str(screen.request_view.border_title).lower()
        await pilot.press("ctrl+s")
        assert (tmp_path / f"{kind}.yaml").is_file()


async def test_changes_are_shown_and_can_be_dropped(flow: Path) -> None:
    app = application(flow)
    async with opened(app, size=(120, 40)) as pilot:
        screen = await settled(pilot)
        await pilot.press("ctrl+l")
        await pilot.pause()
        assert told(app) == ["everything is saved"]
        await pilot.press("#")
        await pilot.press("ctrl+l")
        await pilot.pause()
        assert isinstance(app.screen, ReadDialog)
        assert "+#flow:" in app.screen.query_one(TextArea).text
        await pilot.click("#drop")
        await pilot.pause()
        assert screen.editor.text == FLOW


async def test_a_change_on_disk_is_followed_or_asked_about(flow: Path) -> None:
    app = application(flow)
    async with opened(app, size=(120, 40)) as pilot:
        screen = await settled(pilot)
        write_flow(flow.parent, FLOW + "# theirs\n")
        app._look_at_disk()
        await settled(pilot)
        assert screen.editor.text.endswith("# theirs\n")
        await pilot.press("#")
        write_flow(flow.parent, FLOW + "# theirs, again\n")
        app._look_at_disk()
        await pilot.pause()
        assert isinstance(app.screen, ReadDialog)
        await pilot.click("#mine")
        await pilot.pause()
        assert screen.editor.text.startswith("#")
        write_flow(flow.parent, FLOW + "# theirs, at last\n")
        app._look_at_disk()
        await pilot.pause()
        await pilot.click("#disk")
        await settled(pilot)
        assert screen.editor.text.endswith("# theirs, at last\n")


async def test_reloading_asks_where_something_would_be_lost(flow: Path) -> None:
    app = application(flow)
    async with opened(app, size=(120, 40)) as pilot:
        screen = await settled(pilot)
        await pilot.press("#")
        await settled(pilot)
        screen.action_reload()
        await pilot.pause()
        assert isinstance(app.screen, ConfirmDialog)
        await pilot.click("#yes")
        await settled(pilot)
        assert screen.editor.text == FLOW


async def test_find_and_replace(flow: Path) -> None:
    app = application(flow)
    async with opened(app, size=(120, 40)) as pilot:
        screen = await settled(pilot)
        await pilot.press("ctrl+f", *"contacts", "enter")
        assert screen.editor.selected_text == "contacts"
        first = screen.editor.selection
        await pilot.press("enter")
        assert screen.editor.selection > first
        await pilot.press("up")
        assert screen.editor.selection == first
        bar = screen.query_one(FindBar)
        bar.query_one("#find-by", Input).value = "people"
        bar.query_one("#find-by", Input).focus()
        await pilot.press("enter")
        assert screen.editor.text.count("people") == 1
        await pilot.press("ctrl+a")
        assert "contacts" not in screen.editor.text
        await pilot.press("escape")
        assert not bar.display
        assert screen.focused is screen.editor
        await pilot.press("ctrl+z")
        assert "contacts" in screen.editor.text


async def test_all_that_is_found_is_replaced_whatever_its_case(flow: Path) -> None:
    write_flow(flow.parent, "# İ Contact, contact, CONTACT\n" + FLOW)
    app = application(flow)
    async with opened(app, size=(120, 40)) as pilot:
        screen = await settled(pilot)
        await pilot.press("ctrl+f", *"contact", "enter")
        assert screen.editor.selected_text == "Contact"
        bar = screen.query_one(FindBar)
        bar.query_one("#find-by", Input).value = r"\1"
        await pilot.press("ctrl+a")
        assert screen.editor.text.startswith("# İ \\1, \\1, \\1\n")
        assert "contact" not in screen.editor.text.lower()
        await pilot.press("escape", "ctrl+z")
        assert screen.editor.text == "# İ Contact, contact, CONTACT\n" + FLOW
        await pilot.press("ctrl+f")
        bar.query_one("#find-needle", Input).value = ""
        before = told(app)
        await pilot.press("down")
        assert told(app) == before
        bar.query_one("#find-needle", Input).value = "CONtact"
        await pilot.press("ctrl+a")
        assert told(app)[-1] == "not found: CONtact"


async def test_saving_does_not_undo_what_another_program_wrote_just_now(flow: Path) -> None:
    app = application(flow)
    async with opened(app, size=(120, 40)) as pilot:
        screen = await settled(pilot)
        await pilot.press("x")
        write_flow(flow.parent, FLOW + "# theirs\n")
        await pilot.press("ctrl+s")
        await pilot.pause()
        assert isinstance(app.screen, ReadDialog)
        assert read_text(flow) == FLOW + "# theirs\n"
        await pilot.press("escape", "ctrl+s")
        assert read_text(flow) == screen.editor.text == "x" + FLOW


async def test_a_home_folder_is_meant_as_in_a_shell(
    flow: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = flow.parent / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(flow.parent)
    app = application(flow)
    async with opened(app, size=(120, 40)) as pilot:
        screen = await settled(pilot)
        screen.action_save_as()
        await pilot.pause()
        app.screen.query_one(Input).value = "~/mine.yaml"
        await pilot.press("enter")
        await pilot.pause()
    assert [path.name for path in home.iterdir()] == ["mine.yaml"]


async def test_going_to_a_line_refuses_what_is_none(flow: Path) -> None:
    app = application(flow)
    async with opened(app, size=(120, 40)) as pilot:
        screen = await settled(pilot)
        for text, is_accepted in (
            ("", False),
            ("0", False),
            ("99", False),
            ("x", False),
            ("7:9", True),
        ):
            await pilot.press("ctrl+g")
            await pilot.pause()
            app.screen.query_one(Input).value = text
            await pilot.press("enter")
            await pilot.pause()
            assert (app.screen is screen) == is_accepted
            if not is_accepted:
                await pilot.press("escape")
                await pilot.pause()
        assert screen.editor.cursor_location == (6, 8)


async def test_commenting_is_undone_by_commenting_again(flow: Path) -> None:
    app = application(flow)
    async with opened(app, size=(120, 40)) as pilot:
        screen = await settled(pilot)
        screen.editor.go_to(5, 9)
        await pilot.press("shift+down", "shift+down", "ctrl+underscore")
        assert screen.editor.document.get_line(4) == "        # name: start"
        screen.editor.select_line(4)
        screen.editor.selection = type(screen.editor.selection)((4, 0), (6, 3))
        await pilot.press("ctrl+underscore")
        assert screen.editor.text == FLOW


async def test_the_file_list_opens_files_and_keeps_what_was_typed(flow: Path) -> None:
    write_flow(flow.parent, FLOW.replace("name: contacts", "name: other"), "other.yaml")
    app = application(flow)
    async with opened(app, size=(120, 40)) as pilot:
        screen = await settled(pilot)
        await pilot.press("#")
        await settled(pilot)
        screen.file_list.focus()
        await pilot.press("down", "enter")
        screen = await settled(pilot)
        assert app.path == flow.parent / "other.yaml"
        assert "name: other" in screen.editor.text
        screen.open_path(flow)
        await settled(pilot)
        assert screen.editor.text == "#" + FLOW
        await pilot.press("ctrl+b")
        assert not screen.file_list.display or screen.has_class("-no-files")
        await pilot.press("ctrl+b")
        assert screen.focused is screen.file_list


async def test_an_unreadable_file_is_told_and_leaves_the_other_open(flow: Path) -> None:
    (flow.parent / "broken.yaml").write_bytes(b"flow: \xff")
    app = application(flow)
    async with opened(app, size=(120, 40)) as pilot:
        screen = await settled(pilot)
        screen.open_path(flow.parent / "broken.yaml")
        await pilot.pause()
        assert "not UTF-8" in told(app)[0]
        assert app.path == flow


async def test_events_to_preview_come_from_stream_file_and_typing(flow: Path) -> None:
    desk = FakeDesk()
    desk.events = [
        Event(
            "crm.contacts.upsert", json.dumps({"id": str(n), "name": "N"}).encode(), None, "crm", n
        )
        for n in (1, 2)
    ]
    data = flow.parent / "event.json"
    data.write_text('{"id": "file", "name": "F"}', encoding="utf-8")
    app = application(flow, desk)
    async with opened(app, size=(120, 40)) as pilot:
        screen = await settled(pilot)
        await pilot.press("f12")
        await pilot.pause()
        await pilot.press(*"stream", "enter")
        screen = await settled(pilot)
        assert '"ExternalId__c": "2"' in screen.request_view.text
        await pilot.press("f6")
        await settled(pilot)
        assert '"ExternalId__c": "1"' in screen.request_view.text
        await pilot.press("f7", "f7")
        await settled(pilot)
        assert "sample id" in screen.request_view.text
        await pilot.press("f12")
        await pilot.pause()
        await pilot.press(*"file", "enter")
        await pilot.pause()
        app.screen.query_one(Input).value = str(data)
        await pilot.press("enter")
        await settled(pilot)
        assert '"ExternalId__c": "file"' in screen.request_view.text
        await pilot.press("f12")
        await pilot.pause()
        await pilot.press(*"typed", "enter")
        await pilot.pause()
        app.screen.query_one(TextArea).text = "{not json"
        await pilot.press("ctrl+s")
        await pilot.pause()
        assert app.screen is not screen
        app.screen.query_one(TextArea).text = '{"id": "typed", "name": "T"}'
        await pilot.press("ctrl+s")
        await settled(pilot)
        assert '"ExternalId__c": "typed"' in screen.request_view.text


async def test_a_stream_that_is_not_there_is_told(flow: Path) -> None:
    desk = FakeDesk()
    desk.is_down = True
    app = application(flow, desk)
    async with opened(app, size=(120, 40)) as pilot:
        screen = await settled(pilot)
        await pilot.press("f12")
        await pilot.pause()
        await pilot.press(*"stream", "enter")
        await pilot.pause()
        assert told(app)[0].startswith("no events: no NATS server")
        assert not screen.event_view.loading


async def test_an_event_that_does_not_fit_is_shown_at_the_field(flow: Path) -> None:
    desk = FakeDesk()
    desk.events = [Event("crm.contacts.upsert", b'{"id": "1"}', None, "crm", 1)]
    app = application(flow, desk)
    async with opened(app, size=(120, 40)) as pilot:
        screen = await settled(pilot)
        screen.use_events(desk.events)
        await settled(pilot)
        assert "would be kept as a failed batch" in screen.request_view.text
        lines = [p.line for p in screen.editor.problems if p.code == "preview"]
        assert lines == [line_of("LastName")]


async def test_foreign_text_is_shown_and_never_obeyed(flow: Path) -> None:
    desk = FakeDesk()
    desk.events = [
        Event(text, json.dumps({"id": text, "name": text}).encode(), {text: text}, text, n)
        for n, text in enumerate(NASTY)
    ]
    write_flow(flow.parent, FLOW + "".join(f"# {text}\n" for text in NASTY if "\r" not in text))
    app = application(flow, desk)
    async with opened(app, size=(120, 40)) as pilot:
        screen = await settled(pilot)
        screen.use_events(desk.events)
        for _ in NASTY:
            await pilot.press("f7")
            await settled(pilot)
            assert "\x1b" not in screen.request_view.text
            picture = app.export_screenshot()
            assert "\x1b" not in picture
        await pilot.press("f12")
        await pilot.pause()
        await pilot.press("escape")
        assert app.is_running


async def test_a_flow_of_five_thousand_lines_can_be_edited(flow: Path) -> None:
    write_flow(flow.parent, FLOW + "# a comment\n" * 5_000)
    app = application(flow)
    async with opened(app, size=(120, 40)) as pilot:
        screen = await settled(pilot)
        assert not screen.editor.has_colours
        assert "no colours" in str(screen.editor.border_title)
        await pilot.press("x")
        assert screen.editor.text.startswith("xflow")


async def test_drawing_a_line_does_not_add_up_all_lines(
    flow: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = application(flow)
    async with opened(app, size=(120, 40)) as pilot:
        screen = await settled(pilot)
        editor = screen.editor
        for keys in ("enter", "x", "backspace", "ctrl+z", "ctrl+z"):
            await pilot.press(keys)
            summed = vars(WrappedDocument)["height"].fget(editor.wrapped_document)
            assert editor.wrapped_document.height == summed == editor.document.line_count
        assert editor.wrapped_document.location_to_offset((5, 3)) == (3, 5)
        asked: list[WrappedDocument] = []

        def height(document: WrappedDocument) -> int:
            asked.append(document)
            return 1

        monkeypatch.setattr(WrappedDocument, "height", property(height))
        await pilot.press("x", "down", "enter")
        assert editor.wrapped_document not in asked


async def test_checking_waits_as_long_as_it_took_the_last_time(
    flow: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = FakeDesk()
    checked: list[str] = []
    check = desk.check

    def slow(text: str, path: Path) -> tuple[Problem, ...]:
        checked.append(text)
        time.sleep(0.5)
        return check(text, path)

    monkeypatch.setattr(desk, "check", slow)
    app = application(flow, desk)
    async with opened(app, size=(120, 40)) as pilot:
        screen = await settled(pilot)
        checked.clear()
        for key in "abc":
            await pilot.press(key)
            await asyncio.sleep(0.25)
        await settled(pilot)
        assert checked == [screen.editor.text]


async def test_a_flow_is_read_once_and_not_by_the_event_loop(
    flow: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    readers: list[threading.Thread] = []
    read = desk_module._flow_of

    def reading(text: str, path: Path, settings: Settings) -> Flow:
        readers.append(threading.current_thread())
        return read(text, path, settings)

    monkeypatch.setattr(desk_module, "_flow_of", reading)
    desk = Desk(
        Settings({"NATS_URL": "nats://127.0.0.1:1"}, {}, ()), lambda flow: MemoryFailedStore()
    )
    with pytest.raises(StreamError):
        await desk.look(FLOW, flow)
    with pytest.raises(StreamError):
        await desk.look(FLOW, flow)
    desk.preview(FLOW, flow, desk.sample(FLOW, flow, b'{"id": "1", "name": "N"}'))
    assert len(readers) == 1
    assert readers[0] is not threading.current_thread()


async def test_an_event_of_a_megabyte_is_previewed(flow: Path) -> None:
    desk = FakeDesk()
    data = json.dumps({"id": "1", "name": "N" * 1_000_000}).encode()
    desk.events = [Event("crm.contacts.upsert", data, None, "crm", 1)]
    app = application(flow, desk)
    async with opened(app, size=(120, 40)) as pilot:
        screen = await settled(pilot)
        screen.use_events(desk.events)
        await settled(pilot)
        assert "1,000 kB" in str(screen.request_view.border_title)
        assert len(screen.event_view.text) < 300_000
        assert screen.event_view.copied == data.decode()


async def test_the_problem_list_goes_to_the_place(flow: Path) -> None:
    write_flow(flow.parent, FLOW.replace("operation: upsert", "operation: upset"))
    app = application(flow)
    async with opened(app, size=(80, 24)) as pilot:
        screen = await settled(pilot)
        screen.focus_pane("problems")
        await pilot.pause()
        place = next(i for i, p in enumerate(screen.editor.problems) if p.severity == "error")
        screen.query_one("#problems", OptionList).highlighted = place
        await pilot.press("enter")
        assert screen.editor.cursor_location[0] == screen.editor.problems[place].line - 1
        assert screen.focused is screen.editor


async def test_odd_line_ends_are_not_changed_by_being_shown(flow: Path) -> None:
    odd = FLOW.replace("\n", "\r\n", 3) + "# a\x0cb\x85c\u2028d\n"
    write_bytes(flow, odd)
    app = application(flow)
    async with opened(app, size=(120, 40)) as pilot:
        screen = await settled(pilot)
        assert screen.file is not None
        assert not screen.file.is_dirty
        await pilot.press("x")
        assert screen.file.is_dirty
        await pilot.press("ctrl+z")
        await settled(pilot)
        assert not screen.file.is_dirty
        await pilot.press("ctrl+s")
        assert read_bytes(flow, 10_000) == odd.encode()


async def burst(pilot: Pilot[None], *keys: str) -> None:
    """Keys that come in one piece."""
    for key in keys:
        pilot.app.post_message(Key(key, key if len(key) == 1 else None))
    await pilot.pause(0.2)


async def test_keys_that_come_in_one_piece_are_taken_in_their_order(flow: Path) -> None:
    async with application(flow).run_test() as pilot:
        screen = await settled(pilot)
        editor = screen.editor
        editor.move_cursor((1, 0))
        line = editor.document.get_line(1)
        await burst(pilot, "end", "enter", "a", "left", "b", "home", "c", "end", "backspace", "d")
        assert editor.document.get_line(1) == line
        assert editor.document.get_line(2).strip() == "cbd"
        await pilot.press("ctrl+g")
        await burst(pilot, "1", "2", "backspace", "3", "home", "4", "delete")
        assert pilot.app.screen.query_one(Input).value == "43"
