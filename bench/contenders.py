"""What is measured: workbench itself, the bare loops, and the script of an afternoon.

Each runs in a process of its own, `python -m bench.contenders NAME JSON`, consumes the prepared
stream once and prints one line of JSON: seconds and CPU seconds from the first event to the last
settlement (start-up is not in them), requests, and peak memory in MB.
"""

from __future__ import annotations

import asyncio
import gc
import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

EVENT_FIELDS = {"LastName": "Nordmann", "FirstName": "Kari", "Email": "kari@example.no"}
SUBJECT = "bench.contacts"
STREAM = "bench"
FLOW = """
flow:
  name: bench
  tasks:
    - nats_jetstream_subscriber:
        name: source
        url: "{{{{env.NATS_URL}}}}"
        subject: bench.contacts
        stream: {{name: bench, create_or_update: false}}
        durable_name: {durable}
        max_ack_pending: 50000
        ack_timeout: 2m
    - salesforce_restapi_composite:
        name: upsert
        operation: upsert
        credentials_path: "{{{{env.SF_CREDENTIALS}}}}"
        sobject_type: Contact
        external_id_field: ExternalId__c
        payload: {{from_event: true}}
        batch: {{max_in_flight: {in_flight}}}
"""


class Settled:
    """An observer that waits for so many acknowledged events."""

    def __init__(self, count: int) -> None:
        self.left = count
        self.done = asyncio.Event()

    def notify(self, notice: Any) -> None:
        if type(notice).__name__ == "EventsSettled":
            self.left -= len(notice.acked)
            if self.left <= 0:
                self.done.set()


class Meter:
    """Wall and CPU time between two moments of this process."""

    def __init__(self) -> None:
        self.wall, self.cpu = time.perf_counter(), time.process_time()

    def report(self, **more: Any) -> None:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(
            json.dumps(
                {
                    "seconds": time.perf_counter() - self.wall,
                    "cpu": time.process_time() - self.cpu,
                    "peak_mb": peak,
                    **more,
                }
            ),
            flush=True,
        )


async def workbench(given: dict[str, Any]) -> None:
    """The engine, opened as `workbench --headless` opens it."""
    from workbench.app.opening import open_flow
    from workbench.failed import FileStore
    from workbench.flow import parse

    text = FLOW.format(durable=given["durable"], in_flight=given["in_flight"])
    env = {"NATS_URL": given["nats"], "SF_CREDENTIALS": given["credentials"]}
    flow = parse(text, "bench.yaml").bind(env)
    settled = Settled(given["events"])
    store = FileStore(Path(given["folder"]) / "failed.jsonl")
    async with open_flow(flow, store, observers=[settled]) as opened:
        gc.collect()
        gc.freeze()
        gc.set_threshold(100_000, 50, 100)
        meter = Meter()
        task = asyncio.create_task(opened.engine.run())
        await settled.done.wait()
        snapshot = opened.engine.snapshot()
        meter.report(requests=snapshot.requests, records=snapshot.written)
        opened.engine.stop()
        await task


async def pull(given: dict[str, Any]) -> None:
    """(a): a pull loop on nats-py's documented calls that acknowledges what comes."""
    from bench.pull import bare_pull_and_ack

    meter = Meter()
    await bare_pull_and_ack(given["nats"], STREAM, given["durable"], given["events"])
    meter.report(requests=0, records=0)


async def source(given: dict[str, Any]) -> None:
    """Our own source alone, acknowledging what comes."""
    from workbench.jetstream import ConsumerSettings, JetStreamSource, StreamSettings, connect

    connection = await connect(given["nats"], None)
    source = await JetStreamSource.open(
        connection,
        StreamSettings(name=STREAM, create_or_update=False),
        ConsumerSettings(durable=given["durable"], filter_subject=SUBJECT, max_ack_pending=50_000),
    )
    gc.collect()
    gc.freeze()
    meter, done = Meter(), 0
    while done < given["events"]:
        events = await source.receive(2000)
        source.ack(events)
        done += len(events)
    await source.flush()
    meter.report(requests=0, records=0)
    await source.aclose()
    await connection.aclose()


async def send(given: dict[str, Any]) -> None:
    """(b): ready-made requests of 200 records; the answers are read and not looked at."""
    import httpx2

    records = given["events"] * given["records"]
    rows = [
        {"attributes": {"type": "Contact"}, "ExternalId__c": f"k{n}", **EVENT_FIELDS}
        for n in range(200)
    ]
    body = json.dumps({"allOrNone": False, "records": rows}, separators=(",", ":")).encode()
    url = given["salesforce"] + "/services/data/v65.0/composite/sobjects/Contact/ExternalId__c"
    headers = {"Authorization": "Bearer bench", "Content-Type": "application/json"}
    left = records // 200
    async with httpx2.AsyncClient(
        limits=httpx2.Limits(max_connections=given["in_flight"]), timeout=60, trust_env=False
    ) as client:
        await client.get(given["salesforce"] + "/services/data")
        gc.collect()
        gc.freeze()
        meter = Meter()

        async def one() -> None:
            nonlocal left
            while left > 0:
                left -= 1
                response = await client.patch(url, content=body, headers=headers)
                response.raise_for_status()

        await asyncio.gather(*(one() for _ in range(given["in_flight"])))
        meter.report(requests=records // 200, records=records)


async def script(given: dict[str, Any]) -> None:
    """(c): nats-py's fetch and aiosalesforce, with as many tasks at once as requests may fly."""
    import aiosalesforce
    import httpx
    import nats
    from aiosalesforce.auth.base import Auth

    class Ready(Auth):
        async def _acquire_new_access_token(self, client: Any) -> str:
            return "bench"

        expired = False

    class Local(aiosalesforce.Salesforce):
        base_url = given["salesforce"]

    connection = await nats.connect(given["nats"])
    subscription = await connection.jetstream().pull_subscribe_bind(given["durable"], STREAM)
    async with httpx.AsyncClient(timeout=60, trust_env=False) as http:
        salesforce = Local(http, given["salesforce"], Ready(), version="65.0")
        path = "/services/data/v65.0/composite/sobjects/Contact/ExternalId__c"
        flying: set[asyncio.Task[None]] = set()
        done = requests = 0
        gc.collect()
        gc.freeze()
        meter = Meter()

        async def write(messages: list[Any]) -> None:
            nonlocal done, requests
            rows: list[dict[str, Any]] = []
            for message in messages:
                data = json.loads(message.data)
                rows += data if isinstance(data, list) else [data]
            for row in rows:
                row["attributes"] = {"type": "Contact"}
            for start in range(0, len(rows), 200):
                body = {"allOrNone": False, "records": rows[start : start + 200]}
                url = salesforce.base_url + path
                response = await salesforce.request("PATCH", url, json=body)
                requests += 1
                assert all(row["success"] for row in response.json())
            for message in messages:
                await message.ack()
            done += len(messages)

        size = max(1, 200 // given["records"])
        while done + sum(1 for _ in flying) * size < given["events"] or flying:
            while len(flying) >= given["in_flight"]:
                _, flying = await asyncio.wait(flying, return_when=asyncio.FIRST_COMPLETED)
            try:
                messages = await subscription.fetch(size, timeout=0.5)
            except TimeoutError:
                messages = []
            if messages:
                flying.add(asyncio.create_task(write(messages)))
            elif flying:
                _, flying = await asyncio.wait(flying, return_when=asyncio.FIRST_COMPLETED)
            if done >= given["events"]:
                break
        await connection.flush()
        meter.report(requests=requests, records=done * given["records"])
    await connection.close()


if __name__ == "__main__":
    name, settings = sys.argv[1], json.loads(sys.argv[2])
    contenders = (workbench, pull, source, send, script)
    asyncio.run(next(run for run in contenders if run.__name__ == name)(settings))
