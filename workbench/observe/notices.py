"""What happens in a running flow, told to whoever wants to hear.

One notice is about many events or one request, never about a single event, and carries references
and numbers, no prose. Observers must not change what they are handed.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from workbench.model import Answer, Batch, Event, FailedBatch, Record

__all__ = [
    "BatchAnswered",
    "BatchSent",
    "ConnectionChanged",
    "EventsReceived",
    "EventsSettled",
    "FlowPaused",
    "FlowResumed",
    "FlowStarted",
    "FlowStopped",
    "Notice",
    "Observer",
    "Observers",
    "Part",
    "StoreFailed",
    "StreamInDanger",
    "StreamSeen",
]

_log = logging.getLogger("workbench")


class Part(Protocol):
    """Records of one event within a batch, in the batch's order."""

    @property
    def event(self) -> Event: ...

    records: list[Record]
    start: int
    """Index of the first of `records` among all the event's records in this task."""


@dataclass(frozen=True, slots=True)
class FlowStarted:
    """The flow is connected, logged in as far as that can be told, and begins to receive."""

    flow: str


@dataclass(frozen=True, slots=True)
class FlowStopped:
    """The flow has settled what it could and no longer receives; `error` is why, if not asked."""

    flow: str
    error: str | None = None


@dataclass(frozen=True, slots=True)
class EventsReceived:
    """Events were taken in hand, in this order."""

    flow: str
    events: Sequence[Event]


@dataclass(frozen=True, slots=True)
class BatchSent:
    """A request is about to leave. `why` tells what closed it: records, bytes, linger, flush or
    single."""

    flow: str
    batch: Batch
    parts: Sequence[Part]
    why: str


@dataclass(frozen=True, slots=True)
class BatchAnswered:
    """A request came back, with one outcome per record in the order of `batch.records`, which is
    that of `parts`."""

    flow: str
    batch: Batch
    parts: Sequence[Part]
    answer: Answer
    seconds: float


@dataclass(frozen=True, slots=True)
class EventsSettled:
    """The stream was told: acked (all written), naked (with seconds until redelivery), or
    terminated after its failed batches were stored."""

    flow: str
    acked: Sequence[Event] = ()
    naked: Sequence[tuple[Event, float]] = ()
    terminated: Sequence[tuple[Event, Sequence[FailedBatch]]] = ()


@dataclass(frozen=True, slots=True)
class StoreFailed:
    """Failed batches could not be stored; their events go back to the stream, or are kept in hand
    where a second delivery could write twice."""

    flow: str
    events: Sequence[Event]
    reason: str


@dataclass(frozen=True, slots=True)
class FlowPaused:
    """The flow sends nothing until further notice; `cause` is a `PauseCause` value."""

    flow: str
    cause: str
    reason: str


@dataclass(frozen=True, slots=True)
class FlowResumed:
    """The flow sends again after `seconds` of pause."""

    flow: str
    seconds: float


@dataclass(frozen=True, slots=True)
class ConnectionChanged:
    """A connection changed: `what` is nats or salesforce, `state` connected, reconnecting, lost."""

    flow: str
    what: str
    state: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class StreamSeen:
    """A look at the durable: events not delivered yet, events delivered and not settled, and the
    age in seconds of the oldest of them (None where there is none)."""

    flow: str
    pending: int
    ack_pending: int
    oldest_seconds: float | None


@dataclass(frozen=True, slots=True)
class StreamInDanger:
    """Events are about to leave the stream unwritten, or have left it: `warning` says which."""

    flow: str
    warning: str


Notice = (
    FlowStarted
    | FlowStopped
    | EventsReceived
    | BatchSent
    | BatchAnswered
    | EventsSettled
    | StoreFailed
    | FlowPaused
    | FlowResumed
    | ConnectionChanged
    | StreamSeen
    | StreamInDanger
)


class Observer(Protocol):
    """Hears of everything. Called on the event loop: must return at once and never block."""

    def notify(self, notice: Notice) -> None: ...


class Observers:
    """Observers of one flow; one that raises is reported to the log and detached, and the flow
    goes on."""

    def __init__(self, observers: Iterable[Observer] = ()) -> None:
        self._observers = list(observers)

    def __bool__(self) -> bool:
        return bool(self._observers)

    def attach(self, observer: Observer) -> None:
        self._observers.append(observer)

    def detach(self, observer: Observer) -> None:
        """Stop telling `observer`; nothing happens if it was not told."""
        if observer in self._observers:
            self._observers.remove(observer)

    def notify(self, notice: Notice) -> None:
        for observer in tuple(self._observers):
            try:
                observer.notify(notice)
            except Exception:
                _log.exception("observer %r raised and is detached", observer)
                self.detach(observer)
