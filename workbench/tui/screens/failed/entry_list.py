"""The list of failed batches: formats only what is visible, so that it may be as long as it likes.

The cursor stays on its entry while others come and go; marks are kept by id.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from workbench.model import EntrySummary
from workbench.tui.text import clean, clip, fit

__all__ = ["EntryList"]


class EntryList(ScrollView, can_focus=True):
    """Entries with marks. Posts `Moved` when the cursor is on another entry, `Marked` when marks
    change."""

    HELP = """
# Failed batches

One line for each event that could not be written. **Space** marks, **v** begins and ends a range,
**a** marks the group, **A** all that is shown; what you do is done to the marked, or else to the
one under the cursor. **Enter** goes on to its records.
"""

    DEFAULT_CSS = """
    EntryList {
        height: 1fr;
        overflow-x: hidden;
        & .entry-list--cursor { background: $block-cursor-blurred-background;
            color: $block-cursor-blurred-foreground; }
        &:focus .entry-list--cursor { background: $block-cursor-background;
            color: $block-cursor-foreground; text-style: bold; }
        & .entry-list--head { color: $text-muted; text-style: bold; }
        & .entry-list--mark { color: $text-accent; text-style: bold; }
        & .entry-list--code { color: $text-error; }
        & .entry-list--note { color: $text-warning; }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "entry-list--cursor",
        "entry-list--head",
        "entry-list--mark",
        "entry-list--code",
        "entry-list--note",
    }
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", show=False),
        Binding("down,j", "move(1)", "Down", show=False),
        Binding("pageup", "page(-1)", "Page up", show=False),
        Binding("pagedown", "page(1)", "Page down", show=False),
        Binding("enter", "open", "Open", show=False),
        Binding("home", "go(0)", "First", show=False),
        Binding("end", "go(-1)", "Last", show=False),
    ]

    class Moved(Message):
        """The cursor is on another entry, or on none."""

        def can_replace(self, message: Message) -> bool:
            return isinstance(message, EntryList.Moved)

    class Opened(Message):
        """Enter was pressed on an entry."""

    class Marked(Message):
        """Other entries are marked."""

        def can_replace(self, message: Message) -> bool:
            return isinstance(message, EntryList.Marked)

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.entries: Sequence[EntrySummary] = ()
        self.marked: set[str] = set()
        self.notes: dict[str, str] = {}
        self.code = ""
        self.field = ""
        self.now = 0.0
        self.cursor = 0
        self._range_from: str | None = None
        self._has_notes = False

    # -- what it shows -------------------------------------------------------------------------

    def show(self, entries: Sequence[EntrySummary], now: float) -> None:
        """List these; `now` (epoch) tells which claims hold."""
        current = self.current
        self.entries, self.now = entries, now
        self._has_notes = bool(self.notes) or any(entry.claimed_until > now for entry in entries)
        place = self.cursor
        if current is not None:
            place = next((i for i, entry in enumerate(entries) if entry.id == current.id), place)
        self.cursor = max(0, min(place, len(entries) - 1))
        size = Size(self.scrollable_content_region.width, len(entries) + 1)
        if size != self.virtual_size:
            self.virtual_size = size
        if self.current != current:
            self.post_message(self.Moved())
        self._keep_in_view()
        self.refresh()

    @property
    def current(self) -> EntrySummary | None:
        """The entry under the cursor."""
        return self.entries[self.cursor] if self.cursor < len(self.entries) else None

    @property
    def is_ranging(self) -> bool:
        """Whether a range was begun and not ended."""
        return self._range_from is not None

    # -- marks ---------------------------------------------------------------------------------

    def toggle(self) -> None:
        """Mark the entry under the cursor, or take its mark away, and go on to the next."""
        if self.current is not None:
            self.marked ^= {self.current.id}
            self._range_from = None
            self.post_message(self.Marked())
            self.action_move(1)

    def range(self) -> None:
        """Begin a range at the cursor; or mark from where it began to here."""
        if self.current is None:
            return
        if self._range_from is None:
            self._range_from = self.current.id
        else:
            self.marked.update(self._in_range())
            self._range_from = None
        self.post_message(self.Marked())
        self.refresh()

    def mark(self, ids: Collection[str]) -> None:
        """Mark these; where all of them are marked, take the marks away."""
        if self.marked.issuperset(ids):
            self.marked.difference_update(ids)
        else:
            self.marked.update(ids)
        self._range_from = None
        self.post_message(self.Marked())
        self.refresh()

    def leave_range(self) -> None:
        """Forget a range that was begun."""
        self._range_from = None
        self.refresh()

    def _in_range(self) -> list[str]:
        ids = [entry.id for entry in self.entries]
        if self._range_from not in ids:
            return []
        first, last = sorted((ids.index(self._range_from), self.cursor))
        return ids[first : last + 1]

    # -- moving --------------------------------------------------------------------------------

    def go_to(self, place: int) -> None:
        """Put the cursor there, or as near as there is."""
        place = max(0, min(place, len(self.entries) - 1))
        if place != self.cursor and self.entries:
            self.cursor = place
            self.post_message(self.Moved())
        self._keep_in_view()
        self.refresh()

    def action_move(self, steps: int) -> None:
        self.go_to(self.cursor + steps)

    def action_open(self) -> None:
        if self.current is not None:
            self.post_message(self.Opened())

    def action_page(self, pages: int) -> None:
        self.go_to(self.cursor + pages * max(1, self.scrollable_content_region.height - 2))

    def action_go(self, place: int) -> None:
        self.go_to(place if place >= 0 else len(self.entries) + place)

    def _keep_in_view(self) -> None:
        top = self.scroll_offset.y
        height = max(1, self.scrollable_content_region.height - 1)
        if self.cursor < top:
            self.scroll_to(y=self.cursor, animate=False, immediate=True)
        elif self.cursor >= top + height:
            self.scroll_to(y=self.cursor - height + 1, animate=False, immediate=True)

    def on_click(self, event: events.Click) -> None:
        place = event.get_content_offset(self)
        if place is None or place.y == 0:
            return
        row = place.y - 1 + int(self.scroll_offset.y)
        if row < len(self.entries):
            self.go_to(row)
            if place.x < 2:
                self.toggle()

    def on_resize(self) -> None:
        self.virtual_size = Size(self.scrollable_content_region.width, len(self.entries) + 1)
        self._keep_in_view()

    # -- drawing -------------------------------------------------------------------------------

    def render_line(self, y: int) -> Strip:
        width = self.scrollable_content_region.width
        base = self.rich_style
        if y == 0:
            style = self.get_component_rich_style("entry-list--head")
            head = _head(_Columns(width, has_notes=self._has_notes))
            return Strip([Segment(head, style)]).crop_extend(0, width, base)
        place = y - 1 + int(self.scroll_offset.y)
        if place >= len(self.entries):
            return Strip.blank(width, base)
        strip = Strip(self._segments(self.entries[place], width)).crop_extend(0, width, base)
        if place == self.cursor:
            style = self.get_component_rich_style("entry-list--cursor")
            return Strip([Segment(segment.text, style) for segment in strip]).crop_extend(
                0, width, style
            )
        return strip.apply_style(base)

    def _segments(self, entry: EntrySummary, width: int) -> list[Segment]:
        columns = _Columns(width, has_notes=self._has_notes)
        mark = "✓" if entry.id in self.marked else " "
        if self._range_from is not None and entry.id in self._in_range():
            mark = "▐"
        when = entry.failed_at[5:19].replace("T", " ")
        when = when if columns.is_wide else when[6:]
        count = f"{entry.failed}/{entry.records}" if entry.records else "event"
        return [
            Segment(f"{mark} ", self.get_component_rich_style("entry-list--mark")),
            Segment(f"{when} {entry.sequence:>{columns.sequence}} "),
            Segment(fit(entry.subject, columns.subject) + " "),
            Segment(f"{fit(count, 7)} {entry.attempts:>3} "),
            Segment(
                self._code(entry, columns.code) + " ",
                self.get_component_rich_style("entry-list--code"),
            ),
            Segment(
                fit(self._note(entry), columns.note),
                self.get_component_rich_style("entry-list--note"),
            ),
        ]

    def _code(self, entry: EntrySummary, width: int) -> str:
        """The group's own code where one is chosen, else the entry's most frequent; the code gives
        way before the field."""
        groups = [
            group
            for group in entry.groups
            if self.code in ("", group.code) and self.field in ("", group.field)
        ]
        if not groups:
            return fit(entry.kind, width)
        first = max(groups, key=lambda group: group.count)
        more = f" +{len(groups) - 1}" if len(groups) > 1 else ""
        tail = f" {clip(clean(first.field), 20)}{more}" if first.field else more
        room = max(4, width - cell_len(tail))
        return fit(fit(first.code, room).rstrip() + tail, width)

    def _note(self, entry: EntrySummary) -> str:
        if entry.status(self.now) == "claimed":
            return f"in hand of {entry.claimed_by}"
        return self.notes.get(entry.id, "")


class _Columns:
    """Widths of the columns for a list of this width."""

    __slots__ = ("code", "is_wide", "note", "sequence", "subject")

    def __init__(self, width: int, *, has_notes: bool) -> None:
        self.is_wide = width >= 90
        self.sequence = 8 if self.is_wide else 6
        rest = max(0, width - (2 + (14 if self.is_wide else 8) + 1 + self.sequence + 1 + 12 + 3))
        self.note = min(24, max(7, int(rest * 0.2))) if has_notes else 0
        self.subject = max(6, min(40, int((rest - self.note) * 0.35)))
        self.code = max(6, rest - self.subject - self.note)


def _head(columns: _Columns) -> str:
    when = f"{'failed, UTC':<14}" if columns.is_wide else f"{'UTC':<8}"
    return (
        f"  {when} {'seq':>{columns.sequence}} {'subject':<{columns.subject}} "
        f"{'failed':<7} {'try':>3} {'code and field':<{columns.code}} "
        f"{'note' if columns.note else ''}"
    )
