"""What Salesforce refuses row by row: kept, retried or rolled back, and never called written."""

from __future__ import annotations

import pytest

from tests.integration.end_to_end.world import World, contact, contacts, task, until
from workbench.emulator.rules import DuplicateRule
from workbench.observe import StoreFailed


async def test_of_200_records_the_37_bad_ones_are_kept_with_field_and_code(world: World) -> None:
    records = contacts(200)
    for number in range(37):
        records[number * 5]["Email"] = "not an address"
    async with world.running() as running:
        (sequence,) = await world.publish(records)
        await world.settled(running)
    bad = {number * 5 for number in range(37)}
    world.expect([record for n, record in enumerate(records) if n not in bad])
    (failed,) = world.failed
    assert (failed.sequence, failed.kind) == (sequence, "refused")
    assert {record.index for record in failed.failures} == bad
    assert {(r.code, r.fields) for r in failed.failures} == {("INVALID_EMAIL_ADDRESS", ("Email",))}
    assert [record.record for record in failed.records] == records


async def test_a_refused_record_does_not_take_its_neighbours_along(world: World) -> None:
    events = contacts(100)
    for number in (3, 50, 99):
        events[number] = contact(number, LastName="x" * 81)
    async with world.running() as running:
        sequences = await world.publish_all(events)
        await world.settled(running)
    world.expect([event for n, event in enumerate(events) if n not in (3, 50, 99)])
    assert [batch.sequence for batch in world.failed] == [sequences[n] for n in (3, 50, 99)]
    assert running.engine.snapshot().terminated == 3


async def test_later_events_of_a_key_go_on_when_an_earlier_one_is_refused(world: World) -> None:
    async with world.running() as running:
        await world.publish(contact(1, Email="no"), contact(1, Title="after"))
        await world.settled(running)
    world.expect([contact(1, Title="after")])
    assert len(world.failed) == 1


@pytest.mark.parametrize("kind", ["lock", "lock-nested", "race"])
async def test_what_passes_by_itself_is_tried_again_until_it_is_written(
    world: World, kind: str
) -> None:
    flow = world.flow(task("write", retry={"max_attempts": 8, "initial_backoff": "5ms"}))
    world.fault("race,every=9,count=80" if kind == "race" else f"{kind}:0.1,seed=1")
    async with world.running(flow) as running:
        await world.publish_all(contacts(1_000))
        await world.settled(running)
        assert running.engine.snapshot().retries > 0
    assert world.failed == []
    world.expect(contacts(1_000))


async def test_a_lock_that_stays_is_redelivered_by_the_backoff_and_then_kept(world: World) -> None:
    flow = world.flow(
        task("write", retry={"max_attempts": 2, "initial_backoff": "5ms"}),
        source={"max_deliver": 3, "backoff": ["100ms", "150ms"]},
    )
    world.fault("lock")
    async with world.running(flow) as running:
        (sequence,) = await world.publish(contact(1))
        await world.settled(running)
        assert running.deliveries == [(sequence, 1), (sequence, 2), (sequence, 3)]
    assert world.rows() == []
    (failed,) = world.failed
    assert (failed.kind, failed.num_delivered) == ("exhausted", 3)
    assert failed.records[0].code == "UNABLE_TO_LOCK_ROW"
    # Two tries in the first delivery, one in each redelivery.
    assert len(world.requests("/composite/sobjects")) == 4


async def test_a_duplicate_is_held_back_unless_the_flow_lets_it_through(world: World) -> None:
    rule = DuplicateRule("Same mail", ("Email",), "Use one of these?", allow_save=True)
    world.org.schema.objects["Contact"].duplicate_rules.append(rule)
    world.org.store.tables["Contact"].follow_rules()
    held_back, let_through = (
        world.flow(task("write", allow_duplicate_save=allowed)) for allowed in (False, True)
    )
    mail = {"Email": "a@example.com"}
    async with world.running(held_back) as running:
        await world.publish(contact(1, **mail))
        await world.settled(running)
        await world.publish(contact(2, **mail))
        await world.settled(running)
    world.expect([contact(1, **mail)])
    (failed,) = world.failed
    assert failed.records[0].code == "DUPLICATES_DETECTED"
    async with world.running(let_through) as running:
        await world.publish(contact(3, **mail))
        await world.settled(running)
    world.expect([contact(1, **mail), contact(3, **mail)])


# -- rollback ----------------------------------------------------------------------------------


async def test_an_atomic_event_is_tried_again_as_a_whole_when_one_row_was_locked(
    world: World,
) -> None:
    flow = world.flow(
        task("write", all_or_none=True, retry={"max_attempts": 50, "initial_backoff": "1ms"})
    )
    world.fault("lock:0.005,seed=3")
    events = [contacts(20, start) for start in range(0, 400, 20)]
    async with world.running(flow) as running:
        await world.publish_all(events)
        await world.settled(running)
        assert running.engine.snapshot().retries > 0
    assert world.failed == []
    world.expect(contacts(400))


async def test_rows_of_other_collections_that_say_success_are_not_called_written(
    world: World,
) -> None:
    """The outer allOrNone takes them back though each says `success: true`, with an id."""
    world.fault("lock,after=430,count=1")
    flow = world.flow(
        task("write", all_or_none=True, retry={"max_attempts": 1}),
        source={"max_deliver": 1},
    )
    async with world.running(flow) as running:
        await world.publish(contacts(450))
        await world.settled(running)
        assert running.engine.snapshot().written == 0
    assert world.rows() == []
    (failed,) = world.failed
    assert {record.outcome for record in failed.records} == {"rolled_back", "deferred"}
    assert len(failed.records) == 450


# -- the store ---------------------------------------------------------------------------------


@pytest.fixture
def quick_store(monkeypatch: pytest.MonkeyPatch) -> None:
    """What could not be stored comes again soon, and so does the look for what ran out."""
    monkeypatch.setattr("workbench.engine.engine.STORE_RETRY_SECONDS", 0.1)
    monkeypatch.setattr("workbench.engine.exhausted.EXHAUSTED_EVERY_SECONDS", 0.3)


@pytest.mark.usefixtures("quick_store")
async def test_while_nothing_can_be_stored_the_event_stays_in_the_stream(world: World) -> None:
    obstacle = world.folder / "failed.jsonl"
    obstacle.mkdir()
    async with world.running(world.flow(source={"max_deliver": 1_000})) as running:
        await world.publish(contact(1, Email="no"), contact(2))
        await until(lambda: len(running.seen(StoreFailed)) >= 3)
        assert (await world.info()).lag >= 1
        obstacle.rmdir()
        await world.settled(running)
    world.expect([contact(2)])
    assert [batch.kind for batch in world.failed] == ["refused"]


@pytest.mark.usefixtures("quick_store")
async def test_a_store_that_is_away_for_all_deliveries_of_an_event_does_not_lose_it(
    world: World,
) -> None:
    obstacle = world.folder / "failed.jsonl"
    obstacle.mkdir()
    async with world.running(world.flow(source={"max_deliver": 2})) as running:
        (sequence,) = await world.publish(contact(1, Email="no"))
        await world.settled(running)  # the server has given it up
        assert running.seen(StoreFailed)
        obstacle.rmdir()
        await until(lambda: world.failed)
    assert [batch.sequence for batch in world.failed] == [sequence]
