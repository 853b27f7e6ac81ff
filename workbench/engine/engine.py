"""Running one flow against its ports: the only part of the engine that waits for anything.

Tasks: one receives, one keeps time, one looks for events whose deliveries ran out, and one more
for each request in flight and for each store of failed batches. None per event.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Iterable, Sequence
from typing import Any

from workbench.engine.core import Core, Sending
from workbench.engine.exhausted import Exhausted
from workbench.engine.gate import Gate, PauseCause
from workbench.engine.pace import Pace
from workbench.engine.ports import Clock, DeadLetters, Source
from workbench.engine.stage import StageSpec
from workbench.errors import (
    AuthenticationError,
    AuthorizationError,
    DeadLetterError,
    SalesforceError,
    StreamError,
    UsageError,
    WorkbenchError,
)
from workbench.model import Answer, Event, FailedBatch, Unknown, Unsent
from workbench.observe import (
    BatchAnswered,
    BatchSent,
    EventsReceived,
    EventsSettled,
    FlowPaused,
    FlowResumed,
    FlowStarted,
    FlowStopped,
    Notice,
    Observer,
    Observers,
    Snapshot,
    StageSnapshot,
    StoreFailed,
)

__all__ = ["Engine"]

_log = logging.getLogger("workbench")

MAX_HELD_BYTES = 64 * 1024 * 1024
"""Event bytes in hand beyond which no more are asked for."""

MAX_HELD_EVENTS = 20_000
"""Events in hand beyond which no more are asked for, whatever the consumer would allow."""

FIRST_FETCH = 64
"""How many events to ask for before it is known how many records they hold."""

STORE_RETRY_SECONDS = 5.0
"""When an event comes back whose failed batch could not be stored, or when one that must not come
back is tried to be stored again."""


class Engine:
    """One flow, from its stream into Salesforce.

    Everything handed in is open already and is closed by whoever opened it, after `run` returned.
    """

    def __init__(
        self,
        flow: str,
        source_name: str,
        specs: Sequence[StageSpec],
        *,
        source: Source,
        dead_letters: DeadLetters,
        clock: Clock,
        observers: Iterable[Observer] = (),
        gate: Gate | None = None,
        pace: Pace | None = None,
        max_held_events: int = MAX_HELD_EVENTS,
        seed: int | None = None,
    ) -> None:
        self.flow = flow
        self.observers = Observers(observers)
        self._source = source
        self._dead_letters = dead_letters
        self._clock = clock
        self._gate = gate or Gate()
        self._core = Core(flow, source_name, specs, self._gate, wall=clock.time, seed=seed)
        # As much again as may be in flight: answers come in crowds, and each wants a full request
        # to be ready in its place.
        self._target_records = max(
            (2 * stage.spec.max_in_flight + 2) * stage.spec.max_records
            for stage in self._core.stages
        )
        # Asked for one by one, large events would each cost a request to the stream of their own.
        self._least_room = self._target_records // 4
        self._pace = pace or Pace()
        self._max_held_events = min(max_held_events, MAX_HELD_EVENTS)
        self._state = "starting"
        self._error: WorkbenchError | None = None
        self._started = clock.monotonic()
        self._room = asyncio.Event()
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._stop = asyncio.Event()
        self._hurry = asyncio.Event()
        self._requests: dict[asyncio.Task[None], Sending] = {}
        self._stores: set[asyncio.Task[None]] = set()
        self._unstored: list[tuple[Event, list[FailedBatch]]] = []
        self._storing = 0
        self._is_probing = False
        self._was_paused: str | None = None
        self._per_event = 1.0
        self._sleeps_until = 0.0

    # -- for those who steer -----------------------------------------------------------------

    async def run(self, *, drain_timeout_seconds: float = 30.0) -> None:
        """Run until `stop`, or until it cannot go on; then drain and settle.

        Stopping, in order: no more is asked for; what was received and not looked at goes back at
        once; what is queued leaves; requests in flight are awaited, `drain_timeout_seconds` at
        most; failed batches are stored; the rest goes back at once. A hurried stop (`hurry`) skips
        the waiting and costs redeliveries, never loss.

        Raises:
            AuthenticationError, AuthorizationError: Salesforce refuses the credentials.
            StreamError: the stream or consumer is gone.
        """
        self._state = "running"
        self._tell(FlowStarted(self.flow))
        exhausted = Exhausted(
            self._core, self._source, self._dead_letters, self._clock, self.observers.notify
        )
        housekeeping = [
            asyncio.create_task(self._keep_time(), name=f"{self.flow}-time"),
            asyncio.create_task(exhausted.look(), name=f"{self.flow}-exhausted"),
        ]
        receiving = asyncio.create_task(self._receive(), name=f"{self.flow}-receive")
        for watched in (*housekeeping, receiving):
            watched.add_done_callback(self._look_for_bug)
        try:
            await self._stop.wait()
        finally:
            self._state = "draining"
            self._source.wake()
            self._room.set()
            try:
                await self._shut_down(receiving, drain_timeout_seconds)
            finally:
                for task in housekeeping:
                    task.cancel()
                await asyncio.gather(*housekeeping, return_exceptions=True)
                self._state = "stopped"
                reason = str(self._error) if self._error else None
                self._tell(FlowStopped(self.flow, reason))
        if self._error is not None:
            raise self._error

    def stop(self) -> None:
        """Ask `run` to drain and return."""
        self._stop.set()

    def hurry(self) -> None:
        """Ask a stopping `run` not to wait for requests in flight."""
        self._stop.set()
        self._hurry.set()

    def pause(self, reason: str = "paused by hand") -> None:
        """Send nothing more until `resume`; what is in flight is finished, what is held is kept."""
        self._gate.hold(self._clock.monotonic(), reason)
        self._look()

    def resume(self) -> None:
        """Go on after any pause."""
        self._gate.resume(self._clock.monotonic())
        self._look()

    def snapshot(self) -> Snapshot:
        """How things stand now; cheap enough to ask for many times a second."""
        core, now, pause = self._core, self._clock.monotonic(), self._gate.pause
        counters = core.counters
        state = "paused" if pause is not None and self._state == "running" else self._state
        probe = pause.next_probe if pause else None
        return Snapshot(
            flow=self.flow,
            state=state,
            pause_cause=pause.cause.value if pause else "",
            pause_reason=pause.reason if pause else "",
            next_probe_seconds=None if probe is None else max(0.0, probe - now),
            uptime_seconds=now - self._started,
            held_events=len(core.held),
            held_records=core.held_records,
            held_bytes=core.ledger.held_bytes,
            stages=tuple(
                StageSnapshot(
                    stage.name,
                    stage.in_flight,
                    len(stage.batcher),
                    stage.waiting,
                    stage.lanes.waiting,
                )
                for stage in core.stages
            ),
            received=counters.received,
            redelivered=counters.redelivered,
            acked=counters.acked,
            naked=counters.naked,
            terminated=counters.terminated,
            requests=counters.requests,
            retries=counters.retries,
            written=counters.written,
            failures=dict(counters.failures),
            api_used=counters.api_used,
            api_limit=counters.api_limit,
        )

    # -- the loop ----------------------------------------------------------------------------

    async def _receive(self) -> None:
        source, core, room = self._source, self._core, self._room
        while not self._stop.is_set():
            limit = self._limit()
            if limit <= 0:
                room.clear()
                await room.wait()
                continue
            try:
                events = await source.receive(self._pace.limit(limit))
            except StreamError as error:
                self._fail(error)
                return
            if not events:
                continue
            if self._stop.is_set():
                source.nak(events, 0.0)
                return
            records = core.held_records
            if self.observers:
                self._tell(EventsReceived(self.flow, events))
            core.accept(events, self._clock.monotonic())
            share = max(1.0, (core.held_records - records) / len(events))
            # Believed at once when events grow, slowly when they shrink: too few costs little.
            self._per_event = max(share, 0.8 * self._per_event + 0.2 * share)
            self._pump()
            pause = self._pace.pause(len(events))
            if pause > 0:
                await self._clock.wait(self._stop, pause)

    def _limit(self) -> int:
        """How many more events may be asked for now."""
        if not self._gate.is_open:
            return 0
        room = self._free()
        if room < 1 and self._core.is_return_due(self._clock.monotonic()):
            return 1  # all room may be taken by those who wait for the one that comes back
        return room

    def _free(self) -> int:
        """How many more events there is room for."""
        core = self._core
        if core.ledger.held_bytes >= MAX_HELD_BYTES:
            return 0
        # Records that wait for another of their key take room in memory, but not in the requests.
        waiting = sum(stage.lanes.waiting for stage in core.stages)
        # What failed takes room until it is stored, and a store may be slower than Salesforce.
        records = self._target_records - (core.held_records - waiting) - self._storing
        if records <= self._least_room:
            return 0
        events = max(1, int(records / self._per_event))
        if not core.counters.received:
            events = min(events, FIRST_FETCH)
        return min(events, self._max_held_events - len(core.held))

    def _pump(self) -> None:
        """Send whatever may be sent, settle whatever is settled. Synchronous and quick."""
        core, now = self._core, self._clock.monotonic()
        while (sending := core.next_request(now)) is not None:
            task = asyncio.create_task(self._send(sending), name=sending.batch.id)
            self._requests[task] = sending
            task.add_done_callback(self._request_done)
        if core.outbox:
            self._settle()
        self._report_pause(now)
        deadline = core.next_deadline()
        if deadline is not None and deadline < self._sleeps_until:
            self._wake.set()
        if self._limit() > 0:
            self._room.set()
        if core.is_idle:
            self._idle.set()

    async def _send(self, sending: Sending) -> None:
        """One request, from leaving to its records' outcomes."""
        clock, stage = self._clock, sending.stage
        if self.observers:
            self._tell(BatchSent(self.flow, sending.batch, sending.units, sending.why))
        started = clock.monotonic()
        try:
            answer = await stage.sink.write(sending.batch)
            count = len(answer.outcomes)
            if count != len(sending.batch):
                raise UsageError(f"{count} outcomes for {len(sending.batch)} records")
        except SalesforceError as error:
            self._fail(error)
            answer = Answer([Unsent(str(error))] * len(sending.batch))
        except asyncio.CancelledError:
            self._take(sending, _nothing_said(sending, "stopped before the answer came"), started)
            raise
        except Exception as error:
            self._fail(WorkbenchError(f"task {stage.name!r} met a bug of workbench: {error!r}"))
            answer = _nothing_said(sending, f"the sink raised {error!r}")
        self._take(sending, answer, started)

    def _take(self, sending: Sending, answer: Answer, started: float) -> None:
        now = self._clock.monotonic()
        if self.observers:
            parts = sending.units
            self._tell(BatchAnswered(self.flow, sending.batch, parts, answer, now - started))
        self._core.answered(sending, answer, now)
        self._pump()

    def _request_done(self, task: asyncio.Task[None]) -> None:
        del self._requests[task]
        self._look_for_bug(task)

    def _store_done(self, task: asyncio.Task[None]) -> None:
        self._stores.discard(task)
        self._look_for_bug(task)

    def _look_for_bug(self, task: asyncio.Task[Any]) -> None:
        """A task that died of a bug must not leave the flow waiting for it: stop and say so."""
        error = None if task.cancelled() else task.exception()
        if error is None:
            return
        _log.error("%s died of a bug of workbench", task.get_name(), exc_info=error)
        self._fail(WorkbenchError(f"flow {self.flow!r} met a bug of workbench: {error!r}"))

    def _settle(self) -> None:
        """Tell the stream what is in the outbox; what failed is stored first."""
        outbox, source = self._core.outbox, self._source
        acks, naks, failed = outbox.acks, outbox.naks, outbox.failed
        outbox.acks, outbox.naks, outbox.failed = [], [], []
        if acks:
            source.ack(acks)
        for delay in {delay for _, delay in naks}:
            source.nak([event for event, wait in naks if wait == delay], delay)
        if failed:
            self._storing += _records_of(failed)
            self._begin(self._store(failed))
        if (acks or naks) and self.observers:
            self._tell(EventsSettled(self.flow, acks, naks))

    def _begin(self, storing: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(storing, name=f"{self.flow}-store")
        self._stores.add(task)
        task.add_done_callback(self._store_done)

    async def _store(self, failed: list[tuple[Event, list[FailedBatch]]]) -> None:
        """Store failed batches, then terminate their events; or send the events back.

        Of what may be written already, and must not be written twice, the event is kept in hand
        and its failed batches are tried again, until they are stored or the flow stops.
        """
        core = self._core
        try:
            await self._dead_letters.store([batch for _, batches in failed for batch in batches])
        except DeadLetterError as error:
            now, was_waiting = self._clock.monotonic(), bool(self._unstored)
            kept = []
            for event, batches in failed:
                if self._stop.is_set() or core.may_come_again(batches):
                    core.ledger.not_stored(event, STORE_RETRY_SECONDS, now)
                else:
                    kept.append((event, batches))
            self._unstored += kept
            self._storing -= _records_of(failed) - _records_of(kept)
            if kept and not was_waiting:
                self._begin(self._store_again())
            self._tell(StoreFailed(self.flow, [event for event, _ in failed], str(error)))
        else:
            now = self._clock.monotonic()
            events = [event for event, _ in failed]
            for event in events:
                core.ledger.stored(event, now)
            self._source.term(events, f"flow {self.flow} keeps it as a failed batch")
            self._storing -= _records_of(failed)
            self._tell(EventsSettled(self.flow, terminated=failed))
        self._pump()

    async def _store_again(self) -> None:
        await self._clock.wait(self._stop, STORE_RETRY_SECONDS)
        failed, self._unstored = self._unstored, []
        await self._store(failed)

    # -- time --------------------------------------------------------------------------------

    async def _keep_time(self) -> None:
        """Linger, retries, probes, and the signs of life that keep held events ours."""
        clock, core = self._clock, self._core
        ping_every = self._source.ack_wait_seconds / 3
        next_ping = clock.monotonic() + ping_every
        seen: list[Event] = []
        while True:
            now = clock.monotonic()
            if now >= next_ping:
                # Those that were in hand at the last look already; the others are fresh.
                late = [event for event in seen if event.sequence in core.held]
                if late:
                    self._source.in_progress(late)
                seen = list(core.held.values())
                next_ping = now + ping_every
            if self._gate.probe_due(now) and not self._is_probing and not core.in_flight:
                self._is_probing = True
                task = asyncio.create_task(self._probe(), name=f"{self.flow}-probe")
                self._stores.add(task)
                task.add_done_callback(self._store_done)
            core.tick(now)
            self._pump()
            self._wake.clear()
            deadline = core.next_deadline()
            self._sleeps_until = until = next_ping if deadline is None else min(next_ping, deadline)
            await clock.wait(self._wake, max(until - clock.monotonic(), 0.001))

    async def _probe(self) -> None:
        """Ask whether Salesforce is back; if it is, let one request through."""
        gate = self._gate
        stage = next((s for s in self._core.stages if s.name == gate.stage), self._core.stages[0])
        pause = gate.pause
        try:
            if pause is not None and pause.cause is not PauseCause.BUDGET:
                await stage.sink.probe()
        except (AuthenticationError, AuthorizationError) as error:
            self._fail(error)
        except SalesforceError as error:
            now = self._clock.monotonic()
            gate.half_open()
            if pause is not None and pause.cause is PauseCause.LIMIT:
                gate.limit(str(error), now, stage=stage.name, retry_after=None)
            else:
                gate.trouble(str(error), now, stage=stage.name, is_certain=True)
        else:
            if gate.pause is pause:
                gate.half_open()
                if not len(stage.batcher):
                    gate.alive(self._clock.monotonic())
        finally:
            self._is_probing = False
        self._pump()

    # -- stopping ----------------------------------------------------------------------------

    async def _shut_down(self, receiving: asyncio.Task[None], timeout_seconds: float) -> None:
        core, source, clock = self._core, self._source, self._clock
        leftover = await source.stop_receiving()
        if leftover:
            source.nak(leftover, 0.0)
        await asyncio.gather(receiving, return_exceptions=True)  # a bug there is told already
        core.drain(clock.monotonic())
        self._idle.clear()
        self._pump()
        await self._wait_unless_hurried(self._idle.wait(), timeout_seconds)
        for task in list(self._requests):
            task.cancel()
        await asyncio.gather(*self._requests, return_exceptions=True)
        core.abandon(clock.monotonic())
        if core.outbox:
            self._settle()
        while self._stores:
            await asyncio.gather(*self._stores, return_exceptions=True)
        if core.outbox:  # what could not be stored goes back
            self._settle()
        if core.held:  # only after a bug: what it left behind is the stream's again
            source.nak(list(core.held.values()), 0.0)
        await source.flush()

    async def _wait_unless_hurried(self, what: Coroutine[Any, Any, Any], seconds: float) -> None:
        waiting = asyncio.ensure_future(what)
        hurried = asyncio.ensure_future(self._hurry.wait())
        timer = asyncio.ensure_future(self._clock.wait(asyncio.Event(), seconds))
        everyone = (waiting, hurried, timer)
        await asyncio.wait(everyone, return_when=asyncio.FIRST_COMPLETED)
        for future in everyone:
            future.cancel()
        await asyncio.gather(*everyone, return_exceptions=True)

    # -- telling -----------------------------------------------------------------------------

    def _fail(self, error: WorkbenchError) -> None:
        """Stop for a reason that nothing here can mend; the first one counts."""
        if self._error is None:
            self._error = error
        self._stop.set()

    def _look(self) -> None:
        self._source.wake()
        self._pump()

    def _report_pause(self, now: float) -> None:
        pause = self._gate.pause
        current = None if pause is None else f"{pause.cause}"
        if current == self._was_paused:
            return
        self._was_paused = current
        if pause is None:
            self._tell(FlowResumed(self.flow, self._gate.paused_seconds(now)))
        else:
            self._source.wake()
            self._tell(FlowPaused(self.flow, pause.cause.value, pause.reason))

    def _tell(self, notice: Notice) -> None:
        self.observers.notify(notice)


def _records_of(failed: Iterable[tuple[Event, list[FailedBatch]]]) -> int:
    """How many records they are, for the room that they take."""
    return sum(len(batch.records) or 1 for _, batches in failed for batch in batches)


def _nothing_said(sending: Sending, why: str) -> Answer:
    return Answer([Unknown(why)] * len(sending.batch))
