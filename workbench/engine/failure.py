"""Turning what the engine knows of a failure into a `FailedBatch` that explains it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from workbench.engine.stage import StageSpec
from workbench.engine.unit import Unit, Visit
from workbench.model import (
    Answer,
    Attempt,
    Event,
    FailedBatch,
    FailedRecord,
    Outcome,
    Record,
    Refused,
    Written,
    failed_id,
)

__all__ = ["attempt_of", "failed_visit", "outcome_name", "refused_visit", "undecided", "unfit"]

NOT_SENT = FailedRecord(0, None, "unsent", "NOT_SENT", "never sent")


def outcome_name(outcome: Outcome) -> str:
    """`written`, `refused`, `rolled_back`, `deferred`, `unsent` or `unknown`."""
    name = type(outcome).__name__
    return "rolled_back" if name == "RolledBack" else name.lower()


def iso(seconds: float) -> str:
    """An epoch time as ISO 8601, UTC, to the millisecond."""
    return _to_the_millisecond(round(seconds * 1000))


@lru_cache(maxsize=1024)  # events come, and answers are read, by the dozen a millisecond
def _to_the_millisecond(milliseconds: int) -> str:
    return f"{_to_the_second(milliseconds // 1000)}.{milliseconds % 1000:03d}+00:00"


@lru_cache(maxsize=256)
def _to_the_second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, tz=UTC).strftime("%Y-%m-%dT%H:%M:%S")


def attempt_of(unit: Unit, answer: Answer, offset: int, now: float) -> Attempt:
    """The part of an answer that is about one unit; `offset` is its first record's place."""
    exchange = answer.exchange
    results: Sequence[Any] = answer.results[offset : offset + len(unit.records)]
    if exchange is None:
        first = answer.outcomes[offset]
        said = "" if isinstance(first, Written) else first.message
        return Attempt(iso(now), "", None, results, said)
    line = f"{exchange.method} {exchange.target}"
    return Attempt(iso(exchange.started), line, exchange.status, results, exchange.error)


def _failed_record(index: int, record: Record | None, outcome: Outcome | None) -> FailedRecord:
    if outcome is None:
        return FailedRecord(index, record, "unsent", NOT_SENT.code, NOT_SENT.message)
    if isinstance(outcome, Written):
        return FailedRecord(index, record, "written", id=outcome.id)
    if isinstance(outcome, Refused):
        name, fields = "refused", outcome.fields
    else:
        name, fields = outcome_name(outcome), tuple(getattr(outcome, "fields", ()))
    return FailedRecord(index, record, name, outcome.code, outcome.message, fields)


def failed_visit(visit: Visit, flow: str, now: float) -> FailedBatch:
    """What failed of an event in a stage, with every record and its outcome."""
    fate = visit.fate
    numbered = enumerate(zip(visit.all, fate.outcomes, strict=True))
    return _failed(
        visit.event,
        visit.stage.spec,
        flow,
        now,
        kind=fate.kind,
        reason=fate.reason,
        branch=visit.branch,
        records=tuple([_failed_record(index, *pair) for index, pair in numbered]),
        attempts=tuple(fate.attempts),
        data=visit.data if visit.ticket is not None and visit.branch else None,
    )


def refused_visit(
    visit: Visit, flow: str, now: str, outcome: Refused, attempt: Attempt
) -> FailedBatch:
    """`failed_visit` for a visit of one record that was refused at its first try. In the flow in
    which all fail it is made for every event, so it spells out what `_failed` does for the rest."""
    event, spec = visit.event, visit.stage.spec
    return FailedBatch(
        failed_id(event.stream, event.sequence, flow, spec.name),
        flow,
        spec.name,
        "refused",
        f"{outcome.code}: {outcome.message}",
        event.subject,
        event.stream,
        event.sequence,
        event.num_delivered,
        iso(event.timestamp_ns / 1e9),
        dict(event.headers),
        event.data,
        spec.digest,
        spec.settings,
        (FailedRecord(0, visit.all[0], "refused", outcome.code, outcome.message, outcome.fields),),
        (attempt,),
        now,
    )


def unfit(
    event: Event, spec: StageSpec, flow: str, now: float, reason: str, data: Any, branch: str
) -> FailedBatch:
    """An event that does not fit the flow: nothing was rendered, nothing was sent."""
    return _failed(event, spec, flow, now, kind="unfit", reason=reason, branch=branch, data=data)


def undecided(event: Event, spec: StageSpec, flow: str, now: float) -> FailedBatch:
    """An event whose deliveries ran out while nobody lived to decide."""
    reason = (
        f"delivered {event.num_delivered} times without a decision, as when the program is killed "
        "while it holds the event; whether it was written is not known"
    )
    return _failed(event, spec, flow, now, kind="undecided", reason=reason)


def _failed(
    event: Event,
    spec: StageSpec,
    flow: str,
    now: float,
    *,
    kind: str,
    reason: str,
    branch: str = "",
    records: tuple[FailedRecord, ...] = (),
    attempts: tuple[Attempt, ...] = (),
    data: Any = None,
) -> FailedBatch:
    return FailedBatch(
        id=failed_id(event.stream, event.sequence, flow, spec.name, branch),
        flow=flow,
        task=spec.name,
        kind=kind,
        reason=reason,
        subject=event.subject,
        stream=event.stream,
        sequence=event.sequence,
        num_delivered=event.num_delivered,
        timestamp=iso(event.timestamp_ns / 1e9),
        headers=dict(event.headers),
        data=event.data,
        digest=spec.digest,
        settings=spec.settings,
        records=records,
        attempts=attempts,
        failed_at=iso(now),
        input=data,
    )
