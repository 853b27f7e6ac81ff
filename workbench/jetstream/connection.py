"""One connection to NATS: made within seconds or refused with a reason, then kept for ever."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable, Mapping
from typing import Any

from workbench import codec
from workbench.errors import ConnectionLost, StreamError
from workbench.jetstream.address import Servers, parse_servers
from workbench.jetstream.client import NatsClient, nats_errors
from workbench.jetstream.credentials import Credentials
from workbench.jetstream.handshake import connect_options, plain, why_dropped, why_failed

__all__ = ["ApiError", "Connection", "OnChange", "connect"]

OnChange = Callable[[str, str], None]
"""Called with a state and a sentence: `connected`, `disconnected`, `retrying` (a try to reconnect
failed), `refused` (the server denies us a subject), `warning`, `closed`. It must not block."""

MINIMUM_VERSION = (2, 10)
API_TIMEOUT_SECONDS = 5.0
_DIAL_SECONDS = 2.0
_WATCH_SECONDS = 5.0
_BACKOFF_SECONDS = 0.1
_BACKOFF_CAP_SECONDS = 5.0
_PENDING_BYTES = 16 * 1024 * 1024
"""What may wait to be sent while reconnecting: about 150,000 settlements."""


class ApiError(StreamError):
    """JetStream refused a request; `err_code` is what tells cases apart, not the message.

    The codes: https://github.com/nats-io/nats-server/blob/main/server/errors.json (2026-11-23).
    """

    def __init__(self, request: str, code: int, err_code: int, description: str) -> None:
        self.code = code
        self.err_code = err_code
        self.description = description
        super().__init__(f"JetStream refused {request}: {description} ({code}/{err_code})")


class RightMissing(StreamError):
    """The server denies us the subject of a request."""


async def connect(
    url: str,
    credentials: Credentials | None = None,
    *,
    name: str = "workbench",
    timeout_seconds: float = 5.0,
    on_change: OnChange | None = None,
) -> Connection:
    """Connect, check the server, and from then on reconnect for ever.

    Each server is tried once; the first that takes us wins. `credentials` go before those in
    the URL.

    Raises:
        SettingsError: the URL or the TLS files are wrong.
        ConnectionLost: no server took us; the sentence says for each why.
        StreamError: the server is older than 2.10, or the account has no JetStream.
    """
    servers = parse_servers(url)
    shown = credentials or servers.credentials or Credentials()
    if credentials is not None and credentials.kind == "none" and servers.credentials is not None:
        shown = Credentials(
            user=servers.credentials.user,
            password=servers.credentials.password,
            token=servers.credentials.token,
            tls=credentials.tls,
        )
    is_tls = servers.is_tls or shown.tls is not None
    connection = Connection(NatsClient(is_tls_wanted=is_tls), servers, shown, on_change)
    options = connect_options(shown, is_tls)
    try:
        async with asyncio.timeout(timeout_seconds):
            await connection._open(options, name)
            await connection._check()
    except TimeoutError as error:
        await connection.aclose()
        raise connection._too_late(timeout_seconds) from error
    except BaseException:
        await connection.aclose()
        raise
    connection._watch()
    return connection


class Connection:
    """An open connection; `listeners` hear of its changes until it is closed.

    Attributes:
        client: nats-py's client, for this package only.
        denied: the server's last word on a subject we have no right to, empty for none.
        max_payload: the largest message the server takes, bytes.
        version: of the connected server, as (major, minor, patch).
    """

    def __init__(
        self, client: NatsClient, servers: Servers, shown: Credentials, on_change: OnChange | None
    ) -> None:
        self.client = client
        self.listeners: list[OnChange] = [on_change] if on_change else []
        self._servers = servers
        self._shown = shown
        self._failures: dict[str, str] = {}
        self._all_failed = asyncio.Event()
        self._is_open = False
        self._is_closed = False
        self._tries = 0
        self._watcher: asyncio.Task[None] | None = None
        self.denied = ""
        self._denials: dict[str, asyncio.Future[None]] = {}

    @property
    def is_connected(self) -> bool:
        """Whether the server was there when last seen; a frozen one is noticed within 10 s."""
        return bool(self.client.is_connected) and not self._is_closed

    @property
    def max_payload(self) -> int:
        return int(self.client.max_payload)

    @property
    def version(self) -> tuple[int, ...]:
        return _version(str(self.client.server_info.get("version", "0.0.0")))

    @property
    def address(self) -> str:
        """Host and port of the server last tried."""
        return str(self.client.dialled)

    async def api(
        self,
        name: str,
        payload: Mapping[str, Any] | None = None,
        *,
        timeout_seconds: float = API_TIMEOUT_SECONDS,
    ) -> dict[str, Any]:
        """Ask JetStream: `api("STREAM.INFO.crm")` is a request to `$JS.API.STREAM.INFO.crm`.

        Raises:
            ApiError: it refused.
            StreamError: nobody answered, in time or at all.
        """
        body = codec.encode(payload) if payload is not None else b""
        try:
            answer = await self._request(f"$JS.API.{name}", body, timeout_seconds)
        except nats_errors.NoRespondersError as error:
            raise ApiError(name, 503, 0, "no JetStream answers for this account") from error
        except TimeoutError as error:
            raise StreamError(
                f"JetStream did not answer {name} within {timeout_seconds:g} s"
            ) from error
        except nats_errors.Error as error:
            raise ConnectionLost(f"the connection to NATS was lost: {plain(error)}") from error
        value: dict[str, Any] = codec.decode(answer.data)
        refusal = value.get("error")
        if refusal:
            raise ApiError(
                name,
                int(refusal.get("code", 0)),
                int(refusal.get("err_code", 0)),
                str(refusal.get("description", "")),
            )
        return value

    async def _request(self, subject: str, body: bytes, timeout_seconds: float) -> Any:
        """A request that also ends when the server denies us the subject: it answers that to
        nobody in particular, and nats-py would wait for the whole timeout."""
        denial = self._denials.setdefault(
            subject.lower(), asyncio.get_running_loop().create_future()
        )
        asking = asyncio.ensure_future(self.client.request(subject, body, timeout=timeout_seconds))
        try:
            await asyncio.wait({asking, denial}, return_when=asyncio.FIRST_COMPLETED)
            if denial.done() and not asking.done():
                raise RightMissing(f"the NATS user may not publish to {subject}: grant it")
            return await asking
        finally:
            asking.cancel()
            self._denials.pop(subject.lower(), None)

    async def flush(self, timeout_seconds: float = 5.0) -> bool:
        """Push out what is queued; True when the server has it."""
        if not self.is_connected:
            return False
        try:
            await self.client.flush(timeout=timeout_seconds)
        except (nats_errors.Error, OSError):
            return False
        return self.is_connected

    async def aclose(self) -> None:
        """Flush what can be flushed and close; harmless when closed already."""
        if self._is_closed:
            return
        if self._watcher is not None:  # it was whole once
            await self.flush(2.0)
        self._is_closed = True
        if self._watcher is not None:
            self._watcher.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watcher
        if self._is_open:
            # close() raises TypeError while reconnecting with unsent data, and can hang on TLS
            with contextlib.suppress(Exception):
                await asyncio.wait_for(self.client.close(), 2.0)
        await self.client.abandon()

    # Making it

    async def _open(self, options: dict[str, Any], name: str) -> None:
        dialling = asyncio.ensure_future(
            self.client.connect(
                servers=list(self._servers.addresses),
                name=name,
                error_cb=self._on_error,
                disconnected_cb=self._on_disconnected,
                reconnected_cb=self._on_reconnected,
                closed_cb=self._on_closed,
                lame_duck_mode_cb=self._on_lame_duck,
                reconnect_to_server_handler=self._next_server,
                max_reconnect_attempts=-1,
                connect_timeout=_DIAL_SECONDS,
                pending_size=_PENDING_BYTES,
                **options,
            )
        )
        failing = asyncio.ensure_future(self._all_failed.wait())
        try:
            await asyncio.wait({dialling, failing}, return_when=asyncio.FIRST_COMPLETED)
            if not dialling.done():
                raise ConnectionLost(self._no_server(None))
            _result(dialling)
            if not self.client.is_connected:
                self._failures[self.address] = why_dropped(self.client.greeting, self._shown)
                raise ConnectionLost(self._no_server(None))
        finally:
            for task in (dialling, failing):
                task.cancel()
            await asyncio.gather(dialling, failing, return_exceptions=True)
        self._is_open = True

    async def _check(self) -> None:
        if self.version < MINIMUM_VERSION:
            version = ".".join(map(str, self.version))
            raise StreamError(
                f"nats-server at {self.address} is {version}: workbench needs 2.10 or later, "
                "as older ones ignore what it asks of a consumer"
            )
        try:
            await self._wait_for_jetstream()
        except ApiError as error:
            raise StreamError(
                f"NATS at {self.address} has no JetStream for this account "
                f"({error.description}): start nats-server with -js, or enable it for the account"
            ) from error
        except RightMissing:
            pass  # a user with least rights need not be able to ask; provisioning will tell

    async def _wait_for_jetstream(self) -> None:
        """A cluster that elects its leader does not answer at all: ask until the time is up."""
        while True:
            try:
                await self.api("INFO", timeout_seconds=0.5)
                return
            except (ApiError, RightMissing, ConnectionLost):
                raise
            except StreamError:
                continue

    def _too_late(self, timeout_seconds: float) -> StreamError:
        if not self._is_open:
            return ConnectionLost(self._no_server(timeout_seconds))
        return StreamError(
            f"NATS at {self.address} took us, but its JetStream did not answer within "
            f"{timeout_seconds:g} s: its cluster may be without a leader; try again"
        )

    def _no_server(self, timeout_seconds: float | None) -> str:
        late = f"it did not answer within {timeout_seconds:g} s" if timeout_seconds else ""
        for address in self._servers.addresses:
            place = address.removeprefix("nats://")
            if place not in self._failures and late:
                self._failures[place] = late
        tries = "; ".join(f"{place}: {why}" for place, why in self._failures.items())
        return f"could not connect to NATS: {tries}"

    # Keeping it

    def _watch(self) -> None:
        self._watcher = asyncio.create_task(self._watch_over(), name="nats-watchdog")

    async def _watch_over(self) -> None:
        """`is_connected` may be true of a frozen server or a dead read loop; a round trip not."""
        while True:
            await asyncio.sleep(_WATCH_SECONDS)
            if self.client.is_closed:
                return
            if self.client.is_connected:
                try:
                    await self.client.rtt(timeout=_WATCH_SECONDS)
                except (nats_errors.Error, OSError):
                    self.tell("retrying", f"{self.address} does not answer; reconnecting")
                    await self.client.cut()
            else:
                self.client.revive()

    def tell(self, state: str, detail: str) -> None:
        """Tell every listener; one that raises must not break nats-py's own loops."""
        for listener in tuple(self.listeners):
            with contextlib.suppress(Exception):
                listener(state, detail)

    def _next_server(self, servers: list[Any], info: Mapping[str, Any]) -> tuple[Any, float]:
        """Every server at once in turn, then with pauses of 0.1 s doubling to 5 s, each +-50 %."""
        number, turn = self._tries // len(servers), self._tries % len(servers)
        self._tries += 1
        pause = min(_BACKOFF_CAP_SECONDS, _BACKOFF_SECONDS * 2.0 ** (min(number, 16) - 1))
        return servers[turn], pause * random.uniform(0.5, 1.5) if number else 0.0

    async def _on_error(self, error: Exception) -> None:
        text = str(error)
        if "permissions violation" in text.lower():
            self._deny(plain(error))
            return
        why = why_failed(error, self._shown, self.client)
        if not self._is_open:
            self._failures[self.address] = why
            if len(self._failures) >= len(self._servers.addresses):
                self._all_failed.set()
        elif not self._is_closed and not self.client.is_connected:
            self.tell("retrying", f"{self.address}: {why}")

    def _deny(self, detail: str) -> None:
        """`permissions violation for publish to "$js.api.info"`: in lower case, by nats-py."""
        self.denied = detail
        denial = self._denials.get(detail.partition('"')[2].partition('"')[0].lower())
        if denial is not None and not denial.done():
            denial.set_result(None)
        self.tell("refused", detail)

    async def _on_disconnected(self) -> None:
        if self._is_open and not self._is_closed:
            self.tell("disconnected", f"lost the connection to NATS at {self.address}")

    async def _on_reconnected(self) -> None:
        self._tries = 0
        self.tell("connected", f"connected to NATS at {self.address} again")

    async def _on_closed(self) -> None:
        if self._is_open and not self._is_closed:
            self.tell("closed", f"the connection to NATS at {self.address} was closed for good")

    async def _on_lame_duck(self) -> None:
        self.tell("warning", f"NATS at {self.address} is about to shut down (lame duck)")


def _result(dialling: asyncio.Future[None]) -> None:
    """What nats-py raises on the first connection and does not itself turn into a failed try."""
    try:
        dialling.result()
    except (ValueError, nats_errors.Error) as error:
        raise ConnectionLost(f"could not connect to NATS: {plain(error)}") from error


def _version(text: str) -> tuple[int, ...]:
    """(2, 15, 0) of `2.15.0-beta.1`."""
    return tuple(int(part) for part in text.partition("-")[0].split(".") if part.isdigit())
