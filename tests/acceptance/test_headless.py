"""`workbench --headless` from outside: nothing lost; a sentence and a code for what goes wrong."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Iterable, Mapping
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from tests.acceptance.conftest import COMPOSITE_FLOW, Program, RunningSandbox, Start
from workbench.app.ledger import Ledger, balance
from workbench.app.opening import connect_nats
from workbench.app.publishing import publish_events
from workbench.app.settings import Settings
from workbench.failed import FileStore
from workbench.jetstream import Message, SourceInfo, source_info
from workbench.model import Record
from workbench.sandbox.traffic import CONTACTS_SUBJECT, SampleEvent, contacts

STREAM, DURABLE = "crm", "salesforce_composite_upsert_contact"
# A crash is noticed after the first backoff step: ten seconds in the seed flow, one here.
SOON = ("--set", "start_subscription.backoff=[1s, 2s]")


def is_event(name: str) -> Any:
    return lambda line: f'"event":"{name}"' in line


def publish(sandbox: RunningSandbox, events: Iterable[SampleEvent]) -> dict[int, list[Record]]:
    """Publish, and tell each event's records by its sequence."""
    sent = list(events)
    messages = [Message(event.subject, event.data, id=event.id) for event in sent]
    stored = asyncio.run(publish_events(messages, Settings({}, sandbox.environment)))
    return {item.sequence: list(e.records) for item, e in zip(stored, sent, strict=True)}


def wait_until_settled(sandbox: RunningSandbox, seconds: float = 60.0) -> SourceInfo:
    """Ask the server until the durable has nothing left to do."""

    async def ask() -> SourceInfo:
        url, path = sandbox.environment["NATS_URL"], sandbox.environment["NATS_CREDENTIALS"]
        connection = await connect_nats(url, path)
        deadline = monotonic() + seconds
        try:
            while True:
                info = await source_info(connection, STREAM, DURABLE)
                if not info.lag or monotonic() > deadline:
                    return info
                await asyncio.sleep(0.05)
        finally:
            await connection.aclose()

    return asyncio.run(ask())


def ledger(
    sandbox: RunningSandbox,
    published: Mapping[int, list[Record]],
    failed: Path,
    *,
    is_ordered: bool = True,
) -> Ledger:
    store = FileStore(failed / "failed.jsonl")
    rows: list[dict[str, Any]] = []
    while page := sandbox.ask(f"/emulator/records/Contact?offset={len(rows)}")["records"]:
        rows += page
    info = wait_until_settled(sandbox)
    return balance(
        published,
        store.entries(),
        rows,
        key_field="ExternalId__c",
        unsettled=info.lag,
        is_ordered=is_ordered,
    )


def run(start: Start, sandbox: RunningSandbox, *more: str | Path) -> Program:
    """The seed flow on the sandbox, once it has started."""
    program = start("--headless", COMPOSITE_FLOW, "--sandbox-env", sandbox.env_file, *more)
    program.wait_for(is_event("started"))
    return program


def test_the_seed_flow_runs_unchanged(
    start: Start, sandbox: RunningSandbox, tmp_path: Path
) -> None:
    program = run(start, sandbox, "--failed-dir", tmp_path / "failed")
    published = publish(sandbox, contacts(120))
    info = wait_until_settled(sandbox)
    assert info.lag == 0
    program.signal(signal.SIGTERM)
    assert program.wait() == 0
    assert ledger(sandbox, published, tmp_path / "failed").problems == ()
    assert program.events("stopped")
    failed = program.events("failed")
    assert {event["kind"] for event in failed} == {"refused", "unfit"}
    assert sum(batch.get("written", 0) for batch in program.events("batch")) > 0


def test_killed_in_mid_batch_and_started_again_loses_and_doubles_nothing(
    start: Start, sandbox: RunningSandbox, tmp_path: Path
) -> None:
    failed = tmp_path / "failed"
    sandbox.ask("/emulator/faults", {"fault": "latency:100ms-200ms,seed=1"})
    program = run(start, sandbox, "--failed-dir", failed, "--log-level", "debug", *SOON)
    published = publish(sandbox, contacts(400))
    for _ in range(3):
        program.wait_for(is_event("sent"))
        program.signal(signal.SIGKILL)
        program.wait()
        program = run(start, sandbox, "--failed-dir", failed, "--log-level", "debug", *SOON)
    assert wait_until_settled(sandbox).lag == 0
    program.signal(signal.SIGTERM)
    assert program.wait() == 0
    assert ledger(sandbox, published, failed, is_ordered=False).problems == ()


def test_sigterm_finishes_what_is_in_flight(
    start: Start, sandbox: RunningSandbox, tmp_path: Path
) -> None:
    failed = tmp_path / "failed"
    sandbox.ask("/emulator/faults", {"fault": "latency:700ms"})
    program = run(start, sandbox, "--failed-dir", failed, "--log-level", "debug")
    published = publish(sandbox, contacts(60))
    program.wait_for(is_event("sent"))
    program.signal(signal.SIGTERM)
    assert program.wait() == 0
    sent = {line["batch"] for line in program.events("sent")}
    assert sent
    assert {line["batch"] for line in program.events("batch")} == sent
    # What it had not begun is still there, at once, for the next one.
    program = run(start, sandbox, "--failed-dir", failed)
    assert wait_until_settled(sandbox).lag == 0
    program.signal(signal.SIGTERM)
    assert program.wait() == 0
    assert ledger(sandbox, published, failed).problems == ()


def test_a_second_signal_does_not_wait(
    start: Start, sandbox: RunningSandbox, tmp_path: Path
) -> None:
    program = run(start, sandbox, "--failed-dir", tmp_path / "failed", "--log-level", "debug")
    sandbox.ask("/emulator/faults", {"fault": "latency:60s"})
    publish(sandbox, contacts(5))
    program.wait_for(is_event("sent"))
    program.signal(signal.SIGINT)
    program.wait_for(is_event("draining"))
    program.signal(signal.SIGINT)
    assert program.wait(15.0) == 130


def test_a_signal_while_it_logs_in_ends_it_at_once(
    start: Start, sandbox: RunningSandbox, tmp_path: Path
) -> None:
    sandbox.ask("/emulator/faults", {"fault": "latency:60s"})
    program = start(
        *("--headless", COMPOSITE_FLOW, "--sandbox-env", sandbox.env_file, "--log-level", "debug"),
        *("--http", "127.0.0.1:0", "--failed-dir", tmp_path / "failed"),
    )
    program.wait_for(is_event("listening"))
    program.signal(signal.SIGTERM)
    assert program.wait(15.0) == 0


def test_a_flow_that_cannot_start_does_not_stop_another(
    start: Start, sandbox: RunningSandbox, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.yaml"
    broken.write_text("flow:\n  name: x\n  tsks: []\n")
    program = start(
        "--headless",
        broken,
        COMPOSITE_FLOW,
        *("--sandbox-env", sandbox.env_file, "--failed-dir", tmp_path / "failed"),
    )
    stopped = program.wait_for(is_event("stopped"))
    assert "broken.yaml:3:" in stopped
    program.wait_for(is_event("started"))
    publish(sandbox, contacts(3))
    program.wait_for(is_event("batch"))
    program.signal(signal.SIGTERM)
    assert program.wait() == 1


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--set", "start_subscription.url=nats://127.0.0.1:1"], 3, "127.0.0.1:1"),
        (["--set", "upsert_contacts.credentials_path=/nowhere.json"], 2, "/nowhere.json"),
        (["--set", "upsert_contacts.batch.max_records=many"], 1, "max_records"),
        (["--http", "nonsense"], 2, "--http 'nonsense'"),
        (["--drain-timeout", "soon"], 2, "--drain-timeout 'soon'"),
    ],
)
def test_what_keeps_it_from_starting_is_a_sentence_and_a_code(
    start: Start, sandbox: RunningSandbox, arguments: list[str], code: int, words: str
) -> None:
    program = start("--headless", COMPOSITE_FLOW, "--sandbox-env", sandbox.env_file, *arguments)
    assert program.wait(20.0) == code
    said = "\n".join(program.lines + program.errors)
    assert words in said
    assert "Traceback" not in said


def test_wrong_credentials_are_told_at_once_and_never_shown(
    start: Start, sandbox: RunningSandbox, tmp_path: Path
) -> None:
    credentials = json.loads(Path(sandbox.environment["SF_CREDENTIALS"]).read_text())
    credentials["password"] = "not-the-password"
    file = tmp_path / "wrong.json"
    file.write_text(json.dumps(credentials))
    file.chmod(0o600)
    program = start(
        "--headless",
        COMPOSITE_FLOW,
        *("--sandbox-env", sandbox.env_file, "--set", f"upsert_contacts.credentials_path={file}"),
    )
    assert program.wait(20.0) == 3
    said = "\n".join(program.lines + program.errors)
    assert "password" in said
    assert "not-the-password" not in said
    assert credentials["client_secret"] not in said


def test_a_variable_that_is_not_set_is_told_with_its_place(start: Start) -> None:
    program = start("--headless", COMPOSITE_FLOW)
    program.process.wait(20.0)
    assert program.wait() in (1, 2)
    assert "NATS_URL" in "\n".join(program.lines + program.errors)


def test_a_broken_flow_pauses_and_goes_on_when_its_file_is_mended(
    start: Start, sandbox: RunningSandbox, tmp_path: Path
) -> None:
    flow = tmp_path / "flow.yaml"
    right = COMPOSITE_FLOW.read_text()
    flow.write_text(right.replace("external_id_field: ExternalId__c", "external_id_field: No__c"))
    program = start(
        "--headless",
        flow,
        *("--sandbox-env", sandbox.env_file, "--failed-dir", tmp_path / "failed"),
        *("--set", "flow.failed.pause_after=3"),
    )
    program.wait_for(is_event("started"))
    events = [
        SampleEvent(f"e{n}", CONTACTS_SUBJECT, b'{"No__c": "a%d", "LastName": "x"}' % n, "single")
        for n in range(8)
    ]
    publish(sandbox, events)
    paused = program.wait_for(is_event("paused"))
    assert '"cause":"broken"' in paused
    flow.write_text(right)
    program.wait_for(is_event("started"))
    good = publish(sandbox, contacts(1, seed=9))
    (record,) = next(iter(good.values()))
    assert wait_until_settled(sandbox).lag == 0
    rows = sandbox.ask("/emulator/records/Contact")["records"]
    assert record["ExternalId__c"] in {row["ExternalId__c"] for row in rows}
    program.signal(signal.SIGTERM)
    assert program.wait() == 0


def test_probes_and_metrics(start: Start, sandbox: RunningSandbox, tmp_path: Path) -> None:
    program = run(start, sandbox, "--failed-dir", tmp_path / "failed", "--http", "127.0.0.1:0")
    publish(sandbox, contacts(30))
    assert wait_until_settled(sandbox).lag == 0

    assert program.get("/livez") == (200, "ok\n")
    assert program.get("/readyz") == (200, "ok\n")
    metrics = program.get("/metrics")[1]
    assert f'workbench_events_received_total{{flow="{DURABLE}"}} 30.0' in metrics
    assert 'status="200"' in metrics
    program.signal(signal.SIGTERM)
    assert program.wait() == 0


def test_publish_says_where_the_event_is(
    start: Start, sandbox: RunningSandbox, tmp_path: Path
) -> None:
    event = tmp_path / "contact.json"
    event.write_text('{"ExternalId__c": "P-1", "LastName": "Berg"}')
    early = start("publish", CONTACTS_SUBJECT, event, "--sandbox-env", sandbox.env_file)
    assert early.wait() == 3
    assert "no stream holds subject" in early.errors[-1]
    program = run(start, sandbox, "--failed-dir", tmp_path / "failed")
    for expected in ("crm:1", "crm:1  (already there, stored once)"):
        done = start(
            "publish", CONTACTS_SUBJECT, event, "--id", "one", "--sandbox-env", sandbox.env_file
        )
        assert done.wait() == 0
        assert done.lines == [expected]
    program.wait_for(is_event("batch"))
    program.signal(signal.SIGTERM)
    assert program.wait() == 0
