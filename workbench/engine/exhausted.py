"""Events whose deliveries ran out without a decision: whoever had them died with them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from workbench.engine.core import Core
from workbench.engine.failure import undecided
from workbench.engine.ports import Clock, DeadLetters, Source
from workbench.errors import DeadLetterError, StreamError
from workbench.model import Event
from workbench.observe import EventsSettled, Notice, StoreFailed

__all__ = ["Exhausted"]

EXHAUSTED_EVERY_SECONDS = 30.0
"""How often to look for them."""


class Exhausted:
    """Finds them, and keeps them as failed batches; the stream would never hand them out again."""

    def __init__(
        self,
        core: Core,
        source: Source,
        dead_letters: DeadLetters,
        clock: Clock,
        tell: Callable[[Notice], None],
    ) -> None:
        self._core = core
        self._source = source
        self._dead_letters = dead_letters
        self._clock = clock
        self._tell = tell

    async def look(self) -> None:
        """Look at once and then again and again, until cancelled."""
        never = asyncio.Event()
        while True:
            try:
                events = await self._source.exhausted()
                if events:
                    await self._store(events)
            except (StreamError, DeadLetterError) as error:
                self._tell(StoreFailed(self._core.flow, (), str(error)))
            await self._clock.wait(never, EXHAUSTED_EVERY_SECONDS)

    async def _store(self, events: Sequence[Event]) -> None:
        core, wall = self._core, self._clock.time()
        found = [event for event in events if event.sequence not in core.held]
        kept = [
            (event, [undecided(event, stage.spec, core.flow, wall) for stage in core.entries])
            for event in found
        ]
        await self._dead_letters.store([batch for _, batches in kept for batch in batches])
        await self._source.forget_exhausted(found)
        for _, batches in kept:
            for batch in batches:
                core.counters.failed("UNDECIDED", batch.task)
        self._tell(EventsSettled(core.flow, terminated=kept))
