"""The last word on what is in hand: keys pass on, later tasks begin, events are settled."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from workbench.engine import failure
from workbench.engine.gate import Gate
from workbench.engine.ledger import Ledger
from workbench.engine.policy import Done, GiveUp, Redeliver, Retry, cut_short
from workbench.engine.stage import Stage
from workbench.engine.unit import Ticket, Unit, Visit, request_fault
from workbench.model import Event, FailedBatch, Outcome, Written
from workbench.observe import Counters

__all__ = ["Closing", "cut_short_of"]

Enter = Callable[[Stage, Event, Ticket | None, Any, str, float], None]


class Closing:
    """From a unit's last outcome to its event's settlement, for all stages of a flow.

    Attributes:
        ledger, counters: the flow's, for whoever takes in events and answers.
        held_records: records in hand that have no last word yet.
        is_draining: whether nothing waits any longer.
        wall: gives the epoch seconds that failed batches carry.
        enter: takes a task's results to one that follows it; set by whoever knows how.
    """

    enter: Enter

    def __init__(
        self, flow: str, stages: Sequence[Stage], gate: Gate, *, wall: Callable[[], float]
    ) -> None:
        self.flow = flow
        self.stages = stages
        self.gate = gate
        self.wall = wall
        self.counters = Counters()
        self.ledger = Ledger(self.counters, self._release)
        self.held_records = 0
        self.is_draining = False

    def conclude(
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
            decision = cut_short_of(visit)
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
        self.close_unit(unit, now)

    def close_unit(self, unit: Unit, now: float) -> None:
        """A unit has its last word; with the last one its visit is closed."""
        visit = unit.visit
        self.held_records -= len(unit.records)
        visit.open -= 1
        if not visit.open:
            self.close_visit(visit, now)

    def close_visit(self, visit: Visit, now: float) -> None:
        """The last unit has its last word: hand on what is written, settle what is not."""
        stage, ticket = visit.stage, visit.ticket
        if visit.known_fate is None:  # nothing was to be sent
            self.ledger.settle(visit.event, ticket, None, [], now)
            return
        fate = visit.fate
        if fate.redeliver is not None and not visit.is_redelivery_safe:
            self._give_up_the_rest(visit, now)
        if fate.redeliver is not None:
            self.ledger.parking.park(visit, fate.redeliver, now)
        elif ticket is not None:
            place = f"{stage.name}<{visit.branch}"
            ticket.memory[place] = visit
        if ticket is not None:
            ticket.is_partly_written |= fate.is_partly_written and not stage.limits.is_idempotent
            results = visit.results() if stage.next and fate.redeliver is None else []
            for following in stage.next if results else ():
                self.enter(following, visit.event, ticket, results, stage.name, now)
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
        self.release_keys(visit.stage, fate.kept, now)

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
        return [failure.failed_visit(visit, self.flow, self.wall())]

    def may_go_back(self, visit: Visit) -> bool:
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

    def may_come_again(self, failures: Sequence[FailedBatch]) -> bool:
        """Whether an event whose failed batches could not be stored may be delivered again: where
        writing twice does harm, nothing of it must be written, or may be."""
        if all(stage.limits.is_idempotent for stage in self.stages):
            return True
        if len(self.stages) > 1:
            return False  # what its other tasks wrote is not among the failures
        return not any(
            record.outcome in ("written", "unknown")
            for batch in failures
            for record in batch.records
        )

    def release_keys(self, stage: Stage, keys: Iterable[str], now: float) -> None:
        """Let go of keys, and queue who waited for them."""
        ready: list[Unit] = []
        for key in keys:
            stage.lanes.release(key, ready)
        self.go(ready, now)

    def go(self, ready: list[Unit], now: float) -> None:
        """Queue units that hold all their keys now, which may free others (appended meanwhile)."""
        for unit in ready:
            visit = unit.visit
            wait = None if visit.known_fate is None else visit.fate.redeliver
            if wait is None:
                visit.stage.batcher.add(unit, now)
            else:  # an earlier record of its event goes back to the stream: it must not overtake it
                self.conclude(unit, unit.known, Redeliver(wait), ready, now)

    def _release(self, task: str, keys: set[str], now: float) -> None:
        for stage in self.stages:
            if stage.name == task:
                self.release_keys(stage, keys, now)


def cut_short_of(visit: Visit) -> Redeliver | GiveUp:
    """What becomes of a visit that cannot wait here any longer."""
    return cut_short(visit.stage.policy, visit.event.num_delivered, visit.is_redelivery_safe)
