"""The flow as a state machine: events and answers in, requests and settlements out.

No I/O, no clock, no task: times are arguments (`now`: monotonic seconds), so that every property
that matters (nothing lost, nothing doubled, no key overtaken, every event settled once) can be
tested without a server. The runner (`workbench.engine.engine`) does what it says.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from workbench.codec import decode
from workbench.engine import failure
from workbench.engine.batcher import Full
from workbench.engine.gate import Gate
from workbench.engine.health import read_health
from workbench.engine.ledger import Ledger, Outbox
from workbench.engine.policy import Done, GiveUp, Redeliver, Retry, cut_short, decide
from workbench.engine.stage import Stage, StageSpec
from workbench.engine.unit import Ticket, Unit, Visit, request_fault
from workbench.errors import RenderError
from workbench.model import (
    Answer,
    Attempt,
    Batch,
    Event,
    FailedBatch,
    Outcome,
    Refused,
    Unknown,
    Written,
)
from workbench.observe import Counters

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
        self.counters = Counters()
        self.ledger = Ledger(self.counters, self._release)
        self.held_records = 0
        self.is_draining = False
        self._wall = wall
        self._rng = random.Random(seed)
        self._jitter = 0.5
        self._single = self.stages[0] if len(self.stages) == 1 else None
        self._parking = self.ledger.parking

    @property
    def held(self) -> Mapping[int, Event]:
        """Events in hand by stream sequence, oldest first."""
        return self.ledger.held

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
        """Take events in hand: render, line up by key, queue.

        The hot path of the whole program. The usual event (one record, one task, a key that is
        free) is dealt with right here; everything else goes through `_enter`.
        """
        self.counters.received += len(events)
        active = now - self.gate.paused_seconds(now)
        ledger, single = self.ledger, self._single
        stage = single if single is not None and single.is_simple and not self._parking else None
        if stage is None:
            for event in events:
                self._accept_one(event, active, now)
            return
        render = stage.spec.render
        visits: list[Visit] = []
        for event in events:
            is_plain = event.num_delivered == 1
            try:
                value = decode(event.data)
                records = render(event, value)
            except (ValueError, RenderError):
                is_plain = False
            if is_plain:
                if not ledger.take(event, active):
                    continue
                visit = Visit(event, stage, None, value, records)
                if len(records) == 1:
                    visits.append(visit)
                    continue
            # Whoever came before lines up before it.
            self._line_up(stage, visits, now)
            visits = []
            if is_plain:
                self._queue(visit, None, now)
            else:
                self._accept_one(event, active, now)  # which also tells what is wrong
        self._line_up(stage, visits, now)

    def _line_up(self, stage: Stage, visits: list[Visit], now: float) -> None:
        """Queue visits of one record each, in order, those whose key is held behind its holder."""
        if not visits:
            return
        self.held_records += len(visits)
        by_key = stage.lanes.by_key
        ready: list[Unit] = []
        size = 0
        keys = stage.sink.keys_of([visit.records[0] for visit in visits])
        for visit, key in zip(visits, keys, strict=True):
            visit.keys = key
            if key is None:
                ready.append(visit)
                size += visit.size
            elif key not in by_key:
                by_key[key] = None
                ready.append(visit)
                size += visit.size
            else:
                stage.lanes.enter(visit)
        stage.batcher.extend(ready, size, now)

    def _accept_one(self, event: Event, active: float, now: float) -> None:
        """Any event, without hurry; `active` as in `Ledger.take`."""
        if event.num_delivered > 1:
            self.counters.redelivered += 1
        if not self.ledger.take(event, active):
            return
        try:
            value = decode(event.data)
        except ValueError as error:
            self._unfit_everywhere(event, f"the event's data does not parse: {error}", now)
        else:
            self._start(event, value, now)

    def _start(self, event: Event, data: Any, now: float) -> None:
        if self._single is not None:
            self._enter(self._single, event, None, data, "", now)
            return
        ticket = Ticket(event)
        ticket.open = 1  # held until every entry has been offered the event
        for stage in self.entries:
            self._enter(stage, event, ticket, data, "", now)
        self.ledger.close(ticket, now)

    def _enter(
        self, stage: Stage, event: Event, ticket: Ticket | None, data: Any, branch: str, now: float
    ) -> None:
        """Render an event for a stage and queue what comes of it."""
        if ticket is not None:
            ticket.open += 1
        try:
            records = stage.spec.render(event, data)
        except RenderError as error:
            self._unfit(stage, event, ticket, str(error), data, branch, now)
            return
        visit = Visit(event, stage, ticket, data, records, branch)
        self._queue(visit, self._parking.recall(visit) if self._parking else None, now)

    def _queue(self, visit: Visit, missing: list[int] | None, now: float) -> None:
        """Split a rendered visit into units and queue those that hold their keys; `missing` names
        the records that are still to be sent, None for all."""
        stage, records = visit.stage, visit.all
        reason = stage.misfit(records) if len(records) > 1 else None
        units: list[Unit] = []
        if not reason and records and missing != []:
            try:
                units = stage.units_of(visit, missing)
            except RenderError as error:
                reason = str(error)
        if reason:
            self._unfit(stage, visit.event, visit.ticket, reason, visit.data, visit.branch, now)
            return
        visit.open = len(units)
        self.held_records += len(records) if missing is None else len(missing)
        if not units:
            self._close_visit(visit, now)
            return
        kept = self._parking.take_keys(visit) if self._parking else None
        if kept:
            # The event was sent back and has returned: it goes before those who waited for it.
            left = stage.lanes.hand_over(kept, units)
            for unit in units:
                if not unit.blocked:
                    stage.batcher.add(unit, now)
            self._release_keys(stage, left, now)
        else:
            for unit in units:
                if stage.lanes.enter(unit):
                    stage.batcher.add(unit, now)

    def _unfit(
        self,
        stage: Stage,
        event: Event,
        ticket: Ticket | None,
        reason: str,
        data: Any,
        branch: str,
        now: float,
    ) -> None:
        """The event does not fit the flow, which is its own fault: kept, and the flow goes on."""
        given = data if branch else None
        failed = failure.unfit(event, stage.spec, self.flow, self._wall(), reason, given, branch)
        self.counters.failed("UNFIT", stage.name)
        self.ledger.settle(event, ticket, None, [failed], now)

    def _unfit_everywhere(self, event: Event, reason: str, now: float) -> None:
        ticket = None if self._single is not None else Ticket(event)
        if ticket is not None:
            ticket.open = len(self.entries)
        for stage in self.entries:
            self._unfit(stage, event, ticket, reason, None, "", now)

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
            taken = stage.batcher.take(now, flush=self.is_draining or gate.is_half_open)
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
        ledger, acks = self.ledger, self.ledger.outbox.acks
        is_plain = self._single is not None and not self._parking
        is_all_written = answer.is_all_written
        refused: list[tuple[Visit, Refused, int]] = []
        offset = plain = events = 0
        for unit in sending.units:
            count = len(unit.records)
            if is_plain and type(unit) is Visit and unit.is_plain:
                # Hot path, as in `accept`: the event had one unit, and all of it is written.
                outcome = outcomes[offset] if count == 1 and not is_all_written else None
                if is_all_written or type(outcome) is Written:
                    stage.lanes.leave(unit, ready)
                    ledger.forget(unit.event)
                    acks.append(unit.event)
                    offset += count
                    plain += count
                    events += 1
                    continue
                if type(outcome) is Refused and not outcome.is_request_fault:
                    stage.lanes.leave(unit, ready)
                    refused.append((unit, outcome, offset))
                    offset += 1
                    continue
            if self._returned(unit, answer, offset, is_charged, ready, now):
                again.append(unit)
            offset += count
        if plain:
            self.held_records -= plain
            self.counters.acked += events
            self._wrote(plain)
        if refused:
            self._give_up(stage, refused, answer)
        self._go(ready, now)
        if again:
            stage.batcher.put_back(again, now)

    def _give_up(
        self, stage: Stage, refused: Sequence[tuple[Visit, Refused, int]], answer: Answer
    ) -> None:
        """Keep events of one record each, refused at their first try; each with its place in the
        answer. What `_returned` comes to for them, for the flow in which all fail."""
        wall, results = self._wall(), answer.results
        self.held_records -= len(refused)
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
            self._close_unit(unit, now)
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
        visit.fate.attempts.append(failure.attempt_of(unit, answer, offset, self._wall()))
        unit.tries += 1
        unit.remember(outcomes)
        decision = decide(
            outcomes,
            tries=unit.tries,
            num_delivered=unit.event.num_delivered,
            elapsed_seconds=now - self.gate.paused_seconds(now) - unit.event.received,
            policy=stage.policy,
            is_idempotent=stage.limits.is_idempotent,
            is_redelivery_safe=self._may_go_back(visit),
            jitter=self._jitter,
        )
        if isinstance(decision, Retry) and not self.is_draining:
            self.counters.retries += 1
            stage.postpone(unit, now + decision.seconds)
        else:
            self._conclude(unit, outcomes, decision, ready, now)
        return False

    def _may_go_back(self, visit: Visit) -> bool:
        """Whether the event may be redelivered: where writing twice does harm nothing of it is
        written, nor will be by what is still under way."""
        if not visit.is_redelivery_safe:
            return False
        if visit.open > 1 and not visit.stage.limits.is_idempotent:
            return False
        return (
            visit.ticket is None
            or visit.ticket.open == 1
            or all(s.limits.is_idempotent for s in self.stages if s is not visit.stage)
        )

    def _wrote(self, count: int) -> None:
        self.counters.written += count
        self.gate.wrote()

    def _part(self, unit: Unit, answer: Answer, offset: int, ready: list[Unit], now: float) -> None:
        """Neighbours that did not fare alike go on one by one."""
        for place, share in enumerate(unit.divide(1), offset):
            if self._returned(share, answer, place, True, ready, now):
                share.visit.stage.batcher.add(share, now)

    def _conclude(
        self,
        unit: Unit,
        outcomes: Sequence[Outcome | None],
        decision: Retry | Redeliver | GiveUp | Done,
        ready: list[Unit],
        now: float,
    ) -> None:
        """A unit's last word in this delivery."""
        visit, fate = unit.visit, unit.visit.fate
        if isinstance(decision, Retry):  # draining: it cannot wait here any longer
            decision = _cut_short(visit)
        if isinstance(decision, Redeliver):
            # Its keys stay taken: who comes later must not overtake it.
            fate.redeliver = max(fate.redeliver or 0.0, decision.seconds)
            fate.again.extend(range(unit.start, unit.start + len(unit.records)))
            for key in unit.key_tuple:
                following = visit.stage.lanes.pass_within(key, visit)
                if following is None:
                    fate.kept.add(key)
                elif not following.blocked:
                    ready.append(following)
        else:
            assert isinstance(decision, GiveUp)
            if fate.kind in ("", "exhausted"):
                fate.kind, fate.reason = decision.kind, decision.reason
            codes = [o.code for o in outcomes if o is not None and not isinstance(o, Written)]
            for code, count in Counter(codes).items():
                self.counters.failed(code, visit.stage.name, count)
            visit.stage.lanes.leave(unit, ready)
        self._close_unit(unit, now)

    # -- closing -----------------------------------------------------------------------------

    def _close_unit(self, unit: Unit, now: float) -> None:
        visit = unit.visit
        self.held_records -= len(unit.records)
        visit.open -= 1
        if not visit.open:
            self._close_visit(visit, now)

    def _close_visit(self, visit: Visit, now: float) -> None:
        """The last unit has its last word: hand on what is written, settle what is not."""
        stage, ticket = visit.stage, visit.ticket
        if visit.is_plain:  # nothing was to be sent
            self.ledger.settle(visit.event, ticket, None, [], now)
            return
        fate = visit.fate
        if fate.redeliver is not None and not visit.is_redelivery_safe:
            self._give_up_the_rest(visit, now)
        if fate.redeliver is not None:
            self._parking.park(visit, fate.redeliver, now)
        elif ticket is not None:
            place = f"{stage.name}<{visit.branch}"
            ticket.memory[place] = visit
        if ticket is not None:
            ticket.is_partly_written |= fate.is_partly_written and not stage.limits.is_idempotent
            results = visit.results() if stage.next and fate.redeliver is None else []
            for following in stage.next if results else ():
                self._enter(following, visit.event, ticket, results, stage.name, now)
            if fate.redeliver is not None:
                ticket.returning.append(visit)
        failures = self._failures(visit, now)
        if ticket is not None and ticket.open == 1 and ticket.is_partly_written:
            failures += self._keep_back(ticket, now)
        self.ledger.settle(visit.event, ticket, fate.redeliver, failures, now)

    def _keep_back(self, ticket: Ticket, now: float) -> list[FailedBatch]:
        """What was to be sent back of an event, at a shutdown, when another task has written it
        meanwhile where writing twice does harm: given up instead."""
        failures: list[FailedBatch] = []
        if not self.is_draining or not ticket.returning:
            return failures
        self.ledger.leave_parking(ticket.event.sequence, now)
        for visit in ticket.returning:
            visit.fate.kept.clear()
            self._give_up_the_rest(visit, now)
            failures += self._failures(visit, now)
        ticket.redeliver = None
        return failures

    def _give_up_the_rest(self, visit: Visit, now: float) -> None:
        """What was to be sent back at a shutdown, while another part of the event was written."""
        fate = visit.fate
        decision = cut_short(visit.stage.policy, visit.event.num_delivered, False)
        assert isinstance(decision, GiveUp)
        fate.kind, fate.reason = fate.kind or decision.kind, fate.reason or decision.reason
        for index in fate.again:
            outcome = fate.outcomes[index]
            if outcome is not None and not isinstance(outcome, Written):
                self.counters.failed(outcome.code, visit.stage.name)
        fate.redeliver = None
        self._release_keys(visit.stage, fate.kept, now)

    def _failures(self, visit: Visit, now: float) -> list[FailedBatch]:
        """The failed batch of a visit that is given up; none while it will be redelivered."""
        fate = visit.fate
        if not fate.kind or fate.redeliver is not None:
            return []
        fault = request_fault(fate.outcomes)
        if fault is not None:
            fields = f" ({', '.join(fault.fields)})" if fault.fields else ""
            reason = f"{fault.code}{fields} in task {visit.stage.name!r}: {fault.message}"
            self.gate.failed_for_request(reason, now)
        return [failure.failed_visit(visit, self.flow, self._wall())]

    def may_come_again(self, failures: Sequence[FailedBatch]) -> bool:
        """Whether an event whose failed batches could not be stored may be delivered again: where
        writing twice does harm, nothing of it must be written, or may be."""
        if all(stage.limits.is_idempotent for stage in self.stages):
            return True
        if self._single is None:
            return False  # what its other tasks wrote is not among the failures
        return not any(
            record.outcome in ("written", "unknown")
            for batch in failures
            for record in batch.records
        )

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
                self._conclude(unit, unit.known, wait, [], now)

    def _release(self, task: str, keys: set[str], now: float) -> None:
        for stage in self.stages:
            if stage.name == task:
                self._release_keys(stage, keys, now)

    def _release_keys(self, stage: Stage, keys: Iterable[str], now: float) -> None:
        ready: list[Unit] = []
        for key in keys:
            stage.lanes.release(key, ready)
        self._go(ready, now)

    def _go(self, ready: list[Unit], now: float) -> None:
        """Queue units that hold all their keys now, which may free others (appended meanwhile)."""
        for unit in ready:
            visit = unit.visit
            wait = None if visit.is_plain else visit.fate.redeliver
            if wait is None:
                visit.stage.batcher.add(unit, now)
            else:  # an earlier record of its event goes back to the stream: it must not overtake it
                self._conclude(unit, unit.known, Redeliver(wait), ready, now)

    # -- stopping ----------------------------------------------------------------------------

    def drain(self, now: float) -> None:
        """From here on nothing waits: what is queued goes out at once, what waits for another try
        goes back to the stream. Call when no more events will be accepted."""
        self.is_draining = True
        for stage in self.stages:
            ready: list[Unit] = []
            for unit in stage.drop_waiting():
                self._conclude(unit, unit.known, _cut_short(unit.visit), ready, now)
            self._go(ready, now)

    def abandon(self, now: float) -> None:
        """Conclude everything that is not in flight: back to the stream at once where it may be
        redelivered, else a failed batch. Afterwards every held event is in the outbox."""
        self.is_draining = True
        self._parking.clear()
        for stage in self.stages:
            units = [*stage.drop_waiting(), *stage.batcher.drop(), *stage.lanes.drop()]
            for unit in units:
                unit.keys = None  # the lanes are gone; nobody waits any longer
                unit.visit.fate.kept.clear()
            for unit in units:
                self._conclude(unit, unit.known, _cut_short(unit.visit), [], now)
        self._parking.clear()


def _cut_short(visit: Visit) -> Redeliver | GiveUp:
    return cut_short(visit.stage.policy, visit.event.num_delivered, visit.is_redelivery_safe)
