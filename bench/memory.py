"""Whether memory stays flat: resident size after every so many events of one long run.

`python -m bench.memory --events 1000000`; says how the last reading compares with the one at a
tenth of the way.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
from pathlib import Path
from typing import Any

from bench.contenders import FLOW
from bench.throughput import answering, credentials, durable, fill
from workbench.app.opening import open_flow
from workbench.failed import FileStore
from workbench.flow import parse
from workbench.sandbox.nats import NatsServer

REACH = 1.10


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1024 / 1024


class Reader:
    """An observer that reads memory each time another step of events is settled."""

    def __init__(self, total: int, steps: int) -> None:
        self.done = asyncio.Event()
        self.readings: list[float] = []
        self._settled = 0
        self._total = total
        self._step = total // steps

    def notify(self, notice: Any) -> None:
        if type(notice).__name__ != "EventsSettled":
            return
        self._settled += len(notice.acked)
        while self._settled >= self._step * (len(self.readings) + 1):
            self.readings.append(resident_mb())
            print(f"{self._step * len(self.readings):9} events  {self.readings[-1]:6.1f} MB")
        if self._settled >= self._total:
            self.done.set()


async def consume(nats: str, salesforce: str, folder: Path, events: int) -> list[float]:
    env = {"NATS_URL": nats, "SF_CREDENTIALS": credentials(folder, salesforce)}
    flow = parse(FLOW.format(durable="memory", in_flight=8), "bench.yaml").bind(env)
    reader = Reader(events, 10)
    store = FileStore(folder / "failed.jsonl")
    async with open_flow(flow, store, observers=[reader]) as opened:
        task = asyncio.create_task(opened.engine.run())
        await reader.done.wait()
        opened.engine.stop()
        await task
    return reader.readings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    events = parser.parse_known_args()[0].events
    with (
        tempfile.TemporaryDirectory() as folder,
        NatsServer(Path(folder) / "js") as server,
        answering(0.0) as url,
    ):
        asyncio.run(fill(server.url, events, 1))
        asyncio.run(durable(server.url, "memory"))
        readings = asyncio.run(consume(server.url, url, Path(folder), events))
    ratio = readings[-1] / readings[0]
    print(f"  last to first: {ratio:.3f} x   [reach: {REACH}]")


if __name__ == "__main__":
    main()
