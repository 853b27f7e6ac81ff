"""Spans of requests, in the memory exporter of OpenTelemetry's own."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.unit.test_log import answered
from workbench.model import Refused, Written
from workbench.observe import FlowResumed

pytest.importorskip("opentelemetry.sdk")


def test_a_request_is_a_span_that_names_its_batch_and_events() -> None:
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
    from opentelemetry.trace import StatusCode

    from workbench.observe.tracing import Tracing

    exporter = InMemorySpanExporter()
    tracing = Tracing(exporter)
    tracing.notify(answered(Written("1"), Written("2"), Written("3")))
    tracing.notify(answered(Written("1"), Refused("BAD", "no"), Refused("WORSE", "no")))
    tracing.notify(FlowResumed("f", 2.0))
    tracing.close()
    whole, partly, pause = exporter.get_finished_spans()
    assert whole.name == "t"
    assert dict(whole.attributes or {}) == {
        "workbench.flow": "f",
        "workbench.task": "t",
        "workbench.batch": "t-1",
        "workbench.attempt": 1,
        "workbench.records": 3,
        "workbench.events": 3,
        "workbench.stream": "S",
        "workbench.sequence.first": 1,
        "workbench.sequence.last": 3,
        "workbench.written": 3,
        "http.request.method": "PATCH",
        "url.path": "/x",
        "http.response.status_code": 200,
    }
    assert whole.start_time
    assert whole.end_time
    assert whole.end_time - whole.start_time == 250_000_000
    assert whole.status.status_code is StatusCode.UNSET
    assert (partly.attributes or {})["workbench.refused"] == 2
    assert (partly.status.status_code, partly.status.description) == (
        StatusCode.ERROR,
        "BAD, WORSE",
    )
    assert pause.name == "f paused"


def test_it_is_imported_only_when_asked_for() -> None:
    code = (
        "import sys, workbench.cli, workbench.app.headless, workbench.app.monitor\n"
        "assert not [name for name in sys.modules if name.startswith('opentelemetry')]"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
