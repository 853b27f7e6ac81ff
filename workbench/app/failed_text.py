"""A failed batch in words: what happened, what was sent, what came back, what was done since."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from workbench.codec import decode, encode, encode_pretty
from workbench.model import Attempt, Entry, FailedRecord

__all__ = ["describe", "shown_data"]

_SHOWN_RECORDS = 50
_SHOWN_DATA_BYTES = 4_000


def describe(entry: Entry, *, all_records: bool = False) -> str:
    """Everything that is known of an entry, for people; long lists are cut unless asked for."""
    batch = entry.batch
    blocks = [
        [f"{entry.id}  {_status(entry)}"],
        [f"{batch.kind}: {batch.reason}"],
        list(_facts(entry)),
        ["records", *_records(entry, all_records)] if batch.records else [],
        ["attempts", *_attempts(batch.attempts)],
        ["history", *_history(entry)] if entry.history else [],
        ["task settings", *_indented(encode_pretty(dict(batch.settings)))],
        ["event", *_event(entry)],
    ]
    return "\n\n".join("\n".join(block) for block in blocks if block)


def shown_data(data: bytes) -> str:
    """An event's bytes for people: pretty JSON, else the text, else what cannot be shown of it."""
    try:
        return encode_pretty(decode(data))
    except ValueError:
        text = data.decode("utf-8", "backslashreplace")
        return "".join(c if c.isprintable() or c in "\n\t" else repr(c)[1:-1] for c in text)


def _status(entry: Entry) -> str:
    if entry.state == "open" and entry.claim is not None:
        return f"claimed by {entry.claim.by} since {entry.claim.since}"
    return entry.state


def _facts(entry: Entry) -> Iterator[str]:
    batch = entry.batch
    failed = len(batch.failures)
    rows = [
        ("flow", f"{batch.flow}, version {batch.digest[:12]}"),
        ("task", f"{batch.task} ({batch.settings.get('operation', 'publish')})"),
        ("event", f"{batch.stream}:{batch.sequence}, subject {batch.subject}"),
        ("stored", batch.timestamp),
        ("failed", f"{batch.failed_at}, in delivery {batch.num_delivered}"),
        ("records", f"{len(batch.records)}, {failed} of them not written"),
    ]
    rows += [(f"header {name}", value) for name, value in batch.headers.items()]
    rows += [(f"origin {name}", str(value)) for name, value in batch.origin.items()]
    for name, value in rows:
        yield f"  {name:<9} {value}"


def _records(entry: Entry, all_records: bool) -> Iterator[str]:
    records = entry.batch.records
    shown = records if all_records else records[:_SHOWN_RECORDS]
    if not all_records and len(records) > _SHOWN_RECORDS:
        failed = [record for record in records if record.outcome != "written"]
        shown = tuple(failed[:_SHOWN_RECORDS])
    for record in shown:
        yield from _record(record)
    if len(shown) < len(records):
        yield f"  ... {len(records) - len(shown)} more: --all-records shows them"


def _record(record: FailedRecord) -> Iterator[str]:
    said = record.id if record.outcome == "written" else f"{record.code}: {record.message}"
    fields = f" ({', '.join(record.fields)})" if record.fields else ""
    yield f"  {record.index + 1:>4}  {record.outcome:<11} {said}{fields}"
    if record.record is not None:
        yield f"        {_compact(record.record)}"


def _attempts(attempts: Sequence[Attempt]) -> Iterator[str]:
    """By request: the records of an event may have shared one."""
    for (time, line, by), shared in groupby(attempts, lambda a: (a.time, a.request_line, a.by)):
        parts = list(shared)
        status = "no answer" if parts[0].status is None else str(parts[0].status)
        yield f"  {time}  {line or 'nothing sent'}  {status}  by {by}"
        for error in dict.fromkeys(part.error for part in parts if part.error):
            yield f"      {error}"
        for part in parts:
            for result in part.results:
                yield f"      {_compact(result)}"
        for change in parts[0].changes:
            yield f"      changed: {_compact(change)}"


def _history(entry: Entry) -> Iterator[str]:
    for deed in entry.history:
        note = f": {deed.note}" if deed.note else ""
        yield f"  {deed.at}  {deed.what.replace('_', ' ')} by {deed.by}{note}"
        for change in deed.changes:
            yield f"      {_compact(change)}"


def _event(entry: Entry) -> Iterator[str]:
    data = entry.batch.data
    yield from _indented(shown_data(data[:_SHOWN_DATA_BYTES]) if _is_long(data) else
                         shown_data(data))  # fmt: skip
    if _is_long(data):
        yield f"  ... {len(data):,} bytes in all: --format json holds them"


def _is_long(data: bytes) -> bool:
    return len(data) > _SHOWN_DATA_BYTES


def _indented(text: str) -> list[str]:
    return [f"  {line}" for line in text.splitlines()]


def _compact(value: Any) -> str:
    return encode(value).decode()
