"""Five thousand events a second: the event loop stays free, the memory bounded, the picture
consistent. The limits are loose, for slow machines; `python -m bench.application` measures."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from tests.tui.support import FakeDesk, application, opened, write_flow
from tests.tui.test_parts import OnePart
from workbench.model import Answer, Batch, Event, Exchange, Group, Written
from workbench.observe import BatchAnswered, BatchSent, EventsReceived, EventsSettled
from workbench.tui.screens.run.screen import RunScreen
from workbench.tui.store import Store

RATE = 5_000
SECONDS = 4.0
BATCH = 200


def one_batch(store: Store, first: int) -> None:
    """What the engine tells of 200 events that are written with one request."""
    events = [
        Event("crm.contacts.upsert", b'{"id":"C-%d","name":"ada"}' % n, None, "crm", n)
        for n in range(first, first + BATCH)
    ]
    records = [{"ExternalId__c": f"C-{event.sequence}", "LastName": "ada"} for event in events]
    parts = [OnePart(event, [record]) for event, record in zip(events, records, strict=True)]
    batch = Batch(f"b{first}", "upsert", [Group(list(records))])
    exchange = Exchange("PATCH", "/x", b"x" * 20_000, 200, b"y" * 16_000, 0.0, 0.1)
    answer = Answer([Written("1")] * BATCH, exchange, [{"success": True}] * BATCH)
    store.notify(EventsReceived("contacts", events))
    store.notify(BatchSent("contacts", batch, parts, "records"))
    store.notify(BatchAnswered("contacts", batch, parts, answer, 0.15))
    store.notify(EventsSettled("contacts", events))


async def feed(store: Store) -> int:
    """Keep to the rate for some seconds; how many events were told."""
    began, told = time.perf_counter(), 0
    while (passed := time.perf_counter() - began) < SECONDS:
        while told < passed * RATE:
            one_batch(store, told + 1)
            told += BATCH
        await asyncio.sleep(0.01)
    return told


async def measure(pauses: list[float], worked: list[float]) -> None:
    """How long the loop is away between two turns, and how much of that it works itself."""
    while True:
        began, processor = time.perf_counter(), time.thread_time()
        await asyncio.sleep(0.005)
        pauses.append(time.perf_counter() - began - 0.005)
        worked.append(time.thread_time() - processor)


async def test_the_loop_stays_free_and_the_list_exact(tmp_path: Path) -> None:
    desk = FakeDesk()
    app = application(write_flow(tmp_path), desk)
    async with opened(app, size=(160, 48)) as pilot:
        await pilot.press("f3", "f5")
        await pilot.pause()
        store = app.runs.store_of(app.path)
        assert store is not None
        pauses: list[float] = []
        worked: list[float] = []
        measuring = asyncio.create_task(measure(pauses, worked))
        told = await feed(store)
        measuring.cancel()
        store.absorb()
        app._tick()
        screen = app.screen
        assert isinstance(screen, RunScreen)
        assert store.end == told
        assert screen.event_list.count == min(told, 20_000)
        assert len(list(store.rows())) <= 20_000
        pauses.sort()
        worked.sort()
        assert pauses[int(len(pauses) * 0.99)] < 0.25
        assert worked[int(len(worked) * 0.99)] < 0.1
        # Held still, the picture stays what it was while new events come in.
        await pilot.press("space", "up")
        row = screen.event_list.current
        assert row is not None
        seen = screen.event_list.render_line(screen.event_list.size.height - 2).text
        # More come than the store keeps: what is looked at stays, with its request and answer.
        newer = store.size + BATCH
        for first in range(told + 1, told + newer + 1, BATCH):
            one_batch(store, first)
        store.absorb()
        app._tick()
        await pilot.pause()
        assert store.row(row.number) is None
        assert screen.event_list.current is row
        assert screen.event_list.render_line(screen.event_list.size.height - 2).text == seen
        assert screen.event_list.shown.new_rows == newer
        assert row.record_rows()
        await pilot.press("end")
        await pilot.pause()
        newest = screen.event_list.current
        assert newest is not None
        assert newest.sequence == told + newer
        for run in desk.runs:
            run.hurry()
        await desk.clock.advance(1.0)
