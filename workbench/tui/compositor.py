"""Painting no more than what changed."""

from __future__ import annotations

from collections.abc import Iterable

from textual._compositor import Compositor
from textual.geometry import Region
from textual.strip import Strip

__all__ = ["PaneCompositor"]


class PaneCompositor(Compositor):
    """Textual's compositor, for screens of panes one of which changes many times a second.

    Textual asks every widget whose container meets the changed region for all its lines: here the
    whole screen, for each frame of a list that follows. This one asks those that meet the region
    themselves, and for the lines within it, which are fewer. `textual` is pinned, since
    this is inside it; a Textual that looks at the widgets' own regions makes it superfluous.
    """

    def _get_renders(
        self, crop: Region | None = None
    ) -> Iterable[tuple[Region, Region, list[Strip]]]:
        if crop is None:
            yield from super()._get_renders(crop)
            return
        for widget, (region, clip) in self.visible_widgets.items():
            # Whole lines, because the compositor divides them at places of its own.
            lines = Region(clip.x, crop.y, clip.width, crop.height).intersection(clip)
            seen = region.intersection(lines)
            if seen and crop.overlaps(seen):
                yield region, lines, widget.render_lines(seen.translate(-region.offset))
