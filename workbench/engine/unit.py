"""What the engine keeps of an event while it is being written.

Made by the ten thousand a second, so they are slotted and mutable, and an event whose records all
travel together costs one object: a `Visit` is then its own `Unit`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workbench.model import Attempt, Event, FailedBatch, Outcome, Record

if TYPE_CHECKING:
    from workbench.engine.stage import Stage

__all__ = ["Ticket", "Unit", "Visit"]


class Unit:
    """Records of one event that go into one collection together and share one fate.

    Attributes:
        visit: the event's stay in the stage these belong to.
        start: index of the first record within the visit's records.
        records: one record, or all of an event that is all-or-none.
        keys: what must not be in flight twice: None, one key, or a tuple of them.
        blocked: how many of its keys are still held by an earlier unit.
        tries: how often it was sent and came back not written, in this delivery.
        size: roughly, in bytes.
    """

    __slots__ = ("blocked", "keys", "records", "size", "start", "tries", "visit")

    visit: Visit

    def __init__(self, visit: Visit, start: int, records: list[Record], size: int) -> None:
        self.visit = visit
        self.start = start
        self.records = records
        self.keys: str | tuple[str, ...] | None = None
        self.blocked = 0
        self.tries = 0
        self.size = size

    @property
    def event(self) -> Event:
        return self.visit.of


class Visit(Unit):
    """One event in one stage, from rendering until its last record has its last outcome.

    Attributes:
        of: the event.
        stage: where it is.
        ticket: what binds the visits of an event together; None in a flow of one stage.
        data: what the stage rendered from.
        branch: the upstream task's name where the stage has several, else "".
        all: every rendered record of the event in this stage.
        open: units without a last outcome.
        outcomes: one per record once any is worth keeping, else None.
        redeliver: seconds after which the stream shall deliver it again; None if it need not.
        kind, reason: why it is given up (`FailedBatch.kind`), empty while nothing is.
        attempts: requests that did not write all of it.
        is_partly_written: whether any record of it is in Salesforce.
        kept: keys that stay taken while the stream has it back.
        again: indexes of the records that are to be sent when it returns.
    """

    __slots__ = (
        "again",
        "all",
        "attempts",
        "branch",
        "data",
        "is_partly_written",
        "kept",
        "kind",
        "of",
        "open",
        "outcomes",
        "reason",
        "redeliver",
        "stage",
        "ticket",
    )

    def __init__(
        self,
        event: Event,
        stage: Stage,
        ticket: Ticket | None,
        data: Any,
        records: list[Record],
        branch: str = "",
    ) -> None:
        self.visit = self
        self.start = 0
        self.records = records
        self.keys = None
        self.blocked = 0
        self.tries = 0
        self.size = len(event.data)
        self.of = event
        self.stage = stage
        self.ticket = ticket
        self.data = data
        self.branch = branch
        self.all = records
        self.open = 1
        self.outcomes: list[Outcome | None] | None = None
        self.redeliver: float | None = None
        self.kind = ""
        self.reason = ""
        self.attempts: list[Attempt] | None = None
        self.is_partly_written = False
        self.kept: set[str] | None = None
        self.again: list[int] | None = None


class Ticket:
    """The right to settle an event that visits several stages, spent when the last visit closes."""

    __slots__ = ("event", "failures", "is_partly_written", "memory", "open", "redeliver")

    def __init__(self, event: Event) -> None:
        self.event = event
        self.open = 0
        self.redeliver: float | None = None
        self.failures: list[FailedBatch] = []
        self.is_partly_written = False
        self.memory: dict[str, Visit] = {}
