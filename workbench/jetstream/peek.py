"""Looking at a stream's events without any consumer: nobody's durable notices.

Reads by sequence, which works on every retention, work queues included; where the stream allows
direct gets and the server is 2.11 or later, hundreds come with one request.
"""

from __future__ import annotations

import asyncio
from typing import Any

from workbench import codec
from workbench.errors import StreamError
from workbench.jetstream.client import Mailbox
from workbench.jetstream.connection import ApiError, Connection
from workbench.jetstream.stored import NO_MESSAGE, get_message, nanoseconds_of, stream_info
from workbench.model import Event

__all__ = ["peek", "peek_last", "peek_since"]

_BATCH_VERSION = (2, 11)
"""Batched direct get, by
https://github.com/nats-io/nats-architecture-and-design/blob/main/adr/ADR-31.md (2026-11-23)."""
_BATCH_SECONDS = 5.0
_BATCH_SIZE = 256


async def peek(
    connection: Connection,
    stream: str,
    subject: str = ">",
    *,
    start_sequence: int = 1,
    limit: int = 100,
) -> list[Event]:
    """Up to `limit` stored events from a sequence on, oldest first; `num_delivered` is 0.

    Go on with the last one's sequence + 1; an empty list means that there are no more now.

    Raises:
        StreamError: the stream is not there, or JetStream does not answer.
    """
    info = await stream_info(connection, stream)
    return await _read(connection, info, subject, max(start_sequence, 1), limit)


async def peek_last(
    connection: Connection, stream: str, subject: str = ">", *, limit: int = 100
) -> list[Event]:
    """The last `limit` events that match, oldest first.

    Looks back from the end through a window that doubles until enough are in it.

    Raises:
        StreamError: as `peek`.
    """
    info = await stream_info(connection, stream)
    first, end = int(info["state"]["first_seq"]), int(info["state"]["last_seq"]) + 1
    events: list[Event] = []
    width = limit
    while len(events) < limit and end > first:
        start = max(first, end - width)
        earlier = await _read_between(connection, info, subject, start, end)
        events = earlier + events
        end, width = start, width * 2
    return events[-limit:] if limit else []


async def peek_since(
    connection: Connection, stream: str, subject: str = ">", *, since_ns: int, limit: int = 100
) -> list[Event]:
    """Up to `limit` events stored at or after a time (ns since the epoch), oldest first.

    Raises:
        StreamError: as `peek`.
    """
    info = await stream_info(connection, stream)
    low, high = int(info["state"]["first_seq"]), int(info["state"]["last_seq"]) + 1
    if since_ns > nanoseconds_of(info["state"]["last_ts"]):
        return []
    while low < high:  # the first sequence stored at or after the time; times only grow
        middle = (low + high) // 2
        event = await _first_at(connection, stream, middle)
        if event is None or event.timestamp_ns >= since_ns:
            high = middle
        else:
            low = event.sequence + 1
    return await _read(connection, info, subject, low, limit)


async def _read_between(
    connection: Connection, info: dict[str, Any], subject: str, start: int, end: int
) -> list[Event]:
    events: list[Event] = []
    while start < end:
        more = await _read(connection, info, subject, start, min(_BATCH_SIZE, end - start))
        events += [event for event in more if event.sequence < end]
        if not more or more[-1].sequence >= end:
            break
        start = more[-1].sequence + 1
    return events


async def _read(
    connection: Connection, info: dict[str, Any], subject: str, start: int, limit: int
) -> list[Event]:
    stream = str(info["config"]["name"])
    if info["config"].get("allow_direct") and connection.version >= _BATCH_VERSION:
        return await _read_batches(connection, stream, subject, start, limit)
    events: list[Event] = []
    while len(events) < limit:
        event = await _first_at(connection, stream, start, subject)
        if event is None:
            break
        events.append(event)
        start = event.sequence + 1
    return events


async def _first_at(
    connection: Connection, stream: str, sequence: int, subject: str = ">"
) -> Event | None:
    try:
        return await get_message(connection, stream, sequence, subject)
    except ApiError as error:
        if error.err_code == NO_MESSAGE:
            return None
        raise


async def _read_batches(
    connection: Connection, stream: str, subject: str, start: int, limit: int
) -> list[Event]:
    mailbox = await connection.client.open_mailbox(connection.client.new_inbox())
    events: list[Event] = []
    try:
        while len(events) < limit:
            size = min(_BATCH_SIZE, limit - len(events))
            query = {"seq": start, "next_by_subj": subject, "batch": size}
            more = await _batch(connection, stream, query, mailbox)
            events += more
            if len(more) < size:
                break
            start = more[-1].sequence + 1
    finally:
        await connection.client.close_mailbox(mailbox)
    return events


async def _batch(
    connection: Connection, stream: str, query: dict[str, Any], mailbox: Mailbox
) -> list[Event]:
    """One batched direct get: messages, then a status without payload (204 at the end of it,
    404 where nothing matches)."""
    await connection.client.publish(
        f"$JS.API.DIRECT.GET.{stream}", codec.encode(query), reply=mailbox.subject
    )
    events: list[Event] = []
    deadline = asyncio.get_running_loop().time() + _BATCH_SECONDS
    while True:
        while mailbox.messages:
            message = mailbox.messages.popleft()
            status = message.headers.get("Status")
            if status is None:
                events.append(_direct(message))
            elif status in ("204", "404"):
                return events
            else:
                description = message.headers.get("Description", "")
                raise StreamError(f"stream {stream!r} can't be read: {status} {description}")
        left = deadline - asyncio.get_running_loop().time()
        if left <= 0:
            raise StreamError(f"stream {stream!r} did not answer within {_BATCH_SECONDS:g} s")
        await mailbox.wait(left)


def _direct(message: Event) -> Event:
    """The event in a direct answer, which carries its coordinates as headers beside its own."""
    headers = dict(message.headers)
    subject, stream = headers.pop("Nats-Subject"), headers.pop("Nats-Stream")
    sequence, stored = headers.pop("Nats-Sequence"), headers.pop("Nats-Time-Stamp")
    for key in ("Nats-Num-Pending", "Nats-Last-Sequence", "Nats-UpTo-Sequence"):
        headers.pop(key, None)
    return Event(subject, message.data, headers, stream, int(sequence), 0, nanoseconds_of(stored))
