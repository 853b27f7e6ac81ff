"""Jump mode: a letter on every pane; pressing it goes there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import Static

__all__ = ["JumpScreen", "targets_of"]

_LETTERS = "asdfghjkl"


class JumpScreen(ModalScreen[str | None]):
    """Dismissed with the id of the pane chosen, or None."""

    DEFAULT_CSS = """
    JumpScreen {
        background: transparent;
        & .jump--letter {
            position: absolute; width: 3; height: 1; text-align: center;
            background: $accent; color: $background; text-style: bold;
        }
        & .jump--hint { dock: bottom; height: 1; background: $panel; padding: 0 1; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,ctrl+o", "cancel", "Cancel", id="jump.cancel")
    ]

    def __init__(self, targets: Sequence[tuple[str, int, int]]) -> None:
        """`targets` are (pane's id, column, line) on the screen."""
        super().__init__()
        self._targets = dict(zip(_LETTERS, targets, strict=False))

    def compose(self) -> ComposeResult:
        for letter, (_, x, y) in self._targets.items():
            label = Static(letter, classes="jump--letter", markup=False)
            label.styles.offset = (x, y)
            yield label
        yield Static("Press a letter to go there, Escape to stay", classes="jump--hint")

    def on_key(self, event: events.Key) -> None:
        target = self._targets.get(event.key)
        if target is not None:
            event.stop()
            self.dismiss(target[0])

    def action_cancel(self) -> None:
        self.dismiss(None)


def targets_of(panes: Sequence[Widget]) -> list[tuple[str, int, int]]:
    """Where the letters go: on the top border of each pane that is on the screen."""
    return [
        (pane.id or "", pane.region.x + 1, pane.region.y)
        for pane in panes
        if pane.id and pane.region.area
    ]
