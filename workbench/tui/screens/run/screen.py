"""The place where a flow is watched: events, records, requests and answers, bound together."""

from __future__ import annotations

import asyncio
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.getters import query_one
from textual.widgets import Input

from workbench.errors import SettingsError
from workbench.tui.actions import bindings
from workbench.tui.elsewhere import ATTACHED
from workbench.tui.files import write_bytes
from workbench.tui.filters import parse_filter
from workbench.tui.port import Run
from workbench.tui.rows import EventRow, RecordRow
from workbench.tui.samples import Sample
from workbench.tui.screens.place import PlaceScreen
from workbench.tui.screens.run.details import (
    Detail,
    answer_text,
    case_of,
    event_text,
    first_to_look_at,
    request_text,
)
from workbench.tui.screens.run.guide import guide
from workbench.tui.screens.run.rates import RatesPane
from workbench.tui.screens.run.record_list import RecordList
from workbench.tui.screens.run.starting import start_run, stop_run
from workbench.tui.store import Store
from workbench.tui.text import clean, clip, content
from workbench.tui.widgets.deck import Deck
from workbench.tui.widgets.dialogs import AskDialog
from workbench.tui.widgets.event_list import EventList
from workbench.tui.widgets.filter_field import FilterField
from workbench.tui.widgets.json_view import JsonView
from workbench.tui.widgets.key_bar import KeyBar
from workbench.tui.widgets.status_bar import StatusBar

__all__ = ["RunScreen"]

_SETTLE_SECONDS = 0.05
"""How long the cursor rests on a row before the other panes follow."""
_FLOOD_SETTLE_SECONDS = 0.15
"""As long where rows stream: the next key would wait for the panes of the one before."""
_FLOOD_SCREENS = 4
"""Screens full of new rows in a tick: more than anybody reads, so that fewer are drawn."""
_FLOOD_TICKS = 2
"""Ticks that are left out then, between any two that are drawn."""
_FRAME_SECONDS = 1 / 60
"""No more often does Textual draw."""


class RunScreen(PlaceScreen):
    """Draws from the store; steers the run by the methods that the command line uses too."""

    PURPOSE = "Watch events become records, requests and answers; start, pause and stop the flow."
    CSS_PATH = "screen.tcss"
    AUTO_FOCUS = "#events"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings("run")]

    event_list = query_one("#events", EventList)
    filter_field = query_one("#filter", FilterField)
    rates = query_one("#rates", RatesPane)
    record_list = query_one("#records", RecordList)
    event_view = query_one("#event", JsonView)
    request_view = query_one("#request", JsonView)
    answer_view = query_one("#answer", JsonView)
    deck = query_one("#run-body", Deck)

    def __init__(self) -> None:
        super().__init__()
        self.is_whole = False
        self._drawn_store: Store | None = None
        self._wants_detail = False
        self._undrawn: Iterator[None] | None = None
        self._is_flooded = False
        self._skipped = 0

    def compose(self) -> ComposeResult:
        yield StatusBar()
        yield FilterField(id="filter", placeholder="code:LOCK subject:crm. key:42 -state:ok text")
        events = EventList(id="events")
        views = {name: JsonView(id=name) for name in ("event", "request", "answer")}
        for pane, title in ((events, "Events"), *((v, n.title()) for n, v in views.items())):
            pane.add_class("pane")
            pane.border_title = title
        yield Deck(
            events,
            RatesPane(id="rates"),
            views["event"],
            RecordList(id="records"),
            views["request"],
            views["answer"],
            tabs=(
                ("records", "Records"),
                ("request", "Request"),
                ("answer", "Answer"),
                ("event", "Event"),
                ("rates", "Figures"),
            ),
            id="run-body",
        )
        yield KeyBar()

    # -- what is shown -------------------------------------------------------------------------

    @property
    def run_shown(self) -> Run | None:
        return self.workbench.runs.run_of(self.workbench.path)

    @property
    def store(self) -> Store | None:
        app = self.workbench
        return app.elsewhere.store_of(app.path) or app.runs.store_of(app.path)

    def tick(self) -> None:
        """Take over what happened since the last time."""
        store = self.store
        if store is not self._drawn_store:
            self._drawn_store = store
            self.event_list.store = store
            self._show_details()
        if store is None:
            self._title()
            return
        if self._is_flooded and self.event_list.is_following and self._skipped < _FLOOD_TICKS:
            self._skipped += 1
            return
        self._skipped = 0
        changed = store.take_changed()
        self._is_flooded = len(changed) > _FLOOD_SCREENS * self.event_list.rows_in_view
        if changed:
            self.event_list.update_rows(changed)
            if self.event_list.cursor in changed:
                self._wants_detail = True
        if self.event_list.is_following:
            self._draw_next()
        elif self._wants_detail:
            self._follow_up(0.0)

    def _draw_next(self) -> None:
        """Let one more pane show the row that is followed."""
        if self._undrawn is not None and next(self._undrawn, self) is self:
            self._undrawn = None

    def figures(self) -> None:
        """Figures; and that the panes shall show the row that is followed, one with each tick."""
        if self.workbench.elsewhere.is_attached:
            self.rates.show_outside(self.workbench.elsewhere)
        else:
            self.rates.show(self.run_shown, self.store)
        if self._wants_detail and self.event_list.is_following and self._undrawn is None:
            self._undrawn = self._details()
        self._title()
        self.refresh_bindings()

    def _title(self) -> None:
        events, store = self.event_list, self.store
        elsewhere = self.workbench.elsewhere
        self._guide()
        if store is None:
            said = "no run yet"
            if elsewhere.is_attached:
                said = elsewhere.problem or ATTACHED
            events.border_title = content(clip(clean(f"Events  {said}"), 160))
            return
        chosen = events.shown.filter
        shown = f"{events.count:,}"
        if chosen is not None:
            unknown = f"  (unknown: {', '.join(chosen.unknown)})" if chosen.unknown else ""
            shown += f" match {chosen.text}{unknown}"
        gone = f"  {store.first:,} older not kept" if store.first else ""
        if elsewhere.is_attached:
            gone += f"  {ATTACHED}"
        with events.retitling():
            events.border_title = content(clip(f"Events  {shown}{gone}", 160))
            events.say_if_held()

    def _guide(self) -> None:
        events, chosen = self.event_list, self.event_list.shown.filter
        said = guide(self.run_shown, is_filtered=chosen is not None)
        said = () if self.workbench.elsewhere.is_attached and chosen is None else said
        if said != events.nothing:
            events.nothing = said
            events.refresh()

    # -- one selection, all panes --------------------------------------------------------------

    @on(EventList.Moved)
    def _row_chosen(self) -> None:
        self._wants_detail = True
        if not self.event_list.is_following:
            self._follow_up(_FLOOD_SETTLE_SECONDS if self._is_flooded else _SETTLE_SECONDS)

    @work(exclusive=True, group="settle")
    async def _follow_up(self, after_seconds: float) -> None:
        """Let the other panes follow the cursor, each in a frame of its own: no key waits for all
        of them to be drawn."""
        await asyncio.sleep(after_seconds)
        self._undrawn = None
        for _ in self._details():
            await asyncio.sleep(_FRAME_SECONDS)
            await self.workbench.quiet.calm()

    def _show_details(self) -> None:
        for _ in self._details():
            pass

    def _details(self) -> Iterator[None]:
        """Show the row under the cursor, pane by pane."""
        self._wants_detail = False
        row, store = self.event_list.current, self.store
        _show(self.event_view, event_text(row))
        yield
        records = row.record_rows() if row is not None else []
        if store is not None:
            old = self.record_list.record
            at = first_to_look_at(records)
            if old is not None:  # the same record of the same event stays selected
                same = [place for place, r in enumerate(records) if r.record is old.record]
                at = same[0] if same else at
            self.record_list.show(records, store, at)
        yield from self._record_details(self.record_list.record if records else None, row)

    @on(RecordList.Chosen)
    def _record_chosen(self, event: RecordList.Chosen) -> None:
        self._show_record(event.record)

    @work(exclusive=True, group="record")
    async def _show_record(self, record: RecordRow | None) -> None:
        for _ in self._record_details(record, self.event_list.current):
            await asyncio.sleep(_FRAME_SECONDS)

    def _record_details(self, record: RecordRow | None, row: EventRow | None) -> Iterator[None]:
        request = request_text(record, is_whole=self.is_whole)
        answer = answer_text(record, is_whole=self.is_whole)
        if record is None and row is not None:
            request = Detail("Request", _why_nothing(row))
            answer = Detail("Answer", "")
        _show(self.request_view, request)
        yield
        _show(self.answer_view, answer)

    # -- actions -------------------------------------------------------------------------------

    def labels(self) -> Mapping[str, str]:
        run = self.run_shown
        if run is None or run.is_over or not self.is_mounted:
            return {}
        snapshot = run.snapshot()
        is_paused = snapshot is not None and snapshot.state == "paused"
        return {
            "start_stop": "Stop",
            "pause": "Resume" if is_paused else "Pause",
            "freeze": "Hold" if self.event_list.is_following else "Follow",
        }

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "start_stop":
            is_attached = self.workbench.elsewhere.is_attached
            return True if self.workbench.file is not None and not is_attached else None
        if action == "pause":
            run = self.run_shown
            return True if run is not None and not run.is_over else None
        needs_row = ("copy", "export", "sample", "whole", "freeze")
        if action in needs_row and self.is_mounted:
            return True if self.event_list.current is not None else None
        if action in ("next_failure", "previous_failure"):
            store = self.store
            return True if store is not None and store.failures else None
        return True

    @work(exclusive=True, group="dialog")
    async def action_start_stop(self) -> None:
        run = self.run_shown
        if run is not None and not run.is_over:
            await stop_run(self.workbench)
        else:
            await start_run(self.workbench)

    def action_pause(self) -> None:
        run = self.run_shown
        snapshot = run.snapshot() if run else None
        if run is None or snapshot is None:
            return
        if snapshot.state == "paused":
            run.resume()
        else:
            run.pause()
        self.workbench.update_status()

    def action_freeze(self) -> None:
        if self.event_list.is_following:
            self.event_list.freeze()
        else:
            self.event_list.action_follow()

    def action_follow(self) -> None:
        self.event_list.action_follow()

    @on(EventList.HeldOrNot)
    def _held_or_not(self) -> None:
        if not self.event_list.is_following:
            self._follow_up(_FLOOD_SETTLE_SECONDS if self._is_flooded else 0.0)
        self._title()
        self.refresh_bindings()

    def action_filter(self) -> None:
        self.filter_field.open()

    @on(Input.Changed, "#filter")
    def _filtered(self, event: Input.Changed) -> None:
        self.event_list.set_filter(parse_filter(event.value))
        self._title()

    @on(Input.Submitted, "#filter")
    def _filter_done(self) -> None:
        self.event_list.focus()

    def key_escape(self) -> None:
        """Step back: out of the filter, then out of the zoom, then to the list."""
        if self.filter_field.clear_filter():
            self.event_list.focus()
        elif self.maximized is not None:
            self.minimize()
        else:
            self.event_list.focus()

    def action_next_failure(self, step: int = 1) -> None:
        store, events = self.store, self.event_list
        if store is None or not store.failures:
            return
        held = {row.number for row in events.shown.rows() if row.is_failure}
        numbers = sorted(held.union(number for number in store.failures if number >= store.first))
        here = events.cursor if events.cursor is not None and not events.is_following else -1
        if step > 0:
            place = bisect_right(numbers, here)
            ordered = numbers[place:] + numbers[:place]
        else:
            place = bisect_left(numbers, here) if here >= 0 else len(numbers)
            ordered = numbers[:place][::-1] + numbers[place:][::-1]
        if not any(events.go_to(number) for number in ordered):
            self.workbench.tell("no failure matches the filter", severity="warning")
        events.focus()

    def action_previous_failure(self) -> None:
        self.action_next_failure(-1)

    def action_copy(self) -> None:
        focused = self.focused
        if isinstance(focused, JsonView):
            text = focused.selected_text or focused.copied
            self.workbench.copy(text, str(focused.id))
            return
        row = self.event_list.current
        if row is not None:
            self.workbench.copy(event_text(row).copied, f"event {row.sequence}")

    @work(exclusive=True, group="dialog")
    async def action_export(self) -> None:
        row, store = self.event_list.current, self.store
        if row is None or store is None:
            return
        case = case_of(row, row.record_rows(), store)
        name = f"event-{row.stream}-{row.sequence}.json"
        path = await self.app.push_screen_wait(AskDialog("Write the event's case to", name, _wrong))
        if path is None:
            return
        try:
            write_bytes(Path(path.strip()), case)
        except SettingsError as error:
            self.workbench.tell(str(error), severity="error")
        else:
            self.workbench.tell(f"{len(case):,} bytes written to {path}")

    def action_whole(self) -> None:
        self.is_whole = not self.is_whole
        self._show_details()

    async def action_sample(self) -> None:
        row = self.event_list.current
        if row is None or row.event is None:
            return
        from workbench.tui.screens.edit.screen import EditScreen

        await self.workbench.go("edit")
        screen = self.app.screen
        if isinstance(screen, EditScreen):
            screen.use_sample(Sample.captured(row.event, "run"))

    def action_zoom(self) -> None:
        if self.maximized is not None:
            self.minimize()
        elif self.focused is not None:
            self.maximize(self.focused)


def _show(view: JsonView, detail: Detail) -> None:
    view.show(detail.text, copied=detail.copied or detail.text, title=clip(detail.title, 160))


def _why_nothing(row: EventRow) -> str:
    if row.state in ("settled", "unsettled"):
        return "// only seen in the stream: requests and answers are known where the flow runs"
    if row.is_failure:
        return f"// nothing was sent: {row.reason}"
    if row.calls:
        return "// no longer kept in memory: newer requests took its place"
    return f"// nothing was sent yet ({row.state})"


def _wrong(text: str) -> str:
    path = Path(text.strip())
    if not text.strip() or path.is_dir():
        return "give the name of a file"
    return f"{path} exists already" if path.exists() else ""
