"""Events whose deliveries ran out without a decision: crashes, mostly.

The server tells of them once, in an advisory that nobody may be there to hear. So a small stream
of its own captures these advisories, and an advisory is deleted only when its event is stored as
failed: whoever looks next finds what is left.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from workbench import codec
from workbench.errors import StreamError
from workbench.jetstream.client import Mailbox
from workbench.jetstream.connection import ApiError, Connection
from workbench.jetstream.stored import NO_MESSAGE, STREAM_NOT_FOUND, get_message
from workbench.model import Event

__all__ = ["ADVISORY_STREAM", "Advisories"]

ADVISORY_STREAM = "workbench_advisories"
_SUBJECT = "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES"
"""https://docs.nats.io/running-a-nats-service/nats_admin/monitoring/monitoring_jetstream
(2026-11-23)"""
_KEPT_SECONDS = 30 * 86_400
_AT_ONCE = 200
_NS = 1_000_000_000


class Advisories:
    """The advisories of one durable. Make it with `open`."""

    def __init__(self, connection: Connection, config: Mapping[str, Any], durable: str) -> None:
        self._connection = connection
        self._stream = str(config["name"])
        self._is_workqueue = config.get("retention") == "workqueue"
        self._replicas = int(config.get("num_replicas", 1))
        self._subject = f"{_SUBJECT}.{self._stream}.{durable}"
        self._live: Mailbox | None = None
        self._heard: dict[int, dict[str, Any]] = {}  # live advisories, by a count of our own
        self._count = 0
        self._held: dict[int, Event] = {}

    @classmethod
    async def open(
        cls, connection: Connection, config: Mapping[str, Any], durable: str
    ) -> Advisories:
        """See that the capturing stream is there; where that is not allowed, listen live and say
        so. `config` is the configuration of the durable's stream."""
        advisories = cls(connection, config, durable)
        try:
            await advisories._ensure_stream()
        except StreamError as error:
            advisories._live = await connection.client.open_mailbox(advisories._subject)
            connection.tell(
                "warning",
                f"stream {ADVISORY_STREAM!r} can't be made ({error}): events that use up their "
                "deliveries are only noticed while this process runs",
            )
        return advisories

    async def exhausted(self) -> list[Event]:
        """Up to 200 events that are not forgotten yet; `token` lists their advisories.

        An event that the stream has discarded meanwhile is told of and forgotten.

        Raises:
            StreamError: JetStream does not answer.
        """
        found: dict[int, tuple[int, list[int]]] = {}  # event sequence -> deliveries, advisories
        for number, advisory in await self._advisories():
            sequence = int(advisory["stream_seq"])
            _, numbers = found.get(sequence, (0, []))
            found[sequence] = int(advisory.get("deliveries", 0)), [*numbers, number]
        events = []
        for sequence, (deliveries, numbers) in found.items():
            event = self._held.get(sequence) or await self._original(sequence, numbers)
            if event is not None:
                event.num_delivered, event.token = deliveries, numbers
                self._held[sequence] = event
                events.append(event)
        return events

    async def forget(self, events: Sequence[Event]) -> None:
        """They are stored. On a work queue the event goes too, as a `term` would have done.

        Raises:
            StreamError: JetStream does not answer; they will be found again.
        """
        for event in events:
            if self._is_workqueue:
                await self._delete(self._stream, event.sequence)
            await self._drop(event.token)
            self._held.pop(event.sequence, None)

    async def aclose(self) -> None:
        if self._live is not None:
            await self._connection.client.close_mailbox(self._live)

    async def _ensure_stream(self) -> None:
        config = {
            "name": ADVISORY_STREAM,
            "subjects": [f"{_SUBJECT}.>"],
            "description": "Events whose deliveries ran out, until workbench has stored them",
            "retention": "limits",
            "storage": "file",
            "discard": "old",
            "num_replicas": self._replicas,
            "max_msgs": 1_000_000,
            "max_bytes": 256 * 1024 * 1024,
            "max_consumers": -1,
            "max_age": _KEPT_SECONDS * _NS,
        }
        try:
            await self._connection.api(f"STREAM.INFO.{ADVISORY_STREAM}")
        except ApiError as error:
            if error.err_code != STREAM_NOT_FOUND:
                raise
            await self._connection.api(f"STREAM.CREATE.{ADVISORY_STREAM}", config)

    async def _advisories(self) -> list[tuple[int, dict[str, Any]]]:
        """Advisories not forgotten, oldest first, each with its number in the capturing stream."""
        if self._live is not None:
            while self._live.messages:
                self._count += 1
                self._heard[self._count] = codec.decode(self._live.messages.popleft().data)
            return list(self._heard.items())[:_AT_ONCE]
        found: list[tuple[int, dict[str, Any]]] = []
        after = 0
        while len(found) < _AT_ONCE:
            try:
                message = await get_message(
                    self._connection, ADVISORY_STREAM, after + 1, self._subject
                )
            except ApiError as error:
                if error.err_code == STREAM_NOT_FOUND:
                    await self._ensure_stream()
                elif error.err_code != NO_MESSAGE:
                    raise
                break
            after = message.sequence
            found.append((after, codec.decode(message.data)))
        return found

    async def _original(self, sequence: int, numbers: Sequence[int]) -> Event | None:
        try:
            return await get_message(self._connection, self._stream, sequence)
        except ApiError as error:
            if error.err_code != NO_MESSAGE:
                raise
        self._connection.tell(
            "warning",
            f"event {self._stream}:{sequence} used up its deliveries and the stream has discarded "
            "it since: it is lost; raise the stream's limits",
        )
        await self._drop(numbers)
        return None

    async def _drop(self, numbers: Sequence[int]) -> None:
        for number in numbers:
            if self._live is None:
                await self._delete(ADVISORY_STREAM, number)
            self._heard.pop(number, None)

    async def _delete(self, stream: str, sequence: int) -> None:
        try:
            await self._connection.api(
                f"STREAM.MSG.DELETE.{stream}", {"seq": sequence, "no_erase": True}
            )
        except ApiError as error:
            if error.code not in (400, 404, 500) and error.err_code != NO_MESSAGE:
                raise
