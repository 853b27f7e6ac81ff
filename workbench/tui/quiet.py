"""What waits for a moment without keys: pictures nobody pressed for, taking in what the engine
told, and collecting garbage."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from time import monotonic

__all__ = ["Quiet"]

_ANSWER_SECONDS = 0.04
"""So soon nearly every key is answered."""
_KEY_SECONDS = 0.08
"""For so long after a key nothing is drawn that is not its answer..."""
_MOST_LEFT_OUT = 3
"""...but for every fourth picture, while keys keep coming."""
_MOST_PUT_OFF = 2
"""So many times in a row nothing is taken in."""
_QUIET_SECONDS = 3.0


class Quiet:
    """Knows when the last key was pressed."""

    def __init__(self) -> None:
        self._pressed = -_QUIET_SECONDS

    def pressed(self) -> None:
        """A key was pressed now; no garbage is collected until `absorbing` is done once more."""
        self._pressed = monotonic()
        gc.disable()

    def unhurried(self, draw: Callable[[], None]) -> Callable[[], None]:
        """What a timer draws, left out now and then just after a key, whose answer comes first."""
        return self._left_out(draw, _KEY_SECONDS, _MOST_LEFT_OUT)

    def absorbing(self, absorb: Callable[[], None]) -> Callable[[], None]:
        """What a timer takes in, left to the next times while a key waits for its answer; never
        for long."""

        def absorbed() -> None:
            gc.enable()
            absorb()

        return self._left_out(absorbed, _ANSWER_SECONDS, _MOST_PUT_OFF)

    def _left_out(self, act: Callable[[], None], seconds: float, most: int) -> Callable[[], None]:
        left_out = 0

        def acted() -> None:
            nonlocal left_out
            if left_out < most and monotonic() - self._pressed < seconds:
                left_out += 1
                return
            left_out = 0
            act()

        return acted

    async def calm(self) -> None:
        """Return when the newest key is answered, as a rule."""
        await asyncio.sleep(max(0.0, self._pressed + _ANSWER_SECONDS - monotonic()))

    def tidy(self) -> None:
        """Collect garbage of every age: with all rows there it takes a quarter of a second, too
        long for a key to wait."""
        if monotonic() - self._pressed > _QUIET_SECONDS:
            gc.collect()
