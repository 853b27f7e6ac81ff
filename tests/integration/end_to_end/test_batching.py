"""How events become requests: split, gathered, and kept whole where the flow asks for it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.end_to_end.world import World, contact, contacts, task


async def test_an_event_of_450_records_leaves_in_three_requests_and_is_acked_once(
    world: World,
) -> None:
    async with world.running() as running:
        await world.publish(contacts(450))
        await world.settled(running)
        assert sorted(running.sizes) == [50, 200, 200]
        assert running.engine.snapshot().acked == 1
    world.expect(contacts(450))


async def test_small_events_share_requests_of_200_records(world: World) -> None:
    async with world.running():
        pass  # makes the stream, so that the events are there before the flow is
    await world.publish(*contacts(2_000))
    async with world.running() as running:
        await world.settled(running)
        assert running.sizes == [200] * 10
        assert running.engine.snapshot().acked == 2_000
    world.expect(contacts(2_000))


async def test_a_lone_event_does_not_wait_for_others(world: World) -> None:
    flow = world.flow(task("write", batch={"linger": "5ms"}))
    async with world.running(flow) as running:
        await world.publish(contact(1))
        await world.settled(running)
        assert running.sizes == [1]
    world.expect([contact(1)])


async def test_no_more_requests_are_in_flight_than_the_flow_allows(world: World) -> None:
    flow = world.flow(task("write", batch={"max_in_flight": 3, "max_records": 10}))
    world.fault("latency:20ms")
    most = 0
    async with world.running(flow) as running:
        await world.publish(*contacts(300))
        while (await world.info()).lag:
            most = max(most, running.engine.snapshot().stages[0].in_flight)
        assert max(running.sizes) == 10
    assert most == 3
    world.expect(contacts(300))


# -- all or none -------------------------------------------------------------------------------

WHOLE: dict[str, Any] = {"all_or_none": True}


async def test_450_records_that_belong_together_leave_in_one_composite_call(world: World) -> None:
    async with world.running(world.flow(task("write", **WHOLE))) as running:
        await world.publish(contacts(450))
        await world.settled(running)
        assert running.sizes == [450]
    assert [request["path"].rpartition("/")[2] for request in world.requests()] == ["composite"]
    world.expect(contacts(450))


async def test_one_bad_record_of_450_that_belong_together_leaves_none_of_them(
    world: World,
) -> None:
    records = contacts(450)
    del records[321]["LastName"]
    async with world.running(world.flow(task("write", **WHOLE))) as running:
        (sequence,) = await world.publish(records)
        await world.settled(running)
    assert world.rows() == []
    (failed,) = world.failed
    assert failed.sequence == sequence
    outcomes = [record.outcome for record in failed.records]
    assert outcomes.count("refused") == 1
    assert outcomes[321] == "refused"
    assert failed.records[321].fields == ("LastName",)
    assert "written" not in outcomes


async def test_1000_records_that_belong_together_are_written_and_1001_are_kept_as_failed(
    world: World,
) -> None:
    async with world.running(world.flow(task("write", **WHOLE))) as running:
        _, too_large = await world.publish(contacts(1_000), contacts(1_001, 5_000))
        await world.settled(running)
    world.expect(contacts(1_000))
    (failed,) = world.failed
    assert (failed.sequence, failed.kind) == (too_large, "unfit")
    assert "1001 records" in failed.reason


async def test_events_that_share_a_call_keep_their_own_atomicity(world: World) -> None:
    events = [contacts(3, start) for start in range(0, 30, 3)]
    del events[4][1]["LastName"]
    async with world.running(world.flow(task("write", **WHOLE))):
        pass
    sequences = await world.publish(*events)
    async with world.running(world.flow(task("write", **WHOLE))) as running:
        await world.settled(running)
        assert sorted(running.sizes) == [15, 15]
    assert [failed.sequence for failed in world.failed] == [sequences[4]]
    world.expect([record for event in events[:4] + events[5:] for record in event])


async def test_events_of_one_record_share_a_plain_call_even_where_events_are_atomic(
    world: World,
) -> None:
    async with world.running(world.flow(task("write", **WHOLE))):
        pass
    bad = contact(7)
    del bad["LastName"]
    await world.publish(*contacts(7), bad, *contacts(192, 8))
    async with world.running(world.flow(task("write", **WHOLE))) as running:
        await world.settled(running)
        assert running.sizes == [200]
    assert [failed.records[0].fields for failed in world.failed] == [("LastName",)]
    world.expect([*contacts(7), *contacts(192, 8)])


async def test_small_requests_do_not_make_an_atomic_event_too_large_for_one_call(
    world: World,
) -> None:
    """Five collections a call is Salesforce's limit, whatever `max_records` the flow wishes."""
    flow = world.flow(task("write", **WHOLE, batch={"max_records": 100}))
    async with world.running(flow) as running:
        await world.publish(contacts(700))
        await world.settled(running)
    assert world.failed == []
    world.expect(contacts(700))


@pytest.mark.parametrize("all_or_none", [False, True])
async def test_an_event_without_records_is_acked_and_asks_nothing(
    world: World, all_or_none: bool
) -> None:
    async with world.running(world.flow(task("write", all_or_none=all_or_none))) as running:
        await world.publish([])
        await world.settled(running)
        assert running.sizes == []
    assert world.failed == []


@pytest.mark.parametrize(
    "data", [b"", b"{", b"\xff\xfe", b"7", b'"text"', b'["a", {}]', b"null", b"[[]]", b"\x00"]
)
async def test_what_is_no_record_is_kept_with_its_bytes_and_the_flow_goes_on(
    world: World, data: bytes
) -> None:
    async with world.running() as running:
        bad, _ = await world.publish(data, contact(1))
        await world.settled(running)
    world.expect([contact(1)])
    (failed,) = world.failed
    assert (failed.sequence, failed.kind, failed.data) == (bad, "unfit", data)
