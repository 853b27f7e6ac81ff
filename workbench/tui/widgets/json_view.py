"""A read-only pane for a request, an answer or an event, coloured where that is cheap."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import BindingType
from textual.geometry import Region, Size
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import TextArea
from textual.widgets.text_area import TextAreaTheme

from workbench.tui.syntax import install, language
from workbench.tui.text import MAX_LINE, clean_lines, content
from workbench.tui.widgets.line_frame import LineFrame
from workbench.tui.widgets.sparing import Sparing

__all__ = ["JsonView"]

_MOST_COLOURED = 64 * 1024
_MOST_SHOWN = 256 * 1024


class JsonView(Sparing, TextArea):
    """Shows text cleaned and clipped; `full_text` is what copy and export take."""

    HELP = """
# A document

The arrows and the mouse scroll and select; **y** copies, **z** makes it fill the screen.
"""

    BINDINGS: ClassVar[list[BindingType]] = []

    def __init__(self, *, id: str | None = None, grammar: str = "json") -> None:
        super().__init__(
            "", id=id, read_only=True, show_line_numbers=False, soft_wrap=True, tab_behavior="focus"
        )
        self._styles_cache = LineFrame()
        self.cursor_blink = False
        self.show_cursor = False
        self.highlight_cursor_line = False
        self._wanted = language(grammar)
        self._styled: TextAreaTheme | None = None
        self.full_text = ""
        self.copied = ""

    def on_mount(self) -> None:
        install(self)

    def notify_style_update(self) -> None:
        self._styled = None
        super().notify_style_update()

    def render_lines(self, crop: Region) -> list[Strip]:
        # TextArea works its colours out anew for every frame, also where nothing of it changed:
        # more than all else that a pane costs while events stream past beside it.
        if self._styled is not self._theme:
            self._styled = self._theme
            return super().render_lines(crop)
        return Widget.render_lines(self, crop)

    def _refresh_size(self) -> None:
        # Assigned, the virtual size would have the whole screen laid out anew, as in
        # `RowList.measure`; only a scroll bar that comes or goes needs that, and asks for it.
        if not self.is_mounted:
            super()._refresh_size()
            return
        size = Size(0, self.wrapped_document.height)
        self.set_reactive(Widget.virtual_size, size)
        self._scroll_update(size)

    def show(self, text: str, *, copied: str | None = None, title: str | None = None) -> None:
        """Show a text; `copied` is what copy takes instead, where that is something else. `title`
        replaces the pane's."""
        self.copied = text if copied is None else copied
        with self.redrawing(self.virtual_size.height if text != self.full_text else 0):
            if title is not None:
                self.border_title = content(title)
            if text != self.full_text:
                self._load(text)

    def _load(self, text: str) -> None:
        self.full_text = text
        shown = _shortened(clean_lines(text[:_MOST_SHOWN]))
        if len(text) > _MOST_SHOWN:
            shown += f"\n… {len(text) - _MOST_SHOWN:,} characters more; x writes all to a file"
        wanted = self._wanted if len(text) <= _MOST_COLOURED else None
        if self.language != wanted:
            self.language = wanted
        self.load_text(shown)

    def go_to_line(self, line: int) -> None:
        """Put a line, from 0, at the top."""
        self.scroll_to(y=line, animate=False)


def _shortened(text: str) -> str:
    if len(text) <= MAX_LINE:
        return text
    return "\n".join(
        line
        if len(line) <= MAX_LINE
        else f"{line[:MAX_LINE]}… {len(line) - MAX_LINE:,} characters more"
        for line in text.split("\n")
    )
