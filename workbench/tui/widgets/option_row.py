"""A choice of a few, in one line: `flow  (•) as it is now  ( ) as it was`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from workbench.tui.text import clean

__all__ = ["OptionRow"]


class OptionRow(Static, can_focus=True):
    """Left, right, Space and a click choose. Posts `Changed`."""

    DEFAULT_CSS = """
    OptionRow {
        height: auto;
        &:focus { background: $block-cursor-blurred-background; text-style: bold; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "choose(-1)", show=False),
        Binding("right,space", "choose(1)", show=False),
    ]

    class Changed(Message):
        """Another option is chosen."""

        def __init__(self, row: OptionRow) -> None:
            super().__init__()
            self.row = row

        @property
        def control(self) -> OptionRow:
            return self.row

    def __init__(self, name: str, options: Sequence[tuple[str, str]], *, id: str) -> None:
        """`options` are (key, words); the first is chosen."""
        super().__init__("", id=id, markup=False)
        self._words = name
        self._options = tuple(options)
        self._chosen = 0
        self._spans: list[tuple[int, int]] = []

    @property
    def chosen(self) -> str:
        """The key of the option that is chosen."""
        return self._options[self._chosen][0]

    def set_options(self, options: Sequence[tuple[str, str]]) -> None:
        """Other words for the same keys."""
        self._options = tuple(options)
        self._draw()

    def on_mount(self) -> None:
        self._draw()

    def _draw(self) -> None:
        parts: list[str | tuple[str, str]] = [(f"{self._words:<10}", "bold")]
        x = 10
        self._spans.clear()
        for place, (_, words) in enumerate(self._options):
            text = f"{'(•)' if place == self._chosen else '( )'} {clean(words)}   "
            self._spans.append((x, x + len(text)))
            x += len(text)
            parts.append(text)
        self.update(Content.assemble(*parts))

    def _choose(self, place: int) -> None:
        if place != self._chosen:
            self._chosen = place
            self._draw()
            self.post_message(self.Changed(self))

    def action_choose(self, steps: int) -> None:
        self._choose((self._chosen + steps) % len(self._options))

    def on_click(self, event: events.Click) -> None:
        for place, (first, end) in enumerate(self._spans):
            if first <= event.x < end:
                self._choose(place)
