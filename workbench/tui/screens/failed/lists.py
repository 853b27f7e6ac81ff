"""The groups of failed batches, and the records of the chosen one."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from textual.content import Content
from textual.message import Message
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from workbench.app.failed_desk import EntryGroupCount
from workbench.model import Entry, FailedRecord
from workbench.tui.screens.failed.details import record_words
from workbench.tui.text import clean, clip, fit

__all__ = ["GroupList", "RecordList"]

_MOST_RECORDS = 2_000
_TONES = {"✓": "$text-success", "✗": "bold $text-error", "?": "bold $text-error"}

_Key = tuple[str, str, str, str]


class GroupList(OptionList):
    """All failed batches, then those that failed alike. Groups keep their place while their numbers
    change. Posts `Chosen` when the highlight moves to another."""

    HELP = """
# Groups

What failed alike, with how many records. **g** groups by code and field, by field, or by flow.
**Enter** goes on to the batches of the group.
"""

    class Chosen(Message):
        """Another group is highlighted."""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id, markup=False, classes="pane")
        self._order: list[_Key] = []
        self._groups: dict[_Key, EntryGroupCount] = {}
        self._drawn: list[str] = []
        self._current: _Key | None = None
        self._entries = 0

    @property
    def chosen(self) -> EntryGroupCount | None:
        """The group under the highlight; None for all."""
        return self._groups.get(self._current) if self._current is not None else None

    def sort_anew(self) -> None:
        """Let the next `show` put the largest first."""
        self._order = []
        self._current = None

    def show(self, groups: Sequence[EntryGroupCount], entries: int) -> None:
        """Draw them; `entries` is how many there are in all."""
        found = {(g.flow, g.task, g.code, g.field): g for g in groups}
        self._order = [key for key in self._order if key in found]
        known = set(self._order)
        self._order += [key for key in found if key not in known]
        self._groups, self._entries = found, entries
        if self._current not in found:
            self._current = None
        self._draw()

    def on_resize(self) -> None:
        self._drawn = []
        self._draw()

    def _draw(self) -> None:
        width = max(20, self.scrollable_content_region.width - 1)
        records = sum(group.records for group in self._groups.values())
        lines = [fit(f"  all: {_all(self._entries, records)}", width)]
        lines += [_group_line(self._groups[key], width) for key in self._order]
        if lines == self._drawn:
            return
        place = 0 if self._current is None else self._order.index(self._current) + 1
        if len(lines) == len(self._drawn):
            for at, (line, old) in enumerate(zip(lines, self._drawn, strict=True)):
                if line != old:
                    self.replace_option_prompt_at_index(at, Content(line))
        else:
            self.clear_options()
            self.add_options([Option(Content(line)) for line in lines])
        self._drawn = lines
        if self.highlighted != place:
            self.highlighted = place

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        event.stop()
        place = event.option_index
        key = self._order[place - 1] if 0 < place <= len(self._order) else None
        if key != self._current:
            self._current = key
            self.post_message(self.Chosen())


def _all(entries: int, records: int) -> str:
    batches = "1 batch" if entries == 1 else f"{entries:,} batches"
    return f"{batches}, {'1 record' if records == 1 else f'{records:,} records'}"


def _group_line(group: EntryGroupCount, width: int) -> str:
    """`37 CODE  Field`; the code gives way first."""
    count = f"✗ {group.records or group.entries:,} "
    name = group.code or (f"{group.flow} {group.task}" if group.flow else "")
    field = clip(clean(group.field), 20)
    if not name:
        return fit(f"{count}{field or 'no field'}", width)
    tail = f"  {field}" if field else ""
    return fit(count + fit(name, max(8, width - len(count) - len(tail))).rstrip() + tail, width)


class RecordList(OptionList):
    """The records of an entry, each with what became of it, the failed ones first. Posts
    `Chosen`."""

    HELP = """
# Records

One line for each record of the event: what became of it, and why. **e** edits the one here;
**Enter** goes on to what would change.
"""

    class Chosen(Message):
        """Another record is highlighted."""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id, markup=False, classes="pane")
        self.border_title = "Records"
        self._records: list[FailedRecord] = []
        self._of = ""
        self._width = 0

    @property
    def index(self) -> int | None:
        """The highlighted record's index within the entry."""
        place = self.highlighted
        if place is None or place >= len(self._records):
            return None
        return self._records[place].index

    def show(self, entry: Entry | None, code: str, field: str) -> None:
        """List the entry's records; the highlight goes to the first of this code and field, and
        stays where it is when the same entry is shown again."""
        every = entry.batch.records if entry is not None else ()
        # What failed comes first: it is what the entry is about.
        records = sorted(every, key=lambda record: record.outcome == "written")[:_MOST_RECORDS]
        same = entry is not None and entry.id == self._of and len(records) == len(self._records)
        if same and records == self._records:
            return
        at = self.highlighted if same else _first(records, code, field)
        self._records, self._of = records, entry.id if entry else ""
        self._draw(at)
        self.border_title = _title(entry, len(records))

    def _draw(self, at: int | None) -> None:
        self._width = max(20, self.scrollable_content_region.width - 1)
        with self.prevent(OptionList.OptionHighlighted):
            self.clear_options()
            self.add_options([Option(_record_line(r, self._width)) for r in self._records])
            self.highlighted = at if self._records else None

    def on_resize(self) -> None:
        if self._width != max(20, self.scrollable_content_region.width - 1):
            self._draw(self.highlighted)

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        event.stop()
        self.post_message(self.Chosen())


def _first(records: Sequence[FailedRecord], code: str, field: str) -> int:
    for place, record in enumerate(records):
        fits = code in ("", record.code) and field in ("", ",".join(record.fields))
        if record.outcome != "written" and fits:
            return place
    return 0


def _title(entry: Entry | None, shown: int) -> str:
    if entry is None:
        return "Records"
    batch = entry.batch
    if not batch.records:
        return "Records  none: the event itself"
    failed, count = len(batch.failures), len(batch.records)
    more = f", {shown:,} shown" if shown < count else ""
    return f"Records  {failed:,} of {count:,} failed{more}"


def _record_line(record: FailedRecord, width: int) -> Content:
    """One line of exactly this width: options wrap what is longer."""
    word, why, holds = record_words(record)
    tone = _TONES.get(word[:1], "$text-warning")
    head = f"{record.index + 1:>3} "
    room = max(1, width - len(head) - len(word))
    said = fit(f" {why}", min(room, cell_len(why) + 1))
    rest = fit(f"  {holds}", room - cell_len(said))
    return Content.assemble(head, (word, tone), said, (rest, "dim"))
