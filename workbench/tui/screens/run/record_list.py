"""The records of the selected event, each with what became of it."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content
from textual.message import Message
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from workbench.tui.rows import RecordRow
from workbench.tui.screens.run.details import record_line
from workbench.tui.store import Store
from workbench.tui.widgets.sparing import Sparing

__all__ = ["RecordList"]

_MOST = 2_000
_MOST_REPLACED = 20
"""Lines changed where they stand: as many new ones have the whole screen laid out anew, which takes
longer than a key may wait."""
_TONES = {
    "written": "$text-success",
    "REFUSED": "bold $text-error",
    "UNKNOWN": "bold $text-error",
    "in flight": "$text-muted",
}


class RecordList(Sparing, OptionList):
    """Posts `Chosen` when the highlight moves to another record."""

    HELP = """
# Records

One line for each record of the event: key, outcome, code. Moving here moves the request and the
answer too.
"""

    class Chosen(Message):
        def __init__(self, record: RecordRow | None) -> None:
            super().__init__()
            self.record = record

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id, markup=False, classes="pane")
        self.border_title = "Records"
        self._records: Sequence[RecordRow] = ()
        self._drawn: list[tuple[str, str, str]] = []

    def show(self, records: Sequence[RecordRow], store: Store, at: int) -> None:
        """List these records with the highlight at a place."""
        self._records = records
        lines = [record_line(record, store) for record in records[:_MOST]]
        if lines == self._drawn:
            self.highlighted = at if lines else None
            return
        with self.redrawing(self.virtual_size.height):
            self._list(lines, len(records))
            self.highlighted = at if lines else None

    def _list(self, lines: list[tuple[str, str, str]], count: int) -> None:
        drawn, self._drawn = self._drawn, lines
        more = f"  ({_MOST:,} shown)" if count > _MOST else ""
        self.border_title = f"Records {count:,}{more}" if count else "Records"
        if len(lines) == len(drawn) <= _MOST_REPLACED:
            for place, line in enumerate(lines):
                if line != drawn[place]:
                    self.replace_option_prompt_at_index(place, _line(*line))
        else:
            self.clear_options()
            self.add_options([Option(_line(*line)) for line in lines])

    @property
    def record(self) -> RecordRow | None:
        """The record under the highlight."""
        place = self.highlighted
        return self._records[place] if place is not None and place < len(self._records) else None

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        event.stop()
        self.post_message(self.Chosen(self.record))


def _line(key: str, word: str, code: str) -> Content:
    return Content.assemble(key, "  ", (word, _TONES.get(word, "$text-warning")), f" {code}")
