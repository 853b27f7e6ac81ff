"""A list in front of the screen that typing makes shorter."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Generic, TypeVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList
from textual.widgets.option_list import Option

__all__ = ["FilteredDialog"]

Value = TypeVar("Value")


class FilteredDialog(ModalScreen[Value | None], Generic[Value]):
    """Dismissed with the value of the line chosen, or None.

    Whoever extends it composes one `Input` and one `OptionList`, and says what `lines` there are.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "move(1)", show=False, priority=True),
        Binding("up", "move(-1)", show=False, priority=True),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._shown: Sequence[tuple[Value, Content]] = ()

    @abstractmethod
    def lines(self, words: Sequence[str]) -> Sequence[tuple[Value, Content]]:
        """Value and line of each entry that holds all of these words, which are in lower case."""

    def on_mount(self) -> None:
        field = self.query_one(Input)
        field.cursor_blink = False
        field.focus()
        self._fill("")

    def _fill(self, text: str) -> None:
        self._shown = self.lines(text.lower().split())
        options = self.query_one(OptionList)
        options.clear_options()
        options.add_options([Option(line) for _, line in self._shown])
        options.highlighted = 0 if self._shown else None

    def on_input_changed(self, event: Input.Changed) -> None:
        self._fill(event.value)

    def on_input_submitted(self) -> None:
        self._choose(self.query_one(OptionList).highlighted)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self._choose(event.option_index)

    def _choose(self, place: int | None) -> None:
        if place is not None and place < len(self._shown):
            self.dismiss(self._shown[place][0])

    def action_move(self, steps: int) -> None:
        options = self.query_one(OptionList)
        if self._shown:
            place = (options.highlighted or 0) + steps
            options.highlighted = min(max(place, 0), len(self._shown) - 1)

    def action_cancel(self) -> None:
        self.dismiss(None)
