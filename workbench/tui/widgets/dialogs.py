"""Dialogues: a question, a line of text, a choice, a text, something to read. Escape is always
the harmless answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Input, OptionList, Static, TextArea

from workbench.tui.text import clean, clip, content
from workbench.tui.widgets.filtered_dialog import FilteredDialog
from workbench.tui.widgets.in_order import LineField, TextField
from workbench.tui.widgets.json_view import JsonView

__all__ = ["AskDialog", "Choice", "ChooseDialog", "ConfirmDialog", "ReadDialog", "TypeDialog"]

_CSS = """
    align: center middle;
    background: $background 60%;
    & > Vertical {
        width: 76; max-width: 96%; height: auto; max-height: 94%;
        border: heavy $border; background: $surface; padding: 0 1;
    }
    & .dialog--buttons { height: 1; margin-top: 1; }
    & Button { min-width: 12; margin-right: 2; padding: 0 1; }
    & Button:focus { text-style: bold reverse; }
    & .dialog--wrong { color: $text-error; height: auto; }
    & Input, & Input:focus { border: none; background: $panel; height: 1; padding: 0 1; }
"""


class ConfirmDialog(ModalScreen[bool]):
    """Says what will happen, and where; the harmless button has the focus.

    With `typed`, that word has to be typed before the other button works.
    """

    DEFAULT_CSS = (
        "ConfirmDialog {" + _CSS + " & .dialog--body { height: auto; max-height: 60vh; } }"
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "Cancel", id="dialog.cancel"),
        Binding("left,right,up,down", "app.focus_next", show=False),
    ]

    def __init__(
        self, title: str, lines: Sequence[str], yes: str, *, no: str = "Cancel", typed: str = ""
    ) -> None:
        super().__init__()
        self._title, self._lines, self._yes, self._no = title, lines, yes, no
        self._typed = typed

    def compose(self) -> ComposeResult:
        box = Vertical()
        box.border_title = Content(clip(clean(self._title), 60))
        with box:
            with VerticalScroll(classes="dialog--body", can_focus=False):
                yield Static(content("\n".join(self._lines)))
            if self._typed:
                yield Static(content(f"Type {self._typed} to go on:"))
                yield LineField(id="dialog-typed")
            with Horizontal(classes="dialog--buttons"):
                yield Button(
                    self._yes, variant="error", id="yes", disabled=bool(self._typed), compact=True
                )
                yield Button(self._no, variant="primary", id="no", compact=True)

    def on_mount(self) -> None:
        self.query_one("#no").focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        self.query_one("#yes", Button).disabled = event.value.strip() != self._typed

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id == "yes")

    def action_cancel(self) -> None:
        self.dismiss(False)


class AskDialog(ModalScreen[str | None]):
    """One line of text; `wrong` says what is the matter with it, empty when nothing is."""

    DEFAULT_CSS = "AskDialog {" + _CSS + "}"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "Cancel", id="dialog.cancel")
    ]

    def __init__(
        self,
        title: str,
        value: str = "",
        wrong: Callable[[str], str] = lambda text: "",
        *,
        is_begun: bool = False,
    ) -> None:
        """`is_begun`: typing goes on after `value`, where else it takes its place."""
        super().__init__()
        self._is_begun = is_begun
        self._title, self._value, self._wrong = title, value, wrong

    def compose(self) -> ComposeResult:
        box = Vertical()
        box.border_title = Content(clip(clean(self._title), 70))
        box.border_subtitle = "enter: go on   escape: cancel"
        with box:
            yield LineField(
                clean(self._value), id="dialog-line", select_on_focus=not self._is_begun
            )
            yield Static("", classes="dialog--wrong", id="dialog-wrong", markup=False)

    def on_mount(self) -> None:
        field = self.query_one(Input)
        field.cursor_blink = False
        field.focus()

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        wrong = self._wrong(event.value)
        if wrong:
            self.query_one("#dialog-wrong", Static).update(content(wrong))
        else:
            self.dismiss(event.value)

    def action_cancel(self) -> None:
        self.dismiss(None)


@dataclass(frozen=True, slots=True)
class Choice:
    """One line to choose: `key` is what comes back."""

    key: str
    label: str
    detail: str = ""


class ChooseDialog(FilteredDialog[str]):
    """A list with a filter; dismissed with the key of the line chosen."""

    DEFAULT_CSS = (
        "ChooseDialog {"
        + _CSS
        + """
        & OptionList { height: auto; max-height: 16; border: none; background: $surface; }
        }"""
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "Cancel", id="dialog.cancel")
    ]

    def __init__(self, title: str, choices: Sequence[Choice]) -> None:
        super().__init__()
        self._title, self._choices = title, tuple(choices)

    def compose(self) -> ComposeResult:
        box = Vertical()
        box.border_title = Content(clip(clean(self._title), 70))
        box.border_subtitle = "type to filter   enter: choose   escape: cancel"
        with box:
            yield LineField(placeholder="filter", id="dialog-filter")
            yield OptionList(markup=False)

    def lines(self, words: Sequence[str]) -> list[tuple[str, Content]]:
        return [
            (
                choice.key,
                Content.assemble(
                    clip(clean(choice.label), 60), "  ", (clip(clean(choice.detail), 60), "dim")
                ),
            )
            for choice in self._choices
            if all(word in f"{choice.label} {choice.detail}".lower() for word in words)
        ]


class TypeDialog(ModalScreen[str | None]):
    """Several lines of text."""

    DEFAULT_CSS = "TypeDialog {" + _CSS + " & TextArea { height: 14; border: none; } }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "Cancel", priority=True, id="dialog.cancel"),
        Binding("ctrl+s,f5", "done", "Done", priority=True, id="dialog.done"),
    ]

    def __init__(
        self, title: str, value: str = "", wrong: Callable[[str], str] = lambda text: ""
    ) -> None:
        super().__init__()
        self._title, self._value, self._wrong = title, value, wrong

    def compose(self) -> ComposeResult:
        box = Vertical()
        box.border_title = Content(clip(clean(self._title), 70))
        box.border_subtitle = "ctrl+s: go on   escape: cancel"
        with box:
            area = TextField(self._value, id="dialog-text", tab_behavior="focus")
            area.cursor_blink = False
            yield area
            yield Static("", classes="dialog--wrong", id="dialog-wrong", markup=False)

    def on_mount(self) -> None:
        area = self.query_one(TextArea)
        area.focus()
        area.select_all()  # typing replaces what is offered; an arrow key begins to edit it

    def action_done(self) -> None:
        text = self.query_one(TextArea).text
        wrong = self._wrong(text)
        if wrong:
            self.query_one("#dialog-wrong", Static).update(content(wrong))
        else:
            self.dismiss(text)

    def action_cancel(self) -> None:
        self.dismiss(None)


class ReadDialog(ModalScreen[str | None]):
    """Something to read, with perhaps something to do about it: (key, button's name) pairs."""

    DEFAULT_CSS = (
        "ReadDialog {"
        + _CSS
        + " & > Vertical { width: 110; height: 90%; } & JsonView { height: 1fr; border: none; } }"
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "cancel", "Close", id="dialog.cancel")
    ]

    def __init__(
        self,
        title: str,
        text: str,
        buttons: Sequence[tuple[str, str]] = (),
        *,
        grammar: str = "yaml",
    ) -> None:
        super().__init__()
        self._title, self._text, self._buttons = title, text, buttons
        self._grammar = grammar

    def compose(self) -> ComposeResult:
        box = Vertical()
        box.border_title = Content(clip(clean(self._title), 90))
        box.border_subtitle = "escape: close"
        with box:
            yield JsonView(id="dialog-reading", grammar=self._grammar)
            if self._buttons:
                with Horizontal(classes="dialog--buttons"):
                    for key, name in self._buttons:
                        yield Button(name, id=key, compact=True)

    def on_mount(self) -> None:
        view = self.query_one(JsonView)
        view.show(self._text)
        view.focus()

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id)

    def action_cancel(self) -> None:
        self.dismiss(None)
