"""The running engine on a stream and a Salesforce in memory, in fake time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.unit.engine.support import records_of, spec
from workbench.codec import encode
from workbench.engine import Core, Engine, Gate, Pace, RetryPolicy
from workbench.errors import AuthenticationError, WorkbenchError
from workbench.model import (
    Answer,
    Batch,
    Cause,
    Deferred,
    Limits,
    Outcome,
    Refused,
    Unknown,
    Unsent,
    Written,
)
from workbench.observe import EventsSettled, FlowPaused, FlowResumed, StoreFailed
from workbench.testing import (
    FakeClock,
    MemoryDeadLetters,
    MemorySink,
    MemorySource,
    RecordingObserver,
)


class Bench:
    """One flow and everything around it."""

    def __init__(self, sinks: dict[str, MemorySink], **options: Any) -> None:
        self.clock = FakeClock()
        self.source = MemorySource(self.clock, max_deliver=options.pop("max_deliver", 5))
        self.letters = MemoryDeadLetters()
        self.seen = RecordingObserver()
        gate = options.pop("gate", Gate())
        changes = options.pop("specs", {})
        upstream = "source"
        specs = []
        for name, sink in sinks.items():
            change = {"upstreams": (upstream,), **changes.get(name, {})}
            specs.append(spec(sink, name=name, **change))
            upstream = name
        self.engine = Engine(
            "flow",
            "source",
            specs,
            source=self.source,
            dead_letters=self.letters,
            clock=self.clock,
            observers=[self.seen],
            gate=gate,
            seed=7,
            **options,
        )

    def publish(self, count: int, *, start: int = 0) -> None:
        for number in range(start, start + count):
            self.source.publish(encode({"ExternalId__c": f"k{number}", "n": number}))

    async def until(
        self, done: Callable[[], bool], *, step: float = 0.05, limit: int = 4000
    ) -> None:
        """Advance time until `done`."""
        for _ in range(limit):
            if done():
                return
            await self.clock.advance(step, rounds=10)
        raise AssertionError(f"it never happened: {self.engine.snapshot()}")


@asynccontextmanager
async def running(bench: Bench) -> AsyncIterator[Bench]:
    task = asyncio.create_task(bench.engine.run())
    await bench.clock.settle()
    try:
        yield bench
    finally:
        bench.engine.stop()
        for _ in range(200):
            if task.done():
                break
            await bench.clock.advance(1.0, rounds=10)
        await task


async def test_small_events_share_requests_and_are_acked_one_by_one() -> None:
    sink = MemorySink()
    async with running(Bench({"upsert": sink})) as bench:
        bench.publish(450)
        await bench.until(lambda: len(bench.source.acked) == 450)
    assert sorted(bench.source.acked) == list(range(1, 451))
    assert [len(batch) for batch in sink.batches] == [200, 200, 50]
    assert len(sink.rows) == 450


async def test_a_large_event_is_split_and_acked_once() -> None:
    sink = MemorySink()
    async with running(Bench({"upsert": sink})) as bench:
        bench.source.publish(encode([{"ExternalId__c": f"k{n}"} for n in range(450)]))
        await bench.until(lambda: bench.source.acked == [1])
    assert sum(len(batch) for batch in sink.batches) == 450
    assert max(len(batch) for batch in sink.batches) == 200


async def test_a_refused_record_is_stored_before_its_event_is_terminated() -> None:
    def script(batch: Batch) -> list[Outcome] | None:
        return [
            Refused("REQUIRED_FIELD_MISSING", "Required fields are missing: [LastName]")
            if record["n"] == 3
            else Written("id")
            for record in batch.records
        ]

    async with running(Bench({"upsert": MemorySink(script=script)})) as bench:
        bench.publish(10)
        await bench.until(lambda: len(bench.source.acked) == 9 and bool(bench.source.termed))
    assert list(bench.letters.entries) == ["events.4.flow.upsert"]
    entry = bench.letters.entries["events.4.flow.upsert"]
    assert entry.kind == "refused"
    assert entry.records[0].code == "REQUIRED_FIELD_MISSING"
    assert entry.data == encode({"ExternalId__c": "k3", "n": 3})


async def test_records_refused_together_are_one_attempt_and_written_neighbours_stay_written() -> (
    None
):
    def script(batch: Batch) -> list[Outcome]:
        return [
            Written("id") if record["n"] % 3 == 0 else Refused("X", f"no to {record['n']}")
            for record in batch.records
        ]

    async with running(Bench({"upsert": MemorySink(script=script)})) as bench:
        bench.source.publish(encode([{"ExternalId__c": f"k{n}", "n": n} for n in range(90)]))
        await bench.until(lambda: bench.source.termed != [])
        snapshot = bench.engine.snapshot()
    (entry,) = bench.letters.entries.values()
    assert len(entry.attempts) == 1
    assert [record.outcome for record in entry.records] == ["written", "refused", "refused"] * 30
    assert [r.message for r in entry.failures] == [f"no to {n}" for n in range(90) if n % 3]
    assert entry.reason == "X: no to 1"
    assert (snapshot.written, snapshot.failures) == (30, {("upsert", "X"): 60})
    assert snapshot.held_records == 0


async def test_only_the_record_that_may_go_better_is_sent_again() -> None:
    def script(batch: Batch) -> list[Outcome]:
        return [
            Written("id")
            if record["n"] % 3 == 0 or len(batch) == 1
            else Deferred("UNABLE_TO_LOCK_ROW", "busy")
            if record["n"] == 50
            else Refused("X", "no")
            for record in batch.records
        ]

    sink = MemorySink(script=script)
    async with running(Bench({"upsert": sink})) as bench:
        bench.source.publish(encode([{"ExternalId__c": f"k{n}", "n": n} for n in range(90)]))
        await bench.until(lambda: bench.source.termed != [])
    (entry,) = bench.letters.entries.values()
    assert [[record["n"] for record in batch.records] for batch in sink.batches][1:] == [[50]]
    assert entry.records[50].outcome == "written"
    assert len(entry.failures) == 59


async def test_a_store_that_is_slower_than_salesforce_does_not_fill_memory() -> None:
    def script(batch: Batch) -> list[Outcome]:
        return [Refused("X", "no")] * len(batch)

    bench = Bench({"upsert": MemorySink(script=script)})
    bench.letters.hold = asyncio.Event()
    bench.publish(10_000)
    async with running(bench):
        for _ in range(50):
            await bench.clock.advance(1.0, rounds=50)
        held = bench.engine.snapshot().held_events
        bench.letters.hold.set()
        await bench.until(lambda: len(bench.source.termed) == 10_000)
    assert 1_000 < held < 5_000
    assert len(bench.letters.entries) == 10_000


async def test_when_the_store_is_down_the_event_goes_back_and_is_not_lost() -> None:
    def script(batch: Batch) -> list[Outcome]:
        return [Refused("X", "no")] * len(batch)

    bench = Bench({"upsert": MemorySink(script=script)})
    bench.letters.is_down = True
    async with running(bench):
        bench.publish(1)
        await bench.until(lambda: bool(bench.source.naked))
        assert not bench.source.termed
        bench.letters.is_down = False
        await bench.until(lambda: bool(bench.source.termed))
    assert len(bench.letters.entries) == 1


async def test_events_that_are_not_records_are_kept_with_their_bytes() -> None:
    async with running(Bench({"upsert": MemorySink()})) as bench:
        bench.source.publish(b"not json")
        bench.source.publish(b"\xff\xfe")
        bench.source.publish(b"[1, 2]")
        bench.publish(1)
        await bench.until(lambda: len(bench.source.termed) == 3 and len(bench.source.acked) == 1)
    kept = {entry.sequence: entry for entry in bench.letters.entries.values()}
    assert kept[1].data == b"not json"
    assert kept[2].data == b"\xff\xfe"
    assert all(entry.kind == "unfit" for entry in kept.values())


async def test_the_flow_file_sets_the_pace() -> None:
    pace = Pace(max_events=7, delay_seconds=2.0)
    async with running(Bench({"upsert": MemorySink()}, pace=pace)) as bench:
        bench.publish(20)
        await bench.clock.advance(0.5)
        assert len(bench.source.delivered) == 7
        await bench.clock.advance(2.0)
        assert len(bench.source.delivered) == 14

    throttled = Bench({"upsert": MemorySink()}, pace=Pace(throttle_seconds=0.1))
    async with running(throttled) as bench:
        bench.publish(50)
        await bench.clock.advance(2.05)
        assert len(bench.source.delivered) == 21


async def test_a_lock_is_tried_again_at_once_and_the_rest_is_not_held_up() -> None:
    seen: list[int] = []

    def script(batch: Batch) -> list[Outcome]:
        seen.append(len(batch))
        locked = len(seen) == 1
        return [
            Deferred("UNABLE_TO_LOCK_ROW", "locked") if locked and r["n"] == 0 else Written("id")
            for r in batch.records
        ]

    async with running(Bench({"upsert": MemorySink(script=script)})) as bench:
        bench.publish(5)
        await bench.until(lambda: len(bench.source.acked) == 5)
    assert seen == [5, 1]
    assert not bench.source.naked


async def test_what_stays_locked_comes_back_by_the_backoff_and_is_given_up_at_the_last() -> None:
    policy = RetryPolicy(
        max_attempts=2, initial_backoff_seconds=0.1, backoff_seconds=(10.0, 30.0), max_deliver=4
    )

    def script(batch: Batch) -> list[Outcome]:
        return [Deferred("UNABLE_TO_LOCK_ROW", "locked")] * len(batch)

    sink = MemorySink(script=script)
    bench = Bench({"upsert": sink}, specs={"upsert": {"policy": policy}}, max_deliver=4)
    async with running(bench):
        bench.publish(1)
        await bench.until(lambda: bool(bench.source.termed), step=0.5)
    assert [delay for _, delay in bench.source.naked] == [10.0, 30.0, 30.0]
    assert len(sink.batches) == 2 + 3, "two tries in the first delivery, one in each other"
    (entry,) = bench.letters.entries.values()
    assert entry.kind == "exhausted"
    assert len(entry.attempts) == 5, "the attempts of every delivery are told"


async def test_a_later_event_of_the_key_waits_for_one_that_was_sent_back() -> None:
    policy = RetryPolicy(max_attempts=1, backoff_seconds=(10.0,), max_deliver=3)
    tries = 0

    def script(batch: Batch) -> list[Outcome]:
        nonlocal tries
        answers: list[Outcome] = []
        for record in batch.records:
            if record["n"] == 1:
                tries += 1
            fails = record["n"] == 1 and tries == 1
            answers.append(Deferred("UNABLE_TO_LOCK_ROW", "x") if fails else Written("id"))
        return answers

    sink = MemorySink(script=script)
    async with running(Bench({"upsert": sink}, specs={"upsert": {"policy": policy}})) as bench:
        bench.source.publish(encode({"ExternalId__c": "A", "n": 1}))
        await bench.until(lambda: bool(bench.source.naked))
        bench.source.publish(encode({"ExternalId__c": "a", "n": 2}))
        bench.source.publish(encode({"ExternalId__c": "b", "n": 3}))
        await bench.until(lambda: bench.source.acked == [3], step=1.0)
        await bench.until(lambda: len(bench.source.acked) == 3, step=1.0)
    assert [record["n"] for record in sink.writes] == [3, 1, 2]
    assert sink.rows["a"]["n"] == 2


async def test_a_crowd_that_waits_for_a_key_leaves_room_for_the_one_that_comes_back() -> None:
    policy = RetryPolicy(max_attempts=1, backoff_seconds=(10.0,), max_deliver=3)
    tries = 0

    def script(batch: Batch) -> list[Outcome]:
        nonlocal tries
        tries += 1
        return [Deferred("UNABLE_TO_LOCK_ROW", "x") if tries == 1 else Written("id")] * len(batch)

    sink = MemorySink(script=script)
    bench = Bench({"upsert": sink}, specs={"upsert": {"policy": policy}}, max_held_events=3)
    async with running(bench):
        bench.source.publish(encode({"ExternalId__c": "A", "n": 1}))
        await bench.until(lambda: bool(bench.source.naked))
        for number in range(2, 7):
            bench.source.publish(encode({"ExternalId__c": "A", "n": number}))
        await bench.clock.advance(25.0)
        assert sorted(bench.source.acked) == [1, 2, 3, 4, 5, 6]
    assert [record["n"] for record in sink.writes] == [1, 2, 3, 4, 5, 6]


async def test_an_hour_of_outage_leaves_the_stream_where_it_was() -> None:
    sink = MemorySink()
    policy = RetryPolicy(max_attempts=4, backoff_seconds=(1.0, 10.0), max_deliver=5)

    def down(batch: Batch) -> list[Outcome]:
        return [Unsent("cannot connect")] * len(batch)

    bench = Bench({"upsert": sink}, specs={"upsert": {"policy": policy}})
    async with running(bench):
        sink.script, sink.is_up = down, False
        bench.publish(5_000)
        await bench.until(lambda: bench.engine.snapshot().state == "paused")
        held = bench.engine.snapshot().held_events
        await bench.clock.advance(3600.0, rounds=10)
        snapshot = bench.engine.snapshot()
        assert snapshot.state == "paused"
        assert snapshot.pause_cause == "outage"
        assert snapshot.held_events == held
        assert not bench.source.naked, "no delivery was used up by waiting"
        assert not bench.letters.entries
        assert bench.source.pending == 5_000 - held
        assert set(bench.source.delivered.values()) == {1}
        assert sink.probes >= 100
        sink.script, sink.is_up = None, True
        await bench.until(lambda: len(bench.source.acked) == 5_000, step=1.0)
    assert len(sink.rows) == 5_000
    assert len(bench.seen.of(FlowPaused)) == 1
    assert len(bench.seen.of(FlowResumed)) == 1


async def test_503_on_writes_only_pauses_without_charging_the_records() -> None:
    def down(batch: Batch) -> list[Outcome]:
        return [Deferred("SERVER_UNAVAILABLE", "too busy", Cause.OUTAGE)] * len(batch)

    sink = MemorySink(script=down)
    async with running(Bench({"upsert": sink})) as bench:
        bench.publish(1000)
        await bench.clock.advance(3600.0, rounds=10)
        assert bench.engine.snapshot().pause_cause == "outage"
        assert not bench.source.naked
        assert not bench.letters.entries
        sink.script = None
        await bench.until(lambda: len(bench.source.acked) == 1000, step=5.0)


async def test_a_request_that_never_answers_does_not_hold_the_flow_for_ever() -> None:
    """Salesforce is there, but one batch always times out: its records are charged."""

    def script(batch: Batch) -> list[Outcome]:
        if any(record["n"] == 0 for record in batch.records):
            return [Unknown("no answer within 120 s")] * len(batch)
        return [Written("id")] * len(batch)

    sink = MemorySink(script=script)
    policy = RetryPolicy(max_attempts=2, backoff_seconds=(1.0,), max_deliver=2)
    bench = Bench({"upsert": sink}, specs={"upsert": {"policy": policy}}, max_deliver=2)
    async with running(bench):
        bench.publish(1)
        await bench.until(lambda: bool(bench.source.termed), step=1.0)
    (entry,) = bench.letters.entries.values()
    assert entry.kind == "exhausted"


async def test_the_daily_limit_pauses_for_minutes() -> None:
    def limited(batch: Batch) -> list[Outcome]:
        message = "TotalRequests Limit exceeded."
        return [Deferred("REQUEST_LIMIT_EXCEEDED", message, Cause.LIMIT)] * len(batch)

    sink = MemorySink(script=limited)
    async with running(Bench({"upsert": sink})) as bench:
        bench.publish(10)
        await bench.until(lambda: bench.engine.snapshot().state == "paused")
        sent = len(sink.batches)
        await bench.clock.advance(59.0, rounds=10)
        assert len(sink.batches) == sent
        sink.script = None
        await bench.until(lambda: len(bench.source.acked) == 10, step=5.0)
        assert not bench.source.naked


async def test_a_broken_flow_keeps_the_stream_and_goes_on_by_command() -> None:
    def broken(batch: Batch) -> list[Outcome]:
        fault = Refused("INVALID_FIELD", "No such column 'Nmae'", ("Nmae",), is_request_fault=True)
        return [fault] * len(batch)

    sink = MemorySink(script=broken)
    async with running(Bench({"upsert": sink}, gate=Gate(pause_after=20))) as bench:
        bench.publish(1000)
        await bench.until(lambda: bench.engine.snapshot().state == "paused")
        await bench.clock.advance(600.0, rounds=10)
        snapshot = bench.engine.snapshot()
        assert snapshot.pause_cause == "broken"
        assert "Nmae" in snapshot.pause_reason
        assert len(bench.letters.entries) == 20, "the rest is kept in hand and in the stream"
        assert not bench.source.naked
        sink.script = None
        bench.engine.resume()
        await bench.until(lambda: len(bench.source.acked) == 980, step=0.5)


async def test_held_events_are_kept_alive() -> None:
    hold = asyncio.Event()
    async with running(Bench({"upsert": MemorySink(hold=hold)})) as bench:
        bench.publish(3)
        await bench.clock.advance(300.0)
        assert bench.source.owed == 3
        assert set(bench.source.delivered.values()) == {1}
        hold.set()
        await bench.until(lambda: len(bench.source.acked) == 3)


async def test_stopping_sends_what_is_queued_and_gives_back_the_rest() -> None:
    def script(batch: Batch) -> list[Outcome]:
        return [
            Deferred("UNABLE_TO_LOCK_ROW", "x") if r["n"] == 0 else Written("id")
            for r in batch.records
        ]

    bench = Bench({"upsert": MemorySink(script=script)})
    async with running(bench):
        bench.publish(10)
        await bench.clock.settle()
    assert len(bench.source.acked) == 9
    assert bench.source.naked == [(1, 0.0)]
    assert bench.source.owed == 0


async def test_a_hurried_stop_leaves_nothing_owed() -> None:
    bench = Bench({"upsert": MemorySink(hold=asyncio.Event())})
    task = asyncio.create_task(bench.engine.run())
    await bench.clock.settle()
    bench.publish(10)
    await bench.clock.advance(1.0)
    bench.engine.hurry()
    await asyncio.wait_for(task, 5)
    assert bench.source.owed == 0
    assert len(bench.source.naked) == 10


async def end_with_refused_credentials(bench: Bench, count: int) -> None:
    task = asyncio.create_task(bench.engine.run())
    await bench.clock.settle()
    bench.publish(count)
    for _ in range(100):
        await bench.clock.advance(0.5, rounds=10)
    with pytest.raises(AuthenticationError):
        await task


async def test_refused_credentials_stop_the_flow_and_give_everything_back() -> None:
    def script(batch: Batch) -> Exception:
        return AuthenticationError("the org refused the user name or password")

    limits = Limits(is_idempotent=False)
    bench = Bench({"create": MemorySink(script=script, limits=limits)})
    await end_with_refused_credentials(bench, 10)
    assert not bench.letters.entries, "nothing left this machine, so nothing is unknown"
    assert len(bench.source.naked) == 10


async def test_credentials_refused_while_probing_stop_the_flow() -> None:
    class Revoked(MemorySink):
        async def probe(self) -> None:
            raise AuthenticationError("the user was deactivated")

    bench = Bench({"upsert": Revoked(script=lambda batch: [Unsent("down")] * len(batch))})
    await end_with_refused_credentials(bench, 3)
    assert len(bench.source.naked) == 3


async def test_creates_with_a_lost_answer_are_kept_as_unknown_and_not_sent_again() -> None:
    def script(batch: Batch) -> list[Outcome]:
        return [Unknown("connection reset after sending")] * len(batch)

    sink = MemorySink(script=script, limits=Limits(is_idempotent=False), key="none")
    async with running(Bench({"create": sink})) as bench:
        bench.publish(3)
        await bench.until(lambda: len(bench.source.termed) == 3, step=1.0)
    assert len(sink.batches) == 1
    assert {entry.kind for entry in bench.letters.entries.values()} == {"unknown"}


@pytest.mark.parametrize("late", [0, 1])
async def test_part_of_a_create_is_never_redelivered(late: int) -> None:
    policy = RetryPolicy(max_attempts=1, backoff_seconds=(5.0,), max_deliver=3)
    calls = 0

    def script(batch: Batch) -> list[Outcome]:
        nonlocal calls
        calls += 1
        return [
            Deferred("UNABLE_TO_LOCK_ROW", "x") if r["x"] == late and calls < 3 else Written("id")
            for r in batch.records
        ]

    sink = MemorySink(script=script, limits=Limits(is_idempotent=False), key="none")
    async with running(Bench({"create": sink}, specs={"create": {"policy": policy}})) as bench:
        bench.source.publish(encode([{"x": 0}, {"x": 1}]))
        await bench.until(lambda: bool(bench.source.acked), step=1.0)
    assert [record["x"] for record in sink.writes] == [1 - late, late]
    assert not bench.source.naked


@pytest.mark.parametrize(
    "outcomes",
    [
        [Unknown("no answer")],
        [Written("id"), Refused("X", "no")],
        [Unknown("no answer"), Deferred("LOCK", "x")],
    ],
    ids=("unknown", "written in part", "unknown in part"),
)
async def test_what_may_be_written_waits_for_the_store_in_hand_and_is_not_sent_again(
    outcomes: list[Outcome],
) -> None:
    """Back in the stream, another process would write it twice."""
    policy = RetryPolicy(max_attempts=1, backoff_seconds=(5.0,), max_deliver=3)
    sink = MemorySink(
        script=lambda batch: [outcomes[record["x"]] for record in batch.records],
        limits=Limits(is_idempotent=False),
        key="none",
    )
    bench = Bench({"create": sink}, specs={"create": {"policy": policy}})
    bench.letters.is_down = True
    async with running(bench):
        bench.source.publish(encode([{"x": x} for x in range(len(outcomes))]))
        await bench.until(lambda: len(bench.seen.of(StoreFailed)) == 20, step=5.0)
        assert not bench.source.naked
        assert bench.engine.snapshot().held_events == 1
        bench.letters.is_down = False
        await bench.until(lambda: bool(bench.source.termed), step=1.0)
    written = [record["x"] for batch in sink.batches for record in batch.records]
    assert written.count(0) == 1
    assert set(bench.source.delivered.values()) == {1}
    (entry,) = bench.letters.entries.values()
    assert entry.records[0].outcome in ("unknown", "written")


async def test_a_flow_that_stops_while_the_store_is_down_gives_all_back() -> None:
    sink = MemorySink(
        script=lambda batch: [Unknown("no answer")] * len(batch), limits=Limits(is_idempotent=False)
    )
    bench = Bench({"create": sink})
    bench.letters.is_down = True
    async with running(bench):
        bench.publish(2)
        await bench.until(lambda: bool(bench.seen.of(StoreFailed)))
        assert not bench.source.naked
    assert sorted(bench.source.naked) == [(1, 5.0), (2, 5.0)]


@pytest.mark.parametrize("late", ["one", "two"])
async def test_an_event_for_two_tasks_does_not_go_back_for_one_while_the_other_may_write_it(
    late: str,
) -> None:
    policy = RetryPolicy(max_attempts=1, backoff_seconds=(5.0,), max_deliver=4)
    calls = 0

    def script(batch: Batch) -> list[Outcome]:
        nonlocal calls
        calls += 1
        return [Deferred("UNABLE_TO_LOCK_ROW", "x") if calls < 3 else Written("id")] * len(batch)

    limits = Limits(is_idempotent=False)
    sinks = {
        name: MemorySink(script=script if name == late else None, limits=limits, key="none")
        for name in ("one", "two")
    }
    specs = {name: {"policy": policy, "upstreams": ("source",)} for name in sinks}
    async with running(Bench(sinks, specs=specs)) as bench:
        bench.publish(1)
        await bench.until(lambda: bool(bench.source.acked), step=1.0)
    assert not bench.source.naked
    assert [len(sink.writes) for sink in sinks.values()] == [1, 1]


async def test_a_chain_acks_after_the_last_task_and_hands_on_what_was_written() -> None:
    def first(batch: Batch) -> list[Outcome]:
        return [
            Refused("X", "no") if record["n"] == 1 else Written(f"id{record['n']}", True)
            for record in batch.records
        ]

    def second(event: Any, data: Any) -> list[dict[str, Any]]:
        return [{"ExternalId__c": row["id"], "from": event.sequence} for row in data]

    sinks = {"upsert": MemorySink(script=first), "publish": MemorySink()}
    bench = Bench(sinks, specs={"publish": {"render": second}})
    async with running(bench):
        bench.publish(3)
        bench.source.publish(
            encode([{"ExternalId__c": "x", "n": 1}, {"ExternalId__c": "y", "n": 9}])
        )
        await bench.until(lambda: len(bench.source.acked) + len(bench.source.termed) == 4)
    assert sorted(sinks["publish"].rows) == ["id0", "id2", "id9"]
    assert sorted(bench.source.acked) == [1, 3]
    assert sorted(sequence for sequence, _ in bench.source.termed) == [2, 4]
    assert bench.letters.entries["events.4.flow.upsert"].records[1].outcome == "written"


async def test_fan_out_is_settled_by_the_worst_branch() -> None:
    def refuse(batch: Batch) -> list[Outcome]:
        return [Refused("X", "no")] * len(batch)

    sinks = {"a": MemorySink(), "b": MemorySink(script=refuse)}
    both = {"upstreams": ("source",), "render": records_of}
    bench = Bench(sinks, specs={"a": both, "b": both})
    async with running(bench):
        bench.publish(1)
        await bench.until(lambda: bool(bench.source.termed))
    assert len(sinks["a"].rows) == 1
    assert list(bench.letters.entries) == ["events.1.flow.b"]
    settled = bench.seen.of(EventsSettled)
    assert len(settled) == 1


async def test_all_or_none_events_keep_their_own_atomicity_in_shared_requests() -> None:
    sink = MemorySink()
    async with running(Bench({"upsert": sink}, specs={"upsert": {"is_atomic": True}})) as bench:
        for number in range(5):
            rows = [{"ExternalId__c": f"{number}-{i}"} for i in range(100)]
            bench.source.publish(encode(rows))
        bench.publish(3)
        big = [{"ExternalId__c": f"big{i}"} for i in range(450)]
        bench.source.publish(encode(big))
        bench.source.publish(encode([{"ExternalId__c": f"x{i}"} for i in range(1001)]))
        bench.source.publish(encode([{"ExternalId__c": "Q"}, {"ExternalId__c": "q"}]))
        await bench.until(lambda: len(bench.source.acked) == 9 and len(bench.source.termed) == 2)
    shapes = [
        (
            [len(group.records) for group in batch.groups],
            batch.groups[0].all_or_none,
            batch.is_atomic,
        )
        for batch in sink.batches
    ]
    assert ([3], False, False) in shapes
    assert ([100] * 5, True, False) in shapes
    assert ([200, 200, 50], True, True) in shapes
    reasons = [entry.reason for entry in bench.letters.entries.values()]
    assert any("1001" in reason for reason in reasons)
    assert any("same key 'q'" in reason for reason in reasons)


async def test_a_sink_that_miscounts_stops_the_flow_and_writes_nothing_off() -> None:
    class Miscounting(MemorySink):
        async def write(self, batch: Batch) -> Answer:
            return Answer([Written("id")] * (len(batch) + 1))

    bench = Bench({"upsert": Miscounting()})
    task = asyncio.create_task(bench.engine.run())
    await bench.clock.settle()
    bench.publish(3)
    for _ in range(100):
        await bench.clock.advance(0.5, rounds=10)
    with pytest.raises(WorkbenchError, match="4 outcomes for 3 records"):
        await task
    assert not bench.source.acked
    assert bench.source.owed == 0


async def test_a_bug_in_the_engine_itself_stops_the_flow_and_leaves_nothing_owed(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise KeyError("a bug")

    bench = Bench({"upsert": MemorySink()})
    monkeypatch.setattr(Core, "answered", broken)
    task = asyncio.create_task(bench.engine.run())
    await bench.clock.settle()
    bench.publish(3)
    for _ in range(200):
        await bench.clock.advance(0.5, rounds=10)
    with pytest.raises(WorkbenchError, match="bug of workbench"):
        await task
    assert "a bug" in caplog.text
    assert bench.source.owed == 0
