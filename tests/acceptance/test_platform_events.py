"""The seed flows for platform events, headless and unchanged, and a chain that ends in an event:
what was published to NATS is what the topic holds, field by field."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from tests.acceptance.conftest import FLOWS, Program, RunningSandbox, Start
from workbench.app.opening import connect_nats
from workbench.app.publishing import publish_events
from workbench.app.settings import Settings
from workbench.jetstream import Message, source_info

SUBJECT = "salesforce.platform_events.order_status"
STREAM, DURABLE = "salesforce_platform_events", "salesforce_platform_event_publisher"
PLAIN = FLOWS / "salesforce_platform_event_publisher.yaml"
EXPLICIT = FLOWS / "salesforce_platform_event_publisher_explicit.yaml"

CHAIN = """
flow:
  name: chain
  tasks:
    - nats_jetstream_subscriber:
        name: source
        credentials_path: /etc/nats/credentials.json
        url: "{{env.NATS_URL}}"
        subject: crm.chain
        stream: {create_or_update: true, name: chain, subjects: ["crm.chain"]}
        durable_name: chain
        ack_timeout: 60s
    - salesforce_restapi_composite:
        name: upsert
        operation: upsert
        credentials_path: /etc/sfdc/credentials.json
        sobject_type: Contact
        external_id_field: ExternalId__c
        payload: {from_event: true}
    - salesforce_pubsubapi_publisher:
        name: announce
        credentials_path: /etc/sfdc/credentials.json
        topic: /event/OrderStatus__e
        payload:
          Order_ID__c: "{{event.data | map(attribute='id') | join(' ')}}"
          Status__c: "{{'created' if event.data[0].created else 'changed'}} {{event.sequence}}"
"""


def publish(sandbox: RunningSandbox, subject: str, events: Sequence[Any]) -> None:
    messages = [Message(subject, json.dumps(event).encode()) for event in events]
    asyncio.run(publish_events(messages, Settings({}, sandbox.environment)))


def settled(sandbox: RunningSandbox, stream: str, durable: str, seconds: float = 60.0) -> int:
    """Wait until the durable has nothing left to do; what is left when time is up."""

    async def ask() -> int:
        url, path = sandbox.environment["NATS_URL"], sandbox.environment["NATS_CREDENTIALS"]
        connection = await connect_nats(url, path)
        deadline = monotonic() + seconds
        try:
            while True:
                info = await source_info(connection, stream, durable)
                if not info.lag or monotonic() > deadline:
                    return info.lag
                await asyncio.sleep(0.05)
        finally:
            await connection.aclose()

    return asyncio.run(ask())


def on_topic(sandbox: RunningSandbox) -> list[dict[str, Any]]:
    """The fields of every event on the topic, in order."""
    return [event["fields"] for event in events_of(sandbox)]


def events_of(sandbox: RunningSandbox) -> list[dict[str, Any]]:
    """Every event on the topic with its id, in order."""
    found: list[dict[str, Any]] = []
    after = ""
    while True:
        page = sandbox.ask(f"/emulator/events/OrderStatus__e?limit=1000{after}")
        if not page["events"]:
            return found
        found += page["events"]
        after = f"&after={page['next']}"


@pytest.fixture
def run(start: Start, sandbox: RunningSandbox, tmp_path: Path) -> Callable[..., Program]:
    """A flow on the sandbox, once it has started."""

    def begin(flow: Path, *more: str) -> Program:
        program = start(
            *("--headless", flow, "--sandbox-env", sandbox.env_file),
            *("--failed-dir", tmp_path / "failed", *more),
        )
        program.wait_for(lambda line: '"event":"started"' in line)
        return program

    return begin


def stop(program: Program) -> None:
    program.signal(signal.SIGTERM)
    assert program.wait() == 0, program.report()


def test_events_are_published_as_they_are(
    run: Callable[..., Program], sandbox: RunningSandbox
) -> None:
    program = run(PLAIN)
    ready = [
        {"Order_ID__c": f"ø-{n}", "Status__c": None if n % 3 else "", "Timestamp__c": n * 1000}
        for n in range(300)
    ]
    arrays = [[{"Order_ID__c": f"a{n}-{m}"} for m in range(n % 4)] for n in range(50)]
    publish(sandbox, SUBJECT, [*ready, *arrays])
    assert settled(sandbox, STREAM, DURABLE) == 0
    stop(program)
    expected = [*ready, *(event for array in arrays for event in array)]
    names = ("Order_ID__c", "Status__c", "Timestamp__c")
    got = on_topic(sandbox)
    key = str
    assert sorted(([f[n] for n in names] for f in got), key=key) == sorted(
        ([e.get(n) for n in names] for e in expected), key=key
    )
    assert {event["CreatedById"] for event in got} == {"005WB0000000001YAA"}
    assert all(event["CreatedDate"] > 1_700_000_000_000 for event in got)


def test_events_are_made_by_templates_and_texts_become_times(
    run: Callable[..., Program], sandbox: RunningSandbox
) -> None:
    program = run(EXPLICIT)
    given = [
        {"order_id": f"o{n}", "status": "shipped", "updated_at": f"2026-11-23T09:{n:02}:00+00:00"}
        for n in range(60)
    ]
    publish(sandbox, SUBJECT, given)
    assert settled(sandbox, STREAM, DURABLE) == 0
    stop(program)
    assert sorted(
        (e["Order_ID__c"], e["Status__c"], e["Timestamp__c"]) for e in on_topic(sandbox)
    ) == [(f"o{n}", "shipped", 1_795_424_400_000 + n * 60_000) for n in sorted(range(60), key=str)]


def test_what_is_wrong_with_one_event_is_kept_and_named(
    run: Callable[..., Program], sandbox: RunningSandbox
) -> None:
    program = run(PLAIN)
    good = [{"Order_ID__c": str(n)} for n in range(40)]
    bad = [{"Order_ID": "x"}, {"Order_ID__c": 7}, {"Timestamp__c": "soon"}]
    publish(sandbox, SUBJECT, [*good[:20], *bad, *good[20:]])
    assert settled(sandbox, STREAM, DURABLE) == 0
    stop(program)
    assert sorted(e["Order_ID__c"] for e in on_topic(sandbox)) == sorted(map(str, range(40)))
    failed = program.events("failed")
    assert len(failed) == 3
    text = json.dumps(failed)
    for words in ("Order_ID__c", "INVALID_FIELD", "INVALID_TYPE_ON_FIELD_IN_RECORD"):
        assert words in text


def test_an_expired_token_and_a_busy_service_cost_no_event(
    run: Callable[..., Program], sandbox: RunningSandbox
) -> None:
    for fault in (
        "pubsub-expire,after=2,path=PublishStream",
        "pubsub-status:RESOURCE_EXHAUSTED,every=5,count=3,path=PublishStream",
    ):
        sandbox.ask("/emulator/faults", {"fault": fault})
    program = run(PLAIN, "--set", "publish_order_status.batch.max_records=20")
    given = [{"Order_ID__c": str(n)} for n in range(400)]
    publish(sandbox, SUBJECT, given)
    assert settled(sandbox, STREAM, DURABLE) == 0
    stop(program)
    assert sorted(e["Order_ID__c"] for e in on_topic(sandbox)) == sorted(map(str, range(400)))
    assert not program.events("failed")


def test_killed_in_mid_batch_and_started_again_loses_nothing_and_keeps_ids(
    run: Callable[..., Program], sandbox: RunningSandbox
) -> None:
    sandbox.ask("/emulator/faults", {"fault": "pubsub-latency:50ms-150ms,seed=1"})
    more = ("--log-level", "debug", "--set", "start_subscription.backoff=[1s, 2s]")
    program = run(PLAIN, *more)
    publish(sandbox, SUBJECT, [{"Order_ID__c": str(n)} for n in range(2000)])
    for _ in range(2):
        program.wait_for(lambda line: '"event":"sent"' in line)
        program.signal(signal.SIGKILL)
        program.wait()
        program = run(PLAIN, *more)
    assert settled(sandbox, STREAM, DURABLE) == 0
    stop(program)
    events = events_of(sandbox)
    assert {e["fields"]["Order_ID__c"] for e in events} == {str(n) for n in range(2000)}
    # What was published twice can be known by its id.
    assert len({(e["id"], e["fields"]["Order_ID__c"]) for e in events}) == 2000
    assert len({e["id"] for e in events}) == 2000


def test_an_outage_is_waited_out_and_costs_no_event(
    run: Callable[..., Program], sandbox: RunningSandbox
) -> None:
    fault = "pubsub-status:UNAVAILABLE,after=3,count=5,path=PublishStream"
    sandbox.ask("/emulator/faults", {"fault": fault})
    program = run(PLAIN, "--set", "publish_order_status.batch.max_records=20")
    publish(sandbox, SUBJECT, [{"Order_ID__c": str(n)} for n in range(400)])
    program.wait_for(lambda line: '"event":"paused"' in line and "outage" in line)
    program.wait_for(lambda line: '"event":"resumed"' in line)
    assert settled(sandbox, STREAM, DURABLE) == 0
    stop(program)
    assert sorted(e["Order_ID__c"] for e in on_topic(sandbox)) == sorted(map(str, range(400)))
    assert not program.events("failed")


def test_the_hourly_allocation_pauses_the_flow_and_keeps_the_rest_in_the_stream(
    run: Callable[..., Program], sandbox: RunningSandbox
) -> None:
    sandbox.ask("/emulator/limits", {"hourly_events": 150})
    program = run(PLAIN)
    publish(sandbox, SUBJECT, [{"Order_ID__c": str(n)} for n in range(1000)])
    program.wait_for(lambda line: '"event":"paused"' in line and "limit" in line)
    assert len(on_topic(sandbox)) == 150
    stop(program)
    sandbox.ask("/emulator/limits", {"hourly_events": 1_000_000})
    again = run(PLAIN)
    assert settled(sandbox, STREAM, DURABLE) == 0
    stop(again)
    assert sorted(e["Order_ID__c"] for e in on_topic(sandbox)) == sorted(map(str, range(1000)))
    assert not [*program.events("failed"), *again.events("failed")]


def test_a_chain_writes_contacts_and_announces_each(
    run: Callable[..., Program], sandbox: RunningSandbox, tmp_path: Path
) -> None:
    flow = tmp_path / "chain.yaml"
    flow.write_text(CHAIN)
    program = run(flow)
    contacts = [
        [{"ExternalId__c": f"c{n}-{m}", "LastName": f"Name {n}"} for m in range(1 + n % 3)]
        for n in range(60)
    ]
    publish(sandbox, "crm.chain", contacts)
    assert settled(sandbox, "chain", "chain") == 0
    stop(program)
    rows = sandbox.ask("/emulator/records/Contact?limit=1000")["records"]
    ours = {row["Id"] for row in rows if str(row.get("ExternalId__c")).startswith("c")}
    assert len(ours) == sum(map(len, contacts))
    announced = on_topic(sandbox)
    assert len(announced) == len(contacts)
    assert sorted(id_ for e in announced for id_ in e["Order_ID__c"].split()) == sorted(ours)
    assert {e["Status__c"] for e in announced} == {f"created {n + 1}" for n in range(60)}


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--set", "publish_order_status.topic=/event/Nowhere__e"], 3, "/event/Nowhere__e"),
        (["--set", "publish_order_status.endpoint=127.0.0.1:1"], 3, "127.0.0.1:1"),
        (["--set", "publish_order_status.endpoint=http://example.com:1"], 2, "unencrypted"),
    ],
)
def test_what_keeps_it_from_publishing_is_a_sentence_and_a_code(
    start: Start, sandbox: RunningSandbox, arguments: list[str], code: int, words: str
) -> None:
    program = start("--headless", PLAIN, "--sandbox-env", sandbox.env_file, *arguments)
    assert program.wait(30.0) == code, program.report()
    said = "\n".join(program.lines + program.errors)
    assert words in said
    assert "Traceback" not in said
