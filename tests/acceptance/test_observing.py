"""What those who watch a headless run see of it: log lines that hang together, metrics, spans."""

from __future__ import annotations

import re
import signal
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from tests.acceptance.conftest import COMPOSITE_FLOW, Program, RunningSandbox, Start
from tests.acceptance.test_headless import (
    DURABLE,
    SOON,
    STREAM,
    is_event,
    publish,
    run,
    wait_until_settled,
)
from workbench.sandbox.traffic import CONTACTS_SUBJECT, SampleEvent, contacts

# Three of ten are refused, one is no record at all, the rest is written.
EVENTS = [
    SampleEvent("bad0", CONTACTS_SUBJECT, b"not json", "not_json"),
    *(
        SampleEvent(f"e{n}", CONTACTS_SUBJECT, text.encode(), "single")
        for n, text in enumerate(
            [
                *[f'{{"ExternalId__c": "w{n}", "LastName": "x"}}' for n in range(6)],
                *[f'{{"ExternalId__c": "r{n}"}}' for n in range(3)],
            ]
        )
    ),
]


def metrics(program: Program) -> dict[str, float]:
    """Every sample, as `name{labels}`."""
    text = program.get("/metrics")[1]
    pairs = (line.rpartition(" ") for line in text.splitlines() if line[:1] != "#")
    return {name: float(value) for name, _, value in pairs}


def test_the_metrics_of_a_run_tell_what_became_of_everything(
    start: Start, sandbox: RunningSandbox
) -> None:
    sandbox.ask("/emulator/faults", {"fault": "lock,count=2"})
    program = run(start, sandbox, "--http", "127.0.0.1:0", *SOON)
    publish(sandbox, EVENTS)
    wait_until_settled(sandbox)
    program.signal(signal.SIGUSR1)  # its line comes after all others
    program.wait_for(is_event("resuming"))
    seen = metrics(program)
    flow, task = f'flow="{DURABLE}"', 'task="upsert_contacts"'

    def outcomes(name: str) -> float:
        return sum(
            value
            for key, value in seen.items()
            if key.startswith("workbench_record_outcomes_total") and f'outcome="{name}"' in key
        )

    assert seen[f"workbench_events_received_total{{{flow}}}"] == 10
    assert seen[f'workbench_events_settled_total{{{flow},how="ack"}}'] == 6
    assert seen[f'workbench_events_settled_total{{{flow},how="term"}}'] == 4
    assert outcomes("written") == seen[f"workbench_records_written_total{{{flow}}}"] == 6
    assert outcomes("refused") == 3
    assert outcomes("deferred") == 2
    assert (
        seen[
            f'workbench_record_outcomes_total{{code="UNABLE_TO_LOCK_ROW",{flow},'
            f'outcome="deferred",{task}}}'
        ]
        == 2
    )
    assert seen[f'workbench_failed_batches_stored_total{{{flow},kind="refused",{task}}}'] == 3
    assert seen[f'workbench_failed_batches_stored_total{{{flow},kind="unfit",{task}}}'] == 1
    assert seen[f"workbench_event_seconds_count{{{flow}}}"] >= 1
    assert seen[f"workbench_request_seconds_count{{{flow},{task}}}"] >= 2
    assert seen[f"workbench_ready{{{flow}}}"] == 1
    assert seen[f"workbench_api_budget_share{{{flow}}}"] == 1
    assert seen[f"workbench_api_calls_limit{{{flow}}}"] > 0
    assert seen["workbench_flows_stopped"] == 0
    assert seen["workbench_loop_stall_seconds_count"] > 0
    assert 3 < seen["workbench_tasks"] < 40
    assert seen["process_resident_memory_bytes"] > 1_000_000
    assert seen["process_open_fds"] > 3


def test_what_an_alert_waits_for_is_there_before_it_happens(
    start: Start, sandbox: RunningSandbox
) -> None:
    """Prometheus' `increase` does not see a counter come into being."""
    program = run(start, sandbox, "--http", "127.0.0.1:0", *SOON)
    seen = metrics(program)
    flow, task = f'flow="{DURABLE}"', 'task="upsert_contacts"'
    for name in (
        f"workbench_failed_store_errors_total{{{flow}}}",
        f"workbench_stream_dangers_total{{{flow}}}",
        f'workbench_failed_batches_stored_total{{{flow},kind="unknown",{task}}}',
        f'workbench_failed_batches_stored_total{{{flow},kind="undecided",{task}}}',
        f'workbench_failed_batches_closed_total{{{flow},how="replayed"}}',
    ):
        assert seen[name] == 0


def test_a_pause_is_in_the_metrics_with_its_cause_and_readiness_says_why(
    start: Start, sandbox: RunningSandbox
) -> None:
    program = run(start, sandbox, "--http", "127.0.0.1:0", *SOON)
    sandbox.ask("/emulator/faults", {"fault": "status:503"})
    publish(sandbox, contacts(3))
    program.wait_for(is_event("paused"))
    seen = metrics(program)
    assert seen[f'workbench_paused{{cause="outage",flow="{DURABLE}"}}'] == 1
    assert seen[f'workbench_paused{{cause="limit",flow="{DURABLE}"}}'] == 0
    assert seen[f'workbench_ready{{flow="{DURABLE}"}}'] == 0
    status, reason = program.get("/readyz")
    assert status == 503
    assert re.fullmatch(rf"{DURABLE}: paused: .+ \(outage: looks again .*\)\n", reason)
    assert program.get("/livez")[0] == 200


def test_a_line_about_events_names_them_and_a_line_about_a_request_its_batch(
    start: Start, sandbox: RunningSandbox
) -> None:
    sandbox.ask("/emulator/faults", {"fault": "lock:0.2,seed=1"})
    program = run(
        *(start, sandbox, "--log-level", "debug", *SOON),
        *("--set", "upsert_contacts.retry.max_attempts=1"),  # so that some come again
    )
    publish(sandbox, [*EVENTS, *contacts(60)])
    wait_until_settled(sandbox)
    program.signal(signal.SIGTERM)
    assert program.wait() == 0
    for name in ("started", "received", "sent", "batch", "failed", "redelivery", "stopped"):
        lines = program.events(name)
        assert lines, name
        assert {line["flow"] for line in lines} == {DURABLE}
        if name in ("received", "sent", "batch", "redelivery"):
            assert all(line["stream"] == STREAM for line in lines)
            assert all(line["sequences"][0] <= line["sequences"][1] for line in lines)
    sent = {line["batch"] for line in program.events("sent")}
    assert sent == {line["batch"] for line in program.events("batch")}
    for line in program.events("failed"):
        assert line["id"].startswith(f"{STREAM}.{line['sequence']}.")


class Collector(BaseHTTPRequestHandler):
    """Takes what OpenTelemetry's exporter posts."""

    posts: list[tuple[str, bytes]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.posts.append((self.path, body))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Not on the test's standard error."""


@pytest.fixture
def collector() -> Iterator[HTTPServer]:
    Collector.posts = []
    with HTTPServer(("127.0.0.1", 0), Collector) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("option", [("--otel",), ()])
def test_spans_go_to_the_collector_when_asked_for(
    start: Start, sandbox: RunningSandbox, collector: HTTPServer, option: tuple[str, ...]
) -> None:
    pytest.importorskip("opentelemetry.sdk")
    env = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.server_port}",
        "NO_PROXY": "127.0.0.1",
    }
    program = start(
        *("--headless", COMPOSITE_FLOW, "--sandbox-env", sandbox.env_file, *option),
        env=env,
    )
    program.wait_for(is_event("started"))
    publish(sandbox, EVENTS)
    wait_until_settled(sandbox)
    program.signal(signal.SIGTERM)
    assert program.wait() == 0
    assert {path for path, _ in Collector.posts} == {"/v1/traces"}
    sent = b"".join(body for _, body in Collector.posts)
    for batch in program.events("batch"):
        assert batch["batch"].encode() in sent
    assert b"LastName" not in sent  # no record values
