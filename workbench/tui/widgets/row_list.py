"""A list that formats only the rows in view: its cost follows the height of the screen, never the
number of rows.

One line for the head, one for each row, and a cursor. What the rows are, and where the cursor
stands among them, is told by the list made of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.filter import ANSIToTruecolor, LineFilter
from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.scrollbar import ScrollBar
from textual.strip import Strip
from textual.widget import Widget

from workbench.tui.text import fit
from workbench.tui.widgets.line_frame import LineFrame
from workbench.tui.widgets.scroll_bar import SteadyScrollBar

__all__ = ["Cell", "RowList"]

Cell = tuple[str, str]
"""A piece of a row: its text, already as wide as its column, and a tone (see `RowList.TONES`)."""


class RowList(ScrollView, can_focus=True):
    """Rows of one line each, by their places from 0.

    A list made of it says `count`, `place`, `head`, `cells` and `put_cursor`. `nothing` are the
    lines to show while there are no rows: what to do about it.
    """

    TONES: ClassVar[tuple[str, ...]] = ("good", "bad", "code", "warning", "quiet", "mark")

    DEFAULT_CSS = """
    RowList {
        height: 1fr;
        overflow: hidden scroll;
        & .row-list--cursor { background: $block-cursor-blurred-background;
            color: $block-cursor-blurred-foreground; }
        &:focus .row-list--cursor { background: $block-cursor-background;
            color: $block-cursor-foreground; text-style: bold; }
        & .row-list--head { color: $text-muted; text-style: bold; }
        & .row-list--good { color: $text-success; }
        & .row-list--bad { color: $text-error; text-style: bold; }
        & .row-list--code { color: $text-error; }
        & .row-list--warning { color: $text-warning; }
        & .row-list--quiet { color: $text-muted; }
        & .row-list--mark { color: $text-accent; text-style: bold; }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        f"row-list--{name}" for name in ("cursor", "head", *TONES)
    }
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", show=False),
        Binding("down,j", "move(1)", "Down", show=False),
        Binding("pageup", "page(-1)", "Page up", show=False),
        Binding("pagedown", "page(1)", "Page down", show=False),
        Binding("home", "first", "First", show=False),
        Binding("end", "last", "Last", show=False),
    ]

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.nothing: tuple[str, ...] = ()
        self._styles: dict[str, Style] = {}
        self._styles_cache = LineFrame()
        self._window: tuple[int, int] | None = None

    # -- told by the list made of it -----------------------------------------------------------

    @property
    def count(self) -> int:
        """How many rows there are."""
        raise NotImplementedError

    @property
    def place(self) -> int | None:
        """Where the cursor stands; None where it stands on no row."""
        raise NotImplementedError

    def put_cursor(self, place: int) -> None:
        """Let the cursor stand on a row that there is, and tell of it; it is scrolled to after."""
        raise NotImplementedError

    def head(self, width: int) -> str:
        """The names of the columns."""
        raise NotImplementedError

    def cells(self, place: int, width: int) -> list[Cell]:
        """The row at a place that there is."""
        raise NotImplementedError

    # -- moving --------------------------------------------------------------------------------

    @property
    def rows_in_view(self) -> int:
        """How many rows there is room for."""
        return max(1, self.scrollable_content_region.height - 1)

    def go_to_place(self, place: int) -> None:
        """Put the cursor there, or as near as there is, and bring it into view."""
        before = self.place
        if self.count:
            self.put_cursor(min(max(place, 0), self.count - 1))
        self.keep_in_view()
        for changed in (before, self.place):
            if changed is not None:
                self.refresh_row(changed)

    def action_move(self, steps: int) -> None:
        place = self.place
        self.go_to_place((self.count - 1 if place is None else place) + steps)

    def action_page(self, pages: int) -> None:
        self.action_move(pages * max(1, self.rows_in_view - 1))

    def action_first(self) -> None:
        self.go_to_place(0)

    def action_last(self) -> None:
        self.go_to_place(self.count - 1)

    def refresh_row(self, place: int) -> None:
        """Draw one row anew."""
        self.refresh_lines(place + 1)

    @property
    def places_in_view(self) -> range:
        """The places that are seen."""
        top = int(self.scroll_offset.y)
        return range(top, min(top + self.rows_in_view, self.count))

    def keep_in_view(self) -> None:
        """Scroll as little as it takes to see the cursor."""
        place = self.place
        if place is None:
            return
        top, height = int(self.scroll_offset.y), self.rows_in_view
        if place < top:
            self.scroll_to(y=place, animate=False, immediate=True)
        elif place >= top + height:
            self.scroll_to(y=place - height + 1, animate=False, immediate=True)

    def on_click(self, event: events.Click) -> None:
        offset = event.get_content_offset(self)
        if offset is None or offset.y == 0:
            return
        place = offset.y - 1 + int(self.scroll_offset.y)
        if place < self.count:
            self.clicked(place, offset.x)

    def clicked(self, place: int, column: int) -> None:
        """A row was clicked at a column."""
        self.go_to_place(place)

    def on_resize(self) -> None:
        self.measure()
        self.keep_in_view()

    def measure(self) -> None:
        """Make the scroll bar fit the number of rows."""
        size = Size(self.scrollable_content_region.width, self.count + 1)
        if size == self.virtual_size:
            return
        if self.styles.overflow_y != "scroll":
            self.virtual_size = size
        else:
            # Assigned, it would have the whole screen laid out anew, ten times a second while rows
            # come in, though the bar is always there and nothing else depends on it.
            self.set_reactive(Widget.virtual_size, size)
            self._scroll_update(size)

    # -- drawing -------------------------------------------------------------------------------

    @property
    def vertical_scrollbar(self) -> ScrollBar:
        """See `Widget.vertical_scrollbar`."""
        if self._vertical_scrollbar is None:
            bar = SteadyScrollBar(name="vertical", thickness=self.scrollbar_size_vertical)
            bar.display = False
            self._vertical_scrollbar = bar
            self.app._start_widget(self, bar)
        return self._vertical_scrollbar

    def notify_style_update(self) -> None:
        self._styles.clear()
        super().notify_style_update()

    def _style(self, name: str) -> Style:
        """The whole style of a tone; empty for plain text. Worked out once for each change of
        theme or focus: that takes longer than drawing a row."""
        style = self._styles.get(name)
        if style is None:
            style = self.rich_style
            if name:
                style += self.get_component_rich_style(f"row-list--{name}")
            self._styles[name] = style
        return style

    def _look(self) -> tuple[int, int]:
        """How wide lines are, and the place of the first."""
        return self.scrollable_content_region.width, int(self.scroll_offset.y)

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Without the one that makes true colours, where all are: it looks at every cell."""
        filters = super().get_line_filters()
        colors = [c for style in self._styles.values() for c in (style.color, style.bgcolor)]
        if colors and all(color is None or color.triplet is not None for color in colors):
            return [each for each in filters if not isinstance(each, ANSIToTruecolor)]
        return filters

    def render_lines(self, crop: Region) -> list[Strip]:
        self._window = self._look()
        try:
            return super().render_lines(crop)
        finally:
            self._window = None

    def render_line(self, y: int) -> Strip:
        width, top = self._window or self._look()
        base = self._style("")
        if y == 0:
            return _line([Segment(self.head(width), self._style("head"))], width, base)
        place = y - 1 + top
        if place >= self.count:
            line = self.nothing[place] if not self.count and place < len(self.nothing) else ""
            line = fit(line, width - 2)
            return _line([Segment(f" {line}", self._style("quiet"))], width, base)
        cells = self.cells(place, width)
        if place == self.place:
            style = self._style("cursor")
            text = "".join(text for text, _ in cells)
            return _line([Segment(text, style)], width, style)
        return _line([Segment(text, self._style(tone)) for text, tone in cells], width, base)

    def region_of_cursor(self) -> Region | None:
        """Where the cursor's row is drawn, for tests and pop-ups."""
        place = self.place
        if place is None:
            return None
        region = self.scrollable_content_region
        y = region.y + 1 + place - int(self.scroll_offset.y)
        return Region(region.x, y, region.width, 1)


def _line(segments: list[Segment], width: int, style: Style) -> Strip:
    """A line as wide as the list. One that is so already is left alone: cropped to what it is, a
    strip would keep itself, and be freed by a collection of garbage only."""
    strip = Strip(segments)
    missing = width - strip.cell_length
    if missing > 0:
        return Strip([*segments, Segment(" " * missing, style)], width)
    return strip.crop_extend(0, width, style) if missing else strip
