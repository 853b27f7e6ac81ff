"""What the watch tells of a real stream, with time moved instead of waited for."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from workbench.app.watch import StreamWatch
from workbench.jetstream import (
    Connection,
    ConsumerSettings,
    JetStreamSource,
    Message,
    StreamSettings,
    connect,
    publish_all,
)
from workbench.observe import Notice, StreamInDanger, StreamSeen
from workbench.sandbox.nats import NatsServer


@pytest.fixture
def server(tmp_path: Path) -> Iterator[NatsServer]:
    with NatsServer(tmp_path / "js") as running:
        yield running


@pytest.fixture
async def connection(server: NatsServer) -> AsyncIterator[Connection]:
    opened = await connect(server.url)
    yield opened
    await opened.aclose()


@pytest.fixture
async def source(connection: Connection) -> AsyncIterator[JetStreamSource]:
    opened = await JetStreamSource.open(
        connection,
        StreamSettings("crm", True, ("crm.>",), max_age_seconds=3600.0),
        ConsumerSettings("flow", "crm.in"),
    )
    yield opened
    await opened.aclose()


async def test_it_warns_once_at_each_share_of_the_age_at_which_events_are_discarded(
    connection: Connection, source: JetStreamSource
) -> None:
    told: list[Notice] = []
    later = [0.0]
    watch = StreamWatch(
        "flow", source, connection, "crm.in", told.append, now=lambda: time.time() + later[0]
    )
    await watch.look()
    assert watch.oldest_seconds is None

    await publish_all(connection, [Message("crm.in", b"{}") for _ in range(3)])
    await watch.look()
    assert watch.info is not None
    assert watch.info.pending == 3
    assert not [notice for notice in told if isinstance(notice, StreamInDanger)]

    for seconds in (1900.0, 2000.0, 3300.0):
        later[0] = seconds
        await watch.look()
    dangers = [notice.warning for notice in told if isinstance(notice, StreamInDanger)]
    assert len(dangers) == 2, "at half of it, not again, and at nine tenths"
    assert "oldest of 3 events" in dangers[0]
    assert "stream.max_age" in dangers[0]
    seen = [notice for notice in told if isinstance(notice, StreamSeen)]
    assert seen[-1].pending == 3
    assert seen[-1].oldest_seconds == pytest.approx(3300.0, abs=60)


async def test_it_says_that_the_stream_has_discarded_what_was_not_written(
    connection: Connection, source: JetStreamSource
) -> None:
    told: list[Notice] = []
    watch = StreamWatch("flow", source, connection, "crm.in", told.append)
    await publish_all(connection, [Message("crm.in", b"{}") for _ in range(5)])
    info = await connection.api("STREAM.INFO.crm")
    await connection.api("STREAM.UPDATE.crm", {**info["config"], "max_msgs": 2})
    await watch.look()
    await watch.look()
    dangers = [notice.warning for notice in told if isinstance(notice, StreamInDanger)]
    assert len(dangers) == 1
    assert "discarded up to 3 events" in dangers[0]
