"""Failed batches as a source of events, and as the place where the results of their replay go.

To the engine a replay is a flow like any other. An entry is claimed when its event is handed out;
what the engine says of the event is written into the entry.
"""

from __future__ import annotations

import asyncio
import heapq
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from workbench.app.replay_choice import Choice
from workbench.app.replay_report import Report
from workbench.engine import DeadLetters
from workbench.errors import ClaimedError, DeadLetterError, NotKeptError, WorkbenchError
from workbench.failed import LEASE_SECONDS, Claimant
from workbench.failed.claims import iso
from workbench.model import (
    Attempt,
    Deed,
    Entry,
    Event,
    FailedBatch,
    FailedRecord,
    Record,
    Written,
)
from workbench.observe import BatchAnswered, FlowPaused, Notice

__all__ = ["ReplaySource"]

_AT_ONCE = 200
"""Entries that are claimed at the same time."""
_TRIES = 5
_FIRST_WAIT_SECONDS = 0.25


@dataclass(slots=True)
class _Hand:
    """An entry in hand: its choice, and what the requests for it came to so far."""

    choice: Choice
    attempts: list[Attempt] = field(default_factory=list)
    ids: dict[int, str] = field(default_factory=dict)
    is_concluded: bool = False


class ReplaySource:
    """The engine's `Source`, `DeadLetters` and observer of one replay of one task.

    Args:
        ids: the entries, in the order they are to be replayed.
        choose: what of a claimed entry is sent; raises what says why not.
        others: where failures of later tasks go.
        told: hears of every entry that is done with.
    """

    ack_wait_seconds = LEASE_SECONDS

    def __init__(
        self,
        ids: Sequence[str],
        claimant: Claimant,
        choose: Callable[[Entry], Choice],
        others: DeadLetters,
        report: Report,
        told: Callable[[str, str], None],
        *,
        max_deliver: int = 5,
    ) -> None:
        self.max_deliver = max_deliver
        self.is_finished = asyncio.Event()
        self.on_broken: Callable[[str], None] = lambda reason: None
        self._ids = deque(ids)
        self._claimant = claimant
        self._choose = choose
        self._others = others
        self._report = report
        self._told = told
        self._hands: dict[int, _Hand] = {}
        self._blocked: dict[int, deque[Choice]] = {}  # same sequence as one in hand
        self._later: list[tuple[float, int, Event]] = []
        self._work: set[asyncio.Task[None]] = set()
        self._woken = asyncio.Event()
        self._claiming = 0
        self._is_stopped = False

    # -- for the stages' specs ---------------------------------------------------------------

    def records_of(self, event: Event) -> list[Record]:
        """What the first task sends for an event."""
        return list(self._hands[event.sequence].choice.records)

    def choice_of(self, event: Event) -> Choice:
        return self._hands[event.sequence].choice

    # -- Source ------------------------------------------------------------------------------

    async def receive(self, limit: int) -> list[Event]:
        while not self._is_stopped:
            events = self._due(limit)
            if not events and self._ids:
                events = await self._claim_some(min(limit, _AT_ONCE))
            if events or self._woken.is_set():
                self._woken.clear()
                return events
            if self._ids:
                continue
            self._look_finished()
            await self._wait()
        return []

    def _look_finished(self) -> None:
        """Also after each entry: a paused engine asks for no more."""
        is_any_left = self._ids or self._claiming or self._hands or self._later or self._blocked
        if not is_any_left:
            self.is_finished.set()

    async def _wait(self) -> None:
        loop = asyncio.get_running_loop()
        timer = None
        if self._later:
            timer = loop.call_at(self._later[0][0], self._woken.set)
        try:
            await self._woken.wait()
        finally:
            if timer is not None:
                timer.cancel()

    def _due(self, limit: int) -> list[Event]:
        """What was sent back and whose time has come."""
        events: list[Event] = []
        now = asyncio.get_running_loop().time()
        while self._later and self._later[0][0] <= now and len(events) < limit:
            event = heapq.heappop(self._later)[2]
            event.num_delivered += 1
            events.append(event)
        return events

    async def _claim_some(self, limit: int) -> list[Event]:
        ids = [self._ids.popleft() for _ in range(min(limit, len(self._ids)))]
        self._claiming = len(ids)
        choices = await asyncio.gather(*map(self._claim, ids))
        self._claiming = 0
        events = []
        for choice in choices:
            if choice is None:
                continue
            sequence = choice.event.sequence
            if sequence in self._hands:
                self._blocked.setdefault(sequence, deque()).append(choice)
            else:
                self._hands[sequence] = _Hand(choice)
                events.append(choice.event)
        return events

    async def _claim(self, id: str) -> Choice | None:
        try:
            entry = await self._claimant.claim(id, time.time())
        except (ClaimedError, NotKeptError) as error:
            self._skip(id, str(error))
            return None
        except DeadLetterError as error:
            self._skip(id, f"it could not be claimed: {error}")
            return None
        try:
            return self._choose(entry)
        except WorkbenchError as error:
            self._skip(id, str(error))
            await self._let_go(id)
            return None

    def _skip(self, id: str, why: str) -> None:
        self._report.skipped.append((id, why))
        self._told(id, why)

    def wake(self) -> None:
        self._woken.set()

    def ack(self, events: Sequence[Event]) -> None:
        for event in events:
            hand = self._hands[event.sequence]
            if hand.is_concluded:  # later tasks' failures were stored before
                self._forget(event)
            else:
                self._start(self._resolve(event, hand, ""))

    def nak(self, events: Sequence[Event], delay_seconds: float) -> None:
        until = asyncio.get_running_loop().time() + delay_seconds
        for event in events:
            if self._hands[event.sequence].is_concluded:  # its neighbours could not be stored
                self._forget(event)
            elif self._is_stopped:
                self._start(self._release(event))
            else:
                heapq.heappush(self._later, (until, event.sequence, event))
        self._woken.set()

    def term(self, events: Sequence[Event], reason: str) -> None:
        for event in events:
            self._forget(event)

    def in_progress(self, events: Sequence[Event]) -> None:
        for event in events:
            hand = self._hands.get(event.sequence)
            if hand is not None and not hand.is_concluded:
                self._start(self._renew(hand.choice.entry.id))
        for _, sequence, _ in self._later:
            if sequence in self._hands:
                self._start(self._renew(self._hands[sequence].choice.entry.id))

    async def exhausted(self) -> list[Event]:
        return []

    async def forget_exhausted(self, events: Sequence[Event]) -> None: ...

    async def stop_receiving(self) -> list[Event]:
        self._is_stopped = True
        self._woken.set()
        for _, _, event in self._later:
            self._start(self._release(event))
        self._later.clear()
        for choice in [choice for waiting in self._blocked.values() for choice in waiting]:
            self._report.left += 1
            self._start(self._let_go(choice.entry.id))
        self._blocked.clear()
        return []

    async def flush(self) -> None:
        while self._work:
            await asyncio.gather(*self._work)

    # -- DeadLetters -------------------------------------------------------------------------

    async def store(self, batches: Sequence[FailedBatch]) -> None:
        """Failures of the replayed task go into its entry; those of later tasks are new entries,
        and then the entry itself is resolved.

        Raises:
            DeadLetterError: something could not be kept.
        """
        own: dict[int, FailedBatch] = {}
        later: list[FailedBatch] = []
        for batch in batches:
            hand = self._hands[batch.sequence]
            if batch.task == hand.choice.task.name:
                own[batch.sequence] = batch
            else:
                later.append(batch)
        if later:
            await self._others.store(later)
        for batch in later:
            hand = self._hands[batch.sequence]
            if batch.sequence not in own and not hand.is_concluded:
                await self._resolve(hand.choice.event, hand, f"{batch.id} failed after it")
        for sequence, batch in own.items():
            if not self._hands[sequence].is_concluded:
                await self._fail_again(self._hands[sequence], batch)

    async def _fail_again(self, hand: _Hand, batch: FailedBatch) -> None:
        choice = hand.choice
        attempts = self._signed(batch.attempts, choice)
        records = choice.entry.batch.records
        if batch.records:
            records = choice.merged(batch.records)
        else:
            said = Attempt(batch.failed_at, "", None, (), batch.reason)
            attempts = (*attempts, *self._signed([said], choice))
        deed = self._deed("failed_again", choice, batch.reason)
        kind = batch.kind if batch.kind != "unfit" or not records else ""
        id = choice.entry.id
        self._report.written += sum(record.outcome == "written" for record in batch.records)
        try:
            await self._claimant.conclude(id, deed, records, attempts, kind, batch.reason)
        except (ClaimedError, NotKeptError) as error:
            self._unrecorded(id, f"it failed again ({batch.reason}), but: {error}")
        else:
            self._report.failed_again.append(id)
            self._report.reasons[id] = batch.reason
            self._told(id, batch.reason)
        hand.is_concluded = True

    def _unrecorded(self, id: str, why: str) -> None:
        self._report.unrecorded.append((id, why))
        self._told(id, why)

    # -- Observer ----------------------------------------------------------------------------

    def notify(self, notice: Notice) -> None:
        """Keep what is said of the entries' own records, for those of which all is written."""
        if isinstance(notice, FlowPaused):
            if notice.cause == "broken":
                self.on_broken(notice.reason)
            else:
                self._told("", f"paused: {notice.reason}")
        if not isinstance(notice, BatchAnswered):
            return
        offset = 0
        exchange, answer = notice.answer.exchange, notice.answer
        for part in notice.parts:
            count = len(part.records)
            hand = self._hands.get(part.event.sequence)
            if hand is not None and notice.batch.task == hand.choice.task.name:
                results = tuple(answer.results[offset : offset + count])
                if exchange is not None:
                    line = f"{exchange.method} {exchange.target}"
                    hand.attempts.append(
                        Attempt(
                            iso(exchange.started), line, exchange.status, results, exchange.error
                        )
                    )
                for index in range(count):
                    outcome = answer.outcomes[offset + index]
                    if isinstance(outcome, Written):
                        hand.ids[part.start + index] = outcome.id
            offset += count

    # -- entries -----------------------------------------------------------------------------

    async def _resolve(self, event: Event, hand: _Hand, note: str) -> None:
        choice = hand.choice
        hand.is_concluded = True
        written = [
            FailedRecord(index, record, "written", id=hand.ids.get(place, ""))
            for place, (index, record) in enumerate(
                zip(choice.indexes, choice.records, strict=True)
            )
        ]
        attempts = self._signed(hand.attempts, choice)
        deed = self._deed("replayed", choice, note)
        id = choice.entry.id
        try:
            await self._insist(
                lambda: self._claimant.conclude(id, deed, choice.merged(written), attempts)
            )
        except DeadLetterError as error:
            self._unrecorded(id, f"it is written, but this could not be kept: {error}")
        else:
            self._report.written += len(written)
            self._report.resolved.append(id)
            self._told(id, note or "resolved")
        if not note:
            self._forget(event)

    async def _insist(self, conclude: Callable[[], Awaitable[object]]) -> None:
        """Try more than once: it is written in Salesforce, and the store should know."""
        for attempt in range(_TRIES):
            try:
                await conclude()
                return
            except (ClaimedError, NotKeptError):
                raise
            except DeadLetterError:
                if attempt == _TRIES - 1:
                    raise
            await asyncio.sleep(_FIRST_WAIT_SECONDS * 2**attempt)

    async def _release(self, event: Event) -> None:
        hand = self._hands[event.sequence]
        if not hand.is_concluded:
            self._report.left += 1
            await self._let_go(hand.choice.entry.id)
        self._forget(event)

    async def _let_go(self, id: str) -> None:
        try:
            await self._claimant.release(id)
        except DeadLetterError as error:
            self._told(id, f"it stays claimed until the claim runs out: {error}")

    async def _renew(self, id: str) -> None:
        try:
            await self._claimant.claim(id, time.time())
        except DeadLetterError as error:
            self._told(id, f"its claim could not be renewed: {error}")

    def _forget(self, event: Event) -> None:
        """Done with an event; another one of its sequence may come."""
        sequence = event.sequence
        self._hands.pop(sequence, None)
        waiting = self._blocked.get(sequence)
        if waiting:
            choice = waiting.popleft()
            if not waiting:
                del self._blocked[sequence]
            self._hands[sequence] = _Hand(choice)
            choice.event.num_delivered -= 1
            heapq.heappush(self._later, (0.0, sequence, choice.event))
        self._look_finished()
        self._woken.set()

    def _deed(self, what: str, choice: Choice, note: str) -> Deed:
        return Deed(
            what, self._claimant.by, iso(time.time()), note, choice.flow.digest, choice.changes
        )

    def _signed(self, attempts: Sequence[Attempt], choice: Choice) -> tuple[Attempt, ...]:
        """The attempts under the name of who replays; the first tells what was changed."""
        signed = [replace(attempt, by=self._claimant.by) for attempt in attempts]
        if signed:
            signed[0] = replace(signed[0], changes=choice.changes)
        return tuple(signed)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work, name=f"replay-{self._claimant.owner}")
        self._work.add(task)
        task.add_done_callback(self._work.discard)

    @property
    def untouched(self) -> int:
        """Entries that were never claimed."""
        return len(self._ids)
