"""The texts of the detail panes: an entry's records, its event, what would change, its story."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Any

from workbench import codec
from workbench.errors import WorkbenchError
from workbench.model import Attempt, Entry, EntryFilter, FailedRecord
from workbench.tui.requests import pretty
from workbench.tui.text import clean, clip
from workbench.tui.widgets.diff_view import diff_text

if TYPE_CHECKING:
    from workbench.app.failed_desk import ChosenRecord, FailedDesk
    from workbench.app.replay_choice import Edit

__all__ = [
    "Case",
    "Version",
    "change_text",
    "entry_text",
    "event_text",
    "load",
    "record_words",
    "story_text",
]

_MOST_RESULTS = 20
_PRETTY_RESULTS = 3
_MARKS = {
    "written": "✓ written",
    "refused": "✗ REFUSED",
    "rolled_back": "↺ rolled back",
    "unknown": "? UNKNOWN",
    "unsent": "· unsent",
    "deferred": "… deferred",
}


@dataclass(frozen=True, slots=True)
class Version:
    """The flow now, beside the version an entry failed under; `problem` where there is none."""

    digest: str = ""
    settings: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Case:
    """An entry with what a replay would send of it; `problem` says why nothing would be."""

    entry: Entry
    chosen: dict[int, ChosenRecord] = field(default_factory=dict)
    problem: str = ""
    version: Version = field(default_factory=Version)
    is_edited: bool = False


async def load(desk: FailedDesk, id: str, edits: dict[str, Edit]) -> Case:
    """Everything the panes show of an entry.

    Raises:
        NotKeptError, DeadLetterError: it can't be read.
    """
    from workbench.app.replay_choice import ReplayRequest

    entry = await desk.get(id)
    request = ReplayRequest(EntryFilter(ids=frozenset({id})), edits=edits, accept_duplicates=True)
    chosen: list[ChosenRecord] = []
    problem = ""
    try:
        chosen = await desk.records(id, request)
    except WorkbenchError as error:
        problem = str(error)
    return Case(
        entry, {item.index: item for item in chosen}, problem, _version(desk, entry), id in edits
    )


def _version(desk: FailedDesk, entry: Entry) -> Version:
    try:
        flow = desk.flows.flow(entry.batch.flow)
    except WorkbenchError as error:
        return Version(problem=str(error))
    for task in flow.sinks:
        if task.name == entry.batch.task:
            return Version(flow.digest, codec.encode_pretty(dict(task.settings)))
    return Version(flow.digest, problem=f"the flow has no task {entry.batch.task!r} any longer")


# -- records -----------------------------------------------------------------------------------


def record_words(record: FailedRecord) -> tuple[str, str, str]:
    """A record's line: what became of it, why, and what it holds."""
    word = _MARKS.get(record.outcome, record.outcome)
    fields = f" {','.join(record.fields)}" if record.fields else ""
    why = record.id if record.outcome == "written" else f"{record.code}{fields}"
    return word, clip(clean(why), 80), clip(clean(_compact(record.record)), 200)


def entry_text(entry: Entry) -> str:
    """The entry as a JSON object."""
    return codec.encode_pretty(entry.to_json())


def event_text(entry: Entry) -> str:
    """Where the event came from, its headers, and its data."""
    batch = entry.batch
    lines = [
        f"// {batch.stream}:{batch.sequence}  {batch.subject}",
        f"// stored {batch.timestamp[:23].replace('T', ' ')} UTC, {len(batch.data):,} B",
    ]
    lines += [f"// {name}: {value}" for name, value in batch.headers.items()]
    lines += [f"// origin {name}: {_compact(value)}" for name, value in batch.origin.items()]
    text = "\n".join(clean(line) for line in lines) + f"\n{pretty(batch.data)}"
    if batch.input is not None:
        text += (
            f"\n\n// what task {clean(batch.task)} saw of it\n{codec.encode_pretty(batch.input)}"
        )
    return text


# -- what would change -------------------------------------------------------------------------


def change_text(case: Case, index: int | None) -> tuple[str, str]:
    """Title and text: the record as it failed beside what a replay would send."""
    entry = case.entry
    if case.problem:
        said = [f"✗ nothing would be sent: {clean(case.problem)}", ""]
        record = next((r for r in entry.batch.records if r.index == index), None)
        if record is not None and record.record is not None:
            said += ["// as it failed", codec.encode_pretty(record.record)]
        elif not entry.batch.records:
            said += ["// e edits the event itself"]
        return "Change  can't be sent as it stands", "\n".join(said)
    if index is None:
        index = next(iter(case.chosen), None)
    chosen = case.chosen.get(index) if index is not None else None
    if chosen is None:
        record = next((r for r in entry.batch.records if r.index == index), None)
        if record is None:
            return "Change", "// no record would be sent"
        word, why, _ = record_words(record)
        shown = codec.encode_pretty(record.record) if record.record is not None else ""
        title = f"Change  record {record.index + 1}"
        return title, f"// would not be sent: {word} {why}\n{shown}"
    title = f"Change  record {chosen.index + 1}"
    after = codec.encode_pretty(chosen.after)
    by = "edited" if case.is_edited else "the flow as its file is now"
    if chosen.before is None:
        return title, f"// new: {by}\n{after}"
    before = codec.encode_pretty(chosen.before)
    if before == after:
        return f"{title}: none", f"// would be sent as it failed\n{after}"
    title += ": edited" if case.is_edited else ": the flow has changed"
    return title, f"// - as it failed   + as it would be sent ({by})\n{diff_text(before, after)}"


# -- what happened -----------------------------------------------------------------------------


def story_text(case: Case, index: int | None) -> str:
    """Why the record failed, every attempt, what was done since, and under which version."""
    batch = case.entry.batch
    lines: list[str] = []
    record = next((r for r in batch.records if r.index == index), None)
    if record is not None:
        lines += list(_record_story(record))
    lines += [f"// {batch.kind}: {batch.reason}" if record else f"✗ {batch.kind}: {batch.reason}"]
    when = batch.failed_at[:19].replace("T", " ")
    lines += [f"// failed {when} UTC, delivery {batch.num_delivered}", ""]
    lines += ["attempts", *_attempts(batch.attempts)]
    if case.entry.history:
        lines += ["", "done since", *_history(case.entry)]
    lines += ["", *_versions(case)]
    return "\n".join(clean(line) for line in lines)


def _record_story(record: FailedRecord) -> Iterator[str]:
    if record.outcome == "written":
        yield f"// ✓ written {record.id}"
        return
    word = _MARKS.get(record.outcome, record.outcome).partition(" ")[2]
    yield f"✗ {word}  {record.code}"
    yield f"  {record.message}"
    if record.fields:
        yield f"  fields: {', '.join(record.fields)}"


def _attempts(attempts: Sequence[Attempt]) -> Iterator[str]:
    """By request: the records of an event may have shared one."""
    if not attempts:
        yield "  none: nothing was sent"
    for (time, line, by), shared in groupby(attempts, lambda a: (a.time, a.request_line, a.by)):
        parts = list(shared)
        status = "no answer" if parts[0].status is None else str(parts[0].status)
        yield f"  {time[:19].replace('T', ' ')}  {status}  by {by}"
        yield f"    {line or 'nothing was sent'}"
        yield from (f"    {error}" for error in dict.fromkeys(p.error for p in parts if p.error))
        results = [result for part in parts for result in part.results]
        bad = [result for result in results if not _is_success(result)]
        for place, result in enumerate(bad[:_MOST_RESULTS]):
            shown = codec.encode_pretty(result) if place < _PRETTY_RESULTS else _compact(result)
            yield from (f"    {line}" for line in shown.split("\n"))
        if len(results) > min(len(bad), _MOST_RESULTS):
            good, more = len(results) - len(bad), max(0, len(bad) - _MOST_RESULTS)
            yield f"    … {good} results without an error" + (f", {more} with" if more else "")
        yield from (f"    changed {_compact(change)}" for change in parts[0].changes)


def _is_success(result: Any) -> bool:
    return isinstance(result, dict) and result.get("success") is True


def _history(entry: Entry) -> Iterator[str]:
    for deed in entry.history:
        note = f": {deed.note}" if deed.note else ""
        what = deed.what.replace("_", " ")
        yield f"  {deed.at[:19].replace('T', ' ')}  {what} by {deed.by}{note}"
        yield from (f"    changed {_compact(change)}" for change in deed.changes)


def _versions(case: Case) -> Iterator[str]:
    batch, now = case.entry.batch, case.version
    yield f"flow {batch.flow}, task {batch.task}, version {batch.digest[:12]}"
    if now.problem:
        yield f"✗ {now.problem}"
        return
    if now.digest == batch.digest:
        yield "// the file is the same now"
        return
    then = codec.encode_pretty(dict(batch.settings))
    if then == now.settings:
        yield f"// the file is {now.digest[:12]} now; this task is the same in it"
        return
    yield f"// the file is {now.digest[:12]} now: - as it was   + as it is"
    changed = [line for line in diff_text(then, now.settings).split("\n") if line[:1] in "+-"]
    yield from changed[:60]


def _compact(value: Any) -> str:
    return codec.encode(value).decode()
