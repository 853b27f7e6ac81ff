"""The durable pull consumer as the engine's `Source`.

The pull loop is our own, after the published protocol
(https://github.com/nats-io/nats-architecture-and-design/blob/main/adr/ADR-37.md, 2026-11-23):
one inbox, published requests that expire soon, and a count of what the server still owes us.
Short expiry does three things at once: its 408 is the sign of life, a request that was lost with
a server is noticed within a second, and stopping need not cut off messages that are on their way.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence

from workbench import codec
from workbench.errors import StreamError, UsageError
from workbench.jetstream.advisories import Advisories
from workbench.jetstream.client import Mailbox
from workbench.jetstream.connection import ApiError, Connection
from workbench.jetstream.provision import (
    ConsumerSettings,
    Provisioned,
    StreamSettings,
    provision,
)
from workbench.jetstream.settled import Settled
from workbench.jetstream.snapshot import SourceInfo, source_info
from workbench.model import Event

__all__ = ["JetStreamSource"]

EXPIRES_SECONDS = 1.0
_GRACE_SECONDS = 1.0
"""How much later than its expiry the end of a request may arrive before it counts as lost."""
_MAX_REQUEST_BYTES = 16 * 1024 * 1024
"""What one request may bring: bounds memory where events are large."""
_RETRY_SECONDS = 0.25
_RETRY_CAP_SECONDS = 2.0
_CONFIRM_SECONDS = 5.0
_TERM_REASON_VERSION = (2, 10, 4)
"""Older servers ignore a +TERM with a reason altogether (server/consumer.go at v2.10.3)."""
_NS = 1_000_000_000
_GONE = (10014, 10059)  # consumer not found, stream not found


class JetStreamSource:
    """One durable of one stream; satisfies the engine's `Source`. Make it with `open`.

    Attributes:
        provisioned: stream and durable as found or made, with what drifted.
        pending: events the server has not delivered yet, as of the last one received.
    """

    def __init__(
        self,
        connection: Connection,
        stream: StreamSettings,
        consumer: ConsumerSettings,
        provisioned: Provisioned,
        advisories: Advisories,
        mailbox: Mailbox,
        monotonic: Callable[[], float],
    ) -> None:
        self.ack_wait_seconds = consumer.ack_wait_seconds
        self.max_deliver = consumer.max_deliver
        self.provisioned = provisioned
        self.pending = int(provisioned.consumer.get("num_pending", 0))
        self._connection = connection
        self._client = connection.client
        self._stream_settings = stream
        self._consumer_settings = consumer
        self._stream = provisioned.stream_name
        self._advisories = advisories
        self._monotonic = monotonic
        self._mailbox = mailbox
        self._inbox = mailbox.subject.removesuffix(".*")
        self._request = f"$JS.API.CONSUMER.MSG.NEXT.{self._stream}.{consumer.durable}"
        self._number = 0
        self._owed = 0
        self._lost_at = 0.0  # when what is owed counts as lost, in the loop's time
        self._ask_at = 0.0  # not before, after a refusal
        self._retry_seconds = _RETRY_SECONDS
        self._batch_cap = 1_000_000
        self._needs_check = False
        self._is_woken = False
        self._is_stopping = False
        self._failure: StreamError | None = None
        self._is_ack_confirmed = False
        self._confirm_by = 0.0
        self._settled = Settled()
        self._doubtful = 0  # up to here the server may have forgotten what it was told
        self._floor = int(provisioned.consumer.get("ack_floor", {}).get("stream_seq", 0))

    @classmethod
    async def open(
        cls,
        connection: Connection,
        stream: StreamSettings,
        consumer: ConsumerSettings,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> JetStreamSource:
        """Create or check stream and durable, and get ready to receive.

        Raises:
            ConsumerMismatch, StreamError: as `provision`.
        """
        provisioned = await provision(connection, stream, consumer)
        advisories = await Advisories.open(
            connection, provisioned.stream["config"], consumer.durable
        )
        mailbox = await connection.client.open_mailbox(f"{connection.client.new_inbox()}.*")
        source = cls(connection, stream, consumer, provisioned, advisories, mailbox, monotonic)
        connection.listeners.append(source._on_change)
        for drift in provisioned.drift:
            connection.tell("warning", str(drift))
        return source

    async def receive(self, limit: int) -> list[Event]:
        """See `Source.receive`."""
        if limit < 1:
            raise UsageError("receive needs a limit of at least 1")
        loop = asyncio.get_running_loop()
        while True:
            if self._failure is not None:
                raise self._failure
            events = self._take(limit)
            if not self._is_stopping:
                self._ask(limit - len(events), loop.time())
            if events or self._is_woken or self._is_stopping:
                self._is_woken = False
                return events
            if self._needs_check and loop.time() >= self._ask_at:
                await self._check_consumer()
                continue
            await self._mailbox.wait(self._next_look() - loop.time())

    def wake(self) -> None:
        """See `Source.wake`."""
        self._is_woken = True
        self._mailbox.wake()

    def ack(self, events: Sequence[Event]) -> None:
        """See `Source.ack`. The first of a run asks the server to confirm it: a user without the
        right to publish it would otherwise learn nothing and get every event again."""
        if not events:
            return
        self._settled.remember([event.token for event in events], b"")
        if not self._is_ack_confirmed and not self._confirm_by:
            self._confirm_by = asyncio.get_running_loop().time() + _CONFIRM_SECONDS
            first, events = events[0], events[1:]
            self._client.write_soon(f"PUB {first.token} {self._inbox}.ack 0\r\n\r\n".encode())
        self._settle(events, b"")

    def nak(self, events: Sequence[Event], delay_seconds: float) -> None:
        """See `Source.nak`."""
        delay = round(delay_seconds * _NS)
        self._settle(events, b'-NAK {"delay": %d}' % delay if delay > 0 else b"-NAK")

    def term(self, events: Sequence[Event], reason: str) -> None:
        """See `Source.term`; the reason goes into the server's advisory."""
        word = "+TERM"
        if reason and self._connection.version >= _TERM_REASON_VERSION:
            word += " " + " ".join(reason.split())
        self._settled.remember([event.token for event in events], word.encode())
        self._settle(events, word.encode())

    def in_progress(self, events: Sequence[Event]) -> None:
        """See `Source.in_progress`. What has arrived and was not asked for yet is meant too: while
        the engine pauses, it would otherwise use up a delivery."""
        waiting = [event for event in self._mailbox.messages if event.token]
        self._settle([*events, *waiting], b"+WPI")

    async def exhausted(self) -> list[Event]:
        """See `Source.exhausted`.

        Raises:
            StreamError: JetStream does not answer; ask again later.
        """
        return await self._advisories.exhausted()

    async def forget_exhausted(self, events: Sequence[Event]) -> None:
        """See `Source.forget_exhausted`."""
        await self._advisories.forget(events)

    async def stop_receiving(self) -> list[Event]:
        """See `Source.stop_receiving`. Takes as long as the requests that are out take to expire,
        at most `EXPIRES_SECONDS` and a bit: cutting them off could lose what is on its way for
        a whole ack wait."""
        self._is_stopping = True
        self._mailbox.wake()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + EXPIRES_SECONDS + _GRACE_SECONDS
        events = self._take(None)
        while self._owed > 0 and self._connection.is_connected and loop.time() < deadline:
            await self._mailbox.wait(deadline - loop.time())
            events += self._take(None)
        await self._client.close_mailbox(self._mailbox)
        return events

    async def flush(self) -> None:
        """See `Source.flush`."""
        await self._connection.flush()

    async def info(self) -> SourceInfo:
        """How stream and durable stand.

        Raises:
            StreamError: JetStream does not answer, or one of them is gone.
        """
        info = await source_info(self._connection, self._stream, self._consumer_settings.durable)
        self._floor = info.ack_floor
        return info

    async def aclose(self) -> None:
        """Stop listening; what was received and not settled comes back after its ack wait."""
        self._is_stopping = True
        if self._on_change in self._connection.listeners:
            self._connection.listeners.remove(self._on_change)
        await self._advisories.aclose()
        await self._client.close_mailbox(self._mailbox)

    # Asking

    def _ask(self, room: int, now: float) -> None:
        """Ask for what may still come, when nothing is owed or half of the room is free."""
        if self._owed > 0 and now >= self._lost_at:
            self._owed = 0
            # A 2.10 server says nothing where the consumer is gone; a newer one says 503.
            self._needs_check = True
        missing = min(room - self._owed - len(self._mailbox.messages), self._batch_cap)
        if missing < 1 or (self._owed > 0 and missing * 2 < room):
            return
        if now < self._ask_at or self._needs_check or not self._connection.is_connected:
            return
        self._number += 1
        body = codec.encode(
            {
                "batch": missing,
                "expires": round(EXPIRES_SECONDS * _NS),
                "max_bytes": max(_MAX_REQUEST_BYTES, 2 * self._connection.max_payload),
            }
        )
        head = f"PUB {self._request} {self._inbox}.{self._number} {len(body)}\r\n".encode()
        if self._client.write_soon(head + body + b"\r\n"):
            self._owed += missing
            self._lost_at = now + EXPIRES_SECONDS + _GRACE_SECONDS

    def _next_look(self) -> float:
        """When, in the loop's time, something must be done even if nothing arrives."""
        now = asyncio.get_running_loop().time()
        look = now + EXPIRES_SECONDS + _GRACE_SECONDS
        if self._owed > 0:
            return min(look, self._lost_at)
        return min(look, self._ask_at) if self._ask_at > now else look

    # Taking

    def _take(self, limit: int | None) -> list[Event]:
        """Up to `limit` of what has arrived; statuses among it are obeyed and dropped."""
        messages = self._mailbox.messages
        if not messages:
            self._check_confirmation()
            return []
        now, stream, doubtful = self._monotonic(), self._stream, self._doubtful
        events: list[Event] = []
        append, popleft = events.append, messages.popleft
        room = len(messages) if limit is None else limit
        while messages and room:
            event = popleft()
            reply: str = event.token
            if not reply:
                self._obey(event)
                continue
            # $JS.ACK.<stream>.<consumer>.<delivered>.<sequence>.<consumer seq>.<time>.<pending>
            # and, as v2, with <domain>.<account hash> after ACK and perhaps a last random token:
            # https://github.com/nats-io/nats-architecture-and-design/blob/main/adr/ADR-15.md
            try:
                _, _, _, _, delivered, sequence, _, stored, pending = reply.split(".")
            except ValueError:
                delivered, sequence, _, stored, pending = reply.split(".")[6:11]
            event.stream = stream
            event.sequence = number = int(sequence)
            event.timestamp_ns = int(stored)
            event.received = now
            if delivered != "1":
                event.num_delivered = int(delivered)
            if (delivered != "1" or number <= doubtful) and self._is_settled(event):
                continue
            append(event)
            room -= 1
        if events:
            self.pending = int(pending)
            self._owed = max(0, self._owed - len(events))
            self._retry_seconds = _RETRY_SECONDS
            if self._owed:
                self._lost_at = asyncio.get_running_loop().time() + EXPIRES_SECONDS + _GRACE_SECONDS
        return events

    def _obey(self, status: Event) -> None:
        """What a message without reply subject tells us: the end of a request, mostly."""
        if status.subject.endswith(".ack"):
            self._is_ack_confirmed, self._confirm_by = True, 0.0
            return
        code = status.headers.get("Status", "")
        description = status.headers.get("Description", "")
        left = status.headers.get("Nats-Pending-Messages")
        if code == "100":
            return
        if left is not None:  # this request ended with so much undelivered, and nothing is wrong
            self._owed = max(0, self._owed - int(left))
            return
        lowered = description.lower()
        self._owed = 0
        if code == "409" and "exceeded maxrequestbatch" in lowered:
            self._batch_cap = max(1, int(lowered.rpartition(" ")[2]))
        elif code == "409" and "consumer deleted" in lowered:
            self._needs_check = True
        elif code in ("503", "404") or (code == "409" and "server shutdown" in lowered):
            self._pause()
            self._needs_check = code == "503"
        elif code == "409" and "leadership change" in lowered:
            self._pause()
        else:
            self._pause()
            self._connection.tell("warning", f"the server refused a pull: {code} {description}")

    def _pause(self) -> None:
        self._ask_at = asyncio.get_running_loop().time() + self._retry_seconds
        self._retry_seconds = min(self._retry_seconds * 2, _RETRY_CAP_SECONDS)

    def _is_settled(self, event: Event) -> bool:
        """Whether we have dealt with the event before; the server is then told so again."""
        word = self._settled.word_for(event.token)
        if word is None:
            return False
        self._settle([event], word)
        self._owed = max(0, self._owed - 1)
        return True

    # Settling

    def _settle(self, events: Sequence[Event], word: bytes) -> None:
        """All of them in one write, each as its own publish."""
        if not events:
            return
        tail = f" {len(word)}\r\n{word.decode()}\r\n"
        text = f"{tail}PUB ".join([event.token for event in events])
        self._client.write_soon(f"PUB {text}{tail}".encode())

    def _check_confirmation(self) -> None:
        if self._confirm_by and asyncio.get_running_loop().time() > self._confirm_by:
            self._confirm_by = 0.0  # the next ack asks again
            if self._connection.is_connected:
                self._connection.tell("warning", "the server has not confirmed an ack for 5 s")

    # Trouble

    async def _check_consumer(self) -> None:
        """A 503 is "not now" as well as "not there": only its info tells which."""
        durable = self._consumer_settings.durable
        try:
            await self._connection.api(f"CONSUMER.INFO.{self._stream}.{durable}")
        except ApiError as error:
            if error.err_code in _GONE:
                await self._recreate(is_stream_gone=error.err_code == _GONE[1])
                return
            self._pause()
        except StreamError:
            self._pause()
        else:
            self._needs_check = False

    async def _recreate(self, *, is_stream_gone: bool) -> None:
        """Somebody deleted the durable, perhaps with its stream, while we ran."""
        durable = self._consumer_settings.durable
        what = f"stream {self._stream!r}" if is_stream_gone else f"durable {durable!r}"
        if not self._stream_settings.create_or_update:
            self._failure = StreamError(
                f"{what} was deleted on the server while the flow ran: create it again, or set "
                "stream.create_or_update in the flow file, and start again"
            )
            return
        start = None if is_stream_gone else self._floor + 1
        try:
            self.provisioned = await provision(
                self._connection,
                self._stream_settings,
                self._consumer_settings,
                start_sequence=start,
            )
        except ApiError:
            self._pause()
            return
        except StreamError as error:
            self._failure = error
            return
        self._needs_check = False
        self._doubtful = max(self._doubtful, self._settled.newest)
        since = f" from sequence {start}" if start else ""
        self._connection.tell("warning", f"{what} was deleted on the server; made again{since}")

    def _on_change(self, state: str, detail: str) -> None:
        if state in ("disconnected", "connected"):
            self._doubtful = max(self._doubtful, self._settled.newest)
        if state == "disconnected":
            self._owed = 0  # requests die with their connection
        elif state == "closed":
            self._failure = StreamError(detail)
        elif state == "refused":
            self._fail_for_rights(detail.lower())
        self._mailbox.wake()

    def _fail_for_rights(self, detail: str) -> None:
        durable = self._consumer_settings.durable
        ours: Mapping[str, str] = {
            f"{self._stream}.{durable}.".lower(): f"$JS.ACK.{self._stream}.{durable}.>",
            self._request.lower(): self._request,
            self._inbox.lower(): "its own inbox, _INBOX.>",
        }
        for mark, subject in ours.items():
            if mark in detail and ("$js.ack" in detail) == subject.startswith("$JS.ACK"):
                verb = "subscribe to" if "_INBOX" in subject else "publish to"
                self._failure = StreamError(
                    f"the NATS user may not {verb} {subject}: grant it on the server ({detail})"
                )
                return
