"""The flow as a state machine: events and answers in, requests and settlements out.

No I/O, no clock, no task: times are arguments (`now`: monotonic seconds), so that every property
that matters (nothing lost, nothing doubled, no key overtaken, every event settled once) can be
tested without a server. The runner (`workbench.engine.engine`) does what it says.

How events come in is the `Intake`'s, how they leave the `Closing`'s; between the two lie requests
and their answers.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from workbench.engine import failure
from workbench.engine.batcher import Full
from workbench.engine.closing import Closing, cut_short_of
from workbench.engine.gate import Gate
from workbench.engine.health import read_health
from workbench.engine.intake import Intake
from workbench.engine.ledger import Outbox
from workbench.engine.policy import Redeliver, Retry, decide
from workbench.engine.stage import Stage, StageSpec
from workbench.engine.unit import Unit, Visit, request_fault
from workbench.model import (
    Answer,
    Attempt,
    Batch,
    Event,
    FailedBatch,
    Refused,
    Unknown,
    Written,
)

__all__ = ["Core", "Outbox", "Sending"]

_WRITTEN = {Written}
_FINAL = {Written, Refused}
"""Outcomes that no further try changes."""


@dataclass(slots=True)
class Sending:
    """A request that is to leave, or has left."""

    stage: Stage
    batch: Batch
    units: list[Unit]
    why: Full


class Core:
    """One flow's stages and everything that is in hand.

    `wall` gives the epoch seconds that failed batches carry; it decides nothing.
    """

    def __init__(
        self,
        flow: str,
        source: str,
        specs: Sequence[StageSpec],
        gate: Gate,
        *,
        wall: Callable[[], float],
        seed: int | None = None,
    ) -> None:
        self.flow = flow
        self.gate = gate
        self.stages = [Stage(spec) for spec in specs]
        self.entries = [stage for stage in self.stages if source in stage.spec.upstreams]
        for stage in self.stages:
            stage.next = [other for other in self.stages if stage.name in other.spec.upstreams]
        self._closing = closing = Closing(flow, self.stages, gate, wall=wall)
        self._intake = Intake(self.entries, closing)
        closing.enter = self._intake.enter
        self.counters = closing.counters
        self.ledger = closing.ledger
        self._rng = random.Random(seed)
        self._jitter = 0.5
        self._parking = self.ledger.parking

    @property
    def held(self) -> Mapping[int, Event]:
        """Events in hand by stream sequence, oldest first."""
        return self.ledger.held

    @property
    def held_records(self) -> int:
        """Records in hand that have no last word yet."""
        return self._closing.held_records

    def is_return_due(self, now: float) -> bool:
        """Whether an event that was sent back may come any moment: whoever waits for its keys
        waits for it, so there must be room for it whatever else is held."""
        parking = self._parking
        return any(s not in self.held and parking.is_due(s, now) for s in parking)

    @property
    def outbox(self) -> Outbox:
        """What the stream is to be told; whoever tells it empties it."""
        return self.ledger.outbox

    @property
    def in_flight(self) -> int:
        """Requests that have left and are not answered."""
        return sum(stage.in_flight for stage in self.stages)

    @property
    def is_idle(self) -> bool:
        """Whether nothing more can leave: all is answered, and nothing is queued that may go."""
        queued = any(len(stage.batcher) for stage in self.stages)
        return not self.in_flight and not (queued and self.gate.is_open)

    # -- events in ---------------------------------------------------------------------------

    def accept(self, events: Sequence[Event], now: float) -> None:
        """Take events in hand: render, line up by key, queue."""
        self._intake.accept(events, now)

    # -- requests out ------------------------------------------------------------------------

    def next_request(self, now: float) -> Sending | None:
        """The next request that may leave now, already counted as in flight; None when none may."""
        gate = self.gate
        if not gate.is_open and not gate.is_half_open:
            return None
        for stage in self.stages:
            if gate.is_half_open and (stage.in_flight or stage.name != (gate.stage or stage.name)):
                continue
            if stage.in_flight >= stage.spec.max_in_flight:
                continue
            taken = stage.batcher.take(now, flush=self._closing.is_draining or gate.is_half_open)
            if taken is not None:
                units, why = taken
                stage.in_flight += 1
                self.counters.requests += 1
                return Sending(stage, stage.batch_of(units), units, why)
        return None

    # -- answers in --------------------------------------------------------------------------

    def answered(self, sending: Sending, answer: Answer, now: float) -> None:
        """Take in what became of every record of a request: one outcome for each, in order."""
        stage = sending.stage
        stage.in_flight -= 1
        self._jitter = self._rng.random()
        outcomes = answer.outcomes
        if answer.api_used is not None and answer.api_limit is not None:
            self.counters.api_used, self.counters.api_limit = answer.api_used, answer.api_limit
        is_charged = read_health(self.gate, stage.name, answer, now)
        ready: list[Unit] = []
        again: list[Unit] = []
        # Hot paths, as in `accept`: of an event that had one unit, all is written, or its one
        # record is refused.
        is_plain = len(self.stages) == 1 and not self._parking
        is_all_written = answer.is_all_written
        written: list[Visit] = []
        refused: list[tuple[Visit, Refused, int]] = []
        offset = 0
        for unit in sending.units:
            count = len(unit.records)
            if is_plain and type(unit) is Visit and unit.known_fate is None:
                if is_all_written:
                    written.append(unit)
                    offset += count
                    continue
                outcome = outcomes[offset] if count == 1 else None
                if type(outcome) is Written:
                    written.append(unit)
                    offset += 1
                    continue
                if type(outcome) is Refused and not outcome.is_request_fault:
                    stage.lanes.leave(unit, ready)
                    refused.append((unit, outcome, offset))
                    offset += 1
                    continue
            if self._returned(unit, answer, offset, is_charged, ready, now):
                again.append(unit)
            offset += count
        if written:
            self._close_written(stage, written, ready)
        if refused:
            self._give_up(stage, refused, answer)
        self._closing.go(ready, now)
        if again:
            stage.batcher.put_back(again, now)

    def _close_written(self, stage: Stage, visits: Sequence[Visit], ready: list[Unit]) -> None:
        """Settle events whose records are all written at their first try. What `_returned` comes
        to for them."""
        stage.lanes.leave_all(visits, ready)
        events = [visit.event for visit in visits]
        self.ledger.forget_all(events)
        self.ledger.outbox.acks += events
        self.counters.acked += len(events)
        count = sum([len(visit.records) for visit in visits])
        self._closing.held_records -= count
        self._wrote(count)

    def _give_up(
        self, stage: Stage, refused: Sequence[tuple[Visit, Refused, int]], answer: Answer
    ) -> None:
        """Keep events of one record each, refused at their first try; each with its place in the
        answer. What `_returned` comes to for them, for the flow in which all fail."""
        wall, results = self._closing.wall(), answer.results
        self._closing.held_records -= len(refused)
        failed_at = failure.iso(wall)
        attempt: Attempt | None = None
        for visit, outcome, offset in refused:
            self.counters.failed(outcome.code, stage.name)
            result = results[offset : offset + 1]
            if attempt is None or attempt.results != result:
                attempt = failure.attempt_of(visit, answer, offset, wall)
            failed = failure.refused_visit(visit, self.flow, failed_at, outcome, attempt)
            self.ledger.keep(visit.event, [failed])

    def _returned(
        self,
        unit: Unit,
        answer: Answer,
        offset: int,
        is_charged: bool,
        ready: list[Unit],
        now: float,
    ) -> bool:
        """Take in one unit's outcomes; True if it goes again as if it had not been sent."""
        visit, stage = unit.visit, unit.visit.stage
        outcomes = answer.outcomes[offset : offset + len(unit.records)]
        kinds = set(map(type, outcomes))
        if kinds == _WRITTEN:
            self._wrote(len(outcomes))
            unit.remember(outcomes)
            stage.lanes.leave(unit, ready)
            self._closing.close_unit(unit, now)
            return False
        is_lost = Unknown in kinds and not stage.limits.is_idempotent
        if not is_charged and not is_lost:
            return True
        if len(unit.records) > 1 and not stage.is_grouped(unit):
            # Written or refused is the last word on a record: a unit of nothing else stays whole,
            # as in a flow where all fail.
            if not kinds <= _FINAL or self.gate.is_broken:
                self._part(unit, answer, offset, ready, now)
                return False
            if Written in kinds:
                self._wrote(sum(type(outcome) is Written for outcome in outcomes))
        elif self.gate.is_broken and request_fault(outcomes) is not None:
            return True  # one more of those the flow is paused for: kept in hand, not given up
        visit.fate.attempts.append(failure.attempt_of(unit, answer, offset, self._closing.wall()))
        unit.tries += 1
        unit.remember(outcomes)
        decision = decide(
            outcomes,
            tries=unit.tries,
            num_delivered=unit.event.num_delivered,
            elapsed_seconds=now - self.gate.paused_seconds(now) - unit.event.received,
            policy=stage.policy,
            is_idempotent=stage.limits.is_idempotent,
            is_redelivery_safe=self._closing.may_go_back(visit),
            jitter=self._jitter,
        )
        if isinstance(decision, Retry) and not self._closing.is_draining:
            self.counters.retries += 1
            stage.postpone(unit, now + decision.seconds)
        else:
            self._closing.conclude(unit, outcomes, decision, ready, now)
        return False

    def _wrote(self, count: int) -> None:
        self.counters.written += count
        self.gate.wrote()

    def _part(self, unit: Unit, answer: Answer, offset: int, ready: list[Unit], now: float) -> None:
        """Neighbours that did not fare alike go on one by one."""
        for place, share in enumerate(unit.divide(1), offset):
            if self._returned(share, answer, place, True, ready, now):
                share.visit.stage.batcher.add(share, now)

    def may_come_again(self, failures: Sequence[FailedBatch]) -> bool:
        """See `Closing.may_come_again`."""
        return self._closing.may_come_again(failures)

    # -- time --------------------------------------------------------------------------------

    def next_deadline(self) -> float | None:
        """When `tick` or a probe is due (monotonic seconds); None while nothing waits for time."""
        deadlines: list[float | None] = []
        gate = self.gate
        for stage in self.stages:
            deadlines.append(stage.next_retry())
            if stage.in_flight < stage.spec.max_in_flight and gate.is_open:
                deadlines.append(stage.batcher.next_deadline())
        if self._parking:
            deadlines.append(self._parking.next_deadline())
        if gate.pause is not None and not gate.is_half_open and not self.in_flight:
            deadlines.append(gate.pause.next_probe)
        return min((time for time in deadlines if time is not None), default=None)

    def tick(self, now: float) -> None:
        """Do what is due."""
        for stage in self.stages:
            due = stage.due(now)
            if due:
                stage.batcher.put_back(due, now)
        if self._parking:
            self.ledger.look_for_overdue(now)
            self._untie(now)

    def _untie(self, now: float) -> None:
        """Send events back that wait for each other's keys.

        It takes tasks that fan out and meet again, and failures in both: one event keeps a key in
        one task for its return while it waits in another task for an event that does the same.
        """
        if self.in_flight or any(s.waiting or len(s.batcher) for s in self.stages):
            return
        if any(sequence not in self.held for sequence in self._parking) or not self.gate.is_open:
            return
        for stage in self.stages:
            for unit in stage.lanes.drop_waiting() if stage.lanes.waiting else ():
                wait = Redeliver(stage.policy.long_wait(unit.event.num_delivered))
                unit.keys = None
                self._closing.conclude(unit, unit.known, wait, [], now)

    # -- stopping ----------------------------------------------------------------------------

    def drain(self, now: float) -> None:
        """From here on nothing waits: what is queued goes out at once, what waits for another try
        goes back to the stream. Call when no more events will be accepted."""
        self._closing.is_draining = True
        for stage in self.stages:
            ready: list[Unit] = []
            for unit in stage.drop_waiting():
                self._closing.conclude(unit, unit.known, cut_short_of(unit.visit), ready, now)
            self._closing.go(ready, now)

    def abandon(self, now: float) -> None:
        """Conclude everything that is not in flight: back to the stream at once where it may be
        redelivered, else a failed batch. Afterwards every held event is in the outbox."""
        self._closing.is_draining = True
        self._parking.clear()
        for stage in self.stages:
            units = [*stage.drop_waiting(), *stage.batcher.drop(), *stage.lanes.drop()]
            for unit in units:
                unit.keys = None  # the lanes are gone; nobody waits any longer
                unit.visit.fate.kept.clear()
            for unit in units:
                self._closing.conclude(unit, unit.known, cut_short_of(unit.visit), [], now)
        self._parking.clear()
