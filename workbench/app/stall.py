"""How late the event loop is: whether anything keeps it from turning."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

__all__ = ["LONG_SECONDS", "watch_stalls"]

_EVERY_SECONDS = 0.25

LONG_SECONDS = 1.0
"""A stall that is worth a line in the log: others wait for us by then."""


async def watch_stalls(
    told: Callable[[float], None],
    told_long: Callable[[float], None],
    *,
    every_seconds: float = _EVERY_SECONDS,
) -> None:
    """Sleep again and again, and tell how much too late each sleep ended, until cancelled.

    A stopped process (SIGSTOP, a suspended machine) shows as one long stall.
    """
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + every_seconds
        await asyncio.sleep(every_seconds)
        late = max(0.0, loop.time() - due)
        told(late)
        if late >= LONG_SECONDS:
            told_long(late)
