"""The table of the README: workbench beside (a) a bare pull-and-ack loop, (b) a bare sender of
ready-made requests and (c) a plain script, all in one run on one machine.

`python -m bench` prints it; `--events N` scales it, `--only 150` keeps one latency. Each but the
script runs `--rounds` times, in turn, and its run with the least CPU time counts: neighbours on the
machine cost time, they never give any.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from bench.contenders import EVENT_FIELDS, STREAM, SUBJECT
from workbench.errors import StreamError
from workbench.jetstream import (
    ConsumerSettings,
    JetStreamSource,
    StreamSettings,
    connect,
)
from workbench.sandbox.nats import NatsServer

REACH_CPU = 1.4
REACH_RATE = 0.95
REACH_RECORDS = 195
MEASURED = ["pull", "send", "source", "workbench"]


def payload(number: int, records: int) -> bytes:
    rows = [{"ExternalId__c": f"k{number}-{n}", **EVENT_FIELDS} for n in range(records)]
    return json.dumps(rows[0] if records == 1 else rows).encode()


async def fill(url: str, events: int, records: int) -> None:
    """A fresh stream with so many events."""
    connection = await connect(url, None)
    client = connection.client
    with suppress(StreamError):  # the first time there is none
        await connection.api(f"STREAM.DELETE.{STREAM}")
    await connection.api(
        f"STREAM.CREATE.{STREAM}",
        {"name": STREAM, "subjects": [SUBJECT], "storage": "file", "retention": "limits"},
    )
    for start in range(0, events, 500):
        for number in range(start, min(start + 500, events)):
            await client.publish(SUBJECT, payload(number, records))
        await client.flush()
    info: dict[str, Any] = {}
    while info.get("state", {}).get("messages", 0) < events:
        info = await connection.api(f"STREAM.INFO.{STREAM}")
    await connection.aclose()


async def durable(url: str, name: str) -> None:
    connection = await connect(url, None)
    source = await JetStreamSource.open(
        connection,
        StreamSettings(name=STREAM, create_or_update=False),
        ConsumerSettings(durable=name, filter_subject=SUBJECT, max_ack_pending=50_000),
    )
    await source.aclose()
    await connection.aclose()


@contextmanager
def answering(latency: float) -> Iterator[str]:
    """The answering server in a process of its own; yields its URL."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.answering_server", "--latency", str(latency)],
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


def run(name: str, **given: Any) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "bench.contenders", name, json.dumps(given)],
        capture_output=True,
        text=True,
        timeout=900,
    )
    if done.returncode:
        raise SystemExit(f"{name} failed:\n{done.stderr}")
    result: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return result


def credentials(folder: Path, url: str) -> str:
    path = folder / "sf.json"
    path.write_text(
        json.dumps(
            {
                "client_id": "x",
                "client_secret": "x",
                "username": "u",
                "password": "p",
                "login_url": url,
            }
        )
    )
    path.chmod(0o600)
    return str(path)


def measure(
    folder: Path,
    nats: str,
    *,
    events: int,
    records: int,
    latency: float,
    in_flight: int,
    rounds: int,
) -> None:
    """One row of the table for each contender."""
    asyncio.run(fill(nats, events, records))
    print(
        f"\n{events} events of {records} record{'s' * (records > 1)}, "
        f"{latency * 1000:.0f} ms, {in_flight} in flight"
    )
    print(
        f"{'':10} {'events/s':>9} {'records/s':>10} {'CPU us/event':>13} {'req/1000 ev':>12} "
        f"{'rec/req':>8} {'req/s':>7} {'MB':>5}"
    )
    found: dict[str, dict[str, Any]] = {}
    with answering(latency) as url:
        for number, name in enumerate([*MEASURED * rounds, "script"]):
            consumer = f"{name}{number}"
            asyncio.run(durable(nats, consumer))
            result = run(
                name,
                nats=nats,
                salesforce=url,
                credentials=credentials(folder, url),
                folder=str(folder),
                durable=consumer,
                events=events,
                records=records,
                in_flight=in_flight,
            )
            with urllib.request.urlopen(f"{url}/rate") as answer:
                result["steady"] = json.load(answer)
            if name not in found or result["cpu"] < found[name]["cpu"]:
                found[name] = result
    for name, result in found.items():
        row(name, result, events, records)
    verdict(found, events, latency, in_flight)


def row(name: str, result: dict[str, Any], events: int, records: int) -> None:
    seconds, requests = result["seconds"], result["requests"]
    per_request = result["records"] / requests if requests else 0
    print(
        f"{name:10} {events / seconds:9.0f} {result['records'] / seconds:10.0f} "
        f"{result['cpu'] / events * 1e6:13.1f} {requests / events * 1000:12.1f} {per_request:8.1f} "
        f"{requests / seconds:7.1f} {result['peak_mb']:5.0f}",
        flush=True,
    )


def verdict(found: dict[str, dict[str, Any]], events: int, latency: float, in_flight: int) -> None:
    ours = found["workbench"]
    bare = found["pull"]["cpu"] + found["send"]["cpu"]
    print(f"  CPU: {ours['cpu'] / bare:.2f} x (a)+(b)   [reach: {REACH_CPU}]")
    own = found["source"]["cpu"] + found["send"]["cpu"]
    print(f"  CPU: {ours['cpu'] / own:.2f} x our source alone + (b)")
    print(f"  rate: {found['script']['seconds'] / ours['seconds']:.2f} x the script (c)")
    if latency:
        share, bare_share = (
            each["steady"] / (in_flight / latency) for each in (ours, found["send"])
        )
        print(
            f"  requests/s between the first and the last tenth: {share:.3f} of "
            f"in_flight / latency, (b) {bare_share:.3f}   [reach: {REACH_RATE}]"
        )
    full = ours["records"] / ours["requests"]
    print(f"  records per request: {full:.1f}   [reach: {REACH_RECORDS}]")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--only", type=int, choices=(0, 150), default=None)
    parser.add_argument("--rounds", type=int, default=3)
    given, _ = parser.parse_known_args()
    with tempfile.TemporaryDirectory() as folder, NatsServer(Path(folder) / "js") as server:
        for latency in (0.0, 0.15):
            if given.only is not None and given.only != latency * 1000:
                continue
            for in_flight in (8, 25):
                for records in (1, 200):
                    # With slow answers more, so that the first and last round weigh little, and
                    # as little with many in flight as with few.
                    whole = given.events * (in_flight // 4 if latency else 1)
                    events = whole if records == 1 else max(100, whole // 50)
                    measure(
                        Path(folder),
                        server.url,
                        events=events,
                        records=records,
                        latency=latency,
                        in_flight=in_flight,
                        rounds=given.rounds,
                    )


if __name__ == "__main__":
    main()
