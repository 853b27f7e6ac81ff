"""One nats-server for all of these tests, a stream and an org of its own for each."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.integration.end_to_end.world import World
from workbench.emulator import Emulator, EmulatorOptions
from workbench.jetstream import connect
from workbench.sandbox.nats import NatsServer


@pytest.fixture(autouse=True)
def quick_to_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopping waits until the open pull requests have expired: not a second for each test."""
    monkeypatch.setattr("workbench.jetstream.source.EXPIRES_SECONDS", 0.2)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    with NatsServer(tmp_path_factory.mktemp("nats")) as server:
        yield server


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[NatsServer]:
    """A server that the test may kill and restart."""
    with NatsServer(tmp_path / "nats") as server:
        yield server


@pytest.fixture
async def emulator() -> AsyncIterator[Emulator]:
    async with Emulator(EmulatorOptions(tls=False)) as emulator:
        yield emulator


@pytest.fixture
async def world(server: NatsServer, emulator: Emulator, tmp_path: Path) -> AsyncIterator[World]:
    connection = await connect(server.url, None)
    yield World(connection, server.url, emulator, tmp_path)
    await connection.aclose()
