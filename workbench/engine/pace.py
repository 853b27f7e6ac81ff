"""How fast events may be taken, where the flow file sets a pace."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Pace"]

_SMOOTH_SECONDS = 0.005
"""Events less than this apart are taken in small groups, which a clock can still keep apart."""


@dataclass(frozen=True, slots=True)
class Pace:
    """The subscriber's `max_messages`, `delay` and `throttle`; without any, as fast as it goes.

    Attributes:
        max_events: most events of one fetch, None for no bound but room.
        delay_seconds: pause after each fetch that brought something.
        throttle_seconds: least time between two events.
    """

    max_events: int | None = None
    delay_seconds: float = 0.0
    throttle_seconds: float = 0.0

    def limit(self, room: int) -> int:
        """How many events the next fetch may bring, where there is room for `room`."""
        if self.throttle_seconds > 0:
            room = min(room, max(1, int(_SMOOTH_SECONDS / self.throttle_seconds)))
        return room if self.max_events is None else min(room, self.max_events)

    def pause(self, count: int) -> float:
        """Seconds to wait after a fetch of `count` events."""
        return max(self.delay_seconds, self.throttle_seconds * count)
