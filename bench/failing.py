"""What failures cost: a flow of which every record is refused, beside the same flow when all is
written, and how much memory each takes at most.

`python -m bench.failing [--events N] [--rounds N]`. Both run in turns, and the round in the middle
counts, since a machine does not run at the same speed all the time. Every failed record is kept in
the JetStream store, its confirmation awaited, and its event terminated; reach: a third of the
normal rate.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from bench.contenders import FLOW, STREAM, Meter
from bench.throughput import credentials, durable, fill
from workbench.errors import StreamError
from workbench.jetstream import connect
from workbench.sandbox.nats import NatsServer

REACH = 1 / 3


class _Settled:
    """Waits until so many events are acknowledged or terminated."""

    def __init__(self, count: int) -> None:
        self.left = count
        self.done = asyncio.Event()

    def notify(self, notice: Any) -> None:
        if type(notice).__name__ == "EventsSettled":
            self.left -= len(notice.acked) + len(notice.terminated)
            if self.left <= 0:
                self.done.set()


@contextmanager
def _answering(latency: float, *, refuse: bool) -> Iterator[str]:
    options = ["--latency", str(latency), *(["--refuse"] if refuse else [])]
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.answering_server", *options],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


async def _forget(nats: str) -> None:
    """Drop what an earlier measurement kept: its events had the same places."""
    connection = await connect(nats)
    with suppress(StreamError):
        await connection.api("STREAM.DELETE.workbench_failed")
    await connection.aclose()


async def consume(given: dict[str, Any]) -> None:
    """The engine as `workbench --headless` opens it, until all is settled."""
    from workbench.app.failed_stores import FailedStores
    from workbench.app.opening import open_flow
    from workbench.app.settings import Settings
    from workbench.flow import parse

    text = FLOW.format(durable=given["durable"], in_flight=given["in_flight"])
    env = {"NATS_URL": given["nats"], "SF_CREDENTIALS": given["credentials"]}
    flow = parse(text, "bench.yaml").bind(env)
    settled = _Settled(given["events"])
    async with (
        FailedStores(Settings(env)) as stores,
        open_flow(flow, stores.of(flow), observers=[settled]) as opened,
    ):
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 20, 50)
        meter = Meter()
        running = asyncio.create_task(opened.engine.run())
        await settled.done.wait()
        snapshot = opened.engine.snapshot()
        meter.report(written=snapshot.written, terminated=snapshot.terminated)
        opened.engine.stop()
        await running


def _measure(
    folder: Path, nats: str, events: int, records: int, latency: float, *, refuse: bool
) -> dict[str, Any]:
    asyncio.run(fill(nats, events, records))
    asyncio.run(durable(nats, STREAM))
    asyncio.run(_forget(nats))
    with _answering(latency, refuse=refuse) as url:
        given = {
            "nats": nats,
            "durable": STREAM,
            "in_flight": 25 if latency else 8,
            "events": events,
            "credentials": credentials(folder, url),
        }
        done = subprocess.run(
            [sys.executable, "-m", "bench.failing", "--consume", json.dumps(given)],
            capture_output=True,
            text=True,
            timeout=900,
        )
    if done.returncode:
        raise SystemExit(done.stderr)
    result: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--consume", default="")
    given, _ = parser.parse_known_args()
    if given.consume:
        asyncio.run(consume(json.loads(given.consume)))
        return
    ratios: list[float] = []
    print(f"of {given.rounds} rounds the one in the middle:")
    print(f"{'':36} {'events/s':>9} {'records/s':>10} {'CPU us/event':>13} {'MB':>5}")
    with tempfile.TemporaryDirectory() as folder, NatsServer(Path(folder) / "js") as server:
        for latency in (0.15, 0.0):
            for records in (1, 200):
                events = given.events if records == 1 else given.events // 100
                case = (Path(folder), server.url, events, records, latency)
                ratios.append(_compare(*case, rounds=given.rounds))
    word = "reached" if min(ratios) >= REACH else "NOT reached"
    print(f"reach of {REACH:.2f} everywhere: {word}, the least is {min(ratios):.2f}")


def _compare(
    folder: Path, nats: str, events: int, records: int, latency: float, *, rounds: int
) -> float:
    """Prints both; returns the rate when all is refused as a share of that when all is written."""
    pairs: list[list[dict[str, Any]]] = []
    for _ in range(rounds):
        pairs.append(
            [_measure(folder, nats, events, records, latency, refuse=way) for way in (False, True)]
        )
    pairs.sort(key=_share)
    middle = pairs[len(pairs) // 2]
    for word, found in zip(("written", "refused"), middle, strict=True):
        name = f"{latency * 1e3:.0f} ms, {records} an event, all {word}"
        rate = events / found["seconds"]
        print(
            f"{name:36} {rate:9.0f} {rate * records:10.0f} "
            f"{found['cpu'] / events * 1e6:13.1f} {found['peak_mb']:5.0f}",
            flush=True,
        )
    ratio = _share(middle)
    every = ", ".join(f"{_share(pair):.2f}" for pair in pairs)
    print(
        f"  refused at {ratio:.2f} of the normal rate (of {every})   [reach: {REACH:.2f}]",
        flush=True,
    )
    return ratio


def _share(pair: list[dict[str, Any]]) -> float:
    written, refused = pair
    return float(written["seconds"] / refused["seconds"])


if __name__ == "__main__":
    main()
