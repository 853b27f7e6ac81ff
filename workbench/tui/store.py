"""What the screens know of a run: rows of events and their calls, bounded.

An observer of the engine that only puts notices aside; `absorb`, called by the application's
timer, turns them into rows. Nothing here knows a widget, and nothing here decides.
"""

from __future__ import annotations

import math
import time
from bisect import insort
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import cast

from workbench.model import Event, FailedBatch, Record, Written
from workbench.observe import (
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
)
from workbench.tui.log import Log
from workbench.tui.rates import Rates
from workbench.tui.rows import Call, EventRow

__all__ = ["Store"]

_MAX_BYTES = 64 * 1024 * 1024
"""Event data kept, and about so much again of requests and answers."""
_MAX_WAITING = 20_000
"""Events in notices put aside; beyond them as many are taken in, where they arrive, as came."""
_RECORD_COST = 4
"""A decoded record takes about so many times the bytes of its text."""


class Store:
    """Rows of one run, at most `size` of them; the oldest give way.

    Attributes:
        changed: numbers of rows that changed since `take_changed` was last called.
        key_fields: by task, the field whose value is shown as a record's key.
        is_outside: the events are looked at long after they came, perhaps: their time is when the
            stream stored them, not when they were seen.
    """

    def __init__(
        self,
        size: int = 20_000,
        *,
        log: Log | None = None,
        key_fields: Mapping[str, str] | None = None,
        is_outside: bool = False,
    ) -> None:
        self.size = size
        self.is_outside = is_outside
        self.log = log or Log()
        self.key_fields = dict(key_fields or {})
        self.rates = Rates()
        self.end = 0
        self.failures: list[int] = []
        self.pause = ""
        self.stopped: str | None = None
        self._ring: list[EventRow | None] = [None] * size
        self._index: dict[tuple[str, int], int] = {}
        self._changed: set[int] = set()
        self._calls: dict[str, Call] = {}
        self._kept_calls: deque[Call] = deque()
        self._call_bytes = 0
        self._event_bytes = 0
        self._oldest_bytes = 0
        self._notices: deque[tuple[float, Notice]] = deque()
        self._told = 0.0
        self._waiting = 0

    # -- the engine's side -------------------------------------------------------------------

    def notify(self, notice: Notice) -> None:
        """Put a notice aside; the timer takes it from there."""
        self._notices.append((self.log.now(), notice))
        if isinstance(notice, EventsReceived):
            self._waiting += len(notice.events)
            while self._waiting > _MAX_WAITING:
                self._take_next()

    # -- the screens' side -------------------------------------------------------------------

    @property
    def first(self) -> int:
        """The number of the oldest row still kept."""
        return max(0, self.end - self.size)

    def row(self, number: int) -> EventRow | None:
        """The row of that number, None where it is gone or not there yet."""
        if not self.first <= number < self.end:
            return None
        return self._ring[number % self.size]

    def rows(self) -> list[EventRow]:
        """All rows kept, oldest first."""
        ring, first = self._ring, self.first % self.size
        rows = ring[: self.end] if self.end <= self.size else ring[first:] + ring[:first]
        return cast("list[EventRow]", rows)  # every place that was reached holds one

    def take_changed(self) -> set[int]:
        """Numbers of the rows that are new or changed since the last call."""
        changed, self._changed = self._changed, set()
        return changed

    def key_of(self, task: str, record: Record) -> str:
        """What a person knows the record by; empty where nothing tells."""
        name = self.key_fields.get(task, "")
        for candidate in (name, "Id", "id"):
            value = record.get(candidate) if candidate else None
            if value is not None:
                return str(value)
        return ""

    def row_key(self, row: EventRow) -> str:
        """The key of the event's first record."""
        for call, first, count in row.calls:
            if call.batch is not None and count:
                return self.key_of(call.task, call.batch.records[first])
        return ""

    def absorb(self, seconds: float = math.inf) -> None:
        """Turn what was put aside into rows, for about so long at most."""
        now = time.perf_counter
        end = now() + seconds
        while self._notices:
            self._take_next()
            if now() >= end:
                break

    def _take_next(self) -> None:
        self._told, notice = self._notices.popleft()
        if isinstance(notice, EventsReceived):
            self._waiting -= len(notice.events)
        self._take(notice)

    def settled_up_to(self, floor: int) -> None:
        """Mark events that were only looked at in the stream: a durable's ack floor is all that is
        known of them."""
        for row in self.rows():
            state = "settled" if row.sequence <= floor else "unsettled"
            if row.state in ("received", "unsettled") and row.state != state:
                row.state = state
                self._changed.add(row.number)

    # -- notices ------------------------------------------------------------------------------

    def _take(self, notice: Notice) -> None:
        if isinstance(notice, EventsReceived):
            self._received(notice.events)
        elif isinstance(notice, BatchSent):
            self._sent(notice)
        elif isinstance(notice, BatchAnswered):
            self._answered(notice)
        elif isinstance(notice, EventsSettled):
            self._settled(notice)
        elif isinstance(notice, StoreFailed):
            for event in notice.events:
                self._set(event, "retry", reason=notice.reason)
            self._say("error", notice.flow, f"failed batches can't be stored: {notice.reason}")
        elif isinstance(notice, FlowPaused):
            self.pause = notice.reason
            self._say("warning", notice.flow, f"paused ({notice.cause}): {notice.reason}")
        elif isinstance(notice, FlowResumed):
            self.pause = ""
            self._say("info", notice.flow, f"goes on after {notice.seconds:.1f} s of pause")
        elif isinstance(notice, FlowStarted):
            self._say("info", notice.flow, "started")
        elif isinstance(notice, FlowStopped):
            self.stopped = notice.error or ""
            level = "error" if notice.error else "info"
            self._say(level, notice.flow, f"stopped{f': {notice.error}' if notice.error else ''}")
        elif isinstance(notice, ConnectionChanged):
            level = "info" if notice.state == "connected" else "warning"
            self._say(level, notice.flow, f"{notice.what} {notice.state}: {notice.detail}")

    def _say(self, level: str, flow: str, text: str) -> None:
        self.log.add(level, f"{flow}: {text}")

    def _received(self, events: Sequence[Event]) -> None:
        now, index, ring, size = self._told, self._index, self._ring, self.size
        for event in events:
            place = (event.stream, event.sequence)
            number = index.get(place)
            if number is None:
                number = self.end
                old = ring[number % size]
                if old is not None:
                    self._forget(old)
                seen = event.timestamp_ns / 1e9 if self.is_outside else now
                ring[number % size] = EventRow(number, event, seen)
                index[place] = number
                self.end = number + 1
            else:
                row = self.row(number)
                if row is not None:
                    row.tries = event.num_delivered
                    row.state = "received"
                    self._event_bytes -= row.size if row.event is not None else 0
                    row.event = event
            self._event_bytes += len(event.data)
            self._changed.add(number)
        self._trim_events()

    def _forget(self, row: EventRow) -> None:
        self._index.pop((row.stream, row.sequence), None)
        if row.event is not None:
            self._event_bytes -= row.size
        if row.is_failure and self.failures and self.failures[0] <= row.number:
            self.failures = [number for number in self.failures if number > row.number]
        self._changed.discard(row.number)

    def _trim_events(self) -> None:
        self._oldest_bytes = max(self._oldest_bytes, self.first)
        while self._event_bytes > _MAX_BYTES and self._oldest_bytes < self.end - 1:
            row = self.row(self._oldest_bytes)
            if row is not None and row.event is not None:
                self._event_bytes -= row.size
                row.event = None
            self._oldest_bytes += 1

    def _sent(self, notice: BatchSent) -> None:
        batch = replace(notice.batch, origins=None)  # that would keep what the engine knows of it
        call = Call(batch.id, batch.task, batch.attempt, len(batch), self._told, notice.why, batch)
        self._calls[batch.id] = call
        first = 0
        for part in notice.parts:
            count = len(part.records)
            row = self._row_of(part.event)
            if row is not None:
                row.calls.append((call, first, count))
                call.newest = max(call.newest, row.number)
                row.state = "in flight"
                row.records = max(row.records, part.start + count)
                self._changed.add(row.number)
            first += count

    def _answered(self, notice: BatchAnswered) -> None:
        batch, answer = notice.batch, notice.answer
        call = self._calls.pop(batch.id, None)
        if call is not None:
            call.answer, call.seconds = answer, notice.seconds
            self._keep(call)
        self.rates.answered(notice.seconds)
        outcomes = answer.outcomes
        is_all_written = all(type(outcome) is Written for outcome in outcomes)
        milliseconds = notice.seconds * 1e3
        first = 0
        for part in notice.parts:
            count = len(part.records)
            row = self._row_of(part.event)
            if row is not None:
                row.milliseconds = milliseconds
                if is_all_written:
                    row.state, row.codes = "written", ()
                else:
                    row.judge(outcomes[first : first + count])
                self._changed.add(row.number)
            first += count

    def _keep(self, call: Call) -> None:
        exchange = call.answer.exchange if call.answer else None
        size = len(exchange.request_body) + len(exchange.response_body) if exchange else 0
        call.cost = size * (1 + _RECORD_COST) + 200 * call.records
        self._kept_calls.append(call)
        self._call_bytes += call.cost
        kept, first = self._kept_calls, self.first
        while len(kept) > 1 and kept[0].newest < first:
            self._call_bytes -= kept.popleft().cost  # whoever still shows its rows has it too
        while len(kept) > 1 and self._call_bytes > _MAX_BYTES * 2:
            old = kept.popleft()
            self._call_bytes -= old.cost
            old.batch = old.answer = None
            old.is_forgotten = True

    def _settled(self, notice: EventsSettled) -> None:
        for event in notice.acked:
            number = self._index.get((event.stream, event.sequence))
            row = None if number is None else self._ring[number % self.size]
            if row is not None:
                row.state, row.codes = "ok", ()
                self._changed.add(row.number)
        for event, delay in notice.naked:
            self._set(event, f"retry {_short(delay)}")
        for event, batches in notice.terminated:
            self._failed(event, batches)

    def _failed(self, event: Event, batches: Sequence[FailedBatch]) -> None:
        row = self._row_of(event)
        failures = [record for batch in batches for record in batch.failures if record.code]
        failures.sort(key=lambda record: record.outcome != "refused")  # who is to blame first
        codes = tuple(dict.fromkeys(record.code for record in failures))
        reason = batches[0].reason if batches else ""
        if row is not None:
            row.state, row.reason = "FAILED", reason
            row.codes = codes or (batches[0].kind.upper() if batches else "FAILED",)
            row.failed = tuple(batch.id for batch in batches)
            row.is_failure = True
            if row.number not in self.failures[-50:]:
                insort(self.failures, row.number)
            self._changed.add(row.number)
        for batch in batches:
            place = f"{batch.stream}:{batch.sequence}"
            self._say("error", batch.flow, f"{batch.task}: event {place} kept: {batch.reason}")

    def _set(self, event: Event, state: str, *, reason: str = "") -> None:
        row = self._row_of(event)
        if row is not None:
            row.state = state
            row.reason = reason or row.reason
            self._changed.add(row.number)

    def _row_of(self, event: Event) -> EventRow | None:
        number = self._index.get((event.stream, event.sequence))
        return None if number is None else self._ring[number % self.size]


def _short(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.0f}s"
    return f"{seconds / 60:.0f}m" if seconds < 3_600 else f"{seconds / 3_600:.0f}h"
