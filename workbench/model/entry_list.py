"""Entries of failed batches as lists show them: summaries, filters, pages, counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

from workbench.model.failed import FailedRecord

__all__ = [
    "EntryCounts",
    "EntryFilter",
    "EntryGroup",
    "EntryPage",
    "EntrySummary",
    "State",
    "is_subject_match",
]

State = Literal["open", "resolved", "discarded"]


@dataclass(frozen=True, slots=True)
class EntryGroup:
    """So many records of an entry failed with this code, for these fields (joined by comma)."""

    code: str
    field: str
    count: int


@dataclass(frozen=True, slots=True)
class EntrySummary:
    """What a list shows of an entry.

    `status` is open, claimed, resolved or discarded; a claim whose owner died counts as open.
    `records` are all of the event in this task, `failed` those that are not written; `sequence` is
    of the source event, `size_bytes` of its data; `attempts` are requests. `claimed_until` is
    seconds since the epoch.
    """

    id: str
    flow: str
    task: str
    kind: str
    reason: str
    subject: str
    stream: str
    sequence: int
    failed_at: str
    state: State
    claimed_by: str
    claimed_until: float
    records: int
    failed: int
    groups: tuple[EntryGroup, ...]
    attempts: int
    size_bytes: int
    operation: str
    digest: str
    revision: int

    def status(self, now: float) -> str:
        """open, claimed, resolved or discarded, at an epoch time."""
        return "claimed" if self.state == "open" and self.claimed_until > now else self.state

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        value = {item.name: getattr(self, item.name) for item in fields(self)}
        value["groups"] = [[group.code, group.field, group.count] for group in self.groups]
        return value

    @classmethod
    def from_json(cls, value: Mapping[str, Any], revision: int) -> EntrySummary:
        """The inverse of `to_json`, but for the store's own revision."""
        groups = tuple(EntryGroup(*group) for group in value["groups"])
        return cls(**{**value, "groups": groups, "revision": revision})


@dataclass(frozen=True, slots=True)
class EntryFilter:
    """Which entries are meant: all that fit everything that is said.

    Attributes:
        flow, task: names.
        code, field: of at least one failed record; without case. Several fields, joined by comma,
            are all meant.
        subject: of the event; NATS wildcards (`*`, `>`) allowed.
        since, until: when it failed, ISO 8601 UTC, `since` included.
        ids: of entries.
        statuses: open, claimed, resolved, discarded; the first two unless said.
    """

    flow: str = ""
    task: str = ""
    code: str = ""
    field: str = ""
    subject: str = ""
    since: str = ""
    until: str = ""
    ids: frozenset[str] = frozenset()
    statuses: frozenset[str] = frozenset({"open", "claimed"})

    def fits(self, entry: EntrySummary, now: float) -> bool:
        """Whether an entry is meant, at an epoch time."""
        return (
            (not self.ids or entry.id in self.ids)
            and entry.status(now) in self.statuses
            and (not self.flow or entry.flow == self.flow)
            and (not self.task or entry.task == self.task)
            and (not self.since or entry.failed_at >= self.since)
            and (not self.until or entry.failed_at < self.until)
            and (not self.subject or is_subject_match(self.subject, entry.subject))
            and (not (self.code or self.field) or any(map(self._fits_group, entry.groups)))
        )

    def _fits_group(self, group: EntryGroup) -> bool:
        return self._fits_names(group.code, group.field.split(","))

    def is_meant(self, record: FailedRecord) -> bool:
        """Whether a failed record is one for which its entry was chosen, by code and field."""
        return self._fits_names(record.code, record.fields)

    def _fits_names(self, code: str, fields: Sequence[str]) -> bool:
        named = {name.lower() for name in fields}
        return (not self.code or code.lower() == self.code.lower()) and (
            not self.field or named.issuperset(self.field.lower().split(","))
        )


@dataclass(frozen=True, slots=True)
class EntryPage:
    """Some entries, in the order of their last change, the oldest first.

    `next` goes into the next call's `after`; it also leads to what changes later, so whoever
    keeps asking hears of every change. `is_last` when there was nothing more.
    """

    entries: tuple[EntrySummary, ...]
    next: int
    is_last: bool


@dataclass(frozen=True, slots=True)
class EntryCounts:
    """Open entries (claimed ones too) and their records that are not written; an event of which no
    record was made counts as one, as it does among those that a flow has given up."""

    entries: int = 0
    records: int = 0


def is_subject_match(pattern: str, subject: str) -> bool:
    """Whether a NATS subject fits a pattern.

    >>> is_subject_match("crm.*.upsert", "crm.contacts.upsert")
    True
    >>> is_subject_match("crm.>", "crm")
    False
    """
    wanted, given = pattern.split("."), subject.split(".")
    for place, token in enumerate(wanted):
        if token == ">":
            return len(given) > place
        if place >= len(given) or token not in ("*", given[place]):
            return False
    return len(given) == len(wanted)
