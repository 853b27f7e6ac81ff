"""Events that keep coming while somebody looks: streams made ready, and a steady publisher."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack

from workbench.app.opening import connect_nats, open_source
from workbench.app.publishing import Message
from workbench.errors import StreamError
from workbench.flow import Flow
from workbench.jetstream import publish

__all__ = ["keep_publishing", "prepare_streams"]

_log = logging.getLogger("workbench")


async def prepare_streams(flows: Iterable[Flow]) -> None:
    """Make or check stream and durable of each flow, as running it would.

    Raises:
        StreamError: NATS can't be reached, or is not as a file says.
    """
    for flow in flows:
        async with AsyncExitStack() as stack:
            await open_source(flow.source, stack)


async def keep_publishing(
    flows: Sequence[Flow], messages: Iterable[Message], *, per_second: float
) -> None:
    """Publish at a steady pace over the connection of the first flow, until cancelled.

    What is not confirmed is told to the log and left out: nobody depends on these events.
    """
    source = flows[0].source
    connection = await connect_nats(source.url, source.credentials_path)
    try:
        for message in messages:
            try:
                await publish(connection, message)
            except StreamError as error:
                _log.warning("%s", error)
            await asyncio.sleep(1 / per_second)
    finally:
        await connection.aclose()
