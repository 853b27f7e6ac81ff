"""The list of events: a window on the store's ring that formats only what is visible.

It follows the newest row until the cursor moves; then it holds still while new rows go in below,
also when old rows leave the ring.
"""

from __future__ import annotations

import time
from functools import cache
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message

from workbench.tui.filters import Filter
from workbench.tui.rows import EventRow
from workbench.tui.shown_rows import ShownRows
from workbench.tui.store import Store
from workbench.tui.text import fit
from workbench.tui.widgets.row_list import Cell, RowList
from workbench.tui.widgets.sparing import Sparing

__all__ = ["EventList"]

_PART_SECONDS = 1 / 20
"""Between two parts of what takes too long for one frame."""

_TONES = {
    "ok": "good",
    "written": "good",
    "FAILED": "bad",
    "REFUSED": "bad",
    "UNKNOWN": "bad",
    "received": "quiet",
    "in flight": "quiet",
}


class EventList(Sparing, RowList):
    """Rows of a `Store`. Posts `Moved` when the cursor does, however it came to."""

    HELP = """
# Events

One line for each event, newest at the bottom; its state changes in place. The list follows until
you move; **End** follows again. **/** filters: `code:LOCK subject:crm. key:42 -state:ok text`.
"""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("g", "first", "First", show=False),
        Binding("end,G", "follow", "Follow", show=False),
    ]

    class Moved(Message):
        """The cursor is on another row, or on none (`number` None)."""

        def __init__(self, event_list: EventList, number: int | None) -> None:
            super().__init__()
            self.event_list = event_list
            self.number = number

        @property
        def control(self) -> EventList:
            return self.event_list

        def can_replace(self, message: Message) -> bool:
            return isinstance(message, EventList.Moved)

    class HeldOrNot(Message):
        """It holds still now, or follows again."""

        def can_replace(self, message: Message) -> bool:
            return isinstance(message, EventList.HeldOrNot)

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.shown = ShownRows(None)
        self.cursor: int | None = None
        self._is_going_on = False

    # -- what it shows -------------------------------------------------------------------------

    @property
    def store(self) -> Store | None:
        return self.shown.store

    @store.setter
    def store(self, store: Store | None) -> None:
        chosen, self.shown, self.cursor = self.shown.filter, ShownRows(store), None
        self.set_filter(chosen)

    @property
    def is_following(self) -> bool:
        return self.shown.is_following

    def set_filter(self, chosen: Filter | None) -> None:
        """Show only matching rows; works while held still and never stops the capture."""
        self.shown.set_filter(chosen)
        self.measure()
        if self.is_following or self.place is None:
            self._go_to_end()
        else:
            self.keep_in_view()
        self.refresh()
        self._go_on_soon()

    def _go_on_soon(self) -> None:
        """Let the filter look at older rows, and memory be given back, a part of it between any
        two frames."""
        if (self.shown.is_looking or self.shown.is_letting_go) and not self._is_going_on:
            self._is_going_on = True
            self.set_timer(_PART_SECONDS, self._go_on)

    def _go_on(self) -> None:
        self._is_going_on = False
        self.shown.let_go()
        more = self.shown.look_on()
        if more:
            self.measure()
            if self.is_following:
                self._go_to_end()
            else:
                self.scroll_to(y=self.scroll_offset.y + more, animate=False, immediate=True)
            self.refresh()
        self._go_on_soon()

    @property
    def count(self) -> int:
        return self.shown.count

    @property
    def current(self) -> EventRow | None:
        """The row under the cursor."""
        return None if self.cursor is None else self.shown.row(self.cursor)

    def update_rows(self, changed: set[int]) -> None:
        """Take over what the store absorbed; `changed` are the numbers of new or changed rows."""
        self.shown.take(changed)
        self.measure()
        if self.is_following:
            self._go_to_end()
            self.refresh()
        elif self.shown.filter is not None:
            self.refresh()
        else:
            for place in self.places_in_view:
                row = self.shown.row_at(place)
                if row is not None and row.number in changed:
                    self.refresh_row(place)

    def say_if_held(self) -> None:
        """Say at the bottom whether it follows, in the frame that shows it."""
        new = self.shown.new_rows
        held = f"held still  {new:,} new, End follows" if new else "held still"
        self.border_subtitle = "following" if self.is_following else held

    # -- moving --------------------------------------------------------------------------------

    @property
    def place(self) -> int | None:
        return self.shown.place_of(self.cursor)

    def put_cursor(self, place: int) -> None:
        row = self.shown.row_at(place)
        number = row.number if row else None
        if number != self.cursor:
            self.cursor = number
            self.post_message(self.Moved(self, number))

    def _go_to_end(self) -> None:
        self.put_cursor(self.count - 1)
        self.scroll_end(animate=False, immediate=True)

    def freeze(self) -> None:
        """Hold still at this row."""
        if self.is_following:
            self.shown.hold()
            # Rows may have come, and others gone, since the list was drawn: the same places hold
            # other rows now.
            self.measure()
            self.keep_in_view()
            self.refresh()
            self.say_if_held()
            self._go_on_soon()
            self.post_message(self.HeldOrNot())

    def action_follow(self) -> None:
        """Follow the newest row."""
        self.shown.follow()
        self.post_message(self.HeldOrNot())
        self.measure()
        self._go_to_end()
        self.refresh()
        self.say_if_held()
        self._go_on_soon()

    def go_to(self, number: int) -> bool:
        """Hold still with the cursor on that row; False where it is gone or filtered out."""
        if self.shown.row(number) is None:
            self.shown.hold()  # it came after those that are held
            self.measure()
        self.shown.look_back_to(number)
        place = self.shown.place_of(number)
        if place is None:
            return False
        self.go_to_place(place)
        self.refresh()
        return True

    def go_to_place(self, place: int) -> None:
        self.freeze()
        super().go_to_place(place)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        self.freeze()

    def on_resize(self) -> None:
        super().on_resize()
        if self.is_following:
            self._go_to_end()

    # -- drawing -------------------------------------------------------------------------------

    def head(self, width: int) -> str:
        columns = _columns(width)
        clock = 12 if columns.is_wide else 8
        head = f" {'time':<{clock}} {'seq':>{columns.sequence}} {'subject':<{columns.subject}} "
        if columns.key:
            head += f"{'key':<{columns.key}} "
        head += f"{'recs':>4} {'try':>3} "
        if columns.is_wide:
            head += f"{'ms':>5} "
        return head + "state"

    def cells(self, place: int, width: int) -> list[Cell]:
        row, columns, store = self.shown.row_at(place), _columns(width), self.shown.store
        assert row is not None
        assert store is not None
        clock = time.strftime("%H:%M:%S", time.localtime(row.seen))
        if columns.is_wide:
            clock += f".{int(row.seen * 1000) % 1000:03}"
        line = f" {clock} {row.sequence:>{columns.sequence}} {fit(row.subject, columns.subject)} "
        if columns.key:
            line += f"{fit(store.row_key(row), columns.key)} "
        line += f"{row.records or '':>4} {row.tries:>3} "
        if columns.is_wide:
            took = f"{row.milliseconds:.0f}" if row.milliseconds else ""
            line += f"{took:>5} "
        return [
            (line, ""),
            (fit(_state_text(row), columns.state), _TONES.get(row.state, "warning")),
        ]

    def get_selection(self, selection: object) -> tuple[str, str] | None:
        """What selecting with the mouse copies: the row under the cursor."""
        row = self.current
        if row is None:
            return None
        return f"{row.sequence} {row.subject} {_state_text(row)}", "\n"


def _state_text(row: EventRow) -> str:
    codes = f" {' '.join(row.codes)}" if row.codes else ""
    return f"{row.state}{codes}"


class _Columns:
    """Widths of the columns for a list of this width."""

    __slots__ = ("is_wide", "key", "sequence", "state", "subject")

    def __init__(self, width: int) -> None:
        self.is_wide = width >= 96
        self.sequence = 9 if self.is_wide else 7
        fixed = 1 + (12 if self.is_wide else 8) + 1 + self.sequence + 1 + 9 + (6 * self.is_wide)
        rest = max(0, width - fixed - 2)
        self.key = 0 if width < 74 else min(18, rest // 4)
        rest -= self.key + (1 if self.key else 0)
        self.subject = max(6, min(40, int(rest * 0.4)))
        self.state = max(6, rest - self.subject)


@cache
def _columns(width: int) -> _Columns:
    return _Columns(width)
