"""The place of failed batches: groups, batches, records; what would change; what happened."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.css.query import NoMatches
from textual.getters import query_one
from textual.widgets import Input, OptionList, Static

from workbench.app.failed_desk import FailedDesk
from workbench.errors import WorkbenchError
from workbench.model import EntryFilter
from workbench.tui.actions import bindings
from workbench.tui.screens.failed import deeds
from workbench.tui.screens.failed.details import (
    Case,
    change_text,
    entry_text,
    event_text,
    load,
    story_text,
)
from workbench.tui.screens.failed.entry_list import EntryList
from workbench.tui.screens.failed.filters import EntryTest, parse_filter
from workbench.tui.screens.failed.lists import GroupList, RecordList
from workbench.tui.screens.failed.replay_box import ReplayBox
from workbench.tui.screens.place import PlaceScreen
from workbench.tui.text import clip, content
from workbench.tui.widgets.deck import Deck
from workbench.tui.widgets.diff_view import DiffView
from workbench.tui.widgets.filter_field import FilterField
from workbench.tui.widgets.json_view import JsonView
from workbench.tui.widgets.key_bar import KeyBar
from workbench.tui.widgets.status_bar import StatusBar

if TYPE_CHECKING:
    from textual.worker import Worker

    from workbench.app.failed_desk import GroupBy
    from workbench.app.replay_choice import Edit

__all__ = ["FailedScreen"]

_SETTLE_SECONDS = 0.05
_READ_SECONDS = 1.0
_SHARE = 10
"""Reading takes at most so much of the time: the pause after it is this many times as long."""

_BY: tuple[GroupBy, ...] = ("code", "field", "flow")
_BY_WORDS = {"code": "code and field", "field": "field", "flow": "flow and task"}

_NEEDS_ENTRY = frozenset(
    {"mark", "mark_range", "mark_group", "edit", "set_field", "dry_run", "replay", "discard",
     "export", "copy", "make_test"}
)  # fmt: skip


class FailedScreen(PlaceScreen):
    """Reads from the failed batches' desk once a second while it is shown; what is done is done by
    the desk, to the marked batches or else the one under the cursor."""

    PURPOSE = "See what could not be written and why; mend it, try it, and write it again."
    CSS_PATH = "screen.tcss"
    AUTO_FOCUS = "#entries"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings("failed")]

    group_list = query_one("#groups", GroupList)
    entry_list = query_one("#entries", EntryList)
    record_list = query_one("#failed-records", RecordList)
    change_view = query_one("#change", DiffView)
    story_view = query_one("#story", DiffView)
    event_view = query_one("#failed-event", JsonView)
    filter_field = query_one("#failed-filter", FilterField)
    note = query_one("#failed-note", Static)
    box = query_one("#replay-box", ReplayBox)

    def __init__(self) -> None:
        super().__init__()
        self.desk: FailedDesk | None = None
        self.by: GroupBy = "code"
        self.test = EntryTest()
        self.edits: dict[str, Edit] = {}
        self.drafts: dict[tuple[tuple[str, ...], int | None], str] = {}
        self.case: Case | None = None
        self.problem = ""
        self._total = 0
        self._next_read = 0.0
        self._reading = asyncio.Lock()
        self._is_doing = False
        self._looking: Worker[None] | None = None

    def compose(self) -> ComposeResult:
        yield StatusBar()
        yield FilterField(
            id="failed-filter", placeholder="code:REQUIRED field:Title subject:crm.> flow:"
        )
        yield Static("", id="failed-note", markup=False)
        entries = EntryList(id="entries")
        change, story, event = (
            DiffView(id="change"),
            DiffView(id="story"),
            JsonView(id="failed-event"),
        )
        for pane, title in (
            (entries, "Failed batches"),
            (change, "Change"),
            (story, "Why"),
            (event, "Event"),
        ):
            pane.add_class("pane")
            pane.border_title = title
        yield Deck(
            GroupList(id="groups"),
            entries,
            RecordList(id="failed-records"),
            change,
            story,
            event,
            tabs=(
                ("entries", "Batches"),
                ("failed-records", "Records"),
                ("change", "Change"),
                ("story", "Why"),
                ("failed-event", "Event"),
            ),
            id="failed-body",
        )
        yield ReplayBox(id="replay-box")
        yield KeyBar()

    def on_mount(self) -> None:
        self.note.display = False
        self.group_list.border_title = "Groups"

    # -- what is shown -------------------------------------------------------------------------

    def figures(self) -> None:
        """How a replay goes; and the store, when it is time to read it."""
        self.box.show(self.workbench.failed.session)
        self.refresh_bindings()
        if asyncio.get_running_loop().time() >= self._next_read and not self._reading.locked():
            self._read_soon()

    @work(exclusive=True, group="failed-read")
    async def _read_soon(self) -> None:
        with suppress(NoMatches):
            await self.read()

    async def read(self) -> None:
        """Take over what the store holds now."""
        loop = asyncio.get_running_loop()
        async with self._reading:
            began = loop.time()
            try:
                desk = self.workbench.failed.desk_of(self.workbench.file)
                groups = await desk.groups(self.by, fits=self.test)
            except WorkbenchError as error:
                self._tell_problem(str(error))
                self._next_read = loop.time() + _READ_SECONDS
                return
            self._take_desk(desk)
            self._forget_closed(desk)
            self._tell_problem("")
            self.group_list.show(groups, len(desk.entries(fits=self.test)))
            self._show_entries()
            self._next_read = loop.time() + max(_READ_SECONDS, _SHARE * (loop.time() - began))

    def _take_desk(self, desk: FailedDesk) -> None:
        if desk is not self.desk:
            self.desk = desk
            self.edits, self.drafts, self.case = {}, {}, None
            self.entry_list.marked.clear()
            self.entry_list.show([], time.time())

    def _forget_closed(self, desk: FailedDesk) -> None:
        known = {entry.id for entry in desk.entries()}
        self._total = len(known)
        self.entry_list.marked &= known
        self.edits = {id: edit for id, edit in self.edits.items() if id in known}

    def _show_entries(self) -> None:
        desk, group = self.desk, self.group_list.chosen
        if desk is None:
            return
        entries = desk.entries(
            fits=lambda entry: self.test(entry) and (group is None or group.holds(entry))
        )
        listed = self.entry_list
        listed.code, listed.field = (group.code, group.field) if group else ("", "")
        drafts = {id: "draft" for ids, _ in self.drafts for id in ids}
        listed.notes = {**drafts, **dict.fromkeys(self.edits, "edited")}
        listed.show(entries, time.time())
        if listed.current is None and self.case is not None:
            self._show_case(None)
        elif listed.current is not None and self._is_stale():
            self._settle()
        self._titles()
        self.refresh_bindings()

    def _is_stale(self) -> bool:
        """Whether the panes show something else than the entry under the cursor, as it is now."""
        current = self.entry_list.current
        return self.case is None or self.case.entry.summary != current

    def _titles(self) -> None:
        listed = self.entry_list
        self.group_list.border_title = f"Groups  by {_BY_WORDS[self.by]}"
        title = f"Failed batches  {len(listed.entries):,}"
        if self.test.text:
            unknown = f"  (unknown: {', '.join(self.test.unknown)})" if self.test.unknown else ""
            title += f" of {self._total:,} match {self.test.text}{unknown}"
        listed.border_title = content(clip(title, 140))
        marked = f"{len(listed.marked):,} marked" if listed.marked else "none marked"
        listed.border_subtitle = (
            f"{marked}, range begun: v ends it" if listed.is_ranging else marked
        )

    def _tell_problem(self, problem: str) -> None:
        is_empty = not problem and self.desk is not None and not self._total
        if problem:
            kept = "; what is shown is as it was" if self._total else ""
            self.note.update(content(clip(f"✗ {problem}{kept}", 300)))
        elif is_empty:
            self.note.update(
                "✓ Nothing has failed. What a flow can't write is kept here, to be mended."
            )
        self.problem = problem
        self.note.set_class(bool(problem), "-wrong")
        self.note.display = bool(problem) or is_empty

    # -- one selection, all panes --------------------------------------------------------------

    @on(EntryList.Moved)
    def _moved(self) -> None:
        self._settle()

    @on(EntryList.Marked)
    def _marked(self) -> None:
        self._titles()

    @on(GroupList.Chosen)
    def _group_chosen(self) -> None:
        self.entry_list.cursor = 0
        self._show_entries()

    @on(RecordList.Chosen)
    def _record_chosen(self) -> None:
        self._show_record()

    @on(OptionList.OptionSelected, "#groups")
    def _into_group(self) -> None:
        self.focus_pane("entries")

    @on(EntryList.Opened)
    def _into_entry(self) -> None:
        self.focus_pane("failed-records")

    @on(OptionList.OptionSelected, "#failed-records")
    def _into_record(self) -> None:
        self.focus_pane("change")

    @work(exclusive=True, group="failed-detail")
    async def _settle(self) -> None:
        await asyncio.sleep(_SETTLE_SECONDS)
        with suppress(NoMatches):  # the screen may be taken down meanwhile
            await self.show_detail()

    async def show_detail(self) -> None:
        """Load the entry under the cursor into the panes."""
        current, desk = self.entry_list.current, self.desk
        if current is None or desk is None:
            self._show_case(None)
            return
        try:
            case = await load(desk, current.id, self.edits)
        except WorkbenchError as error:
            if self.case is None or self.case.entry.id != current.id:
                self._show_case(None)
                self.story_view.show(f"✗ {error}")
        else:
            self._show_case(case)

    def _show_case(self, case: Case | None) -> None:
        self.case = case
        listed = self.entry_list
        self.record_list.show(case.entry if case else None, listed.code, listed.field)
        self.event_view.show(
            event_text(case.entry) if case else "",
            copied=case.entry.batch.data.decode("utf-8", "replace") if case else "",
        )
        self._show_record()

    def _show_record(self) -> None:
        case, index = self.case, self.record_list.index
        title, text = change_text(case, index) if case else ("Change", "")
        self.change_view.border_title = content(clip(title, 100))
        self.change_view.show(text)
        self.story_view.show(story_text(case, index) if case else "")

    # -- what is chosen ------------------------------------------------------------------------

    def chosen_ids(self) -> list[str]:
        """The marked entries, in the list's order; else the one under the cursor."""
        current, desk = self.entry_list.current, self.desk
        marked = self.entry_list.marked
        if marked and desk is not None:
            return [entry.id for entry in desk.entries() if entry.id in marked]
        return [current.id] if current is not None else []

    @property
    def meant(self) -> EntryFilter:
        """The chosen group's code and field."""
        group = self.group_list.chosen
        return EntryFilter(code=group.code, field=group.field) if group else EntryFilter()

    def edit_place(self) -> tuple[list[str], int | None]:
        """What an edit is about: the record that has the focus, else all that is chosen."""
        current = self.entry_list.current
        is_record = self.focused in (self.record_list, self.change_view, self.story_view)
        if is_record and current is not None:
            return [current.id], self.record_list.index
        return self.chosen_ids(), None

    def take_edits(self, edits: dict[str, Edit]) -> None:
        """Go on with these edits."""
        self.edits = edits
        self._show_entries()
        self._settle()

    # -- actions -------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if not self.is_mounted:
            return True
        if action in _NEEDS_ENTRY:
            return True if self.entry_list.current is not None else None
        if action == "undo_edit":
            return True if self.edits.keys() & set(self.chosen_ids()) else None
        if action in ("pause_replay", "end_replay"):
            is_ended = action == "end_replay" and self._is_looking
            return True if self.workbench.failed.is_replaying or is_ended else None
        if action == "progress":
            return True if self.box.session is not None else None
        return True

    def action_mark(self) -> None:
        self.entry_list.toggle()

    def action_mark_range(self) -> None:
        self.entry_list.range()

    def action_mark_group(self) -> None:
        self.entry_list.mark([entry.id for entry in self.entry_list.entries])

    def action_mark_all(self) -> None:
        if self.desk is not None:
            self.entry_list.mark([entry.id for entry in self.desk.entries(fits=self.test)])

    def action_group_by(self) -> None:
        self.by = _BY[(_BY.index(self.by) + 1) % len(_BY)]
        self.group_list.sort_anew()
        self._read_soon()

    def action_filter(self) -> None:
        self.filter_field.open()

    @on(Input.Changed, "#failed-filter")
    def _filtered(self, event: Input.Changed) -> None:
        self.test = parse_filter(event.value)
        self._read_soon()

    @on(Input.Submitted, "#failed-filter")
    def _filter_done(self) -> None:
        self.entry_list.focus()

    def key_escape(self) -> None:
        """Step back: out of the filter, a range, the zoom, the box; then to the list."""
        if self.filter_field.clear_filter():
            self.focus_pane("entries")
            return
        if self.entry_list.is_ranging:
            self.entry_list.leave_range()
            self._titles()
        elif self.maximized is not None:
            self.minimize()
            return
        elif self.box.is_shown and self.focused is self.entry_list:
            self.box.toggle()
        self.focus_pane("entries")

    def _do(
        self,
        deed: Callable[[FailedScreen, FailedDesk], Awaitable[None]],
        *,
        is_reading: bool = False,
    ) -> None:
        """Do something with the desk; what goes wrong is told. One thing at a time: a second would
        begin without what the first is to change. What only reads can be ended before its end."""
        if self._is_doing:
            self.workbench.tell("what you asked for before is not done yet", severity="warning")
        elif self.desk is not None:
            self._is_doing = True
            doing = self._carry_out(deed, self.desk)
            self._looking = doing if is_reading else None

    @work(exclusive=True, group="dialog")
    async def _carry_out(
        self, deed: Callable[[FailedScreen, FailedDesk], Awaitable[None]], desk: FailedDesk
    ) -> None:
        try:
            await deed(self, desk)
        except WorkbenchError as error:
            self.workbench.tell(str(error), severity="error")
        finally:
            self._is_doing = False
        await self.read()

    def action_edit(self) -> None:
        self._do(deeds.edit)

    def action_set_field(self) -> None:
        self._do(deeds.set_field, is_reading=True)

    def action_undo_edit(self) -> None:
        chosen = set(self.chosen_ids())
        self.take_edits({id: edit for id, edit in self.edits.items() if id not in chosen})

    def action_dry_run(self) -> None:
        self._do(deeds.dry_run, is_reading=True)

    def action_replay(self) -> None:
        self._do(deeds.replay)

    def action_discard(self) -> None:
        self._do(deeds.discard)

    def action_export(self) -> None:
        self._do(deeds.export)

    def action_make_test(self) -> None:
        self._do(deeds.make_test)

    def action_copy(self) -> None:
        focused, case = self.focused, self.case
        if isinstance(focused, JsonView):
            self.workbench.copy(focused.selected_text or focused.copied, str(focused.id))
        elif case is not None:
            self.workbench.copy(entry_text(case.entry), case.entry.id)

    def action_pause_replay(self) -> None:
        session = self.workbench.failed.session
        if session is not None:
            session.resume() if session.state == "paused" else session.pause()
            self.box.show(session)

    @property
    def _is_looking(self) -> bool:
        """Whether something that changes nothing before its end is being done."""
        return self._is_doing and self._looking is not None

    def action_end_replay(self) -> None:
        session = self.workbench.failed.session
        if self._looking is not None and self._is_looking:
            self._looking.cancel()
            self.workbench.tell("ended before it was done; nothing is changed")
        elif session is not None:
            session.cancel()
            self.box.show(session)

    def action_progress(self) -> None:
        self.box.toggle()
        self.box.show(self.workbench.failed.session)

    def action_zoom(self) -> None:
        if self.maximized is not None:
            self.minimize()
        elif self.focused is not None:
            self.maximize(self.focused)
