"""Editing records, or an event, in place: checked as you type, the difference shown beside it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Static, TextArea

from workbench.app.edit_sheet import Checked
from workbench.tui.syntax import install, language
from workbench.tui.text import clean, clean_lines, clip, content
from workbench.tui.widgets.diff_view import DiffView
from workbench.tui.widgets.in_order import TextField

__all__ = ["EditDialog", "Edited"]

_DEBOUNCE_SECONDS = 0.15
_MOST_COLOURED = 64 * 1024


@dataclass(frozen=True, slots=True)
class Edited:
    """How the dialogue was left: the text, and whether it is to be taken or only kept."""

    text: str
    is_taken: bool


class EditDialog(ModalScreen[Edited]):
    """Escape keeps the text as a draft; `original` is what reverting goes back to."""

    DEFAULT_CSS = """
    EditDialog {
        align: center middle;
        background: $background 60%;
        & > Vertical {
            width: 120; max-width: 98%; height: 94%;
            border: heavy $border; background: $surface; padding: 0 1;
        }
        & #edit-text { height: 3fr; border: none; }
        & #edit-checks { height: auto; max-height: 4; }
        & #edit-checks { color: $text-success; }
        & #edit-checks.-wrong { color: $text-error; text-style: bold; }
        & #edit-checks.-doubtful { color: $text-warning; }
        & #edit-difference { height: 2fr; border: none; border-top: solid $border-blurred; }
        & .dialog--buttons { height: 1; align-horizontal: right; }
        & Button { min-width: 10; margin-left: 2; padding: 0 1; }
        & Button:focus { text-style: bold reverse; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "keep", "Keep as a draft", priority=True, id="dialog.cancel"),
        Binding("ctrl+s,f5", "take", "Take", priority=True, id="dialog.done"),
    ]

    def __init__(
        self, title: str, text: str, original: str, check: Callable[[str], Awaitable[Checked]]
    ) -> None:
        super().__init__()
        self._title = title
        self._text = text
        self._original = original
        self._check = check

    def compose(self) -> ComposeResult:
        box = Vertical()
        box.border_title = Content(clip(clean(self._title), 90))
        box.border_subtitle = "ctrl+s: take   escape: keep as a draft"
        area = TextField(
            clean_lines(self._text), id="edit-text", tab_behavior="indent", show_line_numbers=True
        )
        area.cursor_blink = False
        with box:
            yield area
            yield Static("", id="edit-checks", markup=False)
            yield DiffView(id="edit-difference")
            with Horizontal(classes="dialog--buttons"):
                yield Button("Take", id="take", variant="primary", compact=True)
                yield Button("As it was", id="revert", compact=True)
                yield Button("Keep as a draft", id="keep", compact=True)

    def on_mount(self) -> None:
        area = self.query_one("#edit-text", TextArea)
        install(area)
        area.language = language("json") if len(self._text) <= _MOST_COLOURED else None
        area.focus()
        self._look()

    @on(TextArea.Changed, "#edit-text")
    def _changed(self) -> None:
        self._look()

    @work(exclusive=True, group="edit-check")
    async def _look(self) -> None:
        await asyncio.sleep(_DEBOUNCE_SECONDS)
        if self._is_up:
            self._show(await self._check(self.text))

    @property
    def _is_up(self) -> bool:
        """Whether the dialog still has its parts: a check may outlast it."""
        return bool(self.query("#edit-text")) and bool(self.query("#edit-checks"))

    def _show(self, checked: Checked) -> None:
        if not self._is_up:
            return
        line = self.query_one("#edit-checks", Static)
        line.set_class(bool(checked.problem), "-wrong")
        line.set_class(bool(checked.warning), "-doubtful")
        said = "✓ it can be sent"
        if checked.problem or checked.warning:
            said = f"✗ {checked.problem}" if checked.problem else f"▲ {checked.warning}"
        line.update(content(clip(said, 400)))
        self.query_one(DiffView).show(checked.difference or "// as it failed")

    @property
    def text(self) -> str:
        """As it stands."""
        return self.query_one("#edit-text", TextArea).text

    @on(Button.Pressed)
    async def _pressed(self, event: Button.Pressed) -> None:
        if event.button.id == "take":
            await self.action_take()
        elif event.button.id == "keep":
            self.action_keep()
        else:
            area = self.query_one("#edit-text", TextArea)
            area.replace(clean_lines(self._original), (0, 0), area.document.end)
            area.focus()

    async def action_take(self) -> None:
        text = self.text
        checked = await self._check(text)
        if checked.problem:
            self._show(checked)
        else:
            self.dismiss(Edited(text, True))

    def action_keep(self) -> None:
        self.dismiss(Edited(self.text, False))
