"""Where every published event went: by what lies in the stream, in the org, and in the failed
batches. Nothing that the program says of itself is believed, but what it stored as failed."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from chaos.traffic import ATOMIC, CREATE, EVENT, UPSERT, VALUE_FIELDS
from chaos.troubles import Crash
from workbench.model import Event, FailedBatch

__all__ = ["Books", "Ledger", "balance"]

Row = Mapping[str, Any]

Fates = dict[str, list[tuple[Event, list[tuple[dict[str, Any], str]]]]]
"""By subject: events, and what the program claims of each of their records."""

MUST, MAY, NOT = "must", "may", "not"
"""Whether a record is in the org: it was called written; nobody knows; it was called refused."""

_SLACK_SECONDS = 2.0

_LOST_RACE = "DUPLICATE_VALUE"
"""Two processes hold one event when nats-server was away for longer than the ack wait. One may give
up because the other, it is told, was quicker; the other writes the record all the same."""


@dataclass(frozen=True, slots=True)
class Books:
    """What was found in the end.

    Attributes:
        stream: every event, in order.
        sent: the ids of those that nats-server confirmed.
        failed: failed batches of every store.
        contacts, leads, accounts: the org's tables; bus: the fields of its platform events.
        unsettled: events that a durable still waits to hear about.
        crashes: when acknowledgements may have got lost.
    """

    stream: Sequence[Event]
    sent: set[str]
    failed: Sequence[FailedBatch]
    contacts: Sequence[Row]
    leads: Sequence[Row]
    accounts: Sequence[Row]
    bus: Sequence[Row]
    unsettled: int
    crashes: Sequence[Crash]


@dataclass(slots=True)
class Ledger:
    """The result: counts to read, and a sentence for each thing that does not add up."""

    counts: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)

    @property
    def is_balanced(self) -> bool:
        return not self.violations


def balance(books: Books) -> Ledger:
    """Compare what was published with what is there."""
    ledger = Ledger()
    lost = books.sent - {event.id for event in books.stream}
    ledger.violations += [f"{id} was confirmed and is not in the stream" for id in sorted(lost)]
    if books.unsettled:
        ledger.violations.append(f"the stream still waits to hear about {books.unsettled} events")
    failed: dict[int, list[FailedBatch]] = defaultdict(list)
    for batch in books.failed:
        failed[batch.sequence].append(batch)
        ledger.counts[f"failed batches: {batch.kind}"] += 1
    fates: Fates = defaultdict(list)
    for event in books.stream:
        ledger.counts[f"events: {event.subject}"] += 1
        records = _records(event)
        batches = failed.pop(event.sequence, [])
        if records is None:
            if not batches:
                ledger.violations.append(f"{event.id} is no JSON and was not kept as failed")
            continue
        fate = [
            (record, _fate(n, batches, bool(books.crashes))) for n, record in enumerate(records)
        ]
        fates[event.subject].append((event, fate))
    ledger.violations += [f"event {n} is kept as failed and was not published" for n in failed]
    _upserts(ledger, fates, UPSERT, books.contacts)
    _upserts(ledger, fates, ATOMIC, books.accounts)
    _wholes(ledger, fates[ATOMIC], books.accounts)
    leads = [(row["LastName"], _seconds(row["CreatedDate"])) for row in books.leads]
    _creates(ledger, fates, CREATE, leads, books.crashes)
    bus = [(fields["Message__c"], fields["CreatedDate"] / 1_000) for fields in books.bus]
    _creates(ledger, fates, EVENT, bus, books.crashes)
    return ledger


def _records(event: Event) -> list[dict[str, Any]] | None:
    try:
        records: list[dict[str, Any]] = json.loads(event.data)
    except ValueError:
        return None
    return records


def _fate(index: int, batches: Sequence[FailedBatch], may_be_shared: bool) -> str:
    """What the program claims of a record, by the failed batches of its event.

    Args:
        may_be_shared: whether two processes may have worked on the event at once.
    """
    if not batches:
        return MUST
    found = set()
    for batch in batches:
        record = next((r for r in batch.records if r.index == index), None)
        outcome = record.outcome if record else None
        if record and record.code == _LOST_RACE and may_be_shared:
            found.add(MAY)
        elif outcome == "written":
            found.add(MUST)
        elif outcome == "refused" or (outcome == "rolled_back" and batch.kind == "refused"):
            found.add(NOT)
        else:  # also what a delivery before may have written, before somebody crashed
            found.add(MAY)
    return MUST if MUST in found else MAY if MAY in found else NOT


def _upserts(ledger: Ledger, fates: Fates, subject: str, rows: Sequence[Row]) -> None:
    """By key: there when it must be, once, and as one of its events said."""
    value_field = VALUE_FIELDS[subject]
    values: dict[str, list[tuple[Any, str]]] = defaultdict(list)
    for _, fate in fates[subject]:
        for record, claim in fate:
            values[record["ExternalId__c"]].append((record.get(value_field), claim))
    found: dict[str, Row] = {}
    for row in rows:
        key = row["ExternalId__c"]
        if key in found:
            ledger.violations.append(f"{key} is in the org twice")
        found[key] = row
    ledger.violations += [f"{key} is in the org, never published" for key in found.keys() - values]
    for key, versions in values.items():
        there = found.get(key)
        certain = [value for value, claim in versions if claim == MUST]
        possible = [value for value, claim in versions if claim != NOT]
        if there is None:
            if certain:
                ledger.violations.append(f"{key} is called written and is not in the org")
        elif there[value_field] not in possible:
            ledger.violations.append(
                f"{key} is {there[value_field]!r}, by an event that was called refused"
            )
        elif certain and there[value_field] != certain[-1]:
            # Two processes, or a redelivery: the documents say that this happens.
            ledger.counts["keys with an older value"] += 1
    ledger.counts[f"in the org: {subject}"] += len(found)


def _wholes(
    ledger: Ledger,
    events: Sequence[tuple[Event, Sequence[tuple[dict[str, Any], str]]]],
    rows: Sequence[Row],
) -> None:
    """Of an event that is written whole or not at all, all records are there, or none."""
    found = {row["ExternalId__c"] for row in rows}
    for event, fate in events:
        keys = {record["ExternalId__c"] for record, _ in fate}
        if keys & found and keys - found:
            ledger.violations.append(f"{event.id} is written in part: {sorted(keys - found)} miss")


def _creates(
    ledger: Ledger,
    fates: Fates,
    subject: str,
    found: Sequence[tuple[str, float]],
    crashes: Sequence[Crash],
) -> None:
    """Once when it must be; twice only where a crash lies between. `found` has the value and the
    time of each that is there."""
    times: dict[str, list[float]] = defaultdict(list)
    for name, seconds in found:
        times[name].append(seconds)
    claims = {
        record[VALUE_FIELDS[subject]]: claim
        for _, fate in fates[subject]
        for record, claim in fate
        if VALUE_FIELDS[subject] in record
    }
    for name, claim in claims.items():
        created = sorted(times.get(name, []))
        if claim == MUST and not created:
            ledger.violations.append(f"{name} is called created and is not in the org")
        elif claim == NOT and created:
            ledger.violations.append(f"{name} is called refused and is in the org")
        if len(created) > 1:
            ledger.counts[f"doubled by a crash: {subject}"] += 1
            if not any(_is_between(crash, created[0], created[-1]) for crash in crashes):
                ledger.violations.append(f"{name} is in the org {len(created)} times")
    strangers = times.keys() - claims.keys()
    ledger.violations += [f"{name} is in the org, never published" for name in strangers]
    ledger.counts[f"in the org: {subject}"] += len(found)


def _is_between(crash: Crash, first: float, last: float) -> bool:
    return crash.start - _SLACK_SECONDS <= last and first <= crash.end + _SLACK_SECONDS


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
