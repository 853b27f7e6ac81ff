"""The core against a random world: whatever Salesforce answers, nothing is lost or doubled."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.engine.support import event, spec
from workbench.engine import Core, Gate, RetryPolicy
from workbench.model import (
    Answer,
    Cause,
    Deferred,
    Event,
    Limits,
    Outcome,
    Refused,
    RolledBack,
    Unknown,
    Unsent,
    Written,
)
from workbench.testing import MemorySink

POLICY = RetryPolicy(
    max_attempts=3, initial_backoff_seconds=1.0, backoff_seconds=(2.0, 5.0), max_deliver=3
)


class World:
    """A stream and a Salesforce of random temper around a core, in one thread and fake time."""

    def __init__(
        self, seed: int, *, atomic: bool, idempotent: bool, trouble: float, tasks: int = 1
    ) -> None:
        self.rng = random.Random(seed)
        self.trouble = trouble
        self.now = 100.0
        limits = Limits(
            max_records=4,
            max_groups=3,
            max_atomic_records=12,
            is_idempotent=idempotent,
        )
        self.sink = MemorySink(limits=limits)
        specs = [
            spec(self.sink, policy=POLICY, is_atomic=atomic, max_records=4, max_in_flight=3, name=n)
            for n in ("upsert", "log", "notify")[:tasks]
        ]
        self.core = Core("flow", "source", specs, Gate(), wall=lambda: 1e9, seed=seed)
        self.stream: dict[int, Event] = {}
        self.deliver_at: dict[int, float] = {}
        self.deliveries: Counter[int] = Counter()
        self.acked: list[int] = []
        self.failed: dict[int, Any] = {}
        self.written: Counter[tuple[int, str]] = Counter()
        self.order: dict[str, list[int]] = {}
        self.flying: list[Any] = []
        self.is_idempotent = idempotent
        self.touched: set[int] = set()  # events of which a record is written, or may be

    def publish(self, *events: Event) -> None:
        for one in events:
            self.stream[one.sequence] = one
            self.deliver_at[one.sequence] = self.now

    def run(self, rounds: int = 5_000) -> None:
        """Until nothing is left to do, or for so many rounds."""
        for _ in range(rounds):
            self.deliver()
            while (sending := self.core.next_request(self.now)) is not None:
                self.check_request(sending)
                self.flying.append(sending)
            if self.flying and self.rng.random() < 0.7:
                self.answer(self.flying.pop(self.rng.randrange(len(self.flying))))
            self.settle()
            self.core.tick(self.now)
            deadline = self.core.next_deadline()
            if self.core.gate.probe_due(self.now) and not self.flying:
                self.core.gate.half_open()
                if not len(self.core.stages[0].batcher):
                    self.core.gate.alive(self.now)
            if not self.flying:
                times = [time for time in (deadline, *self.deliver_at.values()) if time is not None]
                if not times:
                    return
                self.now = max(self.now, min(times)) + 0.001
        assert rounds < 5_000, "it never came to rest"

    def stop(self) -> None:
        """As the runner does when it is told to, with all the time it wants."""
        self.core.drain(self.now)
        while True:
            while (sending := self.core.next_request(self.now)) is not None:
                self.flying.append(sending)
            if not self.flying:
                break
            self.answer(self.flying.pop(self.rng.randrange(len(self.flying))))
        self.core.abandon(self.now)
        self.settle()

    def deliver(self) -> None:
        due = sorted(s for s, time in self.deliver_at.items() if time <= self.now)
        batch = []
        for sequence in due[: self.rng.randint(1, 6)]:
            del self.deliver_at[sequence]
            self.deliveries[sequence] += 1
            known = self.stream[sequence]
            count = self.deliveries[sequence]
            batch.append(Event(known.subject, known.data, None, "events", sequence, count, 10**18))
        if batch:
            self.core.accept(batch, self.now)

    def check_request(self, sending: Any) -> None:
        keys = [row["ExternalId__c"] for row in sending.batch.records]
        assert len(set(keys)) == len(keys), "a key twice in one request"
        others = [other for other in self.flying if other.stage is sending.stage]
        flying = [row["ExternalId__c"] for other in others for row in other.batch.records]
        assert not set(keys) & set(flying), "a key in two requests at once"
        assert all(len(group.records) <= 4 for group in sending.batch.groups)
        assert len(sending.batch.groups) <= 3
        owners = [unit.event.sequence for unit in sending.units]
        if len(sending.batch.groups) > 1 or sending.batch.is_atomic:
            assert all(group.all_or_none for group in sending.batch.groups)
        assert owners

    def answer(self, sending: Any) -> None:
        outcomes: list[Outcome] = []
        whole = self.rng.random()
        if whole < self.trouble / 3:
            kind = self.rng.choice(
                [Unsent("down"), Unknown("lost"), Deferred("X", "503", Cause.OUTAGE)]
            )
            outcomes = [kind] * len(sending.batch)
        elif sending.batch.is_atomic and len(sending.batch.groups) > 1:
            outcomes = self.transaction(len(sending.batch))
        else:
            for group in sending.batch.groups:
                if group.all_or_none:
                    outcomes += self.transaction(len(group.records))
                else:
                    outcomes += [self.outcome() for _ in group.records]
        for unit, offset in zip(sending.units, offsets(sending.units), strict=True):
            for position, row in enumerate(unit.records):
                outcome = outcomes[offset + position]
                if isinstance(outcome, (Written, Unknown)):
                    self.touched.add(unit.event.sequence)
                if isinstance(outcome, Written):
                    key = row["ExternalId__c"]
                    self.written[(unit.event.sequence, key)] += 1
                    self.order.setdefault(key, []).append(unit.event.sequence)
        self.core.answered(sending, Answer(outcomes), self.now)

    def outcome(self) -> Outcome:
        if self.rng.random() >= self.trouble:
            return Written("id")
        return self.rng.choice(
            [
                Refused("REQUIRED_FIELD_MISSING", "no"),
                Deferred("UNABLE_TO_LOCK_ROW", "locked"),
                Unknown("?"),
            ]
        )

    def transaction(self, count: int) -> list[Outcome]:
        outcomes = [self.outcome() for _ in range(count)]
        if all(isinstance(outcome, Written) for outcome in outcomes):
            return outcomes
        return [
            RolledBack("ALL_OR_NONE_OPERATION_ROLLED_BACK", "rolled back")
            if isinstance(outcome, Written)
            else outcome
            for outcome in outcomes
        ]

    def settle(self) -> None:
        box = self.core.ledger.outbox
        for one in box.acks:
            assert one.sequence not in self.acked
            assert one.sequence not in self.failed
            self.acked.append(one.sequence)
        for one, delay in box.naks:
            assert self.deliveries[one.sequence] < POLICY.max_deliver
            # Another process may get it, which knows nothing of what this one wrote.
            assert self.is_idempotent or one.sequence not in self.touched
            self.deliver_at[one.sequence] = self.now + delay
        for one, batches in box.failed:
            assert one.sequence not in self.acked
            assert one.sequence not in self.failed
            self.failed[one.sequence] = batches[0]
            self.core.ledger.stored(one, self.now)
        box.acks, box.naks, box.failed = [], [], []


def offsets(units: list[Any]) -> list[int]:
    found, total = [], 0
    for unit in units:
        found.append(total)
        total += len(unit.records)
    return found


EVENTS = st.lists(
    st.lists(st.sampled_from("abcdefgh"), min_size=0, max_size=9), min_size=1, max_size=25
)


@settings(max_examples=150, deadline=None)
@given(
    keys=EVENTS,
    seed=st.integers(0, 2**32),
    atomic=st.booleans(),
    idempotent=st.booleans(),
    trouble=st.sampled_from([0.0, 0.1, 0.4, 0.8]),
)
def test_every_record_is_written_or_kept_and_every_event_settled_once(
    keys: list[list[str]], seed: int, atomic: bool, idempotent: bool, trouble: float
) -> None:
    world = World(seed, atomic=atomic, idempotent=idempotent, trouble=trouble)
    world.publish(*(event(number, *row) for number, row in enumerate(keys, 1)))
    world.run()

    assert sorted([*world.acked, *world.failed]) == list(range(1, len(keys) + 1))
    assert not world.core.ledger.held
    assert world.core.held_records == 0
    assert world.core.ledger.held_bytes == 0
    assert not len(world.core.stages[0].lanes), "a key is still held"
    for sequence in world.acked:
        for key, times in Counter(keys[sequence - 1]).items():
            assert world.written[(sequence, key)] >= times
    for sequence, batch in world.failed.items():
        if batch.kind == "unfit":
            continue
        rows = keys[sequence - 1]
        assert len(batch.records) == len(rows)
        for kept, key in zip(batch.records, rows, strict=True):
            if kept.outcome == "written":
                assert world.written[(sequence, key)] >= 1
        assert any(kept.outcome != "written" for kept in batch.records)
    if not idempotent:
        for sequence, row in enumerate(keys, 1):
            for key, times in Counter(row).items():
                assert world.written[(sequence, key)] <= times, "written twice"


@settings(max_examples=100, deadline=None)
@given(
    keys=EVENTS,
    seed=st.integers(0, 2**32),
    atomic=st.booleans(),
    idempotent=st.booleans(),
    rounds=st.integers(1, 60),
    tasks=st.integers(1, 3),
)
def test_who_is_told_to_stop_gives_back_only_what_may_be_written_again(
    keys: list[list[str]], seed: int, atomic: bool, idempotent: bool, rounds: int, tasks: int
) -> None:
    world = World(seed, atomic=atomic, idempotent=idempotent, trouble=0.4, tasks=tasks)
    world.publish(*(event(number, *row) for number, row in enumerate(keys, 1)))
    world.run(rounds)
    world.stop()  # what it asserts of an event that is given back is the point
    given_back = set(world.deliver_at)
    assert not world.core.ledger.held
    assert world.core.held_records == 0
    assert sorted([*world.acked, *world.failed, *given_back]) == list(range(1, len(keys) + 1))


@settings(max_examples=100, deadline=None)
@given(keys=EVENTS, seed=st.integers(0, 2**32), atomic=st.booleans())
def test_records_of_one_key_are_written_in_the_order_of_the_stream(
    keys: list[list[str]], seed: int, atomic: bool
) -> None:
    world = World(seed, atomic=atomic, idempotent=True, trouble=0.3)
    world.publish(*(event(number, *row) for number, row in enumerate(keys, 1)))
    world.run()
    for order in world.order.values():
        # A record may be written again after its answer was lost, but never after a younger one.
        assert order == sorted(order)


def test_the_world_itself_can_tell_a_lost_event() -> None:
    world = World(1, atomic=False, idempotent=True, trouble=0.0)
    world.publish(event(1, "a"))
    world.deliver()
    world.core.ledger.held.clear()
    with pytest.raises(Exception, match="settled twice"):
        world.run()


def test_what_is_put_off_together_goes_together_again() -> None:
    core = Core("flow", "source", [spec(policy=POLICY)], Gate(), wall=lambda: 1e9)
    core.accept([event(number, f"k{number}") for number in range(1, 121)], 0.0)
    now, waits = 0.02, set()
    for _ in range(POLICY.max_attempts - 1):
        sending = core.next_request(now)
        assert sending is not None
        assert len(sending.batch) == 120
        core.answered(sending, Answer([Deferred("BUSY", "later")] * 120), now)
        deadline = core.next_deadline()
        assert deadline is not None
        waits.add(deadline - now)
        now = deadline
        core.tick(now)
        now += 0.02  # linger
    assert len(waits) == POLICY.max_attempts - 1  # drawn anew for each request
