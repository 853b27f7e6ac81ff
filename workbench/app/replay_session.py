"""A replay that somebody watches: a trial first, pauses, and an end at any record boundary."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal, Protocol

from workbench.errors import WorkbenchError
from workbench.model import EntryFilter

if TYPE_CHECKING:
    from collections.abc import Callable

    from workbench.app.replay_choice import ReplayRequest
    from workbench.app.replay_report import Progress, Report

__all__ = ["ReplaySession", "Replays"]

State = Literal["running", "pausing", "paused", "ended"]

_MOST_TOLD = 200


class Replays(Protocol):
    """What carries a replay out; `FailedDesk` does."""

    async def replay(
        self,
        request: ReplayRequest,
        progress: Callable[[Progress], None] = ...,
        stop: asyncio.Event | None = None,
    ) -> Report: ...


class ReplaySession:
    """Replays entries by their ids, in the order of their events.

    After the trial, and after so many failures in a row, it pauses by itself until `resume` or
    `cancel`. Pausing ends the requests in flight in order and leaves the rest as it was; going on
    is a new replay of that rest, so a pause may last as long as it likes.

    Attributes:
        state: `pausing` while requests in flight are awaited.
        cause: why it is paused, or ended early.
        told: the last entries that were not resolved, each with a sentence; newest last.
    """

    def __init__(
        self,
        desk: Replays,
        request: ReplayRequest,
        ids: Sequence[str],
        *,
        trial: int = 0,
        pause_after: int = 3,
    ) -> None:
        self.request = request
        self.total = len(ids)
        self.state: State = "running"
        self.cause = ""
        self.is_cancelled = False
        self.resolved: list[str] = []
        self.failed: list[str] = []
        self.skipped: list[tuple[str, str]] = []
        self.written = 0
        self.told: list[tuple[str, str]] = []
        self._desk = desk
        self._left = list(ids)
        self._trial = trial if trial < len(ids) else 0
        self._pause_after = pause_after
        self._in_a_row = 0
        self._now: Progress | None = None
        self._stop = asyncio.Event()
        self._go = asyncio.Event()

    @property
    def done(self) -> int:
        """Entries that are done with, in whatever way."""
        return self.ok + self.again + self.left_alone

    @property
    def ok(self) -> int:
        """Entries that are resolved."""
        return len(self.resolved) + (self._now.resolved if self._now else 0)

    @property
    def again(self) -> int:
        """Entries that failed once more."""
        return len(self.failed) + (self._now.failed if self._now else 0)

    @property
    def left_alone(self) -> int:
        """Entries that were not touched, each for a reason of its own."""
        return len(self.skipped) + (self._now.skipped if self._now else 0)

    @property
    def left(self) -> int:
        """Entries that it has not come to."""
        return self.total - self.done

    def pause(self, cause: str = "paused by hand") -> None:
        """Finish what is in flight and wait."""
        if self.state == "running":
            self.state, self.cause = "pausing", cause
            self._stop.set()

    def resume(self) -> None:
        """Go on after a pause; the next pause by itself takes as many failures again."""
        if self.state == "paused":
            self.state, self.cause = "running", ""
            self._in_a_row = 0
            self._go.set()

    def cancel(self) -> None:
        """Finish what is in flight and end; what ran stays recorded."""
        if self.state != "ended":
            self.is_cancelled = True
            self.cause = "ended by hand"
            self._stop.set()
            self._go.set()

    async def run(self) -> None:
        """Return at the end. Never raises what an operator can meet: `cause` says it."""
        try:
            await self._run()
        except WorkbenchError as error:
            self.cause = str(error)
        finally:
            self._now = None
            self.state = "ended"

    async def _run(self) -> None:
        while self._left and not self.is_cancelled:
            part = self._left[: self._trial] if self._trial else self._left
            is_trial, self._trial = bool(self._trial), 0
            self.state, self.cause = "running", ""
            self._stop.clear()
            self._go.clear()
            # Code and field still say for which records a patch is meant.
            wanted = self.request.wanted
            named = EntryFilter(code=wanted.code, field=wanted.field, ids=frozenset(part))
            report = await self._desk.replay(
                replace(self.request, wanted=named, limit=None), self._heard, self._stop
            )
            self._take(report)
            if not self._left or self.is_cancelled:
                return
            if is_trial and self.state == "running":
                is_ok = len(report.resolved) == len(part)
                self.cause = "the trial is written" if is_ok else "the trial was not written"
            elif self.state == "running":
                self.cause = report.stopped or "it ended early"
            self.state = "paused"
            await self._go.wait()

    def _heard(self, progress: Progress) -> None:
        before, self._now = self._now, progress
        if before is None or progress.failed > before.failed:
            self._in_a_row += progress.failed - (before.failed if before else 0)
        if progress.resolved > (before.resolved if before else 0):
            self._in_a_row = 0
        elif progress.note:
            self.told = [*self.told[1 - _MOST_TOLD :], (progress.last_id, progress.note)]
        if self._in_a_row >= self._pause_after and self.left:
            self.pause(f"{self._in_a_row} failures in a row")

    def _take(self, report: Report) -> None:
        self._now = None
        self.resolved += report.resolved
        self.failed += report.failed_again
        self.skipped += [*report.skipped, *report.unrecorded]
        self.written += report.written
        known = {
            *report.resolved,
            *report.failed_again,
            *(id for id, _ in (*report.skipped, *report.unrecorded)),
        }
        self._left = [id for id in self._left if id not in known]
