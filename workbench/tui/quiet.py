"""What waits for a moment without keys: pictures nobody pressed for, and collecting garbage."""

from __future__ import annotations

import gc
from collections.abc import Callable
from time import monotonic

__all__ = ["Quiet"]

_KEY_SECONDS = 0.08
"""For so long after a key nothing is drawn that is not its answer..."""
_MOST_LEFT_OUT = 3
"""...but for every fourth picture, while keys keep coming."""
_QUIET_SECONDS = 3.0


class Quiet:
    """Knows when the last key was pressed."""

    def __init__(self) -> None:
        self._pressed = -_QUIET_SECONDS

    def pressed(self) -> None:
        """A key was pressed now."""
        self._pressed = monotonic()

    def unhurried(self, draw: Callable[[], None]) -> Callable[[], None]:
        """What a timer draws, left out now and then just after a key, whose answer comes first."""
        left_out = 0

        def drawn() -> None:
            nonlocal left_out
            if left_out < _MOST_LEFT_OUT and monotonic() - self._pressed < _KEY_SECONDS:
                left_out += 1
                return
            left_out = 0
            draw()

        return drawn

    def tidy(self) -> None:
        """Collect garbage of every age: with all rows there it takes a quarter of a second, too
        long for a key to wait."""
        if monotonic() - self._pressed > _QUIET_SECONDS:
            gc.collect()
