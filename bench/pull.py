"""How fast a durable can be pulled and acked: a bare loop on nats-py, and our source beside it.

    python bench/pull.py [COUNT]

The bare loop is the least that can be written on nats-py's documented calls for the same job: one
inbox subscription with a callback, pull requests kept in flight, `ack()` on every message. It
keeps no order, parses no coordinates, bounds nothing and recovers from nothing.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from dataclasses import dataclass
from typing import Any

from nats.aio.client import Client

from workbench import codec
from workbench.jetstream import (
    Connection,
    ConsumerSettings,
    JetStreamSource,
    Message,
    StreamSettings,
    connect,
    provision,
    publish_all,
)
from workbench.sandbox.nats import NatsServer

__all__ = ["Rate", "bare_pull_and_ack", "source_pull_and_ack"]

IN_FLIGHT = 1000


@dataclass(frozen=True, slots=True)
class Rate:
    """What `events` events took: wall seconds, and CPU seconds of this process."""

    events: int
    seconds: float
    cpu_seconds: float

    @property
    def per_second(self) -> float:
        return self.events / self.seconds

    @property
    def cpu_microseconds(self) -> float:
        """CPU per event."""
        return self.cpu_seconds / self.events * 1e6


async def bare_pull_and_ack(url: str, stream: str, durable: str, count: int) -> Rate:
    """Pull and ack `count` events of a durable that exists, and nothing else."""
    client = Client()
    await client.connect(url)
    inbox = client.new_inbox()
    request = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{durable}"
    body = codec.encode({"batch": IN_FLIGHT // 2, "expires": 30_000_000_000})
    done = asyncio.Event()
    seen = 0

    async def on_message(message: Any) -> None:
        nonlocal seen
        await message.ack()
        seen += 1
        if seen % (IN_FLIGHT // 2) == 0:
            await client.publish(request, body, reply=inbox)
        if seen == count:
            done.set()

    await client.subscribe(inbox, cb=on_message)
    started, cpu = time.perf_counter(), time.process_time()
    for _ in range(2):
        await client.publish(request, body, reply=inbox)
    await done.wait()
    await client.flush()
    rate = Rate(count, time.perf_counter() - started, time.process_time() - cpu)
    await client.close()
    return rate


async def source_pull_and_ack(
    connection: Connection, stream: StreamSettings, consumer: ConsumerSettings, count: int
) -> Rate:
    """The same through our `JetStreamSource`."""
    source = await JetStreamSource.open(connection, stream, consumer)
    seen = 0
    started, cpu = time.perf_counter(), time.process_time()
    while seen < count:
        events = await source.receive(IN_FLIGHT)
        source.ack(events)
        seen += len(events)
    await source.flush()
    rate = Rate(count, time.perf_counter() - started, time.process_time() - cpu)
    await source.aclose()
    return rate


async def _main(count: int) -> None:
    with tempfile.TemporaryDirectory() as folder, NatsServer(folder) as server:
        connection = await connect(server.url)
        stream = StreamSettings("bench", True, ("bench.>",))
        consumers = [ConsumerSettings(name, "bench.in") for name in ("bare", "ours")]
        for consumer in consumers:
            await provision(connection, stream, consumer)
        await publish_all(connection, (Message("bench.in", b"x" * 300) for _ in range(count)))
        bare = await bare_pull_and_ack(server.url, "bench", "bare", count)
        ours = await source_pull_and_ack(connection, stream, consumers[1], count)
        await connection.aclose()
    for name, rate in (("bare loop", bare), ("our source", ours)):
        print(f"{name:10}  {rate.per_second:9,.0f} events/s  {rate.cpu_microseconds:5.2f} us CPU")


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1]) if len(sys.argv) > 1 else 50_000))
