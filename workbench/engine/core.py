"""The flow as a state machine: events and answers in, requests and settlements out.

No I/O, no clock, no task: times are arguments (`now`: monotonic seconds), so that every property
that matters (nothing lost, nothing doubled, no key overtaken, every event settled once) can be
tested without a server. The runner (`workbench.engine.engine`) does what it says.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from workbench.codec import decode
from workbench.engine import failure
from workbench.engine.batcher import Full
from workbench.engine.gate import Gate
from workbench.engine.policy import Done, GiveUp, Redeliver, Retry, decide
from workbench.engine.stage import Stage, StageSpec
from workbench.engine.unit import Ticket, Unit, Visit
from workbench.errors import RenderError, UsageError
from workbench.model import (
    Answer,
    Batch,
    Cause,
    Deferred,
    Event,
    FailedBatch,
    Outcome,
    Refused,
    Unknown,
    Unsent,
    Written,
)
from workbench.observe.counters import Counters

__all__ = ["Core", "Outbox", "Sending"]

SLACK_SECONDS = 30.0
"""How much longer than its delay an event's keys are kept for it, for the server to redeliver."""


@dataclass(slots=True)
class Sending:
    """A request that is to leave, or has left."""

    stage: Stage
    batch: Batch
    units: list[Unit]
    why: Full


@dataclass(slots=True)
class Outbox:
    """What the stream is to be told, collected until the runner takes it.

    `acks`: all written. `naks`: event and seconds until it shall come again. `failed`: event and
    its failed batches, which must be stored before the event is terminated.
    """

    acks: list[Event] = field(default_factory=list)
    naks: list[tuple[Event, float]] = field(default_factory=list)
    failed: list[tuple[Event, list[FailedBatch]]] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.acks or self.naks or self.failed)


@dataclass(slots=True)
class _Parked:
    """What is kept for an event that was sent back to the stream, until it returns.

    By place (task and branch): the keys that stay taken, and the visit with what is decided
    already. Only what was not decided is sent again, which spares Salesforce, and keeps the order
    of keys free of cycles: an event that returns never lines up for a key it had let go.
    """

    keys: dict[str, set[str]]
    visits: dict[str, Visit]
    until: float


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
        self.held: dict[int, Event] = {}
        self.held_bytes = 0
        self.held_records = 0
        self.outbox = Outbox()
        self.counters = Counters()
        self.is_draining = False
        self._wall = wall
        self._rng = random.Random(seed)
        self._is_single = len(self.stages) == 1
        self._parked: dict[int, _Parked] = {}

    # -- events in ---------------------------------------------------------------------------

    def accept(self, events: Iterable[Event], now: float) -> None:
        """Take events in hand: render, line up by key, queue."""
        held = self.held
        active = now - self.gate.paused_seconds(now)
        single = self.entries[0] if self._is_single else None
        for event in events:
            self.counters.received += 1
            if event.num_delivered > 1:
                self.counters.redelivered += 1
            if event.sequence in held:
                # The server lost patience with one we still hold: answer for its newest delivery.
                known = held[event.sequence]
                known.token, known.num_delivered = event.token, event.num_delivered
                continue
            held[event.sequence] = event
            self.held_bytes += len(event.data)
            event.received = active
            try:
                data = decode(event.data)
            except ValueError as error:
                self._unfit_everywhere(event, f"the event's data does not parse: {error}", now)
                continue
            if single is not None:
                self._enter(single, event, None, data, "", now)
            else:
                self._start(event, data, now)

    def _start(self, event: Event, data: Any, now: float) -> None:
        ticket = Ticket(event)
        ticket.open = 1  # held until every entry has been offered the event
        for stage in self.entries:
            self._enter(stage, event, ticket, data, "", now)
        self._close_ticket(ticket, now)

    def _enter(
        self, stage: Stage, event: Event, ticket: Ticket | None, data: Any, branch: str, now: float
    ) -> None:
        """Render an event for a stage and queue what comes of it."""
        visit: Visit | None = None
        missing: list[int] | None = None
        try:
            records = stage.spec.render(event, data)
            visit = Visit(event, stage, ticket, data, records, branch)
            reason = stage.misfit(records) if len(records) > 1 else None
            if self._parked:
                missing = self._recall(visit)
            units = [] if reason or not records or missing == [] else stage.units_of(visit, missing)
        except RenderError as error:
            reason, units = str(error), []
        if ticket is not None:
            ticket.open += 1
        if reason:
            failed = failure.unfit(
                event, stage.spec, self.flow, self._wall(), reason, data if branch else None, branch
            )
            self.counters.failed("UNFIT", stage.name)
            self._settle(event, ticket, None, [failed], now)
            return
        assert visit is not None
        visit.open = len(units)
        self.held_records += len(visit.all) if missing is None else len(missing)
        if not units:
            self._close_visit(visit, now)
            return
        parked = self._parked.get(event.sequence) if self._parked else None
        kept = parked.keys.pop(_place(visit), ()) if parked else ()
        lanes, batcher = stage.lanes, stage.batcher
        if kept:
            self._return_to_lanes(stage, kept, units, now)
        else:
            for unit in units:
                if lanes.enter(unit):
                    batcher.add(unit, now)

    def _return_to_lanes(
        self, stage: Stage, kept: Iterable[str], units: list[Unit], now: float
    ) -> None:
        """An event that was sent back has returned: it goes before those who waited for it."""
        left = stage.lanes.hand_over(kept, units)
        for unit in units:
            if not unit.blocked:
                stage.batcher.add(unit, now)
        self._release_keys(stage, left, now)

    def _recall(self, visit: Visit) -> list[int] | None:
        """Take over what an earlier delivery decided; returns the indexes that are still to be
        sent, None for all."""
        parked = self._parked.get(visit.of.sequence)
        known = parked.visits.get(_place(visit)) if parked else None
        if known is None or len(known.all) != len(visit.all):
            return None
        visit.outcomes, visit.attempts = known.outcomes, known.attempts
        visit.kind, visit.reason = known.kind, known.reason
        visit.is_partly_written = known.is_partly_written
        return sorted(known.again or ())

    def _unfit_everywhere(self, event: Event, reason: str, now: float) -> None:
        ticket = None if self._is_single else Ticket(event)
        if ticket is not None:
            ticket.open = len(self.entries)
        for stage in self.entries:
            failed = failure.unfit(event, stage.spec, self.flow, self._wall(), reason, None, "")
            self.counters.failed("UNFIT", stage.name)
            self._settle(event, ticket, None, [failed], now)

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
        """Take in what became of every record of a request.

        Raises:
            UsageError: the sink did not answer for each record, which is a bug of the sink.
        """
        stage = sending.stage
        stage.in_flight -= 1
        outcomes = answer.outcomes
        if len(outcomes) != len(sending.batch):
            raise UsageError(
                f"{len(outcomes)} outcomes for {len(sending.batch)} records of {sending.batch.id}"
            )
        is_charged = self._read_health(stage, answer, now)
        ready: list[Unit] = []
        again: list[Unit] = []
        offset = 0
        written = 0
        for unit in sending.units:
            count = len(unit.records)
            first = outcomes[offset]
            if count == 1 and type(first) is Written:
                written += 1
                if unit.visit.outcomes is not None or stage.next or unit.visit is not unit:
                    _remember(unit, [first])
                stage.lanes.leave(unit, ready)
                self._close_unit(unit, now)
            elif self._returned(unit, answer, offset, is_charged, ready, now):
                again.append(unit)
            offset += count
        if written:
            self.counters.written += written
            self.gate.wrote()
        self._go(ready, now)
        if again:
            stage.batcher.put_back(again, now)

    def _returned(
        self,
        unit: Unit,
        answer: Answer,
        offset: int,
        is_charged: bool,
        ready: list[Unit],
        now: float,
    ) -> bool:
        """Decide on a unit that is not simply one written record; True if it goes again at once."""
        visit, stage = unit.visit, unit.visit.stage
        outcomes = list(answer.outcomes[offset : offset + len(unit.records)])
        if self.gate.is_broken and _request_fault(outcomes) is not None:
            return True  # one more of those the flow is paused for: kept in hand, not given up
        is_idempotent = stage.limits.is_idempotent
        if all(type(outcome) is Written for outcome in outcomes):
            self.counters.written += len(outcomes)
            self.gate.wrote()
            _remember(unit, outcomes)
            visit.is_partly_written = True
            stage.lanes.leave(unit, ready)
            self._close_unit(unit, now)
            return False
        if visit.attempts is None:
            visit.attempts = []
        if not is_charged and not (
            not is_idempotent and any(isinstance(outcome, Unknown) for outcome in outcomes)
        ):
            return True
        visit.attempts.append(failure.attempt_of(unit, answer, offset, self._wall()))
        unit.tries += 1
        _remember(unit, outcomes)
        ticket = visit.ticket
        decision = decide(
            outcomes,
            tries=unit.tries,
            num_delivered=visit.of.num_delivered,
            elapsed_seconds=self._elapsed(visit.of, now),
            policy=stage.policy,
            is_idempotent=is_idempotent,
            is_redelivery_safe=self._is_redelivery_safe(visit, ticket),
            rng=self._rng,
        )
        if isinstance(decision, Retry) and not self.is_draining:
            self.counters.retries += 1
            stage.postpone(unit, now + decision.seconds)
            return False
        self._conclude(unit, outcomes, decision, ready, now)
        return False

    def _conclude(
        self,
        unit: Unit,
        outcomes: Sequence[Outcome | None],
        decision: Retry | Redeliver | GiveUp | Done,
        ready: list[Unit],
        now: float,
    ) -> None:
        """A unit's last word in this delivery."""
        visit = unit.visit
        if isinstance(decision, Retry):  # draining: it cannot wait here any longer
            decision = self._cut_short(visit)
        if isinstance(decision, Redeliver):
            # Its keys stay taken: who comes later must not overtake it.
            visit.redeliver = max(visit.redeliver or 0.0, decision.seconds)
            if visit.again is None:
                visit.again = []
            visit.again.extend(range(unit.start, unit.start + len(unit.records)))
            if visit.kept is None:
                visit.kept = set()
            for key in _keys(unit):
                following = visit.stage.lanes.pass_within(key, visit)
                if following is None:
                    visit.kept.add(key)
                elif not following.blocked:
                    ready.append(following)
        else:
            assert isinstance(decision, GiveUp)
            if visit.kind in ("", "exhausted"):
                visit.kind, visit.reason = decision.kind, decision.reason
            for outcome in outcomes:
                if outcome is not None and not isinstance(outcome, Written):
                    self.counters.failed(outcome.code, visit.stage.name)
            visit.stage.lanes.leave(unit, ready)
        self._close_unit(unit, now)

    def _cut_short(self, visit: Visit) -> Redeliver | GiveUp:
        """What becomes of a unit whose next try the shutdown does not leave time for."""
        policy = visit.stage.policy
        left = policy.max_deliver < 0 or visit.of.num_delivered < policy.max_deliver
        if left and self._is_redelivery_safe(visit, visit.ticket):
            return Redeliver(0.0)
        return GiveUp("exhausted", "stopped before it could be tried again")

    def _is_redelivery_safe(self, visit: Visit, ticket: Ticket | None) -> bool:
        """Whether every record of the event may be sent again, from the first stage on."""
        if not visit.stage.limits.is_idempotent and visit.is_partly_written:
            return False
        return ticket is None or not ticket.is_partly_written

    def _elapsed(self, event: Event, now: float) -> float:
        return now - self.gate.paused_seconds(now) - event.received

    def _read_health(self, stage: Stage, answer: Answer, now: float) -> bool:
        """Tell the gate what the answer says of Salesforce; False if no try is to be charged."""
        gate = self.gate
        was_probe = gate.is_half_open
        trouble: Outcome | None = None
        for outcome in answer.outcomes:
            if type(outcome) is Written:
                trouble = None
                break
            if isinstance(outcome, Unsent | Unknown) or (
                isinstance(outcome, Deferred) and outcome.cause in (Cause.OUTAGE, Cause.LIMIT)
            ):
                trouble = outcome
                if isinstance(outcome, Deferred) and outcome.cause is Cause.LIMIT:
                    break
            else:
                trouble = None
                break
        if trouble is None:
            gate.alive(now)
            if answer.api_used is not None and answer.api_limit is not None:
                self.counters.api_used, self.counters.api_limit = answer.api_used, answer.api_limit
                gate.spent(answer.api_used, answer.api_limit, now, stage=stage.name)
            return True
        assert not isinstance(trouble, Written)
        text = f"{trouble.code}: {trouble.message}"
        if isinstance(trouble, Deferred) and trouble.cause is Cause.LIMIT:
            gate.limit(text, now, stage=stage.name, retry_after=trouble.retry_after_seconds)
        else:
            gate.trouble(text, now, stage=stage.name, is_certain=isinstance(trouble, Unsent))
        if gate.is_open:
            return True
        # A request whose answer is missing though Salesforce just answered the probe: the records
        # themselves may be the reason, so this one is charged.
        return was_probe and isinstance(trouble, Unknown)

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
        if ticket is None:
            if visit.redeliver is None and not visit.kind:
                self._forget(visit.of, now)
                self.outbox.acks.append(visit.of)
                self.counters.acked += 1
                return
            self._park(visit, now)
            self._settle(visit.of, None, visit.redeliver, self._failures(visit, now), now)
            return
        if visit.is_partly_written and not stage.limits.is_idempotent:
            ticket.is_partly_written = True
        self._park(visit, now)
        if stage.next and visit.redeliver is None:
            results = _results(visit)
            if results:
                for following in stage.next:
                    branch = stage.name
                    self._enter(following, visit.of, ticket, results, branch, now)
        self._settle(visit.of, ticket, visit.redeliver, self._failures(visit, now), now)

    def _failures(self, visit: Visit, now: float) -> list[FailedBatch]:
        """The failed batch of a visit that is given up; none while it will be redelivered."""
        if not visit.kind or visit.redeliver is not None:
            return []
        fault = _request_fault(visit.outcomes or ())
        if fault is not None:
            fields = f" ({', '.join(fault.fields)})" if fault.fields else ""
            reason = f"{fault.code}{fields} in task {visit.stage.name!r}: {fault.message}"
            self.gate.failed_for_request(reason, now)
        return [failure.failed_visit(visit, self.flow, self._wall())]

    def _park(self, visit: Visit, now: float) -> None:
        """Keep the keys, and what is written, of an event that goes back to the stream."""
        place = _place(visit)
        if visit.redeliver is None:
            if visit.ticket is not None:
                visit.ticket.memory[place] = visit
            return
        parked = self._parked.get(visit.of.sequence)
        until = now + visit.redeliver + SLACK_SECONDS
        if parked is None:
            parked = self._parked[visit.of.sequence] = _Parked({}, {}, until)
        parked.until = max(parked.until, until)
        parked.visits[place] = visit
        parked.keys[place] = visit.kept or set()

    def _settle(
        self,
        event: Event,
        ticket: Ticket | None,
        redeliver: float | None,
        failures: list[FailedBatch],
        now: float,
    ) -> None:
        """One visit is over; the event is settled when it was the last."""
        if ticket is None:
            ticket = Ticket(event)
            ticket.open = 1
        if redeliver is not None:
            ticket.redeliver = max(ticket.redeliver or 0.0, redeliver)
        ticket.failures.extend(failures)
        self._close_ticket(ticket, now)

    def _close_ticket(self, ticket: Ticket, now: float) -> None:
        ticket.open -= 1
        if ticket.open:
            return
        event = ticket.event
        if ticket.redeliver is not None:
            # What failed for good is remembered and stored when the rest is decided too.
            if ticket.memory and event.sequence in self._parked:
                self._parked[event.sequence].visits.update(ticket.memory)
            self._forget(event, now, comes_back=True)
            self.outbox.naks.append((event, ticket.redeliver))
            self.counters.naked += 1
        elif ticket.failures:
            self.outbox.failed.append((event, ticket.failures))
        else:
            self._forget(event, now)
            self.outbox.acks.append(event)
            self.counters.acked += 1

    def stored(self, event: Event, now: float) -> None:
        """The event's failed batches are durable: it may be terminated and is no longer held."""
        self._forget(event, now)
        self.counters.terminated += 1

    def not_stored(self, event: Event, delay_seconds: float, now: float) -> None:
        """They are not: the event goes back to the stream."""
        self._forget(event, now)
        self.outbox.naks.append((event, delay_seconds))
        self.counters.naked += 1

    def _forget(self, event: Event, now: float, *, comes_back: bool = False) -> None:
        if self.held.pop(event.sequence, None) is None:
            raise UsageError(f"event {event.stream}:{event.sequence} settled twice")
        self.held_bytes -= len(event.data)
        if self._parked and not comes_back:
            self._unpark(event.sequence, now)

    # -- time --------------------------------------------------------------------------------

    def tick(self, now: float) -> float | None:
        """Do what is due; returns when to look again (monotonic seconds), None for no reason to."""
        deadlines: list[float] = []
        for stage in self.stages:
            due = stage.due(now)
            if due:
                stage.batcher.put_back(due, now)
            retry = stage.next_retry()
            if retry is not None:
                deadlines.append(retry)
            linger = stage.batcher.next_deadline()
            is_free = stage.in_flight < stage.spec.max_in_flight and self.gate.is_open
            if linger is not None and is_free:
                deadlines.append(linger)
        pause = self.gate.pause
        if pause is not None and pause.next_probe is not None and not self.gate.is_half_open:
            deadlines.append(pause.next_probe)
        if self._parked:
            deadlines.append(self._expire_parked(now))
            self._untie(now)
        return min(deadlines, default=None)

    def _expire_parked(self, now: float) -> float:
        """Stop waiting for events that another process took or the stream lost; returns when the
        next one is due."""
        for sequence in [s for s, parked in self._parked.items() if parked.until <= now]:
            if sequence in self.held:
                self._parked[sequence].until = now + SLACK_SECONDS
            else:
                self._unpark(sequence, now)
        return min((parked.until for parked in self._parked.values()), default=now + SLACK_SECONDS)

    def _untie(self, now: float) -> None:
        """Send events back that wait for each other's keys.

        It takes tasks that fan out and meet again, and failures in both: one event keeps a key in
        one task for its return while it waits in another task for an event that does the same.
        """
        if self.in_flight or any(s.waiting or len(s.batcher) for s in self.stages):
            return
        if any(sequence not in self.held for sequence in self._parked) or not self.gate.is_open:
            return
        for stage in self.stages:
            for unit in stage.lanes.drop_waiting() if stage.lanes.waiting else ():
                wait = Redeliver(stage.policy.long_wait(unit.event.num_delivered))
                unit.keys = None
                self._conclude(unit, self._last(unit), wait, [], now)

    def _unpark(self, sequence: int, now: float) -> None:
        """Let go of what was kept for an event and not taken over by it."""
        parked = self._parked.pop(sequence, None)
        if parked is None:
            return
        for stage in self.stages:
            for place, keys in parked.keys.items():
                if place.partition("<")[0] == stage.name:
                    self._release_keys(stage, keys, now)

    def _release_keys(self, stage: Stage, keys: Iterable[str], now: float) -> None:
        ready: list[Unit] = []
        for key in keys:
            stage.lanes.release(key, ready)
        self._go(ready, now)

    def _go(self, ready: list[Unit], now: float) -> None:
        """Queue units that hold all their keys now, which may free others (appended meanwhile)."""
        for unit in ready:
            wait = unit.visit.redeliver
            if wait is None:
                unit.visit.stage.batcher.add(unit, now)
            else:  # an earlier record of its event goes back to the stream: it must not overtake it
                self._conclude(unit, self._last(unit), Redeliver(wait), ready, now)

    # -- stopping ----------------------------------------------------------------------------

    @property
    def in_flight(self) -> int:
        """Requests that have left and are not answered."""
        return sum(stage.in_flight for stage in self.stages)

    @property
    def is_idle(self) -> bool:
        """Whether nothing more can leave: all is answered, and nothing is queued that may go."""
        queued = any(len(stage.batcher) for stage in self.stages)
        return not self.in_flight and not (queued and self.gate.is_open)

    def drain(self, now: float) -> None:
        """From here on nothing waits: what is queued goes out at once, what waits for another try
        goes back to the stream. Call when no more events will be accepted."""
        self.is_draining = True
        for stage in self.stages:
            ready: list[Unit] = []
            for unit in stage.drop_waiting():
                self._conclude(unit, self._last(unit), self._cut_short(unit.visit), ready, now)
            self._go(ready, now)

    def abandon(self, now: float) -> None:
        """Conclude everything that is not in flight: back to the stream at once where it may be
        redelivered, else a failed batch. Afterwards every held event is in the outbox."""
        self.is_draining = True
        self._parked.clear()
        for stage in self.stages:
            units = [*stage.drop_waiting(), *stage.batcher.drop(), *stage.lanes.drop()]
            for unit in units:
                unit.keys = None  # the lanes are gone; nobody waits any longer
            for unit in units:
                self._conclude(unit, self._last(unit), self._cut_short(unit.visit), [], now)

    def _last(self, unit: Unit) -> list[Outcome | None]:
        outcomes = unit.visit.outcomes or []
        return outcomes[unit.start : unit.start + len(unit.records)]


def _keys(unit: Unit) -> tuple[str, ...]:
    keys = unit.keys
    return () if keys is None else (keys,) if type(keys) is str else tuple(keys)


def _request_fault(outcomes: Sequence[Outcome | None]) -> Refused | None:
    """The first refusal that every record of the flow would meet."""
    for outcome in outcomes:
        if isinstance(outcome, Refused) and outcome.is_request_fault:
            return outcome
    return None


def _place(visit: Visit) -> str:
    return f"{visit.stage.name}<{visit.branch}"


def _remember(unit: Unit, outcomes: Sequence[Outcome]) -> None:
    visit = unit.visit
    if visit.outcomes is None:
        visit.outcomes = [None] * len(visit.all)
    visit.outcomes[unit.start : unit.start + len(outcomes)] = outcomes
    if type(outcomes[0]) is Written:
        visit.is_partly_written = True


def _results(visit: Visit) -> list[Any]:
    """What the next task sees as `event.data`: the results of the written records, in order."""
    return [
        outcome.data
        if outcome.data is not None
        else {"id": outcome.id, "success": True, "created": outcome.created, "errors": []}
        for outcome in visit.outcomes or ()
        if isinstance(outcome, Written)
    ]
