"""One nats-server per module, a stream and a durable of its own per test."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from workbench.jetstream import (
    Connection,
    ConsumerSettings,
    JetStreamSource,
    Message,
    SourceInfo,
    StreamSettings,
    connect,
    publish_all,
)
from workbench.sandbox.nats import NatsServer

_numbers = itertools.count(1)


class Place:
    """A stream of its own on the shared server, and short ways to use it."""

    def __init__(self, connection: Connection, changes: list[tuple[str, str]]) -> None:
        self.connection = connection
        self.changes = changes
        self.stream = f"s{next(_numbers)}"
        self.subject = f"{self.stream}.in"
        self.stream_settings = StreamSettings(
            name=self.stream, create_or_update=True, subjects=(f"{self.stream}.>",)
        )

    def consumer(
        self, ack_wait: float = 30.0, max_deliver: int = 5, max_ack_pending: int | None = None
    ) -> ConsumerSettings:
        return ConsumerSettings("d", self.subject, ack_wait, max_deliver, max_ack_pending)

    async def source(
        self,
        ack_wait: float = 30.0,
        max_deliver: int = 5,
        max_ack_pending: int | None = None,
        connection: Connection | None = None,
    ) -> JetStreamSource:
        return await JetStreamSource.open(
            connection or self.connection,
            self.stream_settings,
            self.consumer(ack_wait, max_deliver, max_ack_pending),
        )

    async def publish(self, count: int, start: int = 0) -> None:
        messages = (Message(self.subject, b"%d" % (start + n)) for n in range(count))
        await publish_all(self.connection, messages)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    with NatsServer(tmp_path_factory.mktemp("nats")) as server:
        yield server


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[NatsServer]:
    """A server that the test may kill, freeze and restart."""
    with NatsServer(tmp_path / "nats") as server:
        yield server


@pytest.fixture
async def place(server: NatsServer) -> AsyncIterator[Place]:
    async with _place(server) as place:
        yield place


@pytest.fixture
async def own_place(own_server: NatsServer) -> AsyncIterator[Place]:
    async with _place(own_server) as place:
        yield place


class _place:
    def __init__(self, server: NatsServer) -> None:
        self._server = server

    async def __aenter__(self) -> Place:
        changes: list[tuple[str, str]] = []
        self._connection = await connect(
            self._server.url, on_change=lambda state, detail: changes.append((state, detail))
        )
        return Place(self._connection, changes)

    async def __aexit__(self, *_: object) -> None:
        await self._connection.aclose()


async def settled(source: JetStreamSource) -> SourceInfo:
    """The info once everything is settled; what comes again meanwhile is acked again."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(10):
        while (info := await source.info()).lag:
            loop.call_later(0.05, source.wake)
            source.ack(await source.receive(100))
            await source.flush()
    return info


async def until(holds: Callable[[], object]) -> None:
    """Wait for something that tells nobody when it becomes true."""
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110  there is nothing to be woken by
            await asyncio.sleep(0.01)


async def receive_count(source: JetStreamSource, count: int, limit: int = 500) -> list[bytes]:
    """Receive and ack until `count` events came; their data."""
    data: list[bytes] = []
    while len(data) < count:
        events = await source.receive(limit)
        source.ack(events)
        data += [event.data for event in events]
    return data
