"""The line to type a filter in."""

from __future__ import annotations

from textual.geometry import Size
from textual.reactive import Reactive
from textual.widgets import Input

from workbench.tui.widgets.in_order import InOrder

__all__ = ["FilterField"]


class FilterField(InOrder, Input):
    """Seen while something is typed in it, over the keys at the bottom: nothing of the screen moves
    for it, or is laid out and drawn anew. Afterwards the title of the list says what is matched.
    """

    DEFAULT_CSS = """
    FilterField, FilterField:focus {
        layer: above; dock: bottom; height: 1; border: none; background: $panel; padding: 0 1;
    }
    """

    virtual_size: Reactive[Size] = Reactive(Size(0, 0), layout=False)
    """As every widget's, but of a fixed place: a letter more lays nothing out anew."""

    def on_mount(self) -> None:
        self.cursor_blink = False
        self.display = False

    def open(self) -> None:
        """Let something be typed."""
        self.display = True
        self.focus()

    def clear_filter(self) -> bool:
        """Step back: forget what was typed, and be gone; False where there was nothing to do."""
        if not (self.display or self.value):
            return False
        self.value = ""
        self.display = False
        return True

    def on_input_submitted(self) -> None:
        self.display = False

    def on_blur(self) -> None:
        self.display = False
