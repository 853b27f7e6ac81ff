"""One event's life as a row, with the requests that carried its records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from workbench.model import Answer, Batch, Event, Outcome, Record, Written

__all__ = ["Call", "EventRow", "RecordRow", "outcome_word"]

_WORDS = {
    "Written": "written",
    "Refused": "REFUSED",
    "RolledBack": "rolled back",
    "Deferred": "deferred",
    "Unsent": "not sent",
    "Unknown": "UNKNOWN",
}
_RANK = ("Refused", "Unknown", "Deferred", "Unsent", "RolledBack", "Written")


def outcome_word(outcome: Outcome | None) -> str:
    """What became of a record, in a word or two; capitals where a person is needed."""
    return "in flight" if outcome is None else _WORDS[type(outcome).__name__]


@dataclass(slots=True)
class Call:
    """One request and its answer. `batch` and `answer` become None once they are forgotten.
    `newest` is the number of the newest row that it carried something of."""

    id: str
    task: str
    attempt: int
    records: int
    started: float
    why: str
    batch: Batch | None
    answer: Answer | None = None
    seconds: float = 0.0
    is_forgotten: bool = False
    cost: int = 0
    newest: int = -1

    @property
    def is_answered(self) -> bool:
        return self.answer is not None or self.is_forgotten


@dataclass(slots=True)
class RecordRow:
    """One record of an event within one call: `index` is its place in the whole request."""

    call: Call
    index: int
    record: Record
    outcome: Outcome | None

    @property
    def result(self) -> Any:
        """The server's own result for it, None where there was none."""
        answer = self.call.answer
        if answer is None or self.index >= len(answer.results):
            return None
        return answer.results[self.index]


class EventRow:
    """One event's life, as far as the engine told it.

    Attributes:
        number: its place in the list since the start, from 0.
        state: received, in flight, answered, ok, retry, FAILED, in words for the list.
        codes: of what kept its records from being written, most recent try only.
        calls: the requests that carried its records, as (call, first index, how many).
        event: None once its bytes were forgotten.
    """

    __slots__ = (
        "calls",
        "codes",
        "event",
        "failed",
        "is_failure",
        "milliseconds",
        "number",
        "reason",
        "records",
        "seen",
        "sequence",
        "size",
        "state",
        "stream",
        "subject",
        "tries",
    )

    def __init__(self, number: int, event: Event, seen: float) -> None:
        self.number = number
        self.event: Event | None = event
        self.stream = event.stream
        self.sequence = event.sequence
        self.subject = event.subject
        self.size = len(event.data)
        self.tries = event.num_delivered
        self.seen = seen
        self.state = "received"
        self.codes: tuple[str, ...] = ()
        self.reason = ""
        self.is_failure = False
        self.records = 0
        self.milliseconds = 0.0
        self.calls: list[tuple[Call, int, int]] = []
        self.failed: tuple[str, ...] = ()

    def judge(self, outcomes: Sequence[Outcome]) -> None:
        """Take over what became of its records, where not all got written."""
        kinds = {type(outcome).__name__ for outcome in outcomes}
        worst = next((kind for kind in _RANK if kind in kinds), "Written")
        self.state = _WORDS[worst]
        failed = [outcome for outcome in outcomes if not isinstance(outcome, Written)]
        codes = [outcome.code for outcome in failed if type(outcome).__name__ == worst]
        codes += [outcome.code for outcome in failed]
        self.codes = tuple(dict.fromkeys(filter(None, codes)))

    def record_rows(self) -> list[RecordRow]:
        """Its records by the newest call of each; empty where they were forgotten."""
        rows: dict[tuple[str, int], RecordRow] = {}
        for call, first, count in self.calls:
            if call.batch is None:
                continue
            records = call.batch.records
            for place in range(count):
                index = first + place
                outcome = call.answer.outcomes[index] if call.answer else None
                record = records[index]
                rows[(call.task, id(record))] = RecordRow(call, index, record, outcome)
        return list(rows.values())
