"""Two processes on one durable, restarted in turn under load: no gap, and nothing written twice."""

from __future__ import annotations

import asyncio
import json
import random
import signal
from pathlib import Path

import pytest

from chaos.run import count, unsettled
from chaos.traffic import UPSERT, Publisher
from chaos.world import World
from workbench.app.opening import connect_nats
from workbench.jetstream import Connection

RATE = 80.0
MOST_BEHIND = 4 * RATE
"""Events that may wait at any time: a gap as long as a start would leave many more."""


class Behind:
    """Looks all the time at how many events wait."""

    def __init__(self, connection: Connection) -> None:
        self.most = 0
        self._connection = connection

    async def run(self) -> None:
        while True:
            self.most = max(self.most, await unsettled(self._connection))
            await asyncio.sleep(0.05)


@pytest.mark.timeout(180)
async def test_a_rolling_restart_leaves_no_gap_and_writes_nothing_twice(tmp_path: Path) -> None:
    # A long ack wait: whatever comes again was given back, not waited for.
    async with World(tmp_path, {"backoff": ["20s"]}) as world:
        environment = world.sandbox.environment
        address = (environment["NATS_URL"], environment["NATS_CREDENTIALS"])
        connection = await connect_nats(*address)
        behind = Behind(connection)
        looking = asyncio.create_task(behind.run())
        one, two = world.programs[:2]
        async with Publisher(*address, random.Random(5), RATE) as publisher:
            publishing = asyncio.create_task(publisher.run())
            for program in (one, two, one, two):
                await asyncio.sleep(0.5)
                started, batches = program.lines["started"], program.lines["batch"]
                await program.end(signal.SIGTERM)
                await program.says("started", started + 2)  # both of its flows
                await program.says("batch", batches + 1)
            publisher.stop()
            await publishing
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)
        ledger = await count(world, connection, set(publisher.sent), [], lambda _: None)
        await connection.aclose()
        programs = list(world.programs)
    assert ledger.violations == []
    assert [problem for program in programs for problem in program.problems] == []
    assert behind.most < MOST_BEHIND
    sent = [
        record
        for message in publisher.sent.values()
        if message.subject == UPSERT and message.data != b"{no json"
        for record in json.loads(message.data)
    ]
    records = one.records + two.records
    assert records["upsert", "written"] + records["upsert", "refused"] == len(sent)
    for program in (one, two):
        assert program.records["upsert", "written"] > 0.2 * len(sent)
    assert (one.starts, two.starts) == (3, 3)
