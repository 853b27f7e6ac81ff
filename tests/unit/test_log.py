"""The log: one line per batch and per failure, and nothing that makes the writer wait."""

from __future__ import annotations

import io
import json
import logging
import threading
from typing import Any

from workbench.app.lines import LineWriter
from workbench.model import Answer, Batch, Deferred, Event, Exchange, Group, Refused, Written
from workbench.observe import BatchAnswered, EventsSettled, FlowPaused, FlowStopped
from workbench.observe.log import LogHandler, LogObserver


class _Part:
    def __init__(self, event: Event) -> None:
        self.event = event
        self.records: list[dict[str, Any]] = [{}]
        self.start = 0


def answered(*outcomes: Any) -> BatchAnswered:
    events = [Event("s", b"", stream="S", sequence=number) for number in range(1, 4)]
    batch = Batch("t-1", "t", [Group([{"Name": "secret"}] * len(outcomes))])
    exchange = Exchange("PATCH", "/x", b"", 200, b"", 0.0, 0.1)
    return BatchAnswered(
        "f", batch, [_Part(event) for event in events], Answer(outcomes, exchange), 0.25
    )


def lines_of(*notices: Any, form: Any = "json", level: Any = "info") -> list[str]:
    lines: list[str] = []
    log = LogObserver(lines.append, form, level)
    for notice in notices:
        log.notify(notice)
    return lines


def test_a_batch_is_one_line_with_what_correlates_it() -> None:
    (line,) = lines_of(answered(Written("1"), Written("2"), Refused("BAD", "no")))
    value = json.loads(line)
    assert value["event"] == "batch"
    assert value["level"] == "info"
    assert (value["flow"], value["task"], value["batch"]) == ("f", "t", "t-1")
    assert (value["written"], value["refused"], value["codes"]) == (2, 1, {"BAD": 1})
    assert (value["stream"], value["sequences"], value["events"]) == ("S", [1, 3], 3)
    assert "secret" not in line


def test_what_may_pass_is_a_warning() -> None:
    (line,) = lines_of(answered(Deferred("UNABLE_TO_LOCK_ROW", "later")))
    assert json.loads(line)["level"] == "warning"


def test_events_given_back_are_counted_by_delay() -> None:
    event = Event("s", b"")
    notice = EventsSettled("f", naked=[(event, 1.0), (event, 1.0), (event, 10.0)])
    values = [json.loads(line) for line in lines_of(notice)]
    assert [(v["events"], v["delay_seconds"]) for v in values] == [(2, 1.0), (1, 10.0)]


def test_lines_below_the_level_are_left_out() -> None:
    assert lines_of(answered(Written("1")), level="warning") == []
    assert len(lines_of(FlowStopped("f", "gone"), level="error")) == 1


def test_the_console_never_shows_control_characters() -> None:
    (line,) = lines_of(FlowPaused("f", "broken", "evil \x1b[31m\nsecond line"), form="console")
    assert "\x1b" not in line
    assert "\n" not in line
    assert "cause=broken" in line


def test_what_others_log_comes_into_the_same_log() -> None:
    lines: list[str] = []
    handler = LogHandler(LogObserver(lines.append, "json"))
    record = logging.LogRecord("other", logging.ERROR, "f.py", 1, "it %s", ("broke",), None)
    handler.emit(record)
    value = json.loads(lines[0])
    assert (value["event"], value["level"], value["message"]) == ("message", "error", "it broke")


def test_lines_are_written_in_their_order() -> None:
    file = io.StringIO()
    writer = LineWriter(file)
    for number in range(1000):
        writer.write(str(number))
    writer.close()
    writer.close()
    assert file.getvalue().split() == [str(number) for number in range(1000)]


class _Stuck(io.StringIO):
    """A terminal that somebody has stopped."""

    def __init__(self) -> None:
        super().__init__()
        self.goes_on = threading.Event()

    def write(self, text: str) -> int:
        self.goes_on.wait(30)
        return super().write(text)


def test_a_reader_that_does_not_read_never_makes_the_writer_wait() -> None:
    file = _Stuck()
    writer = LineWriter(file)
    for _ in range(120_000):
        writer.write("x")
    assert writer.dropped > 0
    file.goes_on.set()
    writer.close(timeout_seconds=30.0)
    assert file.getvalue().count("x") + writer.dropped == 120_000
