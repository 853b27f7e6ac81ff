"""Many publishes at once, each confirmed by the stream, without a task or future for any of them.

An order of magnitude cheaper than one request after the other; what failed batches are stored
with, so that a flow in which everything fails is not slowed down by its own failures.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from workbench import codec
from workbench.errors import StreamError
from workbench.jetstream.client import Mailbox
from workbench.jetstream.connection import ApiError, Connection, RightMissing
from workbench.model import Event

__all__ = ["WRONG_LAST_SEQUENCE", "Write", "put_all"]

WRONG_LAST_SEQUENCE = 10071
"""The err_code that means: the subject's last message is not the one that was expected."""

_TOO_LARGE = 10054
_HEADERS_BYTES = 128
"""More than the header of an expected sequence takes."""

_WINDOW = 512
_WINDOW_BYTES = 4 * 1024 * 1024
_TIMEOUT_SECONDS = 5.0


class Write(NamedTuple):
    """A message for a stream.

    `expected` is the stream sequence that the subject's last message must have, 0 for none at all;
    None where that does not matter, and then the payload may be as large as the server takes.
    """

    subject: str
    data: bytes
    expected: int | None = None


async def put_all(
    connection: Connection,
    writes: Sequence[Write],
    *,
    timeout_seconds: float = _TIMEOUT_SECONDS,
) -> list[int | ApiError]:
    """Publish all and wait for every answer: the sequence it was stored with, or the refusal.

    Raises:
        ApiError: one is larger than the server takes, which would cost the connection: none left.
        RightMissing: the server denies us a subject.
        StreamError: an answer did not come within the timeout; any of them may be stored.
    """
    most = connection.max_payload
    for write in writes:
        if len(write.data) + _HEADERS_BYTES * (write.expected is not None) > most:
            raise ApiError(
                "a publish", 400, _TOO_LARGE,
                f"{len(write.data):,} bytes are more than the {most:,} that this "
                "NATS server takes (max_payload)",
            )  # fmt: skip
    if not connection.is_connected:  # else it would be kept, and sent when nobody expects it
        raise StreamError(f"NATS at {connection.address} is not connected")
    answers: dict[int, int | ApiError] = {}
    inbox = connection.client.new_inbox()
    mailbox = await connection.client.open_mailbox(f"{inbox}.*")
    denied: list[str] = []

    def changed(state: str, detail: str) -> None:
        """A denied publish is answered to nobody in particular."""
        subject = detail.partition('"')[2].partition('"')[0].lower()
        if state == "refused" and any(write.subject.lower() == subject for write in writes):
            denied.append(subject)
            mailbox.wake()

    connection.listeners.append(changed)
    try:
        for start, end in _windows(writes):
            lines = [_line(writes[number], f"{inbox}.{number}") for number in range(start, end)]
            if not connection.client.write_soon(b"".join(lines)):
                raise StreamError(f"NATS at {connection.address} is not connected")
            await _collect(mailbox, answers, end, timeout_seconds, denied)
    finally:
        connection.listeners.remove(changed)
        await connection.client.close_mailbox(mailbox)
    return [answers[number] for number in range(len(writes))]


def _windows(writes: Sequence[Write]) -> Iterator[tuple[int, int]]:
    """Index ranges that are sent before their answers are waited for."""
    start = size = 0
    for number, write in enumerate(writes):
        if number > start and (number - start == _WINDOW or size >= _WINDOW_BYTES):
            yield start, number
            start, size = number, 0
        size += len(write.data)
    if start < len(writes):
        yield start, len(writes)


def _line(write: Write, reply: str) -> bytes:
    subjects, data = f"{write.subject} {reply}".encode(), write.data
    if write.expected is None:
        return b"PUB %b %d\r\n%b\r\n" % (subjects, len(data), data)
    headers = b"NATS/1.0\r\nNats-Expected-Last-Subject-Sequence: %d\r\n\r\n" % write.expected
    sizes = len(headers), len(headers) + len(data)
    return b"HPUB %b %d %d\r\n%b%b\r\n" % (subjects, *sizes, headers, data)


async def _collect(
    mailbox: Mailbox,
    answers: dict[int, int | ApiError],
    wanted: int,
    timeout_seconds: float,
    denied: Sequence[str],
) -> None:
    """Wait until `wanted` answers are there in all."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout_seconds
    while True:
        if mailbox.messages:
            deadline = loop.time() + timeout_seconds
        while mailbox.messages:
            message = mailbox.messages.popleft()
            answers[int(message.subject.rpartition(".")[2])] = _answer(message)
        if len(answers) >= wanted:
            return
        if denied:
            raise RightMissing(f"the NATS user may not publish to {denied[0]}: grant it")
        left = deadline - loop.time()
        if left <= 0:
            raise StreamError(
                f"JetStream did not confirm {wanted - len(answers)} of {wanted} messages within "
                f"{timeout_seconds:g} s"
            )
        await mailbox.wait(left)


def _answer(message: Event) -> int | ApiError:
    if message.headers and message.headers.get("Status") == "503":
        return ApiError("a publish", 503, 0, "no stream holds its subject")
    try:
        answer = codec.decode(message.data)
        error = answer.get("error")
        if error is None:
            return int(answer["seq"])
        return ApiError(
            "a publish",
            int(error.get("code", 0)),
            int(error.get("err_code", 0)),
            str(error.get("description", "")),
        )
    except (ValueError, KeyError, AttributeError, TypeError):
        return ApiError("a publish", 0, 0, "what answers there is not a stream")
