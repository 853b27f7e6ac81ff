"""What of a failed batch would be sent again, and how it differs from what had failed. Pure."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from workbench.codec import decode, encode
from workbench.errors import RenderError, SettingsError
from workbench.failed import patch as json_patch
from workbench.flow import CompositeTask, Flow, SinkTask
from workbench.model import (
    Entry,
    EntryFilter,
    Event,
    FailedBatch,
    FailedRecord,
    Origin,
    Record,
    failed_id,
)

__all__ = ["Choice", "Edit", "ReplayRequest", "choose", "event_of"]

_ONCE_ONLY = ("create", "tree")
"""Operations that write a second time when they are sent a second time."""


@dataclass(frozen=True, slots=True)
class Edit:
    """Changes by hand: records by their index, or the event's own bytes where there are none."""

    records: Mapping[int, Record] = field(default_factory=dict)
    data: bytes | None = None


@dataclass(frozen=True, slots=True)
class ReplayRequest:
    """What is to be replayed, and how.

    Attributes:
        wanted: which entries; ids, or a filter.
        edits: by entry id.
        patch: JSON Patch operations for every chosen record (`/Phone`); where `wanted` names a
            code or field, for the records that failed so. What is edited by hand stays as it is.
        which: `failed`, `all`, or `default`: failed where rows are independent, else all.
        with_flow: render with the flow `current`ly in the file, or as `recorded`.
        limit: so many entries at most.
        accept_duplicates: replay also what may be written already and would be written again.
    """

    wanted: EntryFilter = field(default_factory=EntryFilter)
    edits: Mapping[str, Edit] = field(default_factory=dict)
    patch: Sequence[json_patch.Operation] = ()
    which: Literal["default", "failed", "all"] = "default"
    with_flow: Literal["current", "recorded"] = "current"
    limit: int | None = None
    accept_duplicates: bool = False


@dataclass(frozen=True, slots=True)
class Choice:
    """The records of an entry that are to be sent.

    Attributes:
        indexes: where each of `records` stands among the entry's records.
        changes: a JSON Patch from what had failed to what will be sent.
        lines: the same for people.
        event, data: what later tasks, and `order_by`, see.
        is_doubling: sending them may write something a second time.
    """

    entry: Entry
    flow: Flow
    task: SinkTask
    indexes: tuple[int, ...]
    records: tuple[Record, ...]
    changes: tuple[Mapping[str, Any], ...]
    lines: tuple[str, ...]
    event: Event
    data: Any
    is_doubling: bool
    is_remade: bool = False

    def origins(self, branch: str | None, first: int, count: int) -> list[Origin]:
        """Where records come from that are sent for it, as it was told when they were first sent:
        in its own task (`branch` None), or in a later one for what `branch` gives of it."""
        stream, sequence = self.event.stream, self.event.sequence
        if branch is None:
            places = self.indexes[first : first + count]
            return [(stream, self._branch, sequence, place, 1) for place in places]
        # What a part of the records brings about is not what the others have brought about.
        count_of_all = len(self.entry.batch.records) or len(self.indexes)
        part = "" if len(self.indexes) == count_of_all else str(self.indexes)
        return [(stream, branch + part, sequence, first, count)]

    @property
    def _branch(self) -> str:
        """The upstream task that the entry's id names; "" for the source."""
        batch = self.entry.batch
        coordinates = batch.stream, batch.sequence, batch.flow, batch.task
        names = (name for name in self.task.depends_on if failed_id(*coordinates, name) == batch.id)
        return next(names, "")

    def merged(self, outcomes: Sequence[FailedRecord]) -> tuple[FailedRecord, ...]:
        """The entry's records after these became of the chosen ones, in their order."""
        known = {} if self.is_remade else {r.index: r for r in self.entry.batch.records}
        for index, outcome in zip(self.indexes, outcomes, strict=True):
            known[index] = FailedRecord(
                index, outcome.record, outcome.outcome, outcome.code, outcome.message,
                outcome.fields, outcome.id,
            )  # fmt: skip
        return tuple(known[index] for index in sorted(known))


def choose(entry: Entry, flow: Flow, task: SinkTask, request: ReplayRequest) -> Choice:
    """Render, select, edit.

    Raises:
        SettingsError: what is asked for does not fit this entry; the sentence says what would.
        RenderError: the event does not fit the flow.
    """
    batch, edit = entry.batch, request.edits.get(entry.id, Edit())
    event = event_of(batch, edit.data)
    data = _data(batch, event)
    old = {record.index: record for record in batch.records}
    if batch.records and request.with_flow == "recorded" and edit.data is None:
        fresh = [record.record or {} for record in batch.records]
    else:
        fresh = _rendered(task, event, data)
    is_remade = bool(old) and len(fresh) != len(old)
    indexes = _indexes(entry, task, request, len(fresh))
    if is_remade and len(indexes) != len(fresh):
        raise SettingsError(
            f"the flow now makes {len(fresh)} records of the event and {len(old)} had been sent, "
            "so it is not known which of them failed: replay all records, or as recorded"
        )
    indexes = tuple(sorted({*indexes, *edit.records}))
    if any(index >= len(fresh) for index in indexes):
        raise SettingsError(f"record {indexes[-1] + 1} is edited, and there are only {len(fresh)}")
    before = {index: old[index].record if index in old else None for index in indexes}
    after = {index: edit.records.get(index, fresh[index]) for index in indexes}
    for index in indexes if request.patch else ():
        is_meant = index not in old or request.wanted.is_meant(old[index])
        if is_meant and index not in edit.records:
            after[index] = json_patch.apply(request.patch, after[index])
    changes, lines = _changes(batch, edit, before, after, is_remade)
    return Choice(
        entry, flow, task, indexes, tuple(after[index] for index in indexes), changes, lines,
        event, data, _is_doubling(entry, task, indexes), is_remade,
    )  # fmt: skip


def event_of(batch: FailedBatch, data: bytes | None = None) -> Event:
    """The source event, as it was delivered (its time to the millisecond)."""
    seconds = datetime.fromisoformat(batch.timestamp).timestamp()
    return Event(
        batch.subject,
        batch.data if data is None else data,
        dict(batch.headers),
        batch.stream,
        batch.sequence,
        1,
        int(seconds * 1_000) * 1_000_000,
    )


def _data(batch: FailedBatch, event: Event) -> Any:
    if batch.input is not None:
        return batch.input
    try:
        return decode(event.data)
    except ValueError as error:
        raise RenderError(batch.task, "", f"the event's data does not parse: {error}") from error


def _rendered(task: SinkTask, event: Event, data: Any) -> list[Record]:
    return list(task.render(event, data))


def _indexes(entry: Entry, task: SinkTask, request: ReplayRequest, count: int) -> tuple[int, ...]:
    records = entry.batch.records
    is_bound = isinstance(task, CompositeTask) and task.all_or_none
    wants_all = request.which == "all" or (request.which == "default" and is_bound)
    if not records or wants_all:
        return tuple(range(count))
    return tuple(record.index for record in entry.batch.failures)


def _changes(
    batch: FailedBatch,
    edit: Edit,
    before: Mapping[int, Record | None],
    after: Mapping[int, Record],
    is_remade: bool,
) -> tuple[tuple[Mapping[str, Any], ...], tuple[str, ...]]:
    changes: list[Mapping[str, Any]] = []
    lines: list[str] = []
    if edit.data is not None and edit.data != batch.data:
        changes.append({"op": "replace", "path": "/data", "value": _text(edit.data)})
        lines += [f"- /data: {_text(batch.data)}", f"+ /data: {_text(edit.data)}"]
    for index, record in after.items():
        old = None if is_remade else before[index]
        if old is None:
            path = f"/records/{index}"
            operation = {"op": "add", "path": path, "value": record}
            found = [operation] if batch.records else []
            lines += [f"+ record {index + 1}: {encode(record).decode()}" for _ in found]
        else:
            found = json_patch.diff(old, record)
            lines += [
                f"{line[:2]}record {index + 1} {line[2:]}" for line in json_patch.lines(old, found)
            ]
            found = [{**op, "path": f"/records/{index}{op['path']}"} for op in found]
        changes += found
    return tuple(changes), tuple(lines)


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return "base64:" + base64.b64encode(data).decode()


def _is_doubling(entry: Entry, task: SinkTask, indexes: Sequence[int]) -> bool:
    """Whether what is to be sent may be there already, and would be there twice."""
    if isinstance(task, CompositeTask):
        if task.operation not in _ONCE_ONLY:
            return False
    elif task.accept_duplicates:
        return False
    if entry.is_unfinished or entry.batch.kind in ("unknown", "undecided"):
        return True
    chosen = set(indexes)
    return any(
        record.index in chosen and record.outcome in ("unknown", "written")
        for record in entry.batch.records
    )
