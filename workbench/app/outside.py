"""A flow that may run elsewhere, as the NATS server tells of it: nothing is opened for it here."""

from __future__ import annotations

import time

from workbench.app.health import Health
from workbench.errors import SettingsError
from workbench.flow import SubscriberTask
from workbench.jetstream import Connection, SourceInfo, source_info

__all__ = ["look", "stream_facts"]


async def look(connection: Connection, source: SubscriberTask) -> Health:
    """How the durable stands; neither it nor the stream is made or changed.

    Raises:
        SettingsError: the flow names no stream.
        StreamError: the server does not answer, or stream or durable are not there.
    """
    if source.stream is None:
        raise SettingsError("the flow names no stream, so there is none to look into")
    asked = time.perf_counter()
    info = await source_info(connection, source.stream.name, source.durable_name)
    took = time.perf_counter() - asked
    return Health(
        True,
        connection.address,
        False,
        pending=info.pending,
        ack_pending=info.ack_pending,
        max_ack_pending=info.max_ack_pending,
        redelivered=info.redelivered,
        pullers=info.waiting,
        ack_floor=info.ack_floor,
        facts={"nats": stream_facts(connection, info, took)},
    )


def stream_facts(connection: Connection, info: SourceInfo, took: float) -> list[tuple[str, str]]:
    """(name, value) pairs for people; `took` is how many seconds the server needed to tell."""
    version = ".".join(map(str, connection.version))
    said = f"nats-server {version} at {connection.address}, answers in {took * 1e3:.0f} ms"
    return [
        ("server", said),
        ("stream", f"{info.messages:,} events, {info.bytes:,} bytes"),
        ("settled up to", f"{info.ack_floor:,} of {info.last_sequence:,}"),
    ]
