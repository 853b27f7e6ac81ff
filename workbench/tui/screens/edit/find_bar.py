"""Find and replace, in one line under the editor."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.message import Message
from textual.widgets import Input, Label

from workbench.tui.widgets.in_order import LineField

__all__ = ["FindBar"]


class FindBar(Horizontal):
    """Posts what is asked for; the screen does it."""

    DEFAULT_CSS = """
    FindBar {
        display: none; dock: bottom; height: 1; margin-bottom: 1; background: $panel;
        & Input, & Input:focus {
            border: none; height: 1; width: 1fr; padding: 0 1; background: $surface;
        }
        & Label { padding: 0 1; color: $text-muted; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "close", "Close", id="find.close", show=True),
        Binding("up", "again(-1)", "Previous", id="find.previous", show=False),
        Binding("down", "again(1)", "Next", id="find.next", show=False),
        Binding("ctrl+a", "all", "Replace all", id="find.all", show=True, priority=True),
    ]

    class Find(Message):
        """Go to the next place, or the one before."""

        def __init__(self, needle: str, backwards: bool) -> None:
            super().__init__()
            self.needle = needle
            self.backwards = backwards

    class Replace(Message):
        """Replace what is selected and go on, or every place at once."""

        def __init__(self, needle: str, by: str, is_all: bool) -> None:
            super().__init__()
            self.needle = needle
            self.by = by
            self.is_all = is_all

    class Closed(Message):
        """The bar went away."""

    def compose(self) -> ComposeResult:
        yield Label("Find")
        yield LineField(id="find-needle", placeholder="enter: next, up: previous")
        yield Label("Replace")
        yield LineField(id="find-by", placeholder="enter: replace, ctrl+a: all")

    def open(self, needle: str) -> None:
        """Show the bar with this to be found."""
        self.display = True
        field = self.query_one("#find-needle", Input)
        for each in self.query(Input):
            each.cursor_blink = False
        if needle and "\n" not in needle:
            field.value = needle
        field.focus()

    @property
    def needle(self) -> str:
        return self.query_one("#find-needle", Input).value

    @on(Input.Submitted, "#find-needle")
    def _next(self) -> None:
        self.action_again(1)

    @on(Input.Submitted, "#find-by")
    def _replace(self, event: Input.Submitted) -> None:
        self.post_message(self.Replace(self.needle, event.value, False))

    def action_again(self, step: int) -> None:
        self.post_message(self.Find(self.needle, step < 0))

    def action_all(self) -> None:
        self.post_message(self.Replace(self.needle, self.query_one("#find-by", Input).value, True))

    def action_close(self) -> None:
        self.display = False
        self.post_message(self.Closed())
