"""Where every event went: what was published, against what is in Salesforce and what was kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from workbench.model import FailedBatch, Record

__all__ = ["Ledger", "balance"]


@dataclass(frozen=True, slots=True)
class Ledger:
    """The result of a balance.

    `problems` has a sentence for everything that does not add up and is empty when every event is
    accounted for.
    """

    events: int
    failed_events: int
    rows: int
    problems: tuple[str, ...]

    @property
    def is_balanced(self) -> bool:
        return not self.problems


def balance(
    published: Mapping[int, Sequence[Record]],
    failed: Iterable[FailedBatch],
    rows: Iterable[Mapping[str, object]],
    *,
    key_field: str,
    unsettled: int = 0,
    is_ordered: bool = True,
) -> Ledger:
    """Compare a run of upserts with what it left behind.

    Every event must be wholly in the table, or in the failed batches; nothing else may be in the
    table; and each row must hold what the last event about it said.

    Where a process was killed, what it held comes back a little later, and an older event about a
    row may then be written after a newer one. With `is_ordered` false a row may hold what any
    event about it said, but still the whole of one.

    Args:
        published: an event's records (none where it holds no records) by its sequence.
        failed: the failed batches that were stored.
        rows: the table, as Salesforce shows it.
        key_field: the external id of the upsert; keys compare without case.
        unsettled: events that the stream still waits to hear about.
        is_ordered: whether events about the same row were written in the stream's order.
    """
    kept = {batch.sequence: batch for batch in failed}
    problems = [f"event {seq} is kept as failed but was not published" for seq in kept
                if seq not in published]  # fmt: skip
    if unsettled:
        problems.append(f"the stream still waits to hear about {unsettled} events")
    expected: dict[str, list[Record]] = {}
    uncertain: set[str] = set()
    for sequence in sorted(published):
        batch = kept.get(sequence)
        records = published[sequence]
        if batch is not None:
            records = [r.record for r in batch.records if r.outcome == "written" and r.record]
            uncertain |= {
                _key(r.record, key_field)
                for r in batch.records
                if r.outcome == "unknown" and r.record
            }
        elif not records:
            problems.append(f"event {sequence} holds no records and was not kept as failed")
        for record in records:
            versions = expected.setdefault(_key(record, key_field), [])
            # A field that a record leaves out keeps its value.
            versions.append({**versions[-1], **record} if versions else dict(record))
    found = {_key(row, key_field): row for row in rows}
    if is_ordered:
        expected = {key: versions[-1:] for key, versions in expected.items()}
    problems += _differences(expected, found, uncertain, key_field)
    return Ledger(len(published), len(kept), len(found), tuple(problems))


def _differences(
    expected: Mapping[str, Sequence[Record]],
    found: Mapping[str, Mapping[str, object]],
    uncertain: set[str],
    key_field: str,
) -> list[str]:
    """What differs from every version of a row that would be right."""
    problems = [f"{key} should be in the table and is not" for key in expected.keys() - found]
    problems += [
        f"{key} is in the table and no event that was written holds it"
        for key in found.keys() - expected - uncertain
    ]
    for key in (expected.keys() & found) - uncertain:
        row = {name.lower(): value for name, value in found[key].items()}
        differences = [_difference(version, row, key_field) for version in expected[key]]
        if all(differences):
            problems.append(f"{key}: {differences[-1]}")
    return sorted(problems)


def _difference(version: Record, row: Mapping[str, object], key_field: str) -> str:
    """The first field in which they differ; empty where they agree. The key has been compared."""
    ignored = ("attributes", key_field.lower())
    for name, value in version.items():
        if name.lower() not in ignored and row.get(name.lower()) != value:
            return f"{name} should be {value!r} and is {row.get(name.lower())!r}"
    return ""


def _key(record: Mapping[str, object], key_field: str) -> str:
    value = next((v for name, v in record.items() if name.lower() == key_field.lower()), "")
    return str(value).lower()
