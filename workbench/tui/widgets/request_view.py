"""A request with what changed in it marked: a `+` in the gutter and a background, the lines that
are gone listed below."""

from __future__ import annotations

from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual.strip import Strip

from workbench.tui.requests import Document
from workbench.tui.text import clip
from workbench.tui.widgets.json_view import JsonView

__all__ = ["RequestView"]


class RequestView(JsonView):
    """`show_document` for a text with changes."""

    DEFAULT_CSS = """
    RequestView {
        & .request--changed { background: $success 25%; text-style: bold; }
        &.-stale { text-style: dim; }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {"request--changed"}

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.show_line_numbers = True
        self._changed: frozenset[int] = frozenset()

    def show_document(self, document: Document) -> None:
        """Show it, keeping the place where the eye is."""
        text = document.text
        if document.gone:
            gone = "\n".join(f"// was  {clip(line, 200)}" for line in document.gone[:20])
            text = f"{text}\n\n{gone}"
        at = self.scroll_offset.y
        self._changed = document.changed
        self.show(text, copied=document.text)
        self.notify_style_update()
        self.scroll_to(y=at, animate=False)
        self.refresh()

    def get_line(self, line_index: int) -> Text:
        line = super().get_line(line_index)
        if line_index in self._changed:
            line.stylize(self.get_component_rich_style("request--changed"))
        return line

    def render_line(self, y: int) -> Strip:
        strip = super().render_line(y)
        width = self.gutter_width
        row = self._row_at(y)
        if row not in self._changed or width < 2:
            return strip
        last = list(strip.crop(width - 1, width))
        style = (last[0].style or Style()) if last else Style()
        return Strip.join(
            [strip.crop(0, width - 1), Strip([Segment("+", style)]), strip.crop(width)]
        )

    def _row_at(self, y: int) -> int | None:
        rows = self.wrapped_document._offset_to_line_info
        place = y + int(self.scroll_offset.y)
        return rows[place][0] if 0 <= place < len(rows) else None
