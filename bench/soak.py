"""A long run at half load with faults: whether memory, file handles and tasks stay flat.

`python -m bench.soak --minutes 60`: a real nats-server, the emulator with an ordinary day's
trouble, nats-server restarted and Salesforce away now and then, and one `workbench --headless`
process, sampled through its own `/metrics`. Exit code 1 where one of them grows, or where
something is left unsettled.

The stream is a work queue and keys repeat, so that neither server grows by what has passed.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import random
import statistics
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from chaos.program import Program
from workbench.app.opening import connect_nats
from workbench.errors import WorkbenchError
from workbench.jetstream import Message, publish_all, source_info
from workbench.sandbox import Sandbox, SandboxOptions

# An ordinary day, and a bad one now and then.
FAULTS = (
    "latency:20ms-120ms,seed=1",
    "lock:0.001,seed=2",
    "status:503:0.01,seed=3",
    "drop:0.002,seed=4",
    "expire,every=2000",
)
AWAY_EVERY_SECONDS, AWAY_SECONDS = 300.0, 20.0
NATS_RESTART_EVERY_SECONDS = 420.0

KEYS = 20_000
BAD_SHARE = 0.0005
"""Of records that are refused: failed batches must be stored all the time, but not without end."""

REACH_MEMORY = 1.10
REACH_HANDLES = REACH_TASKS = 10
"""How much later samples may lie above earlier ones."""

FLOW = {
    "flow": {
        "name": "soak",
        "tasks": [
            {
                "nats_jetstream_subscriber": {
                    "name": "source",
                    "url": "{{env.NATS_URL}}",
                    "credentials_path": "{{env.NATS_CREDENTIALS}}",
                    "subject": "soak.contacts",
                    "durable_name": "soak",
                    "stream": {
                        "name": "soak",
                        "subjects": ["soak.>"],
                        "create_or_update": True,
                        "retention": "workqueue",
                    },
                    "ack_timeout": "1m",
                    "backoff": ["1s", "5s"],
                }
            },
            {
                "salesforce_restapi_composite": {
                    "name": "upsert",
                    "operation": "upsert",
                    "credentials_path": "{{env.SF_CREDENTIALS}}",
                    "sobject_type": "Contact",
                    "external_id_field": "ExternalId__c",
                    "payload": {"from_event": True},
                }
            },
        ],
    }
}


@dataclass(frozen=True, slots=True)
class Sample:
    """How the process stood after so many minutes."""

    minutes: float
    memory_mb: float
    files: int
    tasks: int
    held: int
    received: int
    written: int
    redelivered: int

    def __str__(self) -> str:
        return (
            f"{self.minutes:6.1f} min {self.memory_mb:7.1f} MB {self.files:4} files "
            f"{self.tasks:3} tasks {self.held:6} held {self.received:9} received "
            f"{self.written:9} written {self.redelivered:6} redelivered"
        )


def messages(seed: int) -> Iterator[Message]:
    """Single contacts and, one in ten, lists; keys come again and again."""
    source = random.Random(seed)
    for number in itertools.count(1):
        records = []
        for _ in range(source.randint(2, 20) if source.random() < 0.1 else 1):
            record = {"ExternalId__c": f"s{source.randrange(KEYS)}", "LastName": f"n{number}"}
            if source.random() < BAD_SHARE:
                record["Email"] = "no address"  # of a known row as well as of a new one
            records.append(record)
        data = json.dumps(records if len(records) > 1 else records[0]).encode()
        yield Message("soak.contacts", data, id=f"m{number}")


class Soak:
    def __init__(self, sandbox: Sandbox, folder: Path, rate: float) -> None:
        self.samples: list[Sample] = []
        self.published = 0
        self._sandbox = sandbox
        self._rate = rate
        env_file = folder / "sandbox.env"
        env_file.touch(0o600)
        env_file.write_text(sandbox.describe())
        (folder / "soak.yaml").write_text(json.dumps(FLOW))
        self.program = Program(
            "soak",
            ("soak.yaml", "--sandbox-env", env_file, "--http", "127.0.0.1:0"),
            {"XDG_STATE_HOME": str(folder / "state"), "NO_PROXY": "127.0.0.1"},
            folder,
        )

    async def run(self, seconds: float, every_seconds: float) -> int:
        """Run it; how many events are left unsettled in the end."""
        await self.program.start()
        await self.program.says("started")
        work = [
            asyncio.create_task(self._publish()),
            asyncio.create_task(self._be_away()),
            asyncio.create_task(self._restart_nats()),
        ]
        started = time.monotonic()
        try:
            while (passed := time.monotonic() - started) < seconds:
                await asyncio.sleep(min(every_seconds, seconds - passed))
                sample = await asyncio.to_thread(self._sample, time.monotonic() - started)
                self.samples.append(sample)
                print(sample, flush=True)
                for task in work:
                    if task.done():
                        task.result()
        finally:
            for task in work:
                task.cancel()
            await asyncio.gather(*work, return_exceptions=True)
        for fault in (await self._sandbox.control("GET", "/emulator/faults"))["faults"]:
            await self._sandbox.control("DELETE", f"/emulator/faults/{fault['id']}")
        if self._sandbox.nats is not None:
            self._sandbox.nats.start()
        left = await self._work_off(120.0)
        await self.program.stop()
        return left

    async def _publish(self) -> None:
        """At the rate, whatever becomes of it; an outage leaves a backlog."""
        environment = self._sandbox.environment
        connection = await connect_nats(environment["NATS_URL"], environment["NATS_CREDENTIALS"])
        source, loop = messages(1), asyncio.get_running_loop()
        due = loop.time()
        try:
            while True:
                batch = list(itertools.islice(source, max(1, int(self._rate / 10))))
                while True:
                    try:
                        await publish_all(connection, batch)
                        break
                    except WorkbenchError:
                        await asyncio.sleep(0.5)
                self.published += len(batch)
                due = max(due + len(batch) / self._rate, loop.time() - 5.0)
                await asyncio.sleep(max(0.0, due - loop.time()))
        finally:
            await connection.aclose()

    async def _be_away(self) -> None:
        while True:
            await asyncio.sleep(AWAY_EVERY_SECONDS)
            answer = await self._sandbox.control("POST", "/emulator/faults", ["status:503"])
            await asyncio.sleep(AWAY_SECONDS)
            await self._sandbox.control("DELETE", f"/emulator/faults/{answer['added'][0]}")

    async def _restart_nats(self) -> None:
        while True:
            await asyncio.sleep(NATS_RESTART_EVERY_SECONDS)
            assert self._sandbox.nats is not None
            self._sandbox.nats.kill()
            await asyncio.sleep(1.0)
            self._sandbox.nats.start()

    async def _work_off(self, seconds: float) -> int:
        environment = self._sandbox.environment
        connection = await connect_nats(environment["NATS_URL"], environment["NATS_CREDENTIALS"])
        deadline = time.monotonic() + seconds
        try:
            while (lag := (await source_info(connection, "soak", "soak")).lag) > 0:
                if time.monotonic() > deadline:
                    break
                await asyncio.sleep(0.5)
            return lag
        finally:
            await connection.aclose()

    def _sample(self, passed: float) -> Sample:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        address = f"http://127.0.0.1:{self.program.port}/metrics"
        with opener.open(address, timeout=30) as answer:
            lines = answer.read().decode().splitlines()
        found: dict[str, float] = {}
        for line in lines:
            if line[:1] != "#":
                name, _, value = line.rpartition(" ")
                found[name.partition("{")[0]] = float(value)
        return Sample(
            passed / 60,
            found["process_resident_memory_bytes"] / 1e6,
            *(int(found[name]) for name in (
                "process_open_fds",
                "workbench_tasks",
                "workbench_events_held",
                "workbench_events_received_total",
                "workbench_records_written_total",
                "workbench_events_redelivered_total",
            )),
        )  # fmt: skip


def judge(samples: Sequence[Sample]) -> list[str]:
    """What grows, one sentence each, by the medians of the second and the last quarter of the
    samples: the first quarter fills caches."""
    quarter = len(samples) // 4
    if not quarter:
        return ["there are too few samples to tell"]
    early, late = samples[quarter : 2 * quarter], samples[-quarter:]

    def medians(name: str) -> tuple[float, float]:
        before, after = (
            statistics.median(getattr(s, name) for s in part) for part in (early, late)
        )
        return before, after

    grown = []
    before, after = medians("memory_mb")
    if after > before * REACH_MEMORY:
        grown.append(f"memory grew from {before:.1f} to {after:.1f} MB")
    for name, reach in (("files", REACH_HANDLES), ("tasks", REACH_TASKS)):
        before, after = medians(name)
        if after > before + reach:
            grown.append(f"{name} grew from {before:.0f} to {after:.0f}")
    return grown


async def soak(minutes: float, rate: float, every_seconds: float, folder: Path) -> list[str]:
    """Run it and print what it comes to; what is wrong, one sentence each."""
    async with Sandbox(SandboxOptions(pubsub=False, faults=FAULTS)) as sandbox:
        run = Soak(sandbox, folder, rate)
        left = await run.run(minutes * 60, every_seconds)
    problems = [*run.program.problems, *judge(run.samples)]
    if left:
        problems.append(f"{left} events are not settled")
    last = run.samples[-1]
    print(f"\n{run.published} events published, {last.written} records written, {left} left")
    lines = run.program.lines
    told = ", ".join(
        f"{lines[name]} {name}" for name in ("batch", "failed", "redelivery", "paused")
    )
    print(f"log lines: {told}")
    for problem in problems or ["flat: memory, file handles and tasks"]:
        print(f"  {problem}")
    return problems


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--rate", type=float, default=1_000.0, help="events a second")
    parser.add_argument("--every", type=float, default=30.0, help="seconds between samples")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="workbench-soak-") as folder:
        problems = asyncio.run(soak(given.minutes, given.rate, given.every, Path(folder)))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
