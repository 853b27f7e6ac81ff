"""The list of events: a window on the store's ring that formats only what is visible.

It follows the newest row until the cursor moves; then it holds still while new rows go in below,
also when old rows leave the ring. Its cost follows the frame rate, never the event rate.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from workbench.tui.filters import Filter
from workbench.tui.store import EventRow, Store
from workbench.tui.text import fit

__all__ = ["EventList"]

_STATE_STYLES = {
    "ok": "event-list--ok",
    "written": "event-list--ok",
    "FAILED": "event-list--failed",
    "REFUSED": "event-list--failed",
    "UNKNOWN": "event-list--failed",
    "received": "event-list--quiet",
    "in flight": "event-list--quiet",
}


class EventList(ScrollView, can_focus=True):
    """Rows of a `Store`. Posts `Moved` when the cursor does, however it came to."""

    HELP = """
# Events

One line for each event, newest at the bottom; its state changes in place. The list follows until
you move; **End** follows again. **/** filters: `code:LOCK subject:crm. key:42 -state:ok text`.
"""

    DEFAULT_CSS = """
    EventList {
        height: 1fr;
        overflow: hidden scroll;
        & .event-list--cursor { background: $block-cursor-blurred-background;
            color: $block-cursor-blurred-foreground; }
        &:focus .event-list--cursor { background: $block-cursor-background;
            color: $block-cursor-foreground; text-style: bold; }
        & .event-list--head { color: $text-muted; text-style: bold; }
        & .event-list--ok { color: $text-success; }
        & .event-list--failed { color: $text-error; text-style: bold; }
        & .event-list--waiting { color: $text-warning; }
        & .event-list--quiet { color: $text-muted; }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "event-list--cursor",
        "event-list--head",
        "event-list--ok",
        "event-list--failed",
        "event-list--waiting",
        "event-list--quiet",
    }
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", show=False),
        Binding("down,j", "move(1)", "Down", show=False),
        Binding("pageup", "page(-1)", "Page up", show=False),
        Binding("pagedown", "page(1)", "Page down", show=False),
        Binding("home,g", "first", "First", show=False),
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

    def __init__(self, store: Store | None = None, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._store = store
        self._filter: Filter | None = None
        self._numbers: list[int] | None = None
        self._seen_end = 0
        self._held_end: int | None = None
        self._first_shown = 0
        self.cursor: int | None = None
        self.is_following = True

    # -- what it shows -------------------------------------------------------------------------

    @property
    def store(self) -> Store | None:
        return self._store

    @store.setter
    def store(self, store: Store | None) -> None:
        self._store = store
        self._numbers = None
        self.cursor = None
        self._first_shown = 0
        self.is_following = True
        self._apply_filter()

    @property
    def filter(self) -> Filter | None:
        return self._filter

    def set_filter(self, chosen: Filter | None) -> None:
        """Show only matching rows; works while frozen and never stops the capture."""
        self._filter = chosen
        self._apply_filter()

    def _apply_filter(self) -> None:
        store = self._store
        if store is None or self._filter is None:
            self._numbers = None
        else:
            chosen = self._filter
            self._numbers = [row.number for row in store.rows() if chosen.matches(row, store)]
        self._first_shown = store.first if store else 0
        self._resize()
        if self.is_following or self._place(self.cursor) is None:
            self._go_to_end()
        else:
            self._keep_in_view()
        self.refresh()

    @property
    def count(self) -> int:
        """Rows that the filter lets through."""
        if self._numbers is not None:
            return len(self._numbers)
        store = self._store
        return store.end - store.first if store else 0

    @property
    def new_rows(self) -> int:
        """Rows that came in below while the list holds still."""
        if self.is_following or self._store is None or self._held_end is None:
            return 0
        return max(0, self._store.end - max(self._held_end, self._store.first))

    def row_at(self, place: int) -> EventRow | None:
        """The row at a place of the list, from 0."""
        store = self._store
        if store is None or place < 0 or place >= self.count:
            return None
        number = store.first + place if self._numbers is None else self._numbers[place]
        return store.row(number)

    def _place(self, number: int | None) -> int | None:
        if number is None or self._store is None:
            return None
        if self._numbers is None:
            place = number - self._store.first
            return place if 0 <= place < self.count else None
        place = bisect_left(self._numbers, number)
        return place if place < len(self._numbers) and self._numbers[place] == number else None

    @property
    def current(self) -> EventRow | None:
        """The row under the cursor."""
        return None if self.cursor is None or self._store is None else self._store.row(self.cursor)

    # -- the timer's side ----------------------------------------------------------------------

    def update_rows(self, changed: set[int]) -> None:
        """Take over what the store absorbed; `changed` are the numbers of new or changed rows."""
        store = self._store
        if store is None:
            return
        evicted = store.first - self._first_shown
        if self._numbers is not None and self._filter is not None:
            evicted = self._update_filtered(store, changed)
        self._first_shown = store.first
        self._resize()
        if self.is_following:
            self._go_to_end()
        elif evicted > 0:
            # The eye keeps the row it looks at while rows in front of it leave.
            self.scroll_to(y=max(0, self.scroll_offset.y - evicted), animate=False, immediate=True)
            if self._place(self.cursor) is None and self.count:
                self._set_cursor(0)
        self.refresh()

    def _update_filtered(self, store: Store, changed: set[int]) -> int:
        numbers, chosen = self._numbers, self._filter
        assert numbers is not None
        assert chosen is not None
        evicted = bisect_left(numbers, store.first)
        del numbers[:evicted]
        for number in sorted(changed):
            row = store.row(number)
            if row is None:
                continue
            place = bisect_left(numbers, number)
            is_in = place < len(numbers) and numbers[place] == number
            matches = chosen.matches(row, store)
            if matches and not is_in:
                numbers.insert(place, number)
            elif is_in and not matches:
                del numbers[place]
        return evicted

    def _resize(self) -> None:
        size = Size(self.scrollable_content_region.width, self.count + 1)
        if size != self.virtual_size:
            self.virtual_size = size

    # -- moving --------------------------------------------------------------------------------

    def _go_to_end(self) -> None:
        self._set_cursor(self.count - 1)
        self.scroll_end(animate=False, immediate=True)

    def _set_cursor(self, place: int) -> None:
        row = self.row_at(place)
        number = row.number if row else None
        if number != self.cursor:
            self.cursor = number
            self.post_message(self.Moved(self, number))
            self.refresh()

    def _keep_in_view(self) -> None:
        place = self._place(self.cursor)
        if place is not None:
            top = self.scroll_offset.y
            height = max(1, self.scrollable_content_region.height - 1)
            if place < top:
                self.scroll_to(y=place, animate=False, immediate=True)
            elif place >= top + height:
                self.scroll_to(y=place - height + 1, animate=False, immediate=True)

    def freeze(self) -> None:
        """Hold still at this row."""
        if self.is_following:
            self.is_following = False
            self._held_end = self._store.end if self._store else 0

    def action_follow(self) -> None:
        """Follow the newest row."""
        self.is_following = True
        self._held_end = None
        self._go_to_end()
        self.refresh()

    def go_to(self, number: int) -> bool:
        """Freeze with the cursor on that row; False where the row is gone or filtered out."""
        place = self._place(number)
        if place is None:
            return False
        self.freeze()
        self._set_cursor(place)
        self._keep_in_view()
        return True

    def action_move(self, steps: int) -> None:
        place = self._place(self.cursor)
        if place is None:
            place = self.count - 1
        self.freeze()
        self._set_cursor(min(max(place + steps, 0), self.count - 1))
        self._keep_in_view()

    def action_page(self, pages: int) -> None:
        self.action_move(pages * max(1, self.scrollable_content_region.height - 2))

    def action_first(self) -> None:
        self.freeze()
        self._set_cursor(0)
        self._keep_in_view()

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        self.freeze()

    def on_click(self, event: events.Click) -> None:
        place = event.get_content_offset(self)
        if place is not None and place.y > 0:
            self.freeze()
            self._set_cursor(min(place.y - 1 + self.scroll_offset.y, self.count - 1))

    def on_resize(self) -> None:
        self._resize()
        if self.is_following:
            self._go_to_end()
        else:
            self._keep_in_view()

    # -- drawing -------------------------------------------------------------------------------

    def render_line(self, y: int) -> Strip:
        width = self.scrollable_content_region.width
        base = self.rich_style
        if y == 0:
            style = self.get_component_rich_style("event-list--head")
            return Strip([Segment(_head(width), style)]).crop_extend(0, width, base)
        place = y - 1 + self.scroll_offset.y
        row = self.row_at(place)
        if row is None:
            return Strip.blank(width, base)
        is_cursor = row.number == self.cursor
        strip = Strip(self._segments(row, width)).crop_extend(0, width, base)
        if is_cursor:
            style = self.get_component_rich_style("event-list--cursor")
            return Strip([Segment(segment.text, style) for segment in strip]).crop_extend(
                0, width, style
            )
        return strip.apply_style(base)

    def _segments(self, row: EventRow, width: int) -> list[Segment]:
        columns = _columns(width)
        assert self._store is not None
        stamp = time.localtime(row.seen)
        clock = time.strftime("%H:%M:%S", stamp)
        if columns.is_wide:
            clock += f".{int(row.seen * 1000) % 1000:03}"
        state = _state_text(row)
        name = row.state.split(" ")[0] if row.state.startswith("retry") else row.state
        style = self.get_component_rich_style(_STATE_STYLES.get(name, "event-list--waiting"))
        plain = Style()
        parts = [
            Segment(f" {clock} {row.sequence:>{columns.sequence}} ", plain),
            Segment(fit(row.subject, columns.subject) + " ", plain),
        ]
        if columns.key:
            parts.append(Segment(fit(self._store.row_key(row), columns.key) + " ", plain))
        parts.append(Segment(f"{row.records or '':>4} {row.tries:>3} ", plain))
        if columns.is_wide:
            took = f"{row.milliseconds:.0f}" if row.milliseconds else ""
            parts.append(Segment(f"{took:>5} ", plain))
        parts.append(Segment(fit(state, columns.state), style))
        return parts

    def get_selection(self, selection: object) -> tuple[str, str] | None:
        """What selecting with the mouse copies: the row under the cursor."""
        row = self.current
        if row is None:
            return None
        return f"{row.sequence} {row.subject} {_state_text(row)}", "\n"

    def region_of_cursor(self) -> Region | None:
        """Where the cursor's row is drawn, for tests and pop-ups."""
        place = self._place(self.cursor)
        if place is None:
            return None
        region = self.scrollable_content_region
        y = region.y + 1 + place - self.scroll_offset.y
        return Region(region.x, y, region.width, 1)


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


_KNOWN: dict[int, _Columns] = {}


def _columns(width: int) -> _Columns:
    if width not in _KNOWN:
        _KNOWN[width] = _Columns(width)
    return _KNOWN[width]


def _head(width: int) -> str:
    columns = _columns(width)
    clock = 12 if columns.is_wide else 8
    head = f" {'time':<{clock}} {'seq':>{columns.sequence}} {'subject':<{columns.subject}} "
    if columns.key:
        head += f"{'key':<{columns.key}} "
    head += f"{'recs':>4} {'try':>3} "
    if columns.is_wide:
        head += f"{'ms':>5} "
    return head + "state"
