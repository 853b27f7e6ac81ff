"""Painting no more than what changed."""

from __future__ import annotations

from collections.abc import Iterable

from textual._compositor import ChopsUpdate, Compositor, CompositorMap, ReflowResult
from textual.geometry import Region, Size
from textual.strip import Strip
from textual.widget import Widget

__all__ = ["PaneCompositor"]


class PaneCompositor(Compositor):
    """Textual's compositor, for screens of panes one of which changes many times a second.

    Textual asks every widget for all its lines whose container meets a rectangle around all that
    changed: often the whole screen. This one asks those in front for the lines that changed, until
    nothing behind them is seen. `textual` is pinned, since this is inside it; a Textual that looks
    at the widgets' own regions makes it superfluous.

    A widget that appears above others moves all their places in the order of drawing by one, and
    Textual draws anew what changed its place. This one does so where the order among them changed.
    """

    def __init__(self) -> None:
        super().__init__()
        self._changed: list[Region] = []
        self._drawn: list[Strip] = []

    def reflow(self, parent: Widget, size: Size) -> ReflowResult:
        old, dirty = self._full_map, set(self._dirty_regions)
        result = super().reflow(parent, size)
        new = self._full_map
        if _drawn_in_order(old, new) == _drawn_in_order(new, old):
            self._dirty_regions = dirty
            for some, others in ((old, new), (new, old)):
                for widget, place in some.items():
                    other = others.get(widget)
                    if other is None or other._replace(order=place.order) != place:
                        self._dirty_regions.add(place.clip.intersection(place.region))
            self._dirty_regions.discard(Region())
        return result

    def render_partial_update(self) -> ChopsUpdate | None:
        self._changed = [region for region in self._dirty_regions if region]
        try:
            return super().render_partial_update()
        finally:
            self._changed = []
            # A line drawn whole is kept as a part of itself, so that only a full collection of
            # garbage, half a second long, would free it.
            for strip in self._drawn:
                strip._divide_cache.clear()
            self._drawn.clear()

    def _get_renders(
        self, crop: Region | None = None
    ) -> Iterable[tuple[Region, Region, list[Strip]]]:
        left = self._changed
        if crop is None or not left:
            yield from super()._get_renders(crop)
            return
        for widget, (region, clip) in self.visible_widgets.items():
            seen = region.intersection(clip)
            parts = [part for part in left if part.overlaps(seen)]
            if not parts:
                continue
            # Whole lines, because the compositor divides them at places of its own.
            part = Region.from_union(parts)
            lines = Region(clip.x, part.y, clip.width, part.height).intersection(clip)
            wanted = region.intersection(lines)
            strips = widget.render_lines(wanted.translate(-region.offset))
            self._drawn += strips
            yield region, lines, strips
            left = [part for part in left if not seen.contains_region(part)]
            if not left:
                return


def _drawn_in_order(some: CompositorMap, others: CompositorMap) -> list[Widget]:
    """Those of them that are among the others too."""
    return sorted(some.keys() & others.keys(), key=lambda widget: some[widget].order)
