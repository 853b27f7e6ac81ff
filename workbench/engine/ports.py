"""What the engine needs from the world: Protocols that adapters satisfy by shape."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

from workbench.model import Answer, Batch, Event, FailedBatch, Limits, Record

__all__ = ["Clock", "DeadLetters", "Sink", "Source"]


class Clock(Protocol):
    """Time as an input, so that tests can make an hour pass at once."""

    def monotonic(self) -> float:
        """Seconds that only go forward."""
        ...

    def time(self) -> float:
        """Seconds since the epoch."""
        ...

    async def wait(self, wake: asyncio.Event, seconds: float) -> None:
        """Return when `wake` is set or `seconds` have passed, whichever comes first."""
        ...


class Source(Protocol):
    """Where events come from, and who is told what became of each.

    Every event returned by `receive` is owed exactly one of `ack`, `nak` or `term`. Those four
    calls only queue what goes over the wire: they never block and never raise for a lost
    connection (the server redelivers what it did not hear of); `flush` pushes it out.
    """

    ack_wait_seconds: float
    """How long the server waits for a word about an event before it delivers it again."""

    max_deliver: int
    """How often an event is delivered before it must be given up; -1 for no end."""

    async def receive(self, limit: int) -> list[Event]:
        """Wait for events and return 1 to `limit` of them, in stream order but for redeliveries.

        Returns an empty list when `wake` or `stop_receiving` was called, so that the caller can
        look at its state. Reconnects by itself, for ever. Never asks the server for more than
        `limit` beyond what it has returned. Must not be cancelled: use `wake`.

        Raises:
            StreamError: the stream or consumer is gone for good; what was received stays owed.
        """
        ...

    def wake(self) -> None:
        """Make a waiting `receive` return now, with nothing or with what is there."""
        ...

    def ack(self, events: Sequence[Event]) -> None: ...

    def nak(self, events: Sequence[Event], delay_seconds: float) -> None: ...

    def term(self, events: Sequence[Event], reason: str) -> None: ...

    def in_progress(self, events: Sequence[Event]) -> None:
        """Tell the server that these are still being worked on; resets their ack wait."""
        ...

    async def exhausted(self) -> list[Event]:
        """Events whose deliveries ran out without a decision, found since the last call.

        They are owed no settlement, but `forget_exhausted` once they are stored; until then a
        later call, of this or another process, finds them again.
        """
        ...

    async def forget_exhausted(self, events: Sequence[Event]) -> None: ...

    async def stop_receiving(self) -> list[Event]:
        """Stop asking the server, wait for what it has already sent, and return that (owed)."""
        ...

    async def flush(self) -> None:
        """Push out queued settlements; returns when the server has them or is not reachable."""
        ...


class Sink(Protocol):
    """One task's way into Salesforce."""

    limits: Limits

    async def write(self, batch: Batch) -> Answer:
        """Send a batch once and say what became of every record, in order; never raises for what
        Salesforce or the network does. Cancellation leaves the outcome unknown.

        Raises:
            AuthenticationError, AuthorizationError: nothing can be written until a person acts.
        """
        ...

    async def probe(self) -> None:
        """Find out cheaply whether Salesforce answers us again; writes nothing.

        Raises:
            SalesforceError: it does not.
        """
        ...

    def keys_of(self, records: Sequence[Record]) -> list[str | None]:
        """What identifies each record in Salesforce, normalised so that equal means the same row;
        None where it has no identity yet (create)."""
        ...


class DeadLetters(Protocol):
    """Where failed batches are kept."""

    async def store(self, batches: Sequence[FailedBatch]) -> None:
        """Return only when every one is durable; an id already there gains these attempts.

        Raises:
            DeadLetterError: at least one could not be stored; storing all again is harmless.
        """
        ...
