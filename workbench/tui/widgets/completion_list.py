"""The list that hangs at the editor's cursor. It never has the focus: the editor steers it."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from textual.content import Content
from textual.geometry import Offset
from textual.message import Message
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from workbench.tui.completion import Offer
from workbench.tui.text import clean, clip

__all__ = ["CompletionList"]

_MOST_ROWS = 10
_LABEL = 44
_DETAIL = 34


class CompletionList(OptionList, can_focus=False):
    """`open` places it, `take` gives the chosen offer and closes it; a click posts `Chosen`."""

    DEFAULT_CSS = """
    CompletionList {
        layer: above;
        position: absolute;
        display: none;
        width: auto;
        height: auto;
        max-height: 10;
        padding: 0;
        border: none;
        background: $panel;
        scrollbar-size-vertical: 1;
        & > .option-list--option-highlighted, &:focus > .option-list--option-highlighted {
            background: $block-cursor-background;
            color: $block-cursor-foreground;
            text-style: bold;
        }
    }
    """

    class Chosen(Message):
        """An offer was clicked."""

        def __init__(self, offer: Offer, prefix: str) -> None:
            super().__init__()
            self.offer = offer
            self.prefix = prefix

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id, markup=False)
        self._offers: Sequence[Offer] = ()
        self._prefix = ""

    @property
    def is_open(self) -> bool:
        return bool(self.display) and bool(self._offers)

    @property
    def offered(self) -> Sequence[Offer]:
        return self._offers if self.is_open else ()

    def open(self, offers: Sequence[Offer], prefix: str, at: Offset) -> None:
        """Show offers below the cursor at `at`, or above it where there is no room below."""
        self._offers, self._prefix = offers, prefix
        width = min(max(cell_len(offer.label) for offer in offers), _LABEL)
        self.clear_options()
        self.add_options([Option(_line(offer, width)) for offer in offers])
        self.highlighted = 0
        screen = self.screen.size
        rows = min(len(offers), _MOST_ROWS)
        total = width + 3 + min(max(cell_len(offer.detail) for offer in offers), _DETAIL)
        x = max(0, min(at.x - len(prefix), screen.width - total - 2))
        y = at.y + 1 if at.y + 1 + rows < screen.height else max(0, at.y - rows)
        self.styles.width = total + 1
        self.styles.offset = (x, y)
        self.display = True

    def close(self) -> None:
        """Take it away; nothing is chosen."""
        self._offers = ()
        self.display = False

    def move(self, steps: int) -> None:
        """Move the highlight, not around the ends."""
        place = (self.highlighted or 0) + steps
        self.highlighted = min(max(place, 0), len(self._offers) - 1)

    def take(self) -> tuple[Offer | None, str]:
        """The highlighted offer with the prefix it replaces."""
        place, offers, prefix = self.highlighted, self._offers, self._prefix
        self.close()
        return (offers[place], prefix) if place is not None and place < len(offers) else (None, "")

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self.highlighted = event.option_index
        chosen, prefix = self.take()
        if chosen is not None:
            self.post_message(self.Chosen(chosen, prefix))


def _line(offer: Offer, width: int) -> Content:
    label = clip(clean(offer.label), width)
    gap = " " * (width - cell_len(label) + 1)
    return Content.assemble(label, gap, (clip(clean(offer.detail), _DETAIL), "dim"))
