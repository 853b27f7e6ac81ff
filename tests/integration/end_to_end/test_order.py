"""Records of one key are written in the order of the stream, whatever happens on the way."""

from __future__ import annotations

import random
from collections import defaultdict

import pytest

from tests.integration.end_to_end.world import Running, World, contact, contacts, task
from workbench.model import Record, Written
from workbench.observe import BatchAnswered


def written_in_order(running: Running) -> dict[str, list[int]]:
    """The values that were written of each key, in the order in which they were told."""
    values: dict[str, list[int]] = defaultdict(list)
    for notice in running.seen(BatchAnswered):
        for record, outcome in zip(notice.batch.records, notice.answer.outcomes, strict=True):
            if isinstance(outcome, Written):
                values[record["ExternalId__c"].lower()].append(int(record["Title"]))
    return values


def updates(count: int, keys: int, seed: int) -> list[list[Record]]:
    """Events of one to five records; each record has the number of its event as its title."""
    draw = random.Random(seed)
    return [
        [contact(key, Title=str(n)) for key in draw.sample(range(keys), draw.choice([1, 1, 1, 5]))]
        for n in range(count)
    ]


TROUBLE = (
    "latency:0ms-20ms,seed=1",
    "lock:0.02,seed=2",
    "lock-nested:0.01,seed=3",
    "status:503:0.03,seed=4",
    "drop:0.02,seed=5",
    "drop-before:0.02,seed=6",
    "truncate:0.01,seed=7",
    "expire,every=60",
)


@pytest.mark.parametrize("all_or_none", [False, True])
async def test_the_last_value_of_every_key_wins_with_all_faults_on(
    world: World, all_or_none: bool
) -> None:
    flow = world.flow(
        task(
            "write",
            all_or_none=all_or_none,
            batch={"max_records": 20, "linger": "2ms"},
            retry={"max_attempts": 8, "initial_backoff": "5ms"},
        ),
        source={"max_deliver": 50, "backoff": ["1s"]},
    )
    events = updates(300, keys=30, seed=1)
    world.fault(*TROUBLE)
    async with world.running(flow) as running:
        await world.publish_all(events)
        await world.settled(running)
    assert world.failed == []
    world.expect([record for event in events for record in event])
    for values in written_in_order(running).values():
        assert values == sorted(values)


async def test_events_that_come_again_from_the_stream_keep_their_place(world: World) -> None:
    """With one try per delivery, each lock sends its event back to the stream."""
    flow = world.flow(
        task("write", batch={"max_records": 10}, retry={"max_attempts": 1}),
        source={"max_deliver": 50, "backoff": ["50ms"], "ack_timeout": "5s"},
    )
    events = updates(300, keys=15, seed=2)
    world.fault("lock:0.05,seed=1")
    async with world.running(flow) as running:
        await world.publish_all(events)
        await world.settled(running)
        assert any(number > 1 for _, number in running.deliveries)
    assert world.failed == []
    world.expect([record for event in events for record in event])
    for values in written_in_order(running).values():
        assert values == sorted(set(values))


async def test_a_crowd_behind_an_event_that_was_sent_back_lets_it_return(world: World) -> None:
    """All later events want its key, and hold far more records than are taken in hand at once."""
    flow = world.flow(
        task("write", all_or_none=True, retry={"max_attempts": 1}, batch={"max_in_flight": 1}),
        source={"backoff": ["100ms"], "ack_timeout": "5s"},
    )
    async with world.running(flow):
        pass  # makes the stream
    events = [[contact(1, Title=str(n)), *contacts(150, 10)] for n in range(20)]
    await world.publish_all(events)
    world.fault("lock,count=1")
    async with world.running(flow) as running:
        await world.settled(running, seconds=10)
        assert running.engine.snapshot().naked == 1
    assert world.failed == []
    world.expect([record for event in events for record in event])


async def test_two_records_of_one_key_never_share_a_request(world: World) -> None:
    async with world.running() as running:
        await world.publish([contact(1, Title="1"), contact(2, Title="1"), contact(1, Title="2")])
        await world.settled(running)
        assert sorted(running.sizes) == [1, 2]
    world.expect([contact(1, Title="2"), contact(2, Title="1")])


async def test_keys_are_one_whatever_their_case(world: World) -> None:
    first, second = contact(1, Title="1"), contact(1, Title="2")
    second["ExternalId__c"] = "C1"
    async with world.running() as running:
        await world.publish([first, second])
        await world.settled(running)
    (row,) = world.rows()
    assert row["Title"] == "2"
    assert world.failed == []


async def test_order_by_holds_records_of_different_keys_in_line(world: World) -> None:
    flow = world.flow(task("write", order_by="{{record.Department}}", batch={"max_in_flight": 8}))
    world.fault("latency:0ms-10ms,seed=1")
    events = [contact(n, Title=str(n), Department=f"D{n % 4}") for n in range(80)]
    async with world.running(flow) as running:
        await world.publish_all(events)
        await world.settled(running)
    by_department: dict[str, list[int]] = defaultdict(list)
    for notice in running.seen(BatchAnswered):
        for record in notice.batch.records:
            by_department[record["Department"]].append(int(record["Title"]))
    assert len(by_department) == 4
    for titles in by_department.values():
        assert titles == sorted(titles)
