"""A watched replay: its trial, its pauses, its ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from workbench.app.replay_choice import ReplayRequest
from workbench.app.replay_report import Progress, Report
from workbench.app.replay_session import ReplaySession
from workbench.errors import DeadLetterError
from workbench.model import EntryFilter

IDS = [f"crm.{number}.f.t" for number in range(1, 11)]


class Desk:
    """Resolves every entry but those in `bad`; remembers what it was asked."""

    def __init__(self, bad: set[str] | None = None, *, error: str = "") -> None:
        self.bad = bad or set()
        self.error = error
        self.asked: list[ReplayRequest] = []
        self.after: Callable[[str], None] = lambda id: None

    async def replay(
        self,
        request: ReplayRequest,
        progress: Callable[[Progress], None] = lambda progress: None,
        stop: asyncio.Event | None = None,
    ) -> Report:
        self.asked.append(request)
        if self.error:
            raise DeadLetterError(self.error)
        report = Report()
        ids = [id for id in IDS if id in request.wanted.ids]
        for place, id in enumerate(ids):
            if stop is not None and stop.is_set():
                report.stopped, report.left = "stopped by hand", len(ids) - place
                break
            (report.failed_again if id in self.bad else report.resolved).append(id)
            failed = len(report.failed_again)
            note = "REFUSED" if id in self.bad else "resolved"
            progress(Progress(place + 1, len(ids), place + 1 - failed, failed, 0, id, note))
            self.after(id)
        return report


def session_of(desk: Desk, **more: int) -> ReplaySession:
    return ReplaySession(desk, ReplayRequest(EntryFilter(code="X")), IDS, **more)


async def paused(session: ReplaySession, running: asyncio.Task[None]) -> None:
    async with asyncio.timeout(5):
        while session.state != "paused":
            assert not running.done()
            await asyncio.sleep(0)


async def test_all_at_once() -> None:
    desk = Desk()
    session = session_of(desk)
    await session.run()
    assert (session.state, session.cause) == ("ended", "")
    assert (session.ok, session.again, session.left) == (10, 0, 0)
    assert desk.asked[0].wanted == EntryFilter(code="X", ids=frozenset(IDS))


async def test_a_trial_waits_and_the_rest_follows() -> None:
    desk = Desk()
    session = session_of(desk, trial=1)
    running = asyncio.create_task(session.run())
    await paused(session, running)
    assert (session.cause, session.ok, session.left) == ("the trial is written", 1, 9)
    session.resume()
    await running
    assert [len(request.wanted.ids) for request in desk.asked] == [1, 9]
    assert session.ok == 10


async def test_a_trial_that_failed_says_so_and_can_be_the_end() -> None:
    session = session_of(Desk({IDS[0]}), trial=1)
    running = asyncio.create_task(session.run())
    await paused(session, running)
    assert session.cause == "the trial was not written"
    assert session.told == [(IDS[0], "REFUSED")]
    session.cancel()
    await running
    assert (session.ok, session.again, session.left) == (0, 1, 9)


async def test_three_failures_in_a_row_pause_it_again_and_again() -> None:
    session = session_of(Desk(set(IDS)))
    running = asyncio.create_task(session.run())
    for left in (7, 4, 1):
        await paused(session, running)
        assert (session.cause, session.left) == ("3 failures in a row", left)
        session.resume()
    await running
    assert (session.again, session.left) == (10, 0)


async def test_failures_with_successes_between_do_not_pause_it() -> None:
    session = session_of(Desk({id for place, id in enumerate(IDS) if place % 3}))
    await session.run()
    assert (session.ok, session.again) == (4, 6)


async def test_pausing_and_ending_by_hand_leave_the_rest_as_it_was() -> None:
    desk = Desk()
    session = session_of(desk)
    desk.after = lambda id: session.pause() if id == IDS[3] else None
    running = asyncio.create_task(session.run())
    await paused(session, running)
    assert (session.cause, session.ok, session.left) == ("paused by hand", 4, 6)
    desk.after = lambda id: session.cancel() if id == IDS[5] else None
    session.resume()
    await running
    assert (session.state, session.cause, session.ok, session.left) == (
        "ended",
        "ended by hand",
        6,
        4,
    )


async def test_what_goes_wrong_is_its_end_and_its_cause() -> None:
    session = session_of(Desk(error="the store is down"))
    await session.run()
    assert (session.state, session.cause, session.left) == ("ended", "the store is down", 10)
