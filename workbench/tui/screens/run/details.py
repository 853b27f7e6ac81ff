"""The texts of the detail panes: a record's request, its answer, an event, a case to export."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from workbench import codec
from workbench.model import Event, Written
from workbench.tui.requests import pretty
from workbench.tui.rows import Call, EventRow, RecordRow, outcome_word
from workbench.tui.store import Store
from workbench.tui.text import clean, clip

__all__ = [
    "Detail",
    "answer_text",
    "case_of",
    "event_text",
    "first_to_look_at",
    "record_line",
    "request_text",
]

_FORGOTTEN = "No longer kept in memory: newer requests took its place."


@dataclass(frozen=True, slots=True)
class Detail:
    """A pane's title, what it shows, and what copy takes."""

    title: str
    text: str
    copied: str = ""


def event_text(row: EventRow | None) -> Detail:
    """The event's coordinates and data."""
    if row is None:
        return Detail("Event", "")
    title = f"Event  {row.stream}:{row.sequence}  delivery {row.tries}  {row.size:,} B"
    if row.event is None:
        return Detail(title, "Its data is no longer kept in memory; the stream still has it.")
    headers = "".join(f"// {clean(k)}: {clean(v)}\n" for k, v in row.event.headers.items())
    raw = row.event.data.decode("utf-8", "replace")
    reason = f"// {clean(row.reason)}\n" if row.reason else ""
    return Detail(title, f"{reason}{headers}{pretty(row.event.data)}", raw)


def first_to_look_at(records: list[RecordRow]) -> int:
    """The place of the first record that is to blame, else of the first that is not written, else
    the first."""
    words = [outcome_word(record.outcome) for record in records]
    for is_wanted in (str.isupper, lambda word: word != "written"):
        found = next((place for place, word in enumerate(words) if is_wanted(word)), None)
        if found is not None:
            return found
    return 0


def record_line(record: RecordRow, store: Store) -> tuple[str, str, str]:
    """Key, outcome, and code of a record, for the list."""
    outcome = record.outcome
    code = "" if outcome is None or isinstance(outcome, Written) else outcome.code
    key = store.key_of(record.call.task, record.record) or f"{record.call.task} {record.index + 1}"
    return clip(clean(key), 40), outcome_word(outcome), clip(clean(code), 60)


def request_text(record: RecordRow | None, *, is_whole: bool) -> Detail:
    """What was sent: the one record, or the whole request."""
    if record is None:
        return Detail("Request", "")
    call = record.call
    title = f"Request  {call.task}  record {record.index + 1} of {call.records}  try {call.attempt}"
    exchange = call.answer.exchange if call.answer else None
    line = f"{exchange.method} {exchange.target}\n" if exchange else ""
    if is_whole and exchange is not None:
        body = pretty(exchange.request_body)
    else:
        body = codec.encode_pretty(record.record)
    return Detail(title, f"{line}{body}", body)


def answer_text(record: RecordRow | None, *, is_whole: bool) -> Detail:
    """What came back: the outcome in words, then the server's own result."""
    if record is None:
        return Detail("Answer", "")
    call, outcome = record.call, record.outcome
    if call.is_forgotten:
        return Detail("Answer", _FORGOTTEN)
    if call.answer is None or outcome is None:
        return Detail("Answer  on its way", f"sent because of {call.why}; no answer yet")
    exchange = call.answer.exchange
    status = "none" if exchange is None or exchange.status is None else str(exchange.status)
    counts = _counts(call)
    title = f"Answer  {status}  {call.seconds * 1e3:.0f} ms  {counts}"
    lines = [_outcome_lines(record)]
    if exchange is not None and exchange.error:
        lines.append(f"// {clean(exchange.error)}")
    if is_whole and exchange is not None:
        body = pretty(exchange.response_body)
    else:
        body = "" if record.result is None else _json(record.result)
    return Detail(title, "\n".join([*lines, body]).rstrip(), body)


def _outcome_lines(record: RecordRow) -> str:
    outcome = record.outcome
    if isinstance(outcome, Written):
        made = {True: ", new", False: ", changed", None: ""}[outcome.created]
        return f"// ✓ written{made}  {clean(outcome.id)}"
    assert outcome is not None
    fields = ", ".join(getattr(outcome, "fields", ()))
    mark = "✗" if outcome_word(outcome).isupper() else "…"
    lines = [f"// {mark} {outcome_word(outcome)}  {clean(outcome.code)}"]
    lines.append(f"// {clean(outcome.message)}")
    if fields:
        lines.append(f"// fields: {clean(fields)}")
    return "\n".join(lines)


def _counts(call: Call) -> str:
    if call.answer is None:
        return ""
    written = sum(isinstance(outcome, Written) for outcome in call.answer.outcomes)
    others = len(call.answer.outcomes) - written
    return f"{written} written" + (f", {others} not" if others else "")


def _json(value: Any) -> str:
    try:
        return codec.encode_pretty(value)
    except TypeError:
        return str(value)


def case_of(row: EventRow, records: list[RecordRow], store: Store) -> bytes:
    """Event, requests and answers as JSON, without secrets: what `export` writes."""
    event: Event | None = row.event
    return codec.encode_pretty(
        {
            "event": {
                "subject": row.subject,
                "stream": row.stream,
                "sequence": row.sequence,
                "deliveries": row.tries,
                "headers": dict(event.headers) if event else {},
                "data": None if event is None else event.data.decode("utf-8", "replace"),
            },
            "state": row.state,
            "reason": row.reason,
            "failed_batches": list(row.failed),
            "records": [
                {
                    "task": record.call.task,
                    "key": store.key_of(record.call.task, record.record),
                    "attempt": record.call.attempt,
                    "record": record.record,
                    "outcome": outcome_word(record.outcome),
                    "code": getattr(record.outcome, "code", ""),
                    "message": getattr(record.outcome, "message", ""),
                    "fields": list(getattr(record.outcome, "fields", ())),
                    "result": record.result,
                }
                for record in records
            ],
        }
    ).encode()
