"""One to four processes on one durable: how the rate grows, who did how much, and whether
anything was written twice.

`python -m bench.scale --events 60000`: for each number of processes, the same events of one record
each, `workbench --headless` processes that are ready before the first event can be had, and an
answering server with an answer time of 150 ms. With few requests in flight the answer time is the
limit of each process, and the rate should grow with their number; `--latency 0` shows what the
processor's cores allow. Records beyond the events are double writes, redelivered ones told apart.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import tempfile
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from bench.contenders import FLOW, STREAM, SUBJECT
from bench.throughput import answering, credentials, fill
from chaos.program import Program
from workbench.jetstream import (
    ConsumerSettings,
    JetStreamSource,
    SourceInfo,
    StreamSettings,
    connect,
    source_info,
)
from workbench.sandbox.nats import NatsServer

REACH = 0.85
"""Of the rate of one process, times their number: as near to linear as it should be."""


@dataclass(frozen=True, slots=True)
class Result:
    """What so many processes came to."""

    processes: int
    seconds: float
    shares: list[int]
    records: int
    redelivered: int

    @property
    def events(self) -> int:
        return sum(self.shares)

    @property
    def rate(self) -> float:
        return self.events / self.seconds


async def measure(
    nats: str, salesforce: str, folder: Path, processes: int, events: int, in_flight: int
) -> Result:
    durable = f"scale{processes}"
    await fill(nats, events, 1)
    await _create(nats, durable)
    await _pause(nats, durable, "2100-01-01T00:00:00Z")  # until every process is ready
    flow = folder / "scale.yaml"
    flow.write_text(FLOW.format(durable=durable, in_flight=in_flight))
    env = {
        "NATS_URL": nats,
        "SF_CREDENTIALS": credentials(folder, salesforce),
        "XDG_STATE_HOME": str(folder / "state"),
        "NO_PROXY": "127.0.0.1",
    }
    before = _records(salesforce)
    programs = [
        Program(f"p{n}", (flow, "--http", "127.0.0.1:0"), env, folder) for n in range(processes)
    ]
    try:
        async with asyncio.TaskGroup() as group:
            for program in programs:
                group.create_task(_ready(program))
        started = time.perf_counter()
        await _pause(nats, durable, None)
        info = await _settled(nats, durable)
        seconds = time.perf_counter() - started
        shares = [await asyncio.to_thread(_acked, program) for program in programs]
        redelivered = [
            await asyncio.to_thread(_figure, program, "workbench_events_redelivered_total")
            for program in programs
        ]
    finally:
        for program in programs:
            await program.stop()
    assert info.lag == 0
    problems = [problem for program in programs for problem in program.problems]
    if problems:
        raise SystemExit("\n".join(problems))
    return Result(processes, seconds, shares, _records(salesforce) - before, int(sum(redelivered)))


async def _create(nats: str, durable: str) -> None:
    connection = await connect(nats)
    source = await JetStreamSource.open(
        connection,
        StreamSettings(name=STREAM, create_or_update=False),
        ConsumerSettings(durable=durable, filter_subject=SUBJECT, max_ack_pending=50_000),
    )
    await source.aclose()
    await connection.aclose()


async def _pause(nats: str, durable: str, until: str | None) -> None:
    """Let the server hold the durable's events back, or no more (nats-server 2.11 and later)."""
    connection = await connect(nats)
    request = {"pause_until": until} if until else {}
    await connection.api(f"CONSUMER.PAUSE.{STREAM}.{durable}", request)
    await connection.aclose()


async def _settled(nats: str, durable: str) -> SourceInfo:
    connection = await connect(nats)
    try:
        while (info := await source_info(connection, STREAM, durable)).lag:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        return info
    finally:
        await connection.aclose()


async def _ready(program: Program) -> None:
    await program.start()
    await program.says("started")


def _get(url: str) -> str:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=30) as answer:
        text: str = answer.read().decode()
        return text


def _records(salesforce: str) -> int:
    return int(json.loads(_get(f"{salesforce}/counts"))["records"])


def _figure(program: Program, name: str, labels: str = "") -> float:
    """The sum of a metric's samples with these labels."""
    lines = _get(f"http://127.0.0.1:{program.port}/metrics").splitlines()
    return sum(
        float(line.rpartition(" ")[2])
        for line in lines
        if line.startswith(f"{name}{{") and labels in line
    )


def _acked(program: Program) -> int:
    return int(_figure(program, "workbench_events_settled_total", 'how="ack"'))


async def compare(events: int, latency: float, in_flight: int, most: int) -> list[Result]:
    """Print a row for each number of processes."""
    print(
        f"{events} events of one record, {latency * 1000:.0f} ms, {in_flight} in flight in each "
        f"process, {os.cpu_count()} processors"
    )
    print("processes  events/s  of linear  twice  redelivered  shares")
    results: list[Result] = []
    with tempfile.TemporaryDirectory() as name, NatsServer(Path(name) / "js") as server:
        for processes in range(1, most + 1):
            with answering(latency) as salesforce:
                result = await measure(
                    server.url, salesforce, Path(name), processes, events, in_flight
                )
            results.append(result)
            linear = result.rate / (results[0].rate * processes)
            shares = " ".join(f"{share / result.events:.0%}" for share in result.shares)
            print(
                f"{processes:>9} {result.rate:>9.0f} {linear:>10.2f} "
                f"{result.records - events:>6} {result.redelivered:>12}  {shares}",
                flush=True,
            )
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=60_000)
    parser.add_argument("--latency", type=float, default=0.15)
    parser.add_argument("--in-flight", type=int, default=3)
    parser.add_argument("--most", type=int, default=4, help="processes")
    given = parser.parse_args()
    results = asyncio.run(compare(given.events, given.latency, given.in_flight, given.most))
    doubled = [r for r in results if r.records > given.events + r.redelivered]
    print(f"  written twice without a redelivery: {'yes' if doubled else 'never'}")
    if given.latency:
        cores = os.cpu_count() or 1
        nearest = min(
            r.rate / (results[0].rate * r.processes) for r in results if r.processes <= cores
        )
        print(f"  of linear, up to {cores} processors: {nearest:.2f}   [reach: {REACH}]")


if __name__ == "__main__":
    main()
