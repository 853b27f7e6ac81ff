"""The list of failed batches. The cursor stays on its entry while others come and go; marks are
kept by id."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import ClassVar

from rich.cells import cell_len
from textual.binding import Binding, BindingType
from textual.message import Message

from workbench.model import EntrySummary
from workbench.tui.text import clean, clip, fit
from workbench.tui.widgets.row_list import Cell, RowList

__all__ = ["EntryList"]


class EntryList(RowList):
    """Entries with marks. Posts `Moved` when the cursor is on another entry, `Marked` when marks
    change."""

    HELP = """
# Failed batches

One line for each event that could not be written. **Space** marks, **v** begins and ends a range,
**a** marks the group, **A** all that is shown; what you do is done to the marked, or else to the
one under the cursor. **Enter** goes on to its records.
"""

    DEFAULT_CSS = "EntryList { overflow-y: auto; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "Open", show=False),
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
        self.measure()
        if self.current != current:
            self.post_message(self.Moved())
        self.keep_in_view()
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

    @property
    def count(self) -> int:
        return len(self.entries)

    @property
    def place(self) -> int | None:
        return self.cursor if self.entries else None

    def put_cursor(self, place: int) -> None:
        if place != self.cursor:
            self.cursor = place
            self.post_message(self.Moved())

    def action_open(self) -> None:
        if self.current is not None:
            self.post_message(self.Opened())

    def clicked(self, place: int, column: int) -> None:
        super().clicked(place, column)
        if column < 2:
            self.toggle()

    # -- drawing -------------------------------------------------------------------------------

    def head(self, width: int) -> str:
        columns = _Columns(width, has_notes=self._has_notes)
        when = f"{'failed, UTC':<14}" if columns.is_wide else f"{'UTC':<8}"
        return (
            f"  {when} {'seq':>{columns.sequence}} {'subject':<{columns.subject}} "
            f"{'failed':<7} {'try':>3} {'code and field':<{columns.code}} "
            f"{'note' if columns.note else ''}"
        )

    def cells(self, place: int, width: int) -> list[Cell]:
        entry, columns = self.entries[place], _Columns(width, has_notes=self._has_notes)
        mark = "✓" if entry.id in self.marked else " "
        if self._range_from is not None and entry.id in self._in_range():
            mark = "▐"
        when = entry.failed_at[5:19].replace("T", " ")
        when = when if columns.is_wide else when[6:]
        count = f"{entry.failed}/{entry.records}" if entry.records else "event"
        return [
            (f"{mark} ", "mark"),
            (f"{when} {entry.sequence:>{columns.sequence}} ", ""),
            (f"{fit(entry.subject, columns.subject)} {fit(count, 7)} {entry.attempts:>3} ", ""),
            (f"{self._code(entry, columns.code)} ", "code"),
            (fit(self._note(entry), columns.note), "warning"),
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
