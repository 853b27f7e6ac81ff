"""What the places have in common: the line on top, the keys at the bottom, panes to jump to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, cast

from textual.css.query import NoMatches
from textual.reactive import Reactive
from textual.screen import Screen
from textual.widget import Widget

from workbench.tui.compositor import PaneCompositor
from workbench.tui.files import OpenFile
from workbench.tui.widgets.deck import Deck
from workbench.tui.widgets.status_bar import Part, StatusBar

if TYPE_CHECKING:
    from workbench.tui.app import WorkbenchApp

__all__ = ["PlaceScreen"]


class PlaceScreen(Screen[None]):
    """One place of the application. Panes carry the class `pane` and an id.

    A screen reads stores and asks the desk; it decides nothing.
    """

    HORIZONTAL_BREAKPOINTS = [  # noqa: RUF012  (the base class says what it is)
        (0, "-narrow"),
        (110, "-wide"),
    ]
    ALLOW_IN_MAXIMIZED_VIEW = "StatusBar, KeyBar"
    focused: Reactive[Widget | None] = Reactive(None, repaint=False)
    """As every screen's, but a pane that gets or loses it is drawn anew, not all of the screen."""
    PURPOSE: ClassVar[str] = ""
    """What the place is for, in a sentence for the help."""

    def __init__(self) -> None:
        super().__init__()
        self._compositor = PaneCompositor()

    @property
    def workbench(self) -> WorkbenchApp:
        """The application, by its own type."""
        return cast("WorkbenchApp", self.app)

    def _update_focus_styles(
        self, focused: Widget | None = None, blurred: Widget | None = None
    ) -> None:
        # Both widgets see to their own styles once they know that they got or lost it; left are the
        # panes that they are in.
        around = [node for widget in (focused, blurred) if widget for node in widget.ancestors]
        panes = {node for node in around if node.has_class("pane")}
        if panes:
            self.app.stylesheet.update_nodes(panes)

    def labels(self) -> Mapping[str, str]:
        """Words for the key bar, by action, where now another fits than the action's own."""
        return {}

    def tick(self) -> None:
        """Called some ten times a second while this place is shown."""

    def figures(self) -> None:
        """Called twice a second while this place is shown."""

    def changed_on_disk(self, file: OpenFile, text: str) -> None:
        """The file at hand holds another text on disk now."""
        if not file.is_dirty:
            file.take_from_disk(text)
            self.workbench.tell(f"{file.path.name} was changed on disk, and read again")

    def show_status(self, parts: tuple[Part, ...]) -> None:
        """Draw the line on top."""
        for bar in self.query(StatusBar):
            bar.show(parts)

    def panes(self) -> list[Widget]:
        """The panes that jump mode offers."""
        return [widget for widget in self.query(".pane").results(Widget) if widget.display]

    def focus_pane(self, identity: str) -> None:
        """Bring a pane to the front and give it the focus."""
        try:
            pane: Any = self.query_one(f"#{identity}")
        except NoMatches:
            return
        for deck in self.query(Deck):
            deck.show(identity)
        if pane.focusable:
            pane.focus()
        else:
            for child in pane.query("*"):
                if child.focusable:
                    child.focus()
                    break

    def on_screen_resume(self) -> None:
        self.workbench.update_status()
        if self.is_mounted:
            self.tick()
            self.figures()
