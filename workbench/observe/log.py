"""The log of a run: one line per batch and per failure, as JSON or for people.

Every line has `time`, `level`, `event` and `flow`; `batch` and `task` join a request's lines, and
`stream` with `sequence` (or `sequences`, first and last) name the events. Record values are not
logged but for what Salesforce's own messages quote: they may be personal, and a failed batch holds
them.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

from workbench.codec import encode
from workbench.model import AllWritten, FailedBatch, Outcome, Refused, RolledBack, Written
from workbench.observe.notices import (
    BatchAnswered,
    BatchSent,
    ConnectionChanged,
    EventsReceived,
    EventsSettled,
    FlowPaused,
    FlowResumed,
    FlowStarted,
    FlowStopped,
    Notice,
    StoreFailed,
    StreamInDanger,
    StreamSeen,
)
from workbench.observe.outcomes import outcome_name

__all__ = ["LEVELS", "Form", "Level", "LogHandler", "LogObserver"]

Level = Literal["debug", "info", "warning", "error"]
Form = Literal["json", "console"]
LEVELS: tuple[Level, ...] = ("debug", "info", "warning", "error")

_Line = tuple[Level, str, dict[str, Any]]

_FOR_DEBUGGING = (EventsReceived, BatchSent, StreamSeen)
"""What becomes lines of level debug only; there are many of them."""


class LogObserver:
    """Turns notices into lines.

    Args:
        write: takes a finished line without its newline; must not block.
        form: JSON for machines, console for people.
        level: lines below it are left out.
    """

    def __init__(self, write: Callable[[str], None], form: Form, level: Level = "info") -> None:
        self._write = write
        self._is_json = form == "json"
        self._least = LEVELS.index(level)

    def notify(self, notice: Notice) -> None:
        if self._least and isinstance(notice, _FOR_DEBUGGING):
            return
        for level, event, fields in _lines(notice):
            self.line(level, event, {"flow": notice.flow, **fields})

    def line(self, level: Level, event: str, fields: dict[str, Any]) -> None:
        """Write one line."""
        if LEVELS.index(level) < self._least:
            return
        now = datetime.now(UTC)
        if self._is_json:
            time = now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
            self._write(encode({"time": time, "level": level, "event": event, **fields}).decode())
        else:
            clock = now.astimezone().strftime("%H:%M:%S")
            shown = " ".join(f"{key}={_shown(value)}" for key, value in fields.items())
            self._write(f"{clock} {level:<7} {event:<13} {shown}")


class LogHandler(logging.Handler):
    """Sends what libraries and observers say through `logging` into the same log."""

    def __init__(self, log: LogObserver) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        level: Level = "error" if record.levelno >= logging.ERROR else "warning"
        fields = {"logger": record.name, "message": record.getMessage()}
        if record.exc_info:
            fields["trace"] = logging.Formatter().formatException(record.exc_info)
        self._log.line(level, "message", fields)


def _shown(value: Any) -> str:
    """A value for people: bare where it is one word, else as JSON; never raw control characters."""
    if isinstance(value, str) and value and value.isprintable() and " " not in value:
        return value
    return encode(value).decode()


def _lines(notice: Notice) -> Iterator[_Line]:
    match notice:
        case BatchAnswered():
            yield _answered(notice)
        case EventsSettled():
            for delay in dict.fromkeys(delay for _, delay in notice.naked):
                events = [event for event, wait in notice.naked if wait == delay]
                yield (
                    "info",
                    "redelivery",
                    {"events": len(events), "delay_seconds": round(delay, 3), **_place(events)},
                )
            for _, batches in notice.terminated:
                for batch in batches:
                    yield "warning", "failed", _failed(batch)
        case EventsReceived():
            yield "debug", "received", {"events": len(notice.events), **_place(notice.events)}
        case BatchSent():
            yield (
                "debug",
                "sent",
                {
                    "task": notice.batch.task,
                    "batch": notice.batch.id,
                    "records": len(notice.batch),
                    "attempt": notice.batch.attempt,
                    **_place([part.event for part in notice.parts]),
                    "why": notice.why,
                },
            )
        case FlowPaused():
            yield "warning", "paused", {"cause": notice.cause, "reason": notice.reason}
        case FlowResumed():
            yield "info", "resumed", {"paused_seconds": round(notice.seconds, 3)}
        case FlowStarted():
            yield "info", "started", {}
        case FlowStopped():
            if notice.error:
                yield "error", "stopped", {"error": notice.error}
            else:
                yield "info", "stopped", {}
        case StoreFailed():
            yield (
                "error",
                "store_failed",
                {"reason": notice.reason, "events": len(notice.events), **_place(notice.events)},
            )
        case StreamSeen():
            yield (
                "debug",
                "stream",
                {
                    "pending": notice.pending,
                    "ack_pending": notice.ack_pending,
                    "oldest_seconds": notice.oldest_seconds,
                },
            )
        case StreamInDanger():
            yield "warning", "stream_in_danger", {"warning": notice.warning}
        case ConnectionChanged():
            level: Level = "info" if notice.state == "connected" else "warning"
            yield (
                level,
                "connection",
                {"what": notice.what, "state": notice.state, "detail": notice.detail},
            )


def _answered(notice: BatchAnswered) -> _Line:
    batch, answer = notice.batch, notice.answer
    is_whole = isinstance(answer.outcomes, AllWritten)  # then none need be looked at
    counts: Counter[type[Outcome]] = (
        Counter({Written: len(answer.outcomes)})
        if is_whole
        else Counter(map(type, answer.outcomes))
    )
    fields: dict[str, Any] = {
        "task": batch.task,
        "batch": batch.id,
        "attempt": batch.attempt,
        "records": len(answer.outcomes),
        **{outcome_name(kind): count for kind, count in counts.items()},
        "events": len({part.event.sequence for part in notice.parts}),
        **_place([part.event for part in notice.parts]),
        "status": answer.exchange.status if answer.exchange else None,
        "seconds": round(notice.seconds, 4),
    }
    if answer.api_used is not None:
        fields["api_used"], fields["api_limit"] = answer.api_used, answer.api_limit
    if counts.keys() == {Written}:
        return "info", "batch", fields
    codes: Counter[str] = Counter()
    for outcome in answer.outcomes:
        if not isinstance(outcome, Written):
            codes[outcome.code] += 1
    fields["codes"] = dict(codes)
    # What is refused for good is told again, per event, when it is stored.
    is_trouble = any(not issubclass(k, Written | Refused | RolledBack) for k in counts)
    return "warning" if is_trouble else "info", "batch", fields


def _place(events: Sequence[Any]) -> dict[str, Any]:
    """The stream, and the first and last sequence."""
    if not events:
        return {}
    sequences = [event.sequence for event in events]
    return {"stream": events[0].stream, "sequences": [min(sequences), max(sequences)]}


def _failed(batch: FailedBatch) -> dict[str, Any]:
    codes = Counter(record.code for record in batch.failures if record.code)
    return {
        "task": batch.task,
        "id": batch.id,
        "kind": batch.kind,
        "reason": batch.reason,
        "codes": dict(codes),
        "subject": batch.subject,
        "stream": batch.stream,
        "sequence": batch.sequence,
        "deliveries": batch.num_delivered,
    }
