"""Drawing no more lines of a widget than changed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

from textual.geometry import Region
from textual.widget import Widget

__all__ = ["Sparing"]

if TYPE_CHECKING:
    _Mixed = Widget
else:
    _Mixed = object  # Textual looks for component classes and key bindings in the first widget only


class Sparing(_Mixed):
    """To be named before a widget of Textual's that draws all its lines whatever of it changes:
    most of a pane is empty, and an empty line takes as long as any other."""

    _is_silent = False

    @contextmanager
    def redrawing(self, lines: int) -> Iterator[None]:
        """What is changed within is drawn on leaving: the title, and the first lines, as many as
        there are now or as `lines` says there were."""
        with self._silent():
            yield
        used = max(lines, self.virtual_size.height) - int(self.scroll_offset.y)
        self.refresh(Region(0, -1, self.size.width, max(0, min(used, self.size.height)) + 1))

    @contextmanager
    def retitling(self) -> Iterator[None]:
        """Nothing is changed within but the titles above and below."""
        with self._silent():
            yield
        width, height = self.outer_size.width, self.size.height
        self.refresh(Region(0, -1, width, 1), Region(0, height, width, 1))

    @contextmanager
    def _silent(self) -> Iterator[None]:
        self._is_silent = True
        try:
            yield
        finally:
            self._is_silent = False

    def refresh(
        self, *regions: Region, repaint: bool = True, layout: bool = False, recompose: bool = False
    ) -> Self:
        if self._is_silent and not (regions or layout or recompose):
            return self
        return super().refresh(*regions, repaint=repaint, layout=layout, recompose=recompose)
