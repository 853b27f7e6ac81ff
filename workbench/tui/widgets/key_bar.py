"""The line at the bottom: what can be done now, as much of it as fits; never cut off."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from rich.cells import cell_len
from textual import events
from textual.binding import Binding
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Static

from workbench.tui.actions import ACTIONS

__all__ = ["KeyBar"]

_ORDER = {action.id: place for place, action in enumerate(ACTIONS)}
"""The table's order; keys that are not in it, of dialogues and bars, come first."""


@runtime_checkable
class Labelled(Protocol):
    """A screen whose actions have other names at times: pause, and then resume."""

    def labels(self) -> Mapping[str, str]: ...


class KeyBar(Static):
    """Shows the active bindings that want to be shown; what cannot be done now is dim. A click
    presses the key."""

    DEFAULT_CSS = """
    KeyBar { height: 1; dock: bottom; background: $panel; text-wrap: nowrap; }
    """

    def __init__(self) -> None:
        super().__init__("", markup=False)
        self._spans: list[tuple[int, int, str]] = []
        self._drawn: list[str | tuple[str, str]] = []

    def on_mount(self) -> None:
        self.screen.bindings_updated_signal.subscribe(self, self._changed)
        self._draw()

    def _changed(self, screen: Screen[object]) -> None:
        if self.is_attached and screen is self.screen:
            self._draw()

    def on_resize(self) -> None:
        self._draw()

    def _draw(self) -> None:
        width = (self.size.width or 80) - 1
        shown: list[tuple[str, str, bool, str]] = []
        last: tuple[str, str, bool, str] | None = None
        known: set[str] = set()
        labels = self._labels()
        active = sorted(
            self.screen.active_bindings.values(),
            key=lambda item: _ORDER.get(item.binding.id or "", -1),
        )
        for _, binding, is_enabled, _ in active:
            if not binding.show or binding.action in known:
                continue
            known.add(binding.action)
            key = self._display(binding)
            label = labels.get(binding.action, binding.description)
            item = (key, label, is_enabled, binding.key)
            if binding.id == "app.command_palette":
                last = item
            else:
                shown.append(item)
        room = width - (_width(last) if last else 0)
        pieces: list[str | tuple[str, str]] = []
        self._spans.clear()
        x = 0
        for item in [*shown, *([last] if last else [])]:
            if item is not last and x + _width(item) > room:
                continue
            key, label, is_enabled, press = item
            pieces += [
                (f" {key} ", "bold $footer-key-foreground" if is_enabled else "dim"),
                (f"{label} ", "" if is_enabled else "dim"),
            ]
            self._spans.append((x, x + _width(item), press))
            x += _width(item)
        if pieces != self._drawn:
            self._drawn = pieces
            self.update(Content.assemble(*pieces), layout=False)

    def _labels(self) -> Mapping[str, str]:
        screen = self.screen
        return screen.labels() if isinstance(screen, Labelled) else {}

    def _display(self, binding: Binding) -> str:
        return self.app.get_key_display(binding).replace("␣", "space")

    def on_click(self, event: events.Click) -> None:
        for first, end, key in self._spans:
            if first <= event.x < end:
                self.app.simulate_key(key)


def _width(item: tuple[str, str, bool, str]) -> int:
    return cell_len(item[0]) + cell_len(item[1]) + 3
