"""A flow run on a given set of events until the stream has heard about each, for demonstrations."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from workbench.app.opening import OpenFlow, open_flow
from workbench.failed import FileStore
from workbench.flow import Flow
from workbench.jetstream import Message, publish_all
from workbench.model import FailedBatch
from workbench.observe import Snapshot

__all__ = ["Rehearsal", "rehearse"]

_LOOK_SECONDS = 0.1
_LONGEST_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What came of it.

    `sequences` says where the stream stored each message, in their order; `unsettled` counts the
    events that it still waited to hear about when time ran out.
    """

    sequences: Sequence[int]
    snapshot: Snapshot
    failed: Sequence[FailedBatch]
    unsettled: int
    seconds: float


async def rehearse(flow: Flow, failed_file: Path, messages: Sequence[Message]) -> Rehearsal:
    """Start the flow, publish, wait until everything is settled (two minutes at most), drain.

    Raises:
        StreamError, SalesforceError: as `open_flow` and `Engine.run`.
    """
    store = FileStore(failed_file)
    async with open_flow(flow, store) as opened:
        running = asyncio.create_task(opened.engine.run())
        started = time.monotonic()
        try:
            stored = await publish_all(opened.connection, messages)
            unsettled = await _settled(opened, running)
            seconds = time.monotonic() - started
        finally:
            opened.engine.stop()
            await asyncio.wait([running])
        running.result()
        return Rehearsal(
            [item.sequence for item in stored],
            opened.engine.snapshot(),
            list(store.entries()),
            unsettled,
            seconds,
        )


async def _settled(opened: OpenFlow, running: asyncio.Task[None]) -> int:
    """Wait until the durable has nothing left to do; how much it had when we stopped waiting."""
    deadline = time.monotonic() + _LONGEST_SECONDS
    while (info := await opened.source.info()).lag:
        await asyncio.wait([running], timeout=_LOOK_SECONDS)
        if running.done() or time.monotonic() > deadline:
            break
    return info.lag
