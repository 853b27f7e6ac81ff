"""A scroll bar that is drawn when it looks different, not when a row more is counted."""

from __future__ import annotations

from math import ceil
from typing import Self

from rich.style import Style
from textual.geometry import Region
from textual.scrollbar import ScrollBar, ScrollBarRender
from textual.strip import Strip
from textual.widget import Widget

__all__ = ["SteadyScrollBar", "thumb"]

_PARTS = 8
"""Textual draws the ends of the thumb in eighths of a cell."""


class SteadyScrollBar(ScrollBar):
    """Beside a list of thousands a new row moves the thumb by less than can be drawn, and to draw
    the bar takes as long as a third of the list."""

    _drawn: object = None
    _is_asked = False
    _lines: tuple[object, list[Strip]] = (None, [])

    def refresh(
        self, *regions: Region, repaint: bool = True, layout: bool = False, recompose: bool = False
    ) -> Self:
        if layout or recompose or not self.is_attached:
            return super().refresh(*regions, repaint=repaint, layout=layout, recompose=recompose)
        # Length and position change one after the other: looked at when both have.
        self._is_asked = True
        self.check_idle()
        return self

    def _check_refresh(self) -> None:
        if self._is_asked:
            self._is_asked = False
            looks = self._looks()
            if looks != self._drawn:
                self._drawn = looks
                super().refresh()
        super()._check_refresh()

    def render_lines(self, crop: Region) -> list[Strip]:
        """See `Widget.render_lines`; an upright bar is drawn without rich's console, which takes
        longer than the list beside it."""
        if not self.vertical:
            return super().render_lines(crop)
        looks = self._looks()
        if looks != self._lines[0]:
            self._lines = looks, self._bar()
        lines = self._lines[1][crop.y : crop.bottom]
        _, background = self.background_colors
        for each in self.get_line_filters():
            lines = [line.apply_filter(each, background) for line in lines]
        return [line.crop(crop.x, crop.right) for line in lines]

    def _bar(self) -> list[Strip]:
        bar = self.render()
        assert isinstance(bar, ScrollBarRender)
        assert isinstance(bar.style, Style)
        assert bar.style.bgcolor is not None
        assert bar.style.color is not None
        parts = bar.render_bar(
            self.size.height,
            bar.virtual_size,
            bar.window_size,
            bar.position,
            self.size.width,
            back_color=bar.style.bgcolor,
            bar_color=bar.style.color,
        )
        base = self.rich_style
        return [Strip([part]).apply_style(base) for part in parts.segments]

    def _looks(self) -> object:
        """All that the picture follows from."""
        assert isinstance(self.parent, Widget)
        rules = self.parent.styles
        colors = (
            (rules.scrollbar_color_active, rules.scrollbar_background_active)
            if self.grabbed
            else (rules.scrollbar_color_hover, rules.scrollbar_background_hover)
            if self.mouse_over
            else (rules.scrollbar_color, rules.scrollbar_background)
        )
        length = self.size.height if self.vertical else self.size.width
        seen = thumb(length, self.window_virtual_size, self.window_size, self.position)
        return self.size, seen, colors, self.background_colors


def thumb(length: int, whole: int, seen: int, position: float) -> tuple[int, int]:
    """Where the thumb of a bar of this length begins and how long it is, in the parts that
    `ScrollBarRender` draws; (0, 0) where it draws none."""
    if not (length and 0 < seen < whole) or length == whole:
        return (0, 0)
    size = max(1.0, seen / (whole / length))
    first = (length - size) * (position / (whole - seen))
    return int(first * _PARTS), ceil(size * _PARTS)
