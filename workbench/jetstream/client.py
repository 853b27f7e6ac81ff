"""nats-py's client, mended where it hangs, lies or dies; and all that knows its insides.

Every private name of nats-py that we lean on is in this file and in `parser`, and the dependency
is pinned to the one release they were read in (2.16.0, https://github.com/nats-io/nats.py,
2026-11-23);
tests/unit/jetstream/test_client.py fails when they move.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
from collections import deque
from collections.abc import Coroutine, Mapping
from typing import Any

from workbench.model import Event

__all__ = ["Mailbox", "NatsClient", "nats_errors", "parse_headers"]

_PERMISSIONS = "permissions violation"


def _import_client() -> Any:
    """nats-py's client class, without the WebSocket client that it imports where it finds one.

    That import costs half of nats-py's own start (170 of 330 ms measured) and we refuse ws:// URLs.
    """
    if "nats.aio.client" not in sys.modules and "aiohttp" not in sys.modules:
        sys.modules["aiohttp"] = None  # type: ignore[assignment]  # makes the import fail, as meant
        try:
            import nats.aio.client
        finally:
            del sys.modules["aiohttp"]
    import nats.aio.client

    return nats.aio.client.Client


def _is_worth_telling(record: logging.LogRecord) -> bool:
    """False for asyncio's complaint about nats-py's reader at the end of a TLS connection.

    It would follow the last line of every run over TLS, and nothing is wrong.
    """
    return not record.getMessage().startswith("returning true from eof_received()")


logging.getLogger("asyncio").addFilter(_is_worth_telling)

_Client = _import_client()
import nats.errors as nats_errors  # noqa: E402  after the guarded import above

from workbench.jetstream.parser import MailboxParser  # noqa: E402  likewise


def _event(
    subject: str,
    reply: str,
    data: bytes,
    headers: Mapping[str, str] | None,
    _client: Any,
    _sid: int,
) -> Event:
    """Stands in for nats-py's `Msg`, so that one object is made per message and not two.

    The reply subject goes where the event's source will look for it.
    """
    return Event(subject, data, headers, token=reply)


def parse_headers(raw: bytes) -> dict[str, str]:
    """The headers of a stored message, as bytes with the `NATS/1.0` line; empty for none."""
    headers: dict[str, str] = _Client._parse_header_lines(raw.partition(b"\r\n")[2])
    return headers


class Mailbox:
    """What has arrived on one subscription, oldest first; `token` of each is its reply subject."""

    __slots__ = ("bell", "messages", "subscription")

    def __init__(self, subscription: Any) -> None:
        self.subscription = subscription
        self.messages: deque[Event] = deque()
        self.bell = asyncio.Event()

    @property
    def subject(self) -> str:
        """What it listens to."""
        return str(self.subscription.subject)

    def wake(self) -> None:
        """Make `wait` return."""
        self.bell.set()

    async def wait(self, seconds: float) -> None:
        """Return when something arrived since the last wait, on `wake`, or after this long."""
        timer = asyncio.get_running_loop().call_later(max(seconds, 0.0), self.bell.set)
        try:
            await self.bell.wait()
        finally:
            timer.cancel()
        self.bell.clear()


async def _cancellable(waiting: Coroutine[Any, Any, Any]) -> Any:
    """Wait for what nats-py waits for; a cancellation is never lost.

    nats-py waits with `asyncio.wait_for`, which in Python 3.11 returns the answer in place of being
    cancelled where both come at once: a loop around it would go on for ever, and whoever waits for
    its end too. (https://github.com/python/cpython/issues/86296, 2026-11-23; mended in 3.12.)
    """
    task = asyncio.ensure_future(waiting)
    try:
        await asyncio.wait({task})
        return task.result()
    finally:
        if not task.cancel() and not task.cancelled():
            task.exception()  # looked at, so that nobody reports it as forgotten


class NatsClient(_Client):  # type: ignore[misc, valid-type]
    """One NATS connection that keeps its promises.

    - TLS that was asked for is used, on every connection and reconnection, or there is none.
    - A late PONG, or an -ERR in mid-session, leads to a reconnection and not to a dead client.
    - Settlements can be written without awaiting, many in one buffer.
    - Whoever is cancelled while waiting for an answer is cancelled.

    `dialled` is the server last tried, host:port, and `greeting` the INFO that this try has got.
    """

    msg_class = staticmethod(_event)

    def __init__(self, *, is_tls_wanted: bool) -> None:
        super().__init__()
        self.is_tls_wanted = is_tls_wanted
        self.dialled = ""
        self.greeting: Mapping[str, Any] = {}
        self.mailboxes: dict[int, Mailbox] = {}
        self._ps = MailboxParser(self)
        self._pending_data_size: int
        self._reconnection_task: asyncio.Task[None] | None

    @property
    def server_info(self) -> Mapping[str, Any]:
        """The INFO line of the connected server."""
        info: Mapping[str, Any] = self._server_info
        return info

    async def request(self, *args: Any, **given: Any) -> Any:
        return await _cancellable(super().request(*args, **given))

    async def flush(self, timeout: float = 10) -> None:
        await _cancellable(super().flush(timeout))

    async def rtt(self, timeout: float = 10) -> float:
        return float(await _cancellable(super().rtt(timeout)))

    async def _connect_to_server(self, s: Any) -> None:
        self.dialled, self.greeting = s.uri.netloc, {}
        if self._transport:
            self._transport.close()  # what an earlier try left open
        await super()._connect_to_server(s)

    async def _process_info(self, info: dict[str, Any], initial_connection: bool = False) -> None:
        """Before anything secret is sent: no TLS, no connection. nats-py itself would go on in
        the clear unless the server insists."""
        if initial_connection:
            self.greeting = info
        is_clear = self.is_tls_wanted and not self.options["tls_handshake_first"]
        if initial_connection and is_clear and not info.get("tls_required"):
            if not info.get("tls_available"):
                raise nats_errors.Error("nats: the server offers no TLS")
            info["tls_required"] = True  # nats-py reads it from this very dict
        await super()._process_info(info, initial_connection)

    async def _process_err(self, err_msg: str) -> None:
        """Reconnect where nats-py would close for good (expired credentials, kicked out)."""
        if _PERMISSIONS in err_msg or not self.is_connected:
            await super()._process_err(err_msg)
            return
        reason = err_msg.strip("'")
        error = nats_errors.Error(f"nats: {reason}")
        await self._error_cb(error)
        await self._process_op_err(error)

    async def _process_pong(self) -> None:
        """As nats-py's, but a PONG nobody waits for any more does not end the read loop."""
        if self._pongs:
            waiter = self._pongs.pop(0)
            self._pings_outstanding = 0
            if not waiter.done():
                waiter.set_result(True)

    def write_soon(self, data: bytes) -> bool:
        """Queue protocol bytes; they leave with the next flush of this loop's turn.

        Returns False, and drops them, where the client is closed or, while reconnecting, its
        buffer is full.
        """
        if self.is_closed:
            return False
        size = self._pending_data_size + len(data)
        if not self.is_connected and size > self._max_pending_size:
            return False
        self._pending.append(data)
        self._pending_data_size = size
        if self.is_connected and self._flush_queue.empty():
            self._flush_queue.put_nowait(asyncio.get_running_loop().create_future())
        return True

    async def open_mailbox(self, subject: str) -> Mailbox:
        """Subscribe; what arrives is in the mailbox at once, with no task or queue between."""
        subscription = await self.subscribe(subject)
        mailbox = Mailbox(subscription)
        self.mailboxes[subscription._id] = mailbox
        return mailbox

    async def close_mailbox(self, mailbox: Mailbox) -> None:
        """Unsubscribe; harmless when the connection is gone."""
        self.mailboxes.pop(mailbox.subscription._id, None)
        with contextlib.suppress(nats_errors.Error, OSError):
            await mailbox.subscription.unsubscribe()

    async def _process_msg(
        self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes | None
    ) -> None:
        """What our parser has left to nats-py's: long messages, and those without a mailbox."""
        mailbox = self.mailboxes.get(sid)
        if mailbox is None:
            await super()._process_msg(sid, subject, reply, data, headers)
            return
        parsed = await self._process_headers(headers) if headers else None
        mailbox.messages.append(Event(subject.decode(), data, parsed, token=reply.decode()))
        mailbox.bell.set()

    def revive(self) -> None:
        """Start reconnecting anew where nats-py's own task for it has died."""
        task = self._reconnection_task
        if self.is_reconnecting and (task is None or task.done()):
            self._reconnection_task = asyncio.create_task(self._attempt_reconnect())

    async def cut(self) -> None:
        """Drop a connection that does not answer and make another; closing it in order would wait
        for a silent peer to take what is still queued."""
        self._abort()
        await self.force_reconnect()

    def _abort(self) -> None:
        transport = self._transport
        for name in ("_io_writer", "_bare_io_writer"):
            writer = getattr(transport, name, None)
            if writer is not None:
                writer.transport.abort()

    async def abandon(self) -> None:
        """Give up a connection that was never made, whatever state it hangs in."""
        self._abort()
        for task in (self._reading_task, self._ping_interval_task, self._flusher_task):
            if task is not None:
                task.cancel()
        self._status = self.CLOSED
        with contextlib.suppress(Exception):
            await asyncio.sleep(0)
