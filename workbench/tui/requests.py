"""The preview's requests as a document for people, and what an edit changed in it."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench import codec
from workbench.tui.text import short_bytes

if TYPE_CHECKING:
    from workbench.app.trial import Trial

__all__ = ["Document", "compare", "document_of", "pretty", "summary"]

_MOST_COMPARED = 3_000


@dataclass(frozen=True, slots=True)
class Document:
    """`text` as shown; `changed` are its rows, from 0, that were not there before, and `gone` the
    lines that were."""

    text: str
    changed: frozenset[int] = frozenset()
    gone: tuple[str, ...] = ()


def pretty(body: bytes) -> str:
    """A body for people; one that is no JSON as it is."""
    if not body:
        return ""
    try:
        return codec.encode_pretty(codec.decode(body))
    except ValueError:
        return short_bytes(body)


def document_of(trial: Trial) -> str:
    """All requests, each as its line and body, in the order in which they would leave."""
    many = len(trial.requests) > 1
    parts = []
    for number, request in enumerate(trial.requests, 1):
        head = f"{request.method} {request.target}"
        if many:
            count = f"request {number} of {len(trial.requests)}, {_records(request.records)}"
            head = f"// {count}, task {request.task}\n{head}"
        parts.append(f"{head}\n{pretty(request.body)}".rstrip())
    parts += [f"// task {name}: depends on what Salesforce answers" for name in trial.later]
    return "\n\n".join(parts)


def compare(before: str, after: str) -> Document:
    """The document `after` with what differs from `before`."""
    if before == after:
        return Document(after)
    old, new = before.split("\n"), after.split("\n")
    if len(old) + len(new) > _MOST_COMPARED:
        known, now = set(old), set(new)
        rows = frozenset(row for row, line in enumerate(new) if line not in known)
        return Document(after, rows, tuple(line.strip() for line in old if line not in now)[:20])
    changed: set[int] = set()
    gone: list[str] = []
    for tag, i1, i2, j1, j2 in difflib.SequenceMatcher(None, old, new, False).get_opcodes():
        if tag != "equal":
            changed.update(range(j1, j2))
            gone += [line.strip() for line in old[i1:i2] if line.strip()]
    return Document(after, frozenset(changed), tuple(gone))


def summary(trial: Trial) -> str:
    """Number of requests, records and bytes, and how long it took."""
    requests = trial.requests
    if not requests:
        return "nothing would be sent"
    records = sum(request.records for request in requests)
    size = sum(len(request.body) for request in requests)
    count = "1 request" if len(requests) == 1 else f"{len(requests)} requests"
    return f"{count}, {_records(records)}, {_bytes(size)}, {trial.seconds * 1e3:.0f} ms"


def _records(count: int) -> str:
    return "1 record" if count == 1 else f"{count} records"


def _bytes(size: int) -> str:
    if size < 10_000:
        return f"{size:,} B"
    return f"{size / 1000:,.0f} kB" if size < 10_000_000 else f"{size / 1e6:,.1f} MB"
