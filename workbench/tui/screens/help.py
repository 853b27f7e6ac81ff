"""What can be done here: every action of the place, and what the focused pane is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import OptionList, Static

from workbench.tui.actions import PLACES, Action, actions_of, key_words
from workbench.tui.screens.place import PlaceScreen
from workbench.tui.widgets.filtered_dialog import FilteredDialog
from workbench.tui.widgets.in_order import LineField

__all__ = ["HelpScreen"]


class HelpScreen(FilteredDialog[Action]):
    """A list to filter; Enter does what is chosen."""

    DEFAULT_CSS = """
    HelpScreen {
        align: center middle;
        background: $background 60%;
        & > Vertical { width: 92; max-width: 96%; height: 90%; border: heavy $border;
            background: $surface; padding: 0 1; }
        & #help-text { height: auto; max-height: 10; color: $text-muted; margin-bottom: 1; }
        & Input, & Input:focus { border: none; height: 1; background: $panel; padding: 0 1; }
        & OptionList { height: 1fr; border: none; background: $surface; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,f1", "cancel", "Close", id="help.close"),
    ]

    def __init__(self, screen: PlaceScreen, place: str) -> None:
        super().__init__()
        self._purpose = screen.PURPOSE
        self._pane_help = _pane_help(screen)
        self._of = place
        self._entries = [
            (action, screen.check_action(action.name, ()) is not None or action.place == "app")
            for action in actions_of(place, "app")
            if action.label
        ]

    def compose(self) -> ComposeResult:
        box = Vertical()
        box.border_title = f"Help: {PLACES[self._of]}"
        box.border_subtitle = "type to filter   enter: do it   escape: close"
        with box:
            yield Static(Content(f"{self._purpose}\n{self._pane_help}".strip()), id="help-text")
            yield LineField(placeholder="filter", id="help-filter")
            yield OptionList(markup=False)

    def lines(self, words: Sequence[str]) -> list[tuple[Action, Content]]:
        return [
            (action, _line(action, is_possible))
            for action, is_possible in self._entries
            if all(w in f"{action.label} {action.help} {key_words(action)}".lower() for w in words)
        ]


def _line(action: Action, is_possible: bool) -> Content:
    key = f"{key_words(action) or '–':<16}"
    label = f"{action.label:<12} "
    if not is_possible:
        return Content.styled(f"{key}{label}{action.help}  (not now)", "dim")
    return Content.assemble((key, "bold $text-accent"), (label, "bold"), action.help)


def _pane_help(screen: PlaceScreen) -> str:
    """The help of the focused pane, without its marks."""
    node = screen.focused
    text = getattr(node, "HELP", None) if node is not None else None
    if not isinstance(text, str):
        return ""
    lines = [line for line in text.strip().splitlines() if not line.startswith("#")]
    return " ".join(lines).replace("**", "").replace("`", "").strip()
