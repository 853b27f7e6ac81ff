"""The place where flows are written."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.css.query import NoMatches
from textual.getters import query_one
from textual.widgets import Static, TextArea

from workbench.errors import Problem, WorkbenchError
from workbench.model import Event
from workbench.tui.actions import bindings
from workbench.tui.completion import explain, offers
from workbench.tui.context import Place, Places
from workbench.tui.files import OpenFile, read_text
from workbench.tui.requests import pretty
from workbench.tui.samples import Sample, decoded, made_up
from workbench.tui.screens.edit import files as file_actions
from workbench.tui.screens.edit import fixes
from workbench.tui.screens.edit import samples as sample_actions
from workbench.tui.screens.edit.find_bar import FindBar
from workbench.tui.screens.edit.lists import FileList, ProblemList, counts, file_state
from workbench.tui.screens.edit.preview import Previewer, Shown
from workbench.tui.screens.place import PlaceScreen
from workbench.tui.text import clean, clip, content
from workbench.tui.widgets.code_editor import CodeEditor
from workbench.tui.widgets.completion_list import CompletionList
from workbench.tui.widgets.deck import Deck
from workbench.tui.widgets.json_view import JsonView
from workbench.tui.widgets.key_bar import KeyBar
from workbench.tui.widgets.request_view import RequestView
from workbench.tui.widgets.status_bar import StatusBar

__all__ = ["EditScreen"]

_DEBOUNCE_SECONDS = 0.15
_MOST_DEBOUNCE_SECONDS = 2.0
"""Checking a flow of thousands of lines takes longer than the pause between two keys. It runs in a
thread, but a thread takes half of the interpreter: so it waits as long as it last took, until a
person stops typing."""


class EditScreen(PlaceScreen):
    """Flows on the left, the editor, and what one event becomes on the right."""

    PURPOSE = "Write the flow; see at once what is wrong with it, and what it would send."
    CSS_PATH = "screen.tcss"
    AUTO_FOCUS = "#editor"
    BINDINGS: ClassVar[list[BindingType]] = bindings("edit")

    file_list = query_one("#files", FileList)
    editor = query_one("#editor", CodeEditor)
    problem_list = query_one("#problems", ProblemList)
    event_view = query_one("#event", JsonView)
    request_view = query_one("#request", RequestView)
    deck = query_one("#edit-body", Deck)

    def __init__(self) -> None:
        super().__init__()
        self.problems: tuple[Problem, ...] = ()
        self.samples: list[Sample] = []
        self.sample_place = 0
        self.shown_at = ""
        self._placed: tuple[Problem, ...] = ()
        self._known: dict[Path, tuple[Problem, ...]] = {}
        self._previewer: Previewer | None = None
        self._explained: tuple[tuple[str | int, ...], str] | None = None
        self._outline = ""
        self._as_opened = ("", "")
        self._places = Places()
        self._debounce = _DEBOUNCE_SECONDS

    def compose(self) -> ComposeResult:
        yield StatusBar()
        request = RequestView(id="request")
        event = JsonView(id="event")
        editor = CodeEditor(id="editor")
        for pane, title in ((editor, "Flow"), (event, "Event"), (request, "Request")):
            pane.add_class("pane")
            pane.border_title = title
        yield Deck(
            FileList(id="files"),
            editor,
            event,
            request,
            ProblemList(id="problems"),
            tabs=(("request", "Request"), ("event", "Event"), ("problems", "Problems")),
            id="edit-body",
        )
        yield FindBar()
        yield Static("", id="hint", classes="-hint", markup=False)
        yield CompletionList(id="completions")
        yield KeyBar()

    def on_mount(self) -> None:
        editor = self.editor
        editor.completions = self.query_one(CompletionList)
        editor.wants_offers = self._offer
        self._previewer = Previewer(self.workbench.desk)
        self.set_class(not self.workbench.state.shows_files, "-no-files")
        self.show_file()
        self.call_after_refresh(self._check_all)

    # -- the file ------------------------------------------------------------------------------

    @property
    def file(self) -> OpenFile | None:
        return self.workbench.file

    def show_file(self) -> None:
        """Show the file at hand, or how to begin where there is none."""
        file, editor = self.file, self.editor
        self.samples = [sample for sample in self.samples if sample.origin != "made up"]
        self.problems, self._placed = (), ()
        self._debounce = _DEBOUNCE_SECONDS
        if file is None:
            editor.read_only = True
            editor.open_text("")
            editor.placeholder = "No flow is open. ctrl+n begins one from a template."
            editor.border_title = "Flow"
        else:
            editor.read_only = False
            editor.open_text(file.text)
            self._as_opened = (editor.text, file.text)
            editor.move_cursor(file.cursor)
            self._title()
            self._recover()
            self.samples.append(made_up(file.text))
            self.sample_place = min(self.sample_place, len(self.samples) - 1)
            self._outline = ""
            self._offer_captured()
        self._show_sample()
        self.show_files()
        self.call_after_refresh(self.recheck, 0.0)

    @work(exclusive=True, group="capture")
    async def _offer_captured(self) -> None:
        await sample_actions.offer_captured(self)

    @work(exclusive=True, group="recover")
    async def _recover(self) -> None:
        await file_actions.recover(self)

    def _title(self) -> None:
        if self.file is not None:
            colours = "" if self.editor.has_colours else "  (no colours above 3,000 lines)"
            self.editor.border_title = content(
                clip(self.file.path.name + (" *" if self.file.is_dirty else "") + colours, 60)
            )

    def show_files(self) -> None:
        """Draw the list of flows with their states."""
        app = self.workbench
        states = {}
        for path in app.flows():
            file = app.files.get(path)
            states[path] = file_state(
                bool(file and file.is_dirty), app.runs.is_running(path), self._known.get(path)
            )
        self.file_list.show(app.folder, states, app.path)

    @on(FileList.Opened)
    def _opened(self, event: FileList.Opened) -> None:
        self.open_path(event.path)
        self.editor.focus()

    def open_path(self, path: Path) -> None:
        """Take another file in hand; an unreadable one is told and leaves this one open."""
        self._keep_cursor()
        try:
            self.workbench.open_file(path)
        except WorkbenchError as error:
            self.workbench.tell(str(error), severity="error")
            return
        self.samples.clear()
        self.sample_place = 0
        self.show_file()
        self.workbench.update_status()

    def _keep_cursor(self) -> None:
        if self.file is not None:
            self.file.cursor = self.editor.cursor_location

    def changed_on_disk(self, file: OpenFile, text: str) -> None:
        file_actions.changed_on_disk(self, file, text)

    # -- checking and previewing ---------------------------------------------------------------

    @on(TextArea.Changed, "#editor")
    def _typed(self) -> None:
        shown, meant = self._as_opened
        text = self.editor.text
        if text == shown:
            text = meant  # odd line ends are changed by an edit only, not by being shown
        if self.file is not None and self.file.text != text:
            self.file.text = text
            self._title()
            self.workbench.update_status()
            self.recheck()

    @work(exclusive=True, group="check")
    async def recheck(self, delay: float | None = None) -> None:
        """Check and preview what is typed; a newer call takes the place of one that waits."""
        file = self.file
        if file is None:
            return
        await asyncio.sleep(self._debounce if delay is None else delay)
        text, desk, began = file.text, self.workbench.desk, time.monotonic()
        problems = await asyncio.to_thread(desk.check, text, file.path)
        self._known[file.path] = problems
        sample, previewer = self.sample, self._previewer
        if file is not self.file:
            return
        with suppress(NoMatches):  # the thread may outlive the screen
            self.problems = problems
            self._show_problems()
            self.show_files()
        if sample is None or previewer is None:
            return
        shown = await asyncio.to_thread(previewer.preview, text, file.saved, file.path, sample)
        took = time.monotonic() - began
        # By halves at most: a flow that is no YAML for two keys is dismissed sooner.
        expected = max(took, self._debounce / 2, _DEBOUNCE_SECONDS)
        self._debounce = min(expected, _MOST_DEBOUNCE_SECONDS)
        with suppress(NoMatches):
            if file is self.file:
                self._show_preview(shown)

    @work(exclusive=True, group="check-all")
    async def _check_all(self) -> None:
        """Check every flow of the folder once, for the list."""
        desk = self.workbench.desk
        for path in self.workbench.flows():
            if path in self._known:
                continue
            try:
                known = self.workbench.files.get(path)
                text = known.text if known else await asyncio.to_thread(read_text, path)
            except WorkbenchError as error:
                self._known[path] = (Problem(str(path), 0, 0, "", "error", "file", str(error)),)
            else:
                self._known[path] = await asyncio.to_thread(desk.check, text, path)
            with suppress(NoMatches):
                self.show_files()

    def _show_problems(self) -> None:
        found = [*self.problems, *(p for p in self._placed if p not in self.problems)]
        self.editor.problems = found
        self.problem_list.show(found)
        self.deck.rename("problems", f"Problems {counts(found)}".strip())
        self.refresh_bindings()

    def _show_preview(self, shown: Shown) -> None:
        view = self.request_view
        self._placed = shown.problems
        self._show_problems()
        view.set_class(shown.document is None, "-stale")
        if shown.document is None:
            since = f"from {self.shown_at}, " if self.shown_at else ""
            view.border_title = content(clip(f"Request  {since}{clean(shown.said)}", 200))
            return
        self.shown_at = time.strftime("%H:%M:%S", time.localtime(self.workbench.clock.time()))
        self._outline = shown.outline
        self._hint()
        document = shown.document
        if shown.reasons:
            said = "\n".join(f"✗ would be kept as a failed batch: {r}" for r in shown.reasons)
            view.show(f"{said}\n\n{document.text}".rstrip(), copied=document.text)
            view.border_title = "Request  ✗ this event does not fit"
            return
        view.show_document(document)
        changed = f"  {len(document.changed)} lines differ from saved" if document.changed else ""
        view.border_title = content(f"Request  {shown.said}{changed}")

    # -- the event that is previewed -----------------------------------------------------------

    @property
    def sample(self) -> Sample | None:
        return self.samples[self.sample_place] if self.samples else None

    def use_sample(self, sample: Sample) -> None:
        """Preview this event from now on."""
        if sample not in self.samples:
            self.samples.append(sample)
        self.sample_place = self.samples.index(sample)
        self._show_sample()
        self.recheck(delay=0.0)

    def use_events(self, events: list[Event]) -> None:
        """Offer captured events, the newest of them previewed."""
        kept = [sample for sample in self.samples if sample.origin != "captured"]
        self.samples = kept + [Sample.captured(event) for event in events]
        self.sample_place = len(self.samples) - 1
        self._show_sample()
        self.recheck(delay=0.0)

    def _show_sample(self) -> None:
        view, sample = self.event_view, self.sample
        if sample is None:
            view.show("")
            view.border_title = "Event"
            return
        place = f"{self.sample_place + 1}/{len(self.samples)}"
        title = f"Event {place}  {sample.origin}  {sample.label}  {len(sample.data):,} B"
        view.border_title = content(clip(title, 120))
        view.show(pretty(sample.data), copied=sample.data.decode("utf-8", "replace"))

    def show_sample(self, place: int) -> None:
        """Preview the event at that place, counted around."""
        if self.samples:
            self.sample_place = place % len(self.samples)
            self._show_sample()
            self.recheck(delay=0.0)

    def action_next_event(self) -> None:
        self.show_sample(self.sample_place + 1)

    def action_previous_event(self) -> None:
        self.show_sample(self.sample_place - 1)

    @work(exclusive=True, group="dialog")
    async def action_choose_event(self) -> None:
        await sample_actions.choose(self)

    # -- helping with typing -------------------------------------------------------------------

    def _place(self) -> Place:
        row, column = self.editor.cursor_location
        return self._places.place_of(self.editor.document.lines, row, column)

    def _offer(self) -> None:
        place = self._place()
        data = decoded(self.sample.data) if self.sample else None
        self.editor.offer(offers(place, data), place.prefix)

    def action_complete(self) -> None:
        self.editor.focus()
        self._offer()
        if self.editor.completions is not None and not self.editor.completions.is_open:
            self.workbench.tell("nothing to offer here", severity="warning")

    @on(CompletionList.Chosen)
    def _accepted(self, event: CompletionList.Chosen) -> None:
        self.editor.accept(event.offer, event.prefix)
        self.editor.focus()

    @on(CodeEditor.Moved)
    def _moved(self) -> None:
        self._hint()
        self.refresh_bindings()

    def _hint(self) -> None:
        """The problem at the cursor, else what the field there means, else what the flow does."""
        place = self._place()
        path = place.path if place.kind != "key" else (*place.path, self._word())
        problem = self.editor.problem_here()
        hint = self.query_one("#hint", Static)
        if problem is not None:
            fix = f"   ctrl+r: {clean(problem.fix)}" if problem.fix else ""
            hint.update(content(f"{problem.severity}: {clean(problem.message)}{fix}"))
            self._explained = None
        elif (path, self._outline) != self._explained:
            self._explained = path, self._outline
            entry = explain(path) if len(path) > 1 or not self._outline else None
            required = ", required" if entry and entry.is_required else ""
            said = f"{entry.name} ({entry.kind}{required}): {entry.description}" if entry else ""
            hint.update(content(clean(said or self._outline)))

    def _word(self) -> str:
        row, column = self.editor.cursor_location
        line = self.editor.document.get_line(row)
        end = column
        while end < len(line) and (line[end].isalnum() or line[end] == "_"):
            end += 1
        return line[:end].lstrip(" -").partition(":")[0]

    @work(exclusive=True, group="dialog")
    async def action_describe(self) -> None:
        place = self._place()
        await fixes.describe(
            self, place.path if place.kind != "key" else (*place.path, self._word())
        )

    # -- actions -------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        file = self.file
        if action in ("next_problem", "previous_problem"):
            return True if self.problems or self._placed else None
        if action == "fix":
            problem = self.editor.problem_here() if self.is_mounted else None
            return True if problem is not None and problem.fix is not None else None
        if action == "run":
            return None if file is None or self.workbench.elsewhere.is_attached else True
        needs_file = ("save", "save_as", "changes", "reload", "external", "find", "goto_line")
        if action in needs_file or action in ("comment", "complete", "choose_event"):
            return None if file is None else True
        return True

    def action_next_problem(self, step: int = 1) -> None:
        fixes.go_to_problem(self.editor, step)

    def action_previous_problem(self) -> None:
        self.action_next_problem(-1)

    def action_fix(self) -> None:
        fixes.apply(self)

    @on(ProblemList.Chosen)
    def _chosen_problem(self, event: ProblemList.Chosen) -> None:
        self.editor.go_to(max(event.problem.line, 1), max(event.problem.column, 1))
        self.editor.focus()

    def action_comment(self) -> None:
        self.editor.toggle_comment()

    def action_find(self) -> None:
        self.query_one(FindBar).open(self.editor.selected_text)

    @on(FindBar.Find)
    def _find(self, event: FindBar.Find) -> None:
        if event.needle and not self.editor.find(event.needle, backwards=event.backwards):
            self.workbench.tell(f"not found: {event.needle}", severity="warning")

    @on(FindBar.Replace)
    def _replace(self, event: FindBar.Replace) -> None:
        fixes.replace(self, event.needle, event.by, event.is_all)

    @on(FindBar.Closed)
    def _find_closed(self) -> None:
        self.editor.focus()

    @work(exclusive=True, group="dialog")
    async def action_goto_line(self) -> None:
        await fixes.goto_line(self)

    def action_files(self) -> None:
        state = self.workbench.state
        state.shows_files = not state.shows_files
        self.set_class(not state.shows_files, "-no-files")
        self.set_class(state.shows_files, "-files")
        if state.shows_files:
            self.file_list.focus()
        else:
            self.editor.focus()

    def action_save(self) -> None:
        file_actions.save(self)

    @work(exclusive=True, group="dialog")
    async def action_save_as(self) -> None:
        await file_actions.save_as(self)

    @work(exclusive=True, group="dialog")
    async def action_new(self) -> None:
        await file_actions.new(self)

    @work(exclusive=True, group="dialog")
    async def action_changes(self) -> None:
        await file_actions.changes(self)

    @work(exclusive=True, group="dialog")
    async def action_reload(self) -> None:
        await file_actions.reload(self)

    def action_external(self) -> None:
        file_actions.external(self)

    @work(exclusive=True, group="dialog")
    async def action_run(self) -> None:
        from workbench.tui.screens.run.starting import start_run

        if await start_run(self.workbench):
            await self.workbench.go("run")
