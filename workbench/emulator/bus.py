"""The event bus of one org: every topic's events, in memory, in the order they were published.

Positions are counted across all topics, as on a real bus: a topic's own ids are increasing but not
contiguous. Nothing here knows gRPC; the REST half may publish here too.
"""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

# 72 hours of high-volume events, then they may go:
# https://developer.salesforce.com/docs/platform/pub-sub-api/guide/event-message-durability.html
RETENTION_SECONDS = 72 * 3600.0

# Publishes in a rolling hour. Far more than any edition has (250,000; Developer 50,000, Platform
# Events guide v67, read 2026-11-23), so that a load test meets this limit only when it asks for it.
HOURLY_EVENTS = 5_000_000

_HOUR_SECONDS = 3600.0
_REPLAY_ID_TAIL = b"\x00\x00"


Publication = tuple[str, str, bytes, tuple[tuple[str, bytes], ...]]
"""(id, schema id, payload, headers) of an event to publish."""


class ReplayIdError(ValueError):
    """A replay id that is malformed, not yet given out, or older than what is retained."""


def replay_id(position: int) -> bytes:
    """10 bytes: the position, 8 bytes big-endian, and two zero bytes."""
    return position.to_bytes(8, "big") + _REPLAY_ID_TAIL


def position_of(replay: bytes) -> int:
    """The position in a replay id; clients that keep only the first 8 bytes are understood."""
    if len(replay) == 8 or (len(replay) == 10 and replay.endswith(_REPLAY_ID_TAIL)):
        return int.from_bytes(replay[:8], "big")
    raise ReplayIdError(f"{replay.hex()!r} is no replay id")


@dataclass(slots=True)
class BusEvent:
    """One event on the bus; `payload` is the Avro datum as it was published."""

    position: int
    topic: str
    id: str
    schema_id: str
    payload: bytes
    headers: tuple[tuple[str, bytes], ...]
    published_at: float
    """Seconds of the bus's clock."""


@dataclass(slots=True)
class _Log:
    """One topic's events; the first `dropped` entries of `events` are past retention."""

    events: list[BusEvent] = field(default_factory=list)
    dropped: int = 0
    watchers: set[asyncio.Event] = field(default_factory=set)


class Bus:
    """Bounded by age, count and bytes over all topics; the oldest event goes first."""

    def __init__(
        self,
        *,
        retention_seconds: float = RETENTION_SECONDS,
        max_events: int = 250_000,
        max_bytes: int = 128 * 1024 * 1024,
        hourly_allocation: int = HOURLY_EVENTS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.hourly_allocation = hourly_allocation
        self._retention_seconds = retention_seconds
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._clock = clock
        # Microseconds: a bus started later never gives out an id of one started before, so an old
        # id is known as aged out.
        self._first_retained = self._position = int(clock() * 1_000_000)
        self._size_bytes = 0
        self._order: deque[BusEvent] = deque()
        self._logs: dict[str, _Log] = {}
        self._published: deque[tuple[int, int]] = deque()
        self._published_count = 0

    def publish(self, topic: str, events: Iterable[Publication]) -> list[int]:
        """Put events on the bus; the positions given to them, in order.

        Events of one call are adjacent; between calls positions jump, so that no reader gets away
        with counting on them.
        """
        now = self._clock()
        log = self._logs.setdefault(topic, _Log())
        position = self._position
        positions = []
        for id_, schema_id, payload, headers in events:
            position += 1
            event = BusEvent(position, topic, id_, schema_id, payload, headers, now)
            log.events.append(event)
            self._order.append(event)
            self._size_bytes += len(payload)
            positions.append(position)
        if positions:
            self._position = position + 1
            self._count(int(now), len(positions))
            self._drop_old(now)
            for watcher in log.watchers:
                watcher.set()
        return positions

    def watchers(self, topic: str) -> int:
        """How many watch the topic now."""
        log = self._logs.get(topic)
        return len(log.watchers) if log else 0

    def now(self) -> float:
        """Seconds of the bus's clock."""
        return self._clock()

    def published_last_hour(self) -> int:
        """Events published in the last rolling hour, on all topics."""
        oldest = self._clock() - _HOUR_SECONDS
        while self._published and self._published[0][0] <= oldest:
            self._published_count -= self._published.popleft()[1]
        return self._published_count

    def remaining_allocation(self) -> int:
        """Events that may still be published in this rolling hour."""
        return max(0, self.hourly_allocation - self.published_last_hour())

    @property
    def tip(self) -> int:
        """The position at or after the newest event."""
        return self._position

    def earliest(self) -> int:
        """The position just before the oldest retained event."""
        self._drop_old(self._clock())
        return self._first_retained

    def check(self, replay: bytes) -> int:
        """The position to go on from; ReplayIdError unless the bus still knows what followed it."""
        position = position_of(replay)
        if not self.earliest() <= position <= self._position:
            raise ReplayIdError(f"{replay.hex()!r} is past retention, or was never given out")
        return position

    def count(self, topic: str) -> int:
        """Retained events of the topic."""
        log = self._logs.get(topic)
        return len(log.events) - log.dropped if log else 0

    def after(self, topic: str, position: int, limit: int) -> list[BusEvent]:
        """Up to `limit` retained events of the topic after the position, oldest first."""
        log = self._logs.get(topic)
        if log is None:
            return []
        events = log.events
        start = bisect_right(events, position, lo=log.dropped, key=lambda event: event.position)
        return events[start : start + limit]

    def watch(self, topic: str) -> asyncio.Event:
        """An event that is set whenever the topic gets events; give it back to `unwatch`."""
        watcher = asyncio.Event()
        self._logs.setdefault(topic, _Log()).watchers.add(watcher)
        return watcher

    def unwatch(self, topic: str, watcher: asyncio.Event) -> None:
        self._logs[topic].watchers.discard(watcher)

    def clear(self) -> None:
        """Forget all events and the hour's count; positions go on from where they are."""
        self._order.clear()
        self._size_bytes = 0
        for log in self._logs.values():
            log.events.clear()
            log.dropped = 0
        self._published.clear()
        self._published_count = 0
        self._first_retained = self._position

    def _count(self, second: int, events: int) -> None:
        if self._published and self._published[-1][0] == second:
            events_before = self._published.pop()[1]
            self._published.append((second, events_before + events))
        else:
            self._published.append((second, events))
        self._published_count += events

    def _drop_old(self, now: float) -> None:
        order = self._order
        oldest = now - self._retention_seconds
        while order and (
            len(order) > self._max_events
            or self._size_bytes > self._max_bytes
            or order[0].published_at < oldest
        ):
            event = order.popleft()
            self._size_bytes -= len(event.payload)
            self._first_retained = event.position
            log = self._logs[event.topic]
            log.dropped += 1
            # Cutting only now and then keeps dropping an event O(1).
            if log.dropped * 16 >= len(log.events):
                del log.events[: log.dropped]
                log.dropped = 0
