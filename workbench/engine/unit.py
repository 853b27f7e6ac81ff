"""What the engine keeps of an event while it is being written.

Made by the ten thousand a second, so they are slotted and mutable, and the usual event (one
record, or all its records together) costs one object: its `Visit` is its own `Unit`. What only
matters once something goes wrong, or an event is split, is in its `Fate`, made then.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from workbench.model import Attempt, Event, FailedBatch, Outcome, Record, Refused, Unknown, Written

if TYPE_CHECKING:
    from workbench.engine.stage import Stage

__all__ = ["Fate", "Share", "Ticket", "Unit", "Visit", "request_fault"]


_PERHAPS_WRITTEN = frozenset((Written, Unknown))


class Unit:
    """Records of one event that travel together.

    All of an all-or-none event share one fate. Of other events they are only neighbours: the
    batcher divides them where a request is full, and those that fail go on one by one.

    Attributes:
        event: where they come from.
        records: one or more, consecutive in the event.
        start: index of the first of them within all the event's records in this stage.
        keys: what must not be in flight twice: None, one key, or a tuple of them. Where the
            records may be divided there is one key for each, in their order, or None.
        blocked: how many of its keys are still held by an earlier unit.
        tries: how often it was sent and came back not written, in this delivery.
        size: roughly, in bytes.
        branch: the upstream task's name where the stage has one that is not the source, else "".
    """

    __slots__ = ("blocked", "branch", "event", "keys", "records", "size", "start", "tries")

    event: Event
    records: list[Record]
    start: int
    keys: str | tuple[str, ...] | None
    blocked: int
    tries: int
    size: int
    branch: str

    @property
    def visit(self) -> Visit:
        """The event's stay in the stage that these records belong to."""
        raise NotImplementedError

    @property
    def key_tuple(self) -> tuple[str, ...]:
        """Its keys, none, one or many."""
        keys = self.keys
        return () if keys is None else (keys,) if type(keys) is str else tuple(keys)

    @property
    def known(self) -> list[Outcome | None]:
        """What is known of its records, None for each that was not sent."""
        return self.visit.fate.outcomes[self.start : self.start + len(self.records)]

    def remember(self, outcomes: Sequence[Outcome]) -> None:
        """Note what became of its records."""
        fate = self.visit.fate
        fate.outcomes[self.start : self.start + len(outcomes)] = outcomes
        if not _PERHAPS_WRITTEN.isdisjoint(map(type, outcomes)):
            fate.is_partly_written = True

    def divide(self, count: int) -> list[Share]:
        """This unit as several of `count` records each (the last may have less), which take its
        place, and its keys, in the visit."""
        total, visit, keys = len(self.records), self.visit, self.keys
        shares = []
        for start in range(0, total, count):
            size = self.size * min(count, total - start) // total
            share = Share(visit, self.start + start, min(count, total - start), size)
            share.tries = self.tries
            if keys is not None:
                assert type(keys) is tuple
                part = keys[start : start + count]
                share.keys = part[0] if len(part) == 1 else part
            shares.append(share)
        visit.open += len(shares) - 1
        return shares


class Fate:
    """What is known of a visit's records beyond "all written".

    Attributes:
        outcomes: one per record of the visit, None for what was not sent yet.
        redeliver: seconds after which the stream shall deliver the event again; None if it need
            not.
        kind, reason: why it is given up (`FailedBatch.kind`), empty while nothing is.
        attempts: requests that did not write all of it.
        is_partly_written: whether any record of it is in Salesforce, or may be.
        kept: keys that stay taken while the stream has it back.
        again: indexes of the records that are to be sent when it returns.
    """

    __slots__ = (
        "again",
        "attempts",
        "is_partly_written",
        "kept",
        "kind",
        "outcomes",
        "reason",
        "redeliver",
    )

    def __init__(self, count: int) -> None:
        self.outcomes: list[Outcome | None] = [None] * count
        self.redeliver: float | None = None
        self.kind = ""
        self.reason = ""
        self.attempts: list[Attempt] = []
        self.is_partly_written = False
        self.kept: set[str] = set()
        self.again: list[int] = []


class Visit(Unit):
    """One event in one stage, from rendering until its last record has its last outcome.

    Attributes:
        stage: where it is.
        ticket: what binds the visits of an event together; None in a flow of one stage.
        data: what the stage rendered from.
        all: every rendered record of the event in this stage.
        open: units without a last outcome.
        known_fate: its `fate`; None while nothing is known but that it is under way or written.
    """

    __slots__ = ("all", "data", "known_fate", "open", "stage", "ticket")

    def __init__(
        self,
        event: Event,
        stage: Stage,
        ticket: Ticket | None,
        data: Any,
        records: list[Record],
        branch: str = "",
    ) -> None:
        self.event = event
        self.records = self.all = records
        self.start = self.blocked = self.tries = 0
        self.keys = None
        self.size = len(event.data)
        self.stage = stage
        self.ticket = ticket
        self.data = data
        self.branch = branch
        self.open = 1
        self.known_fate: Fate | None = None

    @property
    def visit(self) -> Visit:
        return self

    @property
    def fate(self) -> Fate:
        """What is known of its records; made when first asked for."""
        if self.known_fate is None:
            self.known_fate = Fate(len(self.all))
        return self.known_fate

    @property
    def is_redelivery_safe(self) -> bool:
        """Whether every record of the event may be sent again, from the first stage on."""
        if self.fate.is_partly_written and not self.stage.limits.is_idempotent:
            return False
        return self.ticket is None or not self.ticket.is_partly_written

    def results(self) -> list[Any]:
        """What the next task sees as `event.data`: results of the written records, in order."""
        return [
            outcome.data
            if outcome.data is not None
            else {"id": outcome.id, "success": True, "created": outcome.created, "errors": []}
            for outcome in self.fate.outcomes
            if isinstance(outcome, Written)
        ]


class Share(Unit):
    """Some records of an event whose records may be divided: `count` from index `start` on."""

    __slots__ = ("_visit",)

    def __init__(self, visit: Visit, start: int, count: int, size: int) -> None:
        self.event = visit.event
        self.branch = visit.branch
        self.records = visit.all[start : start + count]
        self.start = start
        self.keys = None
        self.blocked = self.tries = 0
        self.size = size
        self._visit = visit

    @property
    def visit(self) -> Visit:
        return self._visit


class Ticket:
    """The right to settle an event that visits several stages, spent when the last visit closes."""

    __slots__ = (
        "event",
        "failures",
        "is_partly_written",
        "memory",
        "open",
        "redeliver",
        "returning",
    )

    def __init__(self, event: Event) -> None:
        self.event = event
        self.open = 0
        self.redeliver: float | None = None
        self.failures: list[FailedBatch] = []
        self.is_partly_written = False
        self.memory: dict[str, Visit] = {}
        self.returning: list[Visit] = []


def request_fault(outcomes: Sequence[Outcome | None]) -> Refused | None:
    """The first refusal that every record of the flow would meet, if there is one."""
    for outcome in outcomes:
        if isinstance(outcome, Refused) and outcome.is_request_fault:
            return outcome
    return None
