"""Every event in hand, and what the stream is to be told of it: each settled exactly once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from workbench.engine.parking import Parking
from workbench.engine.unit import Ticket
from workbench.errors import UsageError
from workbench.model import Event, FailedBatch
from workbench.observe import Counters

__all__ = ["Ledger", "Outbox"]


@dataclass(slots=True)
class Outbox:
    """What the stream is to be told, collected until the runner takes it.

    `acks`: all written. `naks`: event and seconds until it shall come again. `failed`: event and
    its failed batches, which must be stored before the event is terminated.
    """

    acks: list[Event] = field(default_factory=list)
    naks: list[tuple[Event, float]] = field(default_factory=list)
    failed: list[tuple[Event, list[FailedBatch]]] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.acks or self.naks or self.failed)


class Ledger:
    """Events from their arrival to their settlement.

    Args:
        release: called as (task, keys, now) with keys that were kept for an event's return and
            that it did not take over.

    Attributes:
        held: events in hand by stream sequence, oldest first.
        held_bytes: the sum of their data.
        parking: what is kept for events that were sent back.
    """

    def __init__(self, counters: Counters, release: Callable[[str, set[str], float], None]) -> None:
        self.held: dict[int, Event] = {}
        self.held_bytes = 0
        self.outbox = Outbox()
        self.parking = Parking()
        self._counters = counters
        self._release = release

    def take(self, event: Event, active: float) -> bool:
        """Take an event in hand; `active` is the time of the event clock, which stands still
        while the gate is closed. False for one that is held already: the server lost patience,
        and its newest delivery is what will be answered."""
        known = self.held.setdefault(event.sequence, event)
        if known is not event:
            known.token, known.num_delivered = event.token, event.num_delivered
            return False
        self.held_bytes += len(event.data)
        event.received = active
        return True

    def settle(
        self,
        event: Event,
        ticket: Ticket | None,
        redeliver: float | None,
        failures: list[FailedBatch],
        now: float,
    ) -> None:
        """One visit of the event is over; it is settled when that was the last."""
        if ticket is None:
            ticket = Ticket(event)
            ticket.open = 1
        if redeliver is not None:
            ticket.redeliver = max(ticket.redeliver or 0.0, redeliver)
        ticket.failures.extend(failures)
        self.close(ticket, now)

    def close(self, ticket: Ticket, now: float) -> None:
        """One of the ticket's obligations is met; the last one settles the event, the worst of
        its branches deciding how."""
        ticket.open -= 1
        if ticket.open:
            return
        event = ticket.event
        if ticket.redeliver is not None:
            # What failed for good is remembered, and stored when the rest is decided too.
            self.parking.remember(event.sequence, ticket.memory.values())
            self.forget(event)
            self._send_back(event, ticket.redeliver)
        elif ticket.failures:
            self.keep(event, ticket.failures)
        else:
            self.forget(event)
            self.leave_parking(event.sequence, now)
            self.outbox.acks.append(event)
            self._counters.acked += 1

    def keep(self, event: Event, failures: list[FailedBatch]) -> None:
        """The event is settled once these are stored: its last word, unless the store is away."""
        self.outbox.failed.append((event, failures))

    def stored(self, event: Event, now: float) -> None:
        """The event's failed batches are durable: it may be terminated and is no longer held."""
        self.forget(event)
        self.leave_parking(event.sequence, now)
        self._counters.terminated += 1

    def not_stored(self, event: Event, delay_seconds: float, now: float) -> None:
        """They are not: the event goes back to the stream."""
        self.forget(event)
        self.leave_parking(event.sequence, now)
        self._send_back(event, delay_seconds)

    def forget(self, event: Event) -> None:
        """The event is no longer ours; raises as `forget_all`."""
        self.forget_all((event,))

    def forget_all(self, events: Iterable[Event]) -> None:
        """Neither are these.

        Raises:
            UsageError: one of them was not: somebody settled it before.
        """
        drop, size = self.held.pop, 0
        for event in events:
            if drop(event.sequence, None) is None:
                raise UsageError(f"event {event.stream}:{event.sequence} settled twice")
            size += len(event.data)
        self.held_bytes -= size

    def look_for_overdue(self, now: float) -> None:
        """Stop waiting for events that did not come back: another process took them, or the stream
        lost them."""
        for sequence in self.parking.overdue(now):
            if sequence in self.held:
                self.parking.extend(sequence, now)
            else:
                self.leave_parking(sequence, now)

    def leave_parking(self, sequence: int, now: float) -> None:
        """Let go of what was kept for an event and not taken over by it."""
        if self.parking:
            for task, keys in self.parking.leave(sequence):
                self._release(task, keys, now)

    def _send_back(self, event: Event, delay_seconds: float) -> None:
        self.outbox.naks.append((event, delay_seconds))
        self._counters.naked += 1
