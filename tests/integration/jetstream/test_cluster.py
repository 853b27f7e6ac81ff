"""A leader that is lost: pulls are answered 503 for seconds, and nothing is gone."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from workbench.errors import StreamError
from workbench.jetstream import (
    Connection,
    ConsumerSettings,
    JetStreamSource,
    Message,
    StreamSettings,
    connect,
    publish_all,
)
from workbench.sandbox.nats import NatsServer


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[dict[str, NatsServer]]:
    """Three servers by name."""
    ports = _free_ports(3)
    routes = ", ".join(f'"nats://127.0.0.1:{port}"' for port in ports)
    with ExitStack() as stack:
        yield {
            f"n{port}": stack.enter_context(
                NatsServer(
                    tmp_path / f"n{port}",
                    f'server_name: n{port}\ncluster {{ name: c, listen: "127.0.0.1:{port}", '
                    f"routes: [{routes}] }}",
                )
            )
            for port in ports
        }


async def _open(connection: Connection) -> JetStreamSource:
    """Once the new cluster has elected its first leader."""
    stream = StreamSettings("crm", True, ("crm.>",), replicas=3)
    async with asyncio.timeout(30):
        while True:
            try:
                return await JetStreamSource.open(
                    connection, stream, ConsumerSettings("d", "crm.x")
                )
            except StreamError:
                await asyncio.sleep(0.1)


async def test_a_killed_leader_only_pauses(cluster: dict[str, NatsServer]) -> None:
    changes: list[str] = []
    connection = await connect(
        ",".join(server.url for server in cluster.values()),
        on_change=lambda state, detail: changes.append(detail),
        timeout_seconds=20,
    )
    source = await _open(connection)
    await publish_all(connection, (Message("crm.x", b"%d" % n) for n in range(2000)))
    seen: set[bytes] = set()
    victim: NatsServer | None = None
    async with asyncio.timeout(60):
        while len(seen) < 2000:
            events = await source.receive(100)
            source.ack(events)
            seen.update(event.data for event in events)
            if victim is None and len(seen) >= 500:
                info = await connection.api("CONSUMER.INFO.crm.d")
                victim = cluster[info["cluster"]["leader"]]
                victim.kill()
    assert not any("deleted on the server" in change for change in changes)
    await source.aclose()
    await connection.aclose()


async def test_a_leader_that_steps_down_costs_a_moment(cluster: dict[str, NatsServer]) -> None:
    connection = await connect(next(iter(cluster.values())).url, timeout_seconds=20)
    source = await _open(connection)
    receiving = asyncio.create_task(source.receive(10))
    await asyncio.sleep(0)
    await connection.api("CONSUMER.LEADER.STEPDOWN.crm.d")
    async with asyncio.timeout(10):
        await publish_all(connection, [Message("crm.x", b"after")])
        assert [event.data for event in await receiving] == [b"after"]
    await source.aclose()
    await connection.aclose()
