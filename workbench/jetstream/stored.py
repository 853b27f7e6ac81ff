"""A stream and its messages by their place, without any consumer."""

from __future__ import annotations

import base64
from datetime import datetime
from typing import Any

from workbench.errors import StreamError
from workbench.jetstream.client import parse_headers
from workbench.jetstream.connection import ApiError, Connection
from workbench.model import Event

__all__ = ["NO_MESSAGE", "STREAM_NOT_FOUND", "get_message", "nanoseconds_of", "stream_info"]

NO_MESSAGE = 10037
"""The err_code of an `ApiError` that means: no such message."""
STREAM_NOT_FOUND = 10059


async def stream_info(connection: Connection, stream: str) -> dict[str, Any]:
    """The server's info of a stream, with `config` and `state`.

    Raises:
        StreamError: it does not exist, or JetStream does not answer.
    """
    try:
        return await connection.api(f"STREAM.INFO.{stream}")
    except ApiError as error:
        if error.err_code != STREAM_NOT_FOUND:
            raise
        raise StreamError(f"stream {stream!r} does not exist on this NATS server") from error


async def get_message(
    connection: Connection, stream: str, sequence: int, subject: str | None = None
) -> Event:
    """The message at a sequence; with `subject`, the first at or after it that matches.

    Works on every retention and changes nothing.

    Raises:
        ApiError: with `err_code` NO_MESSAGE where there is none.
        StreamError: JetStream does not answer.
    """
    query: dict[str, Any] = {"seq": sequence}
    if subject is not None:
        query["next_by_subj"] = subject
    answer = await connection.api(f"STREAM.MSG.GET.{stream}", query)
    message = answer["message"]
    return Event(
        message["subject"],
        base64.b64decode(message.get("data") or ""),
        parse_headers(base64.b64decode(message.get("hdrs") or "")),
        stream,
        int(message["seq"]),
        0,
        nanoseconds_of(message["time"]),
    )


def nanoseconds_of(text: str) -> int:
    """Nanoseconds since the epoch of `2026-11-23T17:00:00.123456789Z`."""
    whole, _, fraction = text.removesuffix("Z").partition(".")
    seconds = int(datetime.fromisoformat(f"{whole}+00:00").timestamp())
    return seconds * 1_000_000_000 + int(fraction.ljust(9, "0")[:9] or 0)
