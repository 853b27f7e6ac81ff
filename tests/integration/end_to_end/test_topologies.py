"""Chains, branches and neighbours: several tasks in a flow, several flows in a process."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.end_to_end.world import World, contact, contacts, subscriber, task, until
from workbench.app.fleet import Fleet
from workbench.app.settings import Settings
from workbench.emulator import Emulator, EmulatorOptions
from workbench.emulator.control import control
from workbench.jetstream import connect
from workbench.observe import FlowPaused, FlowStarted
from workbench.sandbox.nats import NatsServer
from workbench.testing import RecordingObserver

ACCOUNT = {
    "sobject_type": "Account",
    "payload": {"ExternalId__c": "{{record.ExternalId__c}}", "Name": "{{record.LastName}}"},
}


# -- chains ------------------------------------------------------------------------------------


async def test_a_chain_hands_the_ids_on_and_acks_when_the_last_task_is_done(world: World) -> None:
    notes = {
        "sobject_type": "Case",
        "payload": {"Subject": "{{record.id}}", "ContactId": "{{record.id}}"},
    }
    flow = world.flow(task("people"), task("notes", "create", **notes))
    world.fault("latency:5ms-15ms,seed=1", "lock:0.02,seed=1")
    async with world.running(flow) as running:
        await world.publish_all([contacts(3, start) for start in range(0, 300, 3)])
        await world.settled(running)
        assert running.engine.snapshot().acked == 100
    assert world.failed == []
    world.expect(contacts(300))
    ids = {row["Id"] for row in world.rows()}
    assert {row["ContactId"] for row in world.rows("Case")} == ids
    assert len(world.rows("Case")) == 300


async def test_what_the_first_task_refuses_never_reaches_the_second(world: World) -> None:
    flow = world.flow(
        task("people"),
        task("leads", **{**LEAD, "payload": {**LEAD["payload"], "LastName": "{{record.id}}"}}),
    )
    bad = contact(1)
    del bad["LastName"]
    async with world.running(flow) as running:
        await world.publish([contact(0), bad, contact(2)])
        await world.settled(running)
    (failed,) = world.failed
    assert failed.task == "people"
    assert [record.outcome for record in failed.records] == ["written", "refused", "written"]
    people = world.table()
    assert {row["LastName"] for row in world.rows("Lead")} == {
        people[k]["Id"] for k in ("c0", "c2")
    }


LEAD: dict[str, Any] = {
    "sobject_type": "Lead",
    "payload": {"ExternalId__c": "{{record.id}}", "Company": "of {{record.id}}"},
}


async def test_a_failure_in_the_second_task_is_kept_with_what_that_task_saw(world: World) -> None:
    long = {**LEAD["payload"], "LastName": "{{'x' * 81}}"}
    flow = world.flow(task("people"), task("leads", **{**LEAD, "payload": long}))
    async with world.running(flow) as running:
        await world.publish(contact(1))
        await world.settled(running)
    world.expect([contact(1)])
    (failed,) = world.failed
    assert (failed.task, failed.records[0].code) == ("leads", "STRING_TOO_LONG")
    assert failed.input[0]["id"] == world.rows()[0]["Id"]


# -- branches ----------------------------------------------------------------------------------


async def test_an_event_fans_out_to_two_tasks_and_is_acked_when_both_are_done(
    world: World,
) -> None:
    flow = world.flow(task("people"), task("firms", depends_on=["source"], **ACCOUNT))
    world.fault("latency:30ms,object=Account")
    async with world.running(flow) as running:
        await world.publish_all(contacts(200))
        await world.settled(running)
        assert running.engine.snapshot().acked == 200
    world.expect(contacts(200))
    assert world.table("Account").keys() == world.table().keys()
    assert world.failed == []


async def test_one_branch_refused_leaves_the_other_written_and_tells_which(world: World) -> None:
    flow = world.flow(task("people"), task("firms", depends_on=["source"], **ACCOUNT))
    async with world.running(flow) as running:
        await world.publish(contact(1, Email="no"))
        await world.settled(running)
    assert world.rows() == []
    assert len(world.rows("Account")) == 1
    assert [(batch.task, batch.kind) for batch in world.failed] == [("people", "refused")]


async def test_branches_meet_again_and_nothing_is_lost_or_doubled_under_faults(
    world: World,
) -> None:
    meeting = {
        "sobject_type": "Lead",
        "depends_on": ["people", "firms"],
        "payload": {
            "ExternalId__c": "{{record.id}}",
            "Company": "of {{record.id}}",
            "LastName": "{{record.id}}",
        },
    }
    flow = world.flow(
        task("people", retry={"max_attempts": 2, "initial_backoff": "5ms"}),
        task("firms", depends_on=["source"], **ACCOUNT),
        task("all", **meeting),
        source={"max_deliver": 50, "backoff": ["100ms"], "ack_timeout": "20s"},
    )
    world.fault(
        "latency:0ms-10ms,seed=1", "lock:0.03,seed=1", "status:503:0.03,seed=2", "drop:0.02,seed=3"
    )
    async with world.running(flow) as running:
        await world.publish_all(contacts(200))
        await world.settled(running)
    assert world.failed == []
    world.expect(contacts(200))
    ids = {row["Id"] for row in world.rows()} | {row["Id"] for row in world.rows("Account")}
    assert len(ids) == 400
    assert world.table("Lead").keys() == ids


# -- a platform event at the end ---------------------------------------------------------------


@pytest.fixture
async def eventful(server: NatsServer, tmp_path: Path) -> AsyncIterator[World]:
    """An org that serves Pub/Sub as well."""
    async with Emulator(EmulatorOptions(tls=False, pubsub=True)) as emulator:
        connection = await connect(server.url, None)
        yield World(connection, server.url, emulator, tmp_path)
        await connection.aclose()


def publisher(world: World, **more: Any) -> dict[str, Any]:
    settings = {
        "name": "tell",
        "credentials_path": "/nowhere",
        "topic": "/event/CRM_Event__e",
        "endpoint": world.emulator.pubsub_address,
        "payload": {"Message__c": "{{event.data[0].id}}"},
        **more,
    }
    return {"salesforce_pubsubapi_publisher": settings}


def told(world: World) -> list[str]:
    answer = control(world.org, "GET", "/emulator/events/CRM_Event__e", {}, b"")
    return [event["fields"]["Message__c"] for event in answer.body["events"]]


async def test_an_upsert_followed_by_a_platform_event_tells_of_every_row(eventful: World) -> None:
    world = eventful
    flow = world.flow(task("people"), publisher(world))
    world.fault("lock:0.05,seed=1", "pubsub-latency:5ms")
    async with world.running(flow) as running:
        await world.publish_all(contacts(300))
        await world.settled(running)
    assert world.failed == []
    world.expect(contacts(300))
    messages = told(world)
    assert len(messages) == 300
    assert set(messages) == {row["Id"] for row in world.rows()}


async def test_a_platform_event_that_may_be_out_is_kept_and_the_row_is_not_written_again(
    eventful: World,
) -> None:
    world = eventful
    async with world.running(world.flow(task("people"), publisher(world))) as running:
        world.fault("pubsub-drop,count=1")
        await world.publish(contact(1))
        await world.settled(running)
    world.expect([contact(1)])
    assert [(batch.task, batch.kind) for batch in world.failed] == [("tell", "unknown")]
    assert len(told(world)) == 1
    assert len(world.requests("/composite/sobjects")) == 1


# -- neighbours --------------------------------------------------------------------------------


async def test_flows_in_one_process_do_not_share_their_trouble(world: World) -> None:
    """One is no flow, one asks for a field that is not there, one can't log in, one NATS is not
    there, one is called like an earlier one; the last runs on."""
    here = {"credentials_path": str(world.credentials)}
    wrong = {"credentials_path": str(world.write_credentials("wrong.json", client_secret="x"))}
    payload = {"LastName": "x", "ExternalId__c": "{{record.ExternalId__c}}", "Nope__c": "1"}
    nats = {"url": world.nats_url}
    texts = [
        "flow:\n  name: x\n  tasks: 7\n",
        world.text(task("write", **here, payload=payload), source=nats, failed={"pause_after": 2}),
        world.text(task("write", **wrong), source={**nats, "durable_name": "other"}, name="wrong"),
        world.text(task("write", **here), source={"url": "nats://127.0.0.1:1"}, name="away"),
        world.text(task("write", **here), source={**nats, "durable_name": "twin"}),
        flow_on(other := f"{world.stream}other", task("write", **here), nats),
    ]
    files = [world.folder / f"{number}.yaml" for number in range(len(texts))]
    for file, text in zip(files, texts, strict=True):
        file.write_text(text)
    seen = RecordingObserver()
    fleet = Fleet(Settings({}), lambda flow: world.store, [seen], 20.0)
    run = asyncio.create_task(fleet.run(files))
    await until(lambda: {other, world.stream} <= {notice.flow for notice in seen.of(FlowStarted)})
    await world.publish_all(contacts(100, 5_000))
    await until(lambda: seen.of(FlowPaused))
    world.subject, world.stream = f"{other}.in", other
    await world.publish_all(contacts(100))
    await world.settled()
    fleet.stop()
    members = await run
    world.expect(contacts(100))
    assert [type(member.error).__name__ for member in members] == [
        *("FlowError", "NoneType", "AuthenticationError", "ConnectionLost"),
        *("SettingsError", "NoneType"),
    ]
    assert f"like that in {files[1]};" in str(members[4].error)


def flow_on(stream: str, sink: dict[str, Any], source: dict[str, Any]) -> str:
    return json.dumps({"flow": {"name": stream, "tasks": [subscriber(stream, **source), sink]}})


# -- settings of the source --------------------------------------------------------------------


@pytest.mark.parametrize(
    "source",
    [
        {"max_ack_pending": -1},
        {"max_ack_pending": 1},
        {"max_ack_pending": 50},
        {"max_messages": 1},
        {"max_deliver": -1},
        {"max_deliver": 1},
        {"backoff": None},
        {"ack_timeout": None, "backoff": None},
        {"throttle": "1ms"},
        {"delay": "1ms"},
    ],
)
async def test_every_setting_of_the_source_lets_events_through(
    world: World, source: dict[str, Any]
) -> None:
    flow = world.flow(task("write", batch={"linger": "1ms"}), source=source)
    async with world.running(flow) as running:
        await world.publish_all(contacts(40))
        await world.settled(running, seconds=10)
    assert world.failed == []
    world.expect(contacts(40))
