"""Salesforce in trouble: what is resent, what waits, what is given up, and what nobody pays for."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.integration.end_to_end.world import Running, World, contact, contacts, task, until
from workbench.app.fleet import Fleet
from workbench.app.settings import Settings
from workbench.emulator import Emulator, EmulatorOptions
from workbench.observe import BatchAnswered, FlowPaused, FlowResumed
from workbench.testing import RecordingObserver


def pauses(running: Running) -> list[str]:
    return [notice.cause for notice in running.seen(FlowPaused)]


# -- single requests ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    [
        "status:503:0.2,seed=1",
        "status:502:0.2,seed=2,body=html",
        "status:500:0.2,seed=3",
        "status:504:0.2,seed=4,body=empty",
        "drop:0.2,seed=5",
        "drop-before:0.2,seed=6",
        "truncate:0.2,seed=7",
        "limit:concurrent,share=0.2,seed=8",
        "status:429:0.2,seed=9,retry_after=0",
    ],
)
async def test_upserts_survive_a_fifth_of_all_requests_failing_and_double_nothing(
    world: World, fault: str
) -> None:
    flow = world.flow(
        task(
            "write",
            batch={"max_records": 20},
            retry={"max_attempts": 10, "initial_backoff": "5ms"},
        )
    )
    async with world.running(flow) as running:
        world.fault(fault)
        await world.publish_all(contacts(400))
        await world.settled(running)
        assert any(not notice.answer.is_all_written for notice in running.seen(BatchAnswered))
        assert {number for _, number in running.deliveries} == {1}
    assert world.failed == []
    world.expect(contacts(400))


@pytest.mark.parametrize("fault", ["drop,count=1", "truncate,count=1", "status:500,count=1"])
async def test_creates_without_an_answer_are_kept_as_unknown_and_never_sent_again(
    world: World, fault: str
) -> None:
    flow = world.flow(task("make", "create"))
    async with world.running(flow) as running:
        world.fault(fault)
        await world.publish(contacts(3))
        await world.settled(running)
        await world.publish(contact(9))
        await world.settled(running)
        assert running.sizes == [3, 1]
    (failed,) = world.failed
    assert failed.kind == "unknown"
    assert {record.outcome for record in failed.records} == {"unknown"}
    was_done = not fault.startswith("status")
    world.expect([*(contacts(3) if was_done else []), contact(9)])


async def test_creates_that_certainly_did_not_arrive_are_sent_again(world: World) -> None:
    """No connection at all: nothing left, so nothing can be doubled."""
    port = int(world.emulator.login_url.rpartition(":")[2])
    async with world.running(world.flow(task("make", "create"))) as running:
        await world.publish(contact(1))
        await world.settled(running)
        await world.emulator.aclose()
        await world.publish(contact(2))
        await until(lambda: pauses(running) == ["outage"])
        world.emulator = Emulator(EmulatorOptions(tls=False, port=port))
        await world.emulator.start()
        await world.settled(running)
        assert {number for _, number in running.deliveries} == {1}
    await world.emulator.aclose()
    world.expect([contact(2)])  # the new org is empty
    assert world.failed == []


# -- outages -----------------------------------------------------------------------------------


async def test_an_outage_burns_no_delivery_and_leaves_the_rest_in_the_stream(
    world: World,
) -> None:
    """It lasts for longer than the ack wait; what has arrived and was not taken yet is kept too."""
    flow = world.flow(
        task("write", batch={"max_in_flight": 2}, retry={"max_attempts": 2}),
        source={"max_deliver": 2, "backoff": ["1s"]},
    )
    async with world.running(flow) as running:
        await world.publish(contact(0))
        await world.settled(running)
        world.fault("status:503")
        await world.publish_all(contacts(5_000, 1))
        await until(lambda: pauses(running) == ["outage"])
        during = await world.info()
        held = running.engine.snapshot().held_events
        asked = len(world.requests())
        await asyncio.wait([running.run], timeout=1.7)  # time passes; nothing may happen
        after = await world.info()
        assert (after.lag, after.redelivered) == (5_000, 0)
        assert after.ack_pending == during.ack_pending >= held > 0
        assert after.pending > 0
        assert running.engine.snapshot().held_events == held
        assert len(world.requests()) - asked <= 4
        (reason,) = running.opened.not_ready()
        assert "503" in reason or "SERVER_UNAVAILABLE" in reason
        world.fault()
        await world.settled(running)
        assert {number for _, number in running.deliveries} == {1}
        assert len(running.seen(FlowResumed)) == 1
        assert running.opened.not_ready() == []
    assert world.failed == []
    world.expect(contacts(5_001))


@pytest.mark.parametrize("operation", ["upsert", "create"])
async def test_an_outage_with_requests_in_flight_loses_and_doubles_nothing(
    world: World, operation: str
) -> None:
    flow = world.flow(task("write", operation, batch={"max_records": 10}))
    world.fault("latency:5ms-20ms,seed=1")
    async with world.running(flow) as running:
        await world.publish_all(contacts(1_000))
        await until(lambda: running.engine.snapshot().written >= 200)
        world.org.faults.add("status:503")
        await until(lambda: running.engine.snapshot().state == "paused")
        world.fault()
        await world.settled(running)
    unknown = [batch for batch in world.failed if batch.kind == "unknown"]
    assert unknown == world.failed
    if operation == "upsert":
        assert world.failed == []
    lost = {record.record["ExternalId__c"] for batch in unknown for record in batch.records}
    keys = [row["ExternalId__c"] for row in world.rows()]
    assert len(keys) == len(set(keys))
    assert set(keys) | lost == {record["ExternalId__c"] for record in contacts(1_000)}


async def test_an_outage_while_the_token_must_be_renewed_is_an_outage_too(world: World) -> None:
    async with world.running() as running:
        await world.publish(contact(1))
        await world.settled(running)
        world.org.sessions.expire_all()
        world.fault("status:503,path=*/oauth2/token")
        await world.publish(contact(2))
        await until(lambda: pauses(running) == ["outage"])
        world.fault()
        await world.settled(running)
    assert world.failed == []
    world.expect(contacts(2, 1))


async def test_a_password_changed_while_it_runs_ends_the_flow_and_keeps_the_events(
    world: World,
) -> None:
    from workbench.errors import AuthenticationError

    async def run() -> None:
        async with world.running() as running:
            world.org.sessions.expire_all()
            world.fault("login:grant")
            await world.publish_all(contacts(50))
            await until(running.run.done)

    with pytest.raises(AuthenticationError):
        await run()
    assert (await world.info()).lag == 50
    world.fault()
    async with world.running() as running:
        await world.settled(running)
        assert max(number for _, number in running.deliveries) <= 2
    world.expect(contacts(50))
    assert world.failed == []


# -- limits ------------------------------------------------------------------------------------


async def test_the_daily_limit_pauses_the_flow_and_costs_no_delivery(world: World) -> None:
    flow = world.flow(task("write", batch={"max_records": 10, "max_in_flight": 4}))
    async with world.running(flow) as running:
        await world.publish(contact(0))
        await world.settled(running)
        world.org.usage.limit = world.org.usage.used + 5
        await world.publish_all(contacts(200, 1))
        await until(lambda: pauses(running) == ["limit"])
        assert len(world.rows()) == 51
        world.org.usage.limit = 5_000_000
        running.engine.resume()
        await world.settled(running)
        assert {number for _, number in running.deliveries} == {1}
    assert world.failed == []
    world.expect(contacts(201))


async def test_a_share_of_the_daily_calls_is_not_overstepped_by_more_than_is_in_flight(
    world: World,
) -> None:
    world.org.usage.limit = 100
    flow = world.flow(
        task("write", batch={"max_records": 10, "max_in_flight": 2}),
        api_budget={"daily_share": 0.2},
    )
    async with world.running(flow) as running:
        await world.publish_all(contacts(1_000))
        await until(lambda: pauses(running) == ["budget"])
        assert 20 <= world.org.usage.used <= 22
        world.org.usage.used = 0
        world.org.usage.limit = 5_000_000
        running.engine.resume()
        await world.settled(running)
    assert world.failed == []
    world.expect(contacts(1_000))


# -- a broken flow -----------------------------------------------------------------------------


async def test_a_broken_flow_keeps_20_events_as_failed_and_goes_on_when_its_file_is_mended(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workbench.app.fleet._LOOK_SECONDS", 0.05)
    payload = {"ExternalId__c": "{{record.ExternalId__c}}", "LastName": "{{record.LastName}}"}
    file = world.folder / "flow.yaml"
    file.write_text(world.text(task("write", payload={**payload, "Nope__c": "1"})))
    seen = RecordingObserver()
    fleet = Fleet(settings_of(world), lambda flow: world.store, [seen], 20.0)
    run = asyncio.create_task(fleet.run([file]))
    await until(lambda: fleet.members and fleet.members[0].open)
    sequences = await world.publish_all(contacts(100))
    await until(lambda: any(notice.cause == "broken" for notice in seen.of(FlowPaused)))
    await world.settled(lag=80)
    assert [batch.sequence for batch in world.failed] == sequences[:20]
    assert world.failed[0].records[0].code == "INVALID_FIELD"
    assert "Nope__c" in " ".join(fleet.not_ready())
    write_whole(file, world.text(task("write", payload=payload)))
    await world.settled()
    fleet.stop()
    await run
    world.expect(contacts(80, 20))
    assert len(world.failed) == 20


def settings_of(world: World) -> Settings:
    return Settings({}, {"NATS_URL": world.nats_url, "SF_CREDENTIALS": str(world.credentials)})


def write_whole(file: Path, text: str) -> None:
    """As editors do, so that nobody reads half of it."""
    new = file.with_suffix(".new")
    new.write_text(text)
    new.rename(file)


@pytest.mark.parametrize(
    "broken",
    [{"sobject_type": "Nope__c"}, {"external_id_field": "Nope__c"}],
)
async def test_an_object_or_key_that_is_not_there_pauses_the_flow(
    world: World, broken: dict[str, Any]
) -> None:
    flow = world.flow(task("write", **broken), failed={"pause_after": 5})
    records = [{**contact(n), "Nope__c": str(n)} for n in range(30)]
    async with world.running(flow) as running:
        await world.publish_all(records)
        await until(lambda: pauses(running) == ["broken"])
        await world.settled(lag=25)
        await asyncio.wait([running.run], timeout=0.1)  # nothing more is given up
        assert len(world.failed) == 5
    assert (await world.info()).lag == 25
    assert world.rows() == []


async def test_one_event_with_a_field_that_is_not_there_does_not_stop_the_others(
    world: World,
) -> None:
    flow = world.flow(failed={"pause_after": 3})
    async with world.running(flow) as running:
        for n in range(5):
            await world.publish({**contact(n), "Nope__c": "1"}, contact(100 + n))
            await world.settled(running)
        assert pauses(running) == []
    assert len(world.failed) == 5
    world.expect(contacts(5, 100))
