"""The first picture."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.screen import Screen
from textual.widgets import Static

__all__ = ["StartScreen"]


class StartScreen(Screen[None]):
    """What is seen for the tenth of a second in which the rest is imported."""

    DEFAULT_CSS = "StartScreen Static { height: 1; padding: 0 1; background: $panel; }"

    def compose(self) -> ComposeResult:
        yield Static("workbench │ opening …", markup=False)
