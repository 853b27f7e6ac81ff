"""A flow that runs elsewhere: watched with `--attach`, and noticed without."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from textual.pilot import Pilot

from tests.tui.failures import batch, refused
from tests.tui.support import FakeDesk, application, opened, write_flow
from workbench.app.health import Health
from workbench.model import Event
from workbench.tui.app import WorkbenchApp
from workbench.tui.screens.failed.screen import FailedScreen
from workbench.tui.screens.health.screen import HealthScreen
from workbench.tui.screens.run.screen import RunScreen
from workbench.tui.status import elsewhere_word

SIZE = (120, 40)


def elsewhere(pullers: int = 1, ack_floor: int = 2) -> Health:
    return Health(
        True, "nats://127.0.0.1:4222", False, 7, 3, 1000, 1, pullers=pullers, ack_floor=ack_floor
    )


def events(*sequences: int) -> list[Event]:
    return [
        Event(
            "crm.contacts.upsert",
            b'{"id": "C-%d"}' % n,
            stream="crm",
            sequence=n,
            timestamp_ns=(1_790_000_000 + n) * 10**9,
        )
        for n in sequences
    ]


async def until(pilot: Pilot[None], is_so: Callable[[], bool]) -> None:
    """Let the application look until it is so."""
    app = pilot.app
    assert isinstance(app, WorkbenchApp)
    async with asyncio.timeout(20):
        while not is_so():
            app.elsewhere._next_look = 0.0
            app._look()
            app._draw()
            app._tick()
            await pilot.pause()


async def test_attached_it_shows_events_durable_and_failed_batches_and_starts_nothing(
    tmp_path: Path,
) -> None:
    desk = FakeDesk()
    desk.outside, desk.events = elsewhere(), events(1, 2, 3)
    await desk.dead_letters.store([batch(41, [refused(0, 1)])])
    app = application(write_flow(tmp_path), desk, is_attached=True)
    async with opened(app, size=SIZE) as pilot:
        await until(pilot, lambda: app.elsewhere.health is not None)
        await pilot.press("f5")
        await pilot.press("f3")
        screen = app.screen
        assert isinstance(screen, RunScreen)
        await pilot.press("f5")
        await until(pilot, lambda: screen.event_list.count == 3)
        assert desk.runs == []
        assert screen.store is not None
        assert [row.state for row in screen.store.rows()] == ["settled", "settled", "unsettled"]
        assert [row.seen for row in screen.store.rows()] == [
            1_790_000_001,
            1_790_000_002,
            1_790_000_003,
        ]
        assert "attached: the flow runs elsewhere" in str(screen.event_list.border_title)
        assert "lag 7   ack pending 3" in str(screen.rates.content)
        assert screen.check_action("start_stop", ()) is None

        desk.outside, desk.events = elsewhere(ack_floor=4), events(2, 3, 4, 5)
        await until(pilot, lambda: screen.event_list.count == 5)
        assert [row.state for row in screen.store.rows()] == ["settled"] * 4 + ["unsettled"]

        await pilot.press("f9")
        health = app.screen
        assert isinstance(health, HealthScreen)
        assert "ack pending   3" in str(health.nats.content)
        await pilot.press("f4")
        failed = app.screen
        assert isinstance(failed, FailedScreen)
        await until(pilot, lambda: failed.entry_list.current is not None)


async def test_detached_the_flow_can_be_started(tmp_path: Path) -> None:
    desk = FakeDesk()
    desk.outside = elsewhere()
    app = application(write_flow(tmp_path), desk, is_attached=True)
    async with opened(app, size=SIZE) as pilot:
        await pilot.press("f3")
        await pilot.press("f5")
        await pilot.pause()
        assert desk.runs == []
        app.action_detach()
        await pilot.press("f5")
        await pilot.pause()
        assert len(desk.runs) == 1
        app._look()
        app._draw()
        assert elsewhere_word(app.elsewhere)[0] == "", "its own run is not elsewhere"
        desk.runs[0].hurry()
        await desk.clock.advance(1.0)
        await desk.runs[0].wait()


@pytest.mark.parametrize(("pullers", "word"), [(1, "runs elsewhere"), (0, "")])
async def test_others_who_pull_are_told_of_in_the_status_line(
    tmp_path: Path, pullers: int, word: str
) -> None:
    desk = FakeDesk()
    desk.outside = elsewhere(pullers)
    app = application(write_flow(tmp_path), desk)
    async with opened(app, size=SIZE) as pilot:
        await until(pilot, lambda: app.elsewhere.health is not None)
        assert word in elsewhere_word(app.elsewhere)[0]
        assert bool(elsewhere_word(app.elsewhere)[0]) == bool(pullers)


async def test_a_durable_that_is_not_there_is_told_of_when_attached(tmp_path: Path) -> None:
    app = application(write_flow(tmp_path), is_attached=True)
    async with opened(app, size=SIZE) as pilot:
        await pilot.press("f3")
        await until(pilot, lambda: bool(app.elsewhere.problem))
        app._look()
        app._draw()
        assert isinstance(app.screen, RunScreen)
        assert "no durable contacts" in str(app.screen.event_list.border_title)
        assert "no answer" in elsewhere_word(app.elsewhere)[0]
