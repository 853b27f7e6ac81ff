"""Panes of a screen: side by side where there is room, one at a time behind tabs where not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.containers import Container
from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget
from textual.widgets import Static

__all__ = ["Deck"]


class _Tabs(Static):
    """One line with the tabs' names; a click chooses."""

    def __init__(self, deck: Deck) -> None:
        super().__init__(classes="deck--tabs")
        self._deck = deck
        self.spans: list[tuple[int, int, str]] = []

    def show(self, names: Sequence[tuple[str, str]], current: str) -> None:
        parts: list[str | tuple[str, str]] = []
        self.spans.clear()
        x = 0
        for identity, name in names:
            text = f"[{name}]" if identity == current else f" {name} "
            parts.append((text, "bold" if identity == current else "dim"))
            self.spans.append((x, x + len(text), identity))
            x += len(text)
        self.update(Content.assemble(*parts))

    def on_click(self, event: events.Click) -> None:
        for first, end, identity in self.spans:
            if first <= event.x < end:
                self._deck.show(identity)
                self._deck.query_one(f"#{identity}").focus()


class Deck(Container):
    """`tabs` names the children (by id) that share the room under the tabs on a narrow screen.

    Children that are not named always show. Which layout holds is decided by the screen's classes
    `-narrow` and `-wide`, in the style sheet.
    """

    DEFAULT_CSS = """
    Deck {
        & .deck--tabs { display: none; height: 1; background: $panel; }
    }
    """
    ALLOW_SELECT: ClassVar[bool] = True
    current: reactive[str] = reactive("")

    def __init__(
        self, *children: Widget, tabs: Sequence[tuple[str, str]], id: str | None = None
    ) -> None:
        super().__init__(id=id)
        self._panes = children
        self.tabs = tuple(tabs)
        self._line = _Tabs(self)
        self.set_reactive(Deck.current, self.tabs[0][0])

    def compose(self) -> ComposeResult:
        tabbed = {identity for identity, _ in self.tabs}
        is_line_placed = False
        for pane in self._panes:
            if pane.id in tabbed and not is_line_placed:
                yield self._line
                is_line_placed = True
            yield pane

    def on_mount(self) -> None:
        self._show()

    def show(self, identity: str) -> None:
        """Bring a pane to the front; nothing happens for one that always shows."""
        if any(identity == known for known, _ in self.tabs):
            self.current = identity

    def rename(self, identity: str, name: str) -> None:
        """Change a tab's name, which may carry a count."""
        self.tabs = tuple((i, name if i == identity else old) for i, old in self.tabs)
        self._line.show(self.tabs, self.current)

    def hidden_tabs(self) -> list[tuple[str, int, int]]:
        """Panes that wait behind their tabs: id, column and line of the tab on the screen."""
        if not self._line.display:
            return []
        region = self._line.region
        return [
            (identity, region.x + first, region.y)
            for first, _, identity in self._line.spans
            if identity != self.current
        ]

    def watch_current(self) -> None:
        if self.is_mounted:
            self._show()

    def _show(self) -> None:
        for identity, _ in self.tabs:
            self.query_one(f"#{identity}").set_class(identity != self.current, "-hidden")
        self._line.show(self.tabs, self.current)

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        if event.widget.id is not None:
            self.show(event.widget.id)
