"""The frame around the lines of a list, worked out once for all of them."""

from __future__ import annotations

from typing import Any

from rich.segment import Segment
from textual._styles_cache import StylesCache
from textual.color import Color
from textual.css.styles import StylesBase
from textual.geometry import Region, Size, Spacing
from textual.strip import Strip
from textual.widget import Widget

__all__ = ["LineFrame"]


class LineFrame(StylesCache):
    """Textual asks a widget's styles for borders, outlines, tints and more at every line, for which
    a list of short lines takes as long as for what is in them. This one asks at the first line of a
    picture, and where there is nothing but a border gives it to the others as it is. `textual` is
    pinned, since this is inside it.
    """

    def __init__(self) -> None:
        super().__init__()
        self._ends: tuple[Segment, Segment] | None = None

    def render_widget(self, widget: Widget, crop: Region) -> list[Strip]:
        self._ends = None
        return super().render_widget(widget, crop)

    def render_line(
        self,
        styles: StylesBase,
        y: int,
        size: Size,
        content_size: Size,
        padding: Spacing,
        base_background: Color,
        background: Color,
        render_content_line: Any,
        *others: Any,
    ) -> Strip:
        top = 1  # the upper border
        is_content = top <= y < top + content_size.height
        if is_content and self._ends is not None:
            left, right = self._ends
            line = render_content_line(y - top)
            missing = content_size.width - line.cell_length
            if not missing:
                return Strip([left, *line, right], size.width)
            inner, _ = self.get_inner_outer(base_background, background)
            if missing > 0:  # beside a scroll bar
                blank = Segment(" " * missing, inner.rich_style)
                return Strip([left, *line, blank, right], size.width)
            line = line.adjust_cell_length(content_size.width, inner.rich_style)
            return Strip([left, *line, right], size.width)
        given = size, content_size, padding, base_background, background, render_content_line
        strip = super().render_line(styles, y, *given, *others)
        opacity: float = others[2]
        if is_content and opacity == 1.0 and _is_plain(styles):
            self._ends = strip._segments[0], strip._segments[-1]
        return strip


def _is_plain(styles: StylesBase) -> bool:
    """Whether there is a border of one cell on each side, and nothing else."""
    return (
        styles.gutter == Spacing(1, 1, 1, 1)
        and all(edge for edge, _ in styles.border)
        and not any(edge for edge, _ in styles.outline)
        and styles.text_opacity == 1.0
        and not styles.tint.a
        and not styles.has_rule("hatch")
    )
