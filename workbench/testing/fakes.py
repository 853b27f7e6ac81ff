"""A stream, a Salesforce, a failed-batch store and a clock in memory."""

from __future__ import annotations

import asyncio
import heapq
from collections import deque
from collections.abc import Callable, Iterable, Sequence

from workbench.errors import DeadLetterError, SalesforceError, UsageError
from workbench.model import (
    Answer,
    Batch,
    Event,
    FailedBatch,
    Limits,
    Outcome,
    Record,
    Written,
)
from workbench.observe import Notice

__all__ = ["FakeClock", "MemoryDeadLetters", "MemorySink", "MemorySource", "RecordingObserver"]


class FakeClock:
    """A clock that moves only when told; `advance` lets an hour pass at once."""

    def __init__(self, now: float = 1_000.0, epoch: float = 1_790_000_000.0) -> None:
        self._now = now
        self._epoch = epoch - now
        self._sleepers: list[tuple[float, int, asyncio.Event]] = []
        self._count = 0

    def monotonic(self) -> float:
        return self._now

    def time(self) -> float:
        return self._epoch + self._now

    async def wait(self, wake: asyncio.Event, seconds: float) -> None:
        alarm = asyncio.Event()
        self._count += 1
        heapq.heappush(self._sleepers, (self._now + seconds, self._count, alarm))
        waits = [asyncio.ensure_future(wake.wait()), asyncio.ensure_future(alarm.wait())]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for future in waits:
                future.cancel()

    async def advance(self, seconds: float, *, rounds: int = 50) -> None:
        """Let time pass, waking sleepers in order and letting everything they start settle."""
        end = self._now + seconds
        await self.settle(rounds)
        while self._sleepers and self._sleepers[0][0] <= end:
            when, _, alarm = heapq.heappop(self._sleepers)
            self._now = max(self._now, when)
            alarm.set()
            await self.settle(rounds)
        self._now = end
        await self.settle(rounds)

    @staticmethod
    async def settle(rounds: int = 50) -> None:
        """Run the loop until what is ready has run, `rounds` deep."""
        for _ in range(rounds):
            await asyncio.sleep(0)


class MemorySource:
    """A stream with one consumer: redelivers what is not settled, counts deliveries, refuses a
    second settlement."""

    def __init__(
        self,
        clock: FakeClock,
        *,
        stream: str = "events",
        ack_wait_seconds: float = 30.0,
        max_deliver: int = 5,
    ) -> None:
        self.ack_wait_seconds = ack_wait_seconds
        self.max_deliver = max_deliver
        self.acked: list[int] = []
        self.naked: list[tuple[int, float]] = []
        self.termed: list[tuple[int, str]] = []
        self.delivered: dict[int, int] = {}
        self.pings = 0
        self._clock = clock
        self._stream = stream
        self._queue: deque[Event] = deque()
        self._later: list[tuple[float, int, Event]] = []
        self._owed: dict[int, tuple[Event, float]] = {}
        self._woken = asyncio.Event()
        self._is_stopped = False
        self._sequence = 0

    def publish(self, data: bytes, subject: str = "crm.test") -> int:
        """Append an event; returns its sequence."""
        self._sequence += 1
        now = int(self._clock.time() * 1e9)
        self._queue.append(Event(subject, data, None, self._stream, self._sequence, 0, now))
        self._woken.set()
        return self._sequence

    @property
    def owed(self) -> int:
        """Events delivered and not settled."""
        return len(self._owed)

    @property
    def pending(self) -> int:
        """Events that will be delivered, now or later."""
        return len(self._queue) + len(self._later)

    async def receive(self, limit: int) -> list[Event]:
        while True:
            events = self._take(limit)
            if events or self._woken.is_set() or self._is_stopped:
                self._woken.clear()
                return events
            until = self._later[0][0] if self._later else self._clock.monotonic() + 3600.0
            await self._clock.wait(self._woken, max(0.0, until - self._clock.monotonic()))

    def _take(self, limit: int) -> list[Event]:
        now = self._clock.monotonic()
        self._expire(now)
        while self._later and self._later[0][0] <= now:
            self._queue.append(heapq.heappop(self._later)[2])
        events: list[Event] = []
        while self._queue and len(events) < limit:
            known = self._queue.popleft()
            count = self.delivered.get(known.sequence, 0) + 1
            if 0 < self.max_deliver < count:
                continue
            self.delivered[known.sequence] = count
            event = Event(
                known.subject,
                known.data,
                known.headers,
                known.stream,
                known.sequence,
                count,
                known.timestamp_ns,
                token=(known.sequence, count),
            )
            self._owed[event.sequence] = (event, now + self.ack_wait_seconds)
            events.append(event)
        return events

    def _expire(self, now: float) -> None:
        for sequence, (event, until) in list(self._owed.items()):
            if until <= now:
                del self._owed[sequence]
                self._queue.append(event)

    def _settled(self, event: Event) -> Event:
        if event.sequence not in self._owed:
            raise UsageError(f"event {event.sequence} is not owed a settlement")
        return self._owed.pop(event.sequence)[0]

    def wake(self) -> None:
        self._woken.set()

    def ack(self, events: Sequence[Event]) -> None:
        for event in events:
            self._settled(event)
            self.acked.append(event.sequence)

    def nak(self, events: Sequence[Event], delay_seconds: float) -> None:
        for event in events:
            known = self._settled(event)
            self.naked.append((event.sequence, delay_seconds))
            until = self._clock.monotonic() + delay_seconds
            heapq.heappush(self._later, (until, event.sequence, known))
        self._woken.set()

    def term(self, events: Sequence[Event], reason: str) -> None:
        for event in events:
            self._settled(event)
            self.termed.append((event.sequence, reason))

    def in_progress(self, events: Sequence[Event]) -> None:
        until = self._clock.monotonic() + self.ack_wait_seconds
        for event in events:
            if event.sequence in self._owed:
                self._owed[event.sequence] = (self._owed[event.sequence][0], until)
                self.pings += 1

    async def exhausted(self) -> list[Event]:
        return []

    async def forget_exhausted(self, events: Sequence[Event]) -> None:
        pass

    async def stop_receiving(self) -> list[Event]:
        self._is_stopped = True
        self._woken.set()
        return []

    async def flush(self) -> None:
        pass


Script = Callable[[Batch], Sequence[Outcome] | Exception | None]


class MemorySink:
    """Records in a dict by key, and an answer of your own choice.

    `script` sees each batch first: outcomes it returns are the answer (what they call written is
    written), an exception is raised, None means that everything is written.
    """

    def __init__(
        self,
        *,
        key: str = "ExternalId__c",
        limits: Limits | None = None,
        script: Script | None = None,
        hold: asyncio.Event | None = None,
    ) -> None:
        self.limits = limits or Limits()
        self.script = script
        self.hold = hold
        self.batches: list[Batch] = []
        self.rows: dict[str, Record] = {}
        self.writes: list[Record] = []
        self.is_up = True
        self.probes = 0
        self._key = key

    def keys_of(self, records: Sequence[Record]) -> list[str | None]:
        values = [record.get(self._key) for record in records]
        return [None if value is None else str(value).lower() for value in values]

    async def write(self, batch: Batch) -> Answer:
        self.batches.append(batch)
        if self.hold is not None:
            await self.hold.wait()
        answer = self.script(batch) if self.script is not None else None
        if isinstance(answer, Exception):
            raise answer
        records = batch.records
        outcomes = [Written(str(i)) for i in range(len(records))] if answer is None else answer
        for record, key, outcome in zip(records, self.keys_of(records), outcomes, strict=True):
            if isinstance(outcome, Written):
                self.writes.append(record)
                self.rows[key or f"#{len(self.rows)}"] = record
        return Answer(list(outcomes))

    async def probe(self) -> None:
        self.probes += 1
        if not self.is_up:
            raise SalesforceError("still down")


class MemoryDeadLetters:
    """Failed batches by id; `is_down` makes storing fail, and it waits for `hold` where one is
    given."""

    def __init__(self) -> None:
        self.entries: dict[str, FailedBatch] = {}
        self.is_down = False
        self.hold: asyncio.Event | None = None

    async def store(self, batches: Iterable[FailedBatch]) -> None:
        if self.hold is not None:
            await self.hold.wait()
        if self.is_down:
            raise DeadLetterError("the store is down")
        for batch in batches:
            self.entries[batch.id] = batch


class RecordingObserver:
    """Keeps every notice."""

    def __init__(self) -> None:
        self.notices: list[Notice] = []

    def notify(self, notice: Notice) -> None:
        self.notices.append(notice)

    def of(self, *kinds: type) -> list[Notice]:
        """The notices of these classes, in order."""
        return [notice for notice in self.notices if isinstance(notice, kinds)]
