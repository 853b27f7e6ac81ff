"""What is looked at beside the flows: the event loop, and what others do to failed batches."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import Any

from tests.conformance.test_failed_store import batch
from workbench.app.failed_watch import FailedWatch
from workbench.app.stall import watch_stalls
from workbench.model import Entry
from workbench.testing import MemoryFailedStore


def now(state: Any) -> Any:
    return lambda entry: replace(entry, state=state)


async def test_replays_and_discards_of_others_are_seen_once_each() -> None:
    store, told = MemoryFailedStore(), []
    watch = FailedWatch(store, lambda flow, how: told.append((flow, how)))
    batches = [batch(number, "BAD") for number in (1, 2, 3)]
    await store.store(batches)
    await watch.look()
    assert told == []
    await store.change(batches[0].id, now("resolved"))
    await store.change(batches[1].id, now("discarded"))
    await watch.look()
    await watch.look()
    flow = batches[0].flow
    assert sorted(told) == [(flow, "discarded"), (flow, "replayed")]

    def still_open(entry: Entry) -> Entry:
        return replace(entry, history=entry.history)

    await store.change(batches[2].id, still_open)
    await watch.look()
    assert len(told) == 2


async def test_who_keeps_the_loop_from_turning_is_seen() -> None:
    late: list[float] = []
    long: list[float] = []
    watching = asyncio.create_task(watch_stalls(late.append, long.append, every_seconds=0.001))
    while len(late) < 3:  # noqa: ASYNC110
        await asyncio.sleep(0)
    time.sleep(0.06)  # noqa: ASYNC251  the fault itself
    count = len(late)
    while len(late) == count:  # noqa: ASYNC110
        await asyncio.sleep(0)
    watching.cancel()
    assert max(late) > 0.05
    assert not long
