"""Publishing into a stream, with the stream's word that it is stored."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from workbench import codec
from workbench.errors import PublishError
from workbench.jetstream.client import nats_errors
from workbench.jetstream.connection import Connection

__all__ = ["Message", "Published", "publish", "publish_all"]

MESSAGE_ID_HEADER = "Nats-Msg-Id"
_TRIES = 3
_PAUSE_SECONDS = 0.25
"""Two more tries a quarter of a second apart while nobody answers, as a leader may be elected:
https://github.com/nats-io/nats-architecture-and-design/blob/main/adr/ADR-22.md (2026-11-23)"""


@dataclass(frozen=True, slots=True)
class Message:
    """What to publish; `id` goes out as Nats-Msg-Id, which the stream stores once within its
    duplicate window."""

    subject: str
    data: bytes
    headers: Mapping[str, str] | None = None
    id: str | None = None


@dataclass(frozen=True, slots=True)
class Published:
    """Where the stream stored it; `is_duplicate` when it had that id already and stored nothing."""

    stream: str
    sequence: int
    is_duplicate: bool = False


async def publish(
    connection: Connection, message: Message, *, timeout_seconds: float = 5.0
) -> Published:
    """Publish and wait for the stream's confirmation.

    Raises:
        PublishError: not confirmed; after a timeout it may be stored all the same, so publish
            again with the same id.
    """
    subject = message.subject
    if {"*", ">"} & set(subject.split(".")):
        # The server would take it, as a name that no filter can tell from a pattern.
        raise PublishError(f"{subject!r} is a pattern: publish to one subject that it stands for")
    if len(message.data) > connection.max_payload:
        raise PublishError(
            f"the event for {subject} has {len(message.data)} bytes, more than the "
            f"{connection.max_payload} that this NATS server takes (max_payload)"
        )
    headers = dict(message.headers or {})
    if message.id is not None:
        headers[MESSAGE_ID_HEADER] = message.id
    for left in reversed(range(_TRIES)):
        try:
            answer = await connection.client.request(
                subject, message.data, timeout=timeout_seconds, headers=headers or None
            )
            return _published(subject, answer.data)
        except nats_errors.NoRespondersError as error:
            if not left:
                raise PublishError(
                    f"no stream holds subject {subject}: create one with it among its subjects"
                ) from error
            await asyncio.sleep(_PAUSE_SECONDS)
        except TimeoutError as error:
            raise PublishError(
                f"JetStream did not confirm the event for {subject} within {timeout_seconds:g} s"
                + (f" ({connection.denied})" if connection.denied else "")
            ) from error
        except nats_errors.BadSubjectError as error:
            raise PublishError(f"{subject!r} is not a subject one can publish to") from error
        except nats_errors.Error as error:
            raise PublishError(f"the event for {subject} was not published: {error}") from error
    raise AssertionError("unreachable")


async def publish_all(
    connection: Connection, messages: Iterable[Message], *, in_flight: int = 256
) -> list[Published]:
    """Publish many, some at a time; the answers in the messages' order.

    Raises:
        PublishError: the first that was not confirmed; others may be stored.
    """
    published: list[Published] = []
    window: list[Message] = []
    for message in messages:
        window.append(message)
        if len(window) == in_flight:
            published += await _together(connection, window)
            window = []
    return published + await _together(connection, window)


async def _together(connection: Connection, window: list[Message]) -> list[Published]:
    results = await asyncio.gather(
        *(publish(connection, message) for message in window), return_exceptions=True
    )
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return [result for result in results if isinstance(result, Published)]


def _published(subject: str, body: bytes) -> Published:
    try:
        answer = codec.decode(body)
        refusal = answer.get("error")
        if refusal is None:
            return Published(
                str(answer["stream"]), int(answer["seq"]), bool(answer.get("duplicate", False))
            )
    except (ValueError, KeyError, AttributeError) as error:
        raise PublishError(
            f"what answers on subject {subject} is not a stream: choose a subject of the stream"
        ) from error
    raise PublishError(
        f"the stream refused the event for {subject}: {refusal.get('description')} "
        f"({refusal.get('err_code')})"
    )
