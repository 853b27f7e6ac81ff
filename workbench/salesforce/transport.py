"""The border to the HTTP client: connections, and one place where its exceptions are translated.

The client is httpcore2, the lower half of httpx2. The upper half's models and its pool cost much
CPU time, and what they are for is of no use here: redirects must never be followed with
a token, there are no cookies, and every answer is read to its end. It is slow to import,
so it is imported when the first request leaves.
"""

from __future__ import annotations

import asyncio
import re
import socket
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from workbench.errors import SettingsError, TransportError, UsageError

if TYPE_CHECKING:
    import ssl

    import httpcore2

__all__ = ["Headers", "Reply", "Timeouts", "Transport", "translate"]

# Below what load balancers usually close at, so that a pooled connection is rarely found dead.
KEEPALIVE_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long each phase of a request may take, in seconds.

    `read` is the longest wait between two pieces of the answer, in practice for the whole of it.
    Salesforce itself gives up after 10 minutes
    (https://developer.salesforce.com/docs/atlas.en-us.salesforce_app_limits_cheatsheet.meta/salesforce_app_limits_cheatsheet/salesforce_app_limits_platform_api.htm,
    2026-11-23); giving up earlier never stops its work, it only leaves the outcome unknown.
    """

    connect: float = 10.0
    write: float = 60.0
    read: float = 120.0
    pool: float = 60.0


class Headers(Mapping[str, str]):
    """An answer's headers as they came, looked up without case; the first of a name counts."""

    __slots__ = ("_raw",)

    def __init__(self, raw: Sequence[tuple[bytes, bytes]]) -> None:
        self._raw = raw

    def __getitem__(self, name: str) -> str:
        wanted = name.lower().encode("latin-1")
        for key, value in self._raw:
            if key.lower() == wanted:
                return value.decode("latin-1")
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return (key.decode("latin-1") for key, _ in self._raw)

    def __len__(self) -> int:
        return len(self._raw)


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer, read to its end and decompressed; header names are looked up without case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Transport:
    """Kept-alive connections, verified TLS, one exception class out.

    Args:
        max_connections: as many requests as are ever in flight at once.
        ca_file: further certificate authorities to trust, beside the system's (and
            `SSL_CERT_FILE`, which OpenSSL honours by itself).
    """

    def __init__(
        self,
        *,
        max_connections: int = 8,
        timeouts: Timeouts | None = None,
        ca_file: str = "",
    ) -> None:
        self._max_connections = max_connections
        self._timeouts = timeouts or Timeouts()
        self._ca_file = ca_file
        self._hosts: dict[str, _Host] = {}
        self._is_closed = False

    async def send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None = None
    ) -> Reply:
        """One request and its whole answer, whatever the status.

        Raises:
            TransportError: no usable answer; `sent` is False only when nothing can have left.
            SettingsError: the CA file holds no certificates.
        """
        if self._is_closed:
            raise UsageError("this connection to Salesforce was closed; open a new one")
        import httpcore2

        try:
            origin, target = _split(url)
            host = self._hosts.get(origin) or self._open(origin)
            return await host.exchange(method, target, headers, body)
        except _failures(httpcore2) as error:
            raise translate(error, url) from error

    async def aclose(self) -> None:
        """Close every connection; may be called twice."""
        self._is_closed = True
        for host in self._hosts.values():
            await host.aclose()

    def _open(self, origin: str) -> _Host:
        """The connections to a host; loading the trusted certificates (25 ms) is for https."""
        import httpcore2

        try:
            url = httpcore2.URL(origin + "/")
        except ValueError as error:
            raise httpcore2.UnsupportedProtocol(str(error)) from error
        if url.scheme not in (b"http", b"https") or not url.host:
            raise httpcore2.UnsupportedProtocol("it is no http:// or https:// with a host")
        context = self._tls_context() if url.scheme == b"https" else _no_tls()
        proxy = _proxy_of(url.scheme.decode(), url.host.decode())
        pool = _factory(context, proxy)
        host = self._hosts[origin] = _Host(pool, url, self._max_connections, self._timeouts)
        return host

    def _tls_context(self) -> ssl.SSLContext:
        import ssl

        context = ssl.create_default_context()
        if self._ca_file:
            try:
                context.load_verify_locations(cafile=self._ca_file)
            except (OSError, ssl.SSLError) as error:
                raise SettingsError(
                    f"ca_file {self._ca_file!r} holds no certificates that can be read: {error}"
                ) from error
        return context


class _Host:
    """The connections to one host; of those that are free the one last used goes first.

    A connection carries one request at a time, and after that is free, or closed. `pool` makes
    connections, directly or through a proxy; what else httpcore2's pools do is not used.
    """

    def __init__(
        self,
        pool: httpcore2.AsyncConnectionPool,
        url: httpcore2.URL,
        max_connections: int,
        timeouts: Timeouts,
    ) -> None:
        self._pool = pool
        self._url = url
        self._slots = asyncio.Semaphore(max_connections)
        self._wait_seconds = timeouts.pool
        self._extensions = {
            "timeout": {
                "connect": timeouts.connect,
                "read": timeouts.read,
                "write": timeouts.write,
            }
        }
        default = {b"http": 80, b"https": 443}[url.scheme]
        is_default = url.port in (None, default)
        self._name = url.host if is_default else b"%b:%d" % (url.host, url.port or default)
        self._free: list[httpcore2.AsyncConnectionInterface] = []
        self._all: set[httpcore2.AsyncConnectionInterface] = set()

    async def exchange(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes | None
    ) -> Reply:
        """See `Transport.send`; raises what httpcore2 raises."""
        import httpcore2

        raw = [(b"Host", self._name)]
        raw += [(name.encode(), value.encode()) for name, value in headers.items()]
        if body is not None or method in ("POST", "PUT", "PATCH"):
            raw.append((b"Content-Length", b"%d" % len(body or b"")))
        url = httpcore2.URL(
            scheme=self._url.scheme, host=self._url.host, port=self._url.port, target=target
        )
        request = httpcore2.Request(
            method, url, headers=raw, content=body, extensions=self._extensions
        )
        if self._slots.locked():
            try:
                await asyncio.wait_for(self._slots.acquire(), self._wait_seconds)
            except TimeoutError as error:
                raise httpcore2.PoolTimeout(str(error)) from error
        else:
            await self._slots.acquire()
        try:
            return await self._send(request)
        finally:
            self._slots.release()

    async def _send(self, request: httpcore2.Request) -> Reply:
        connection = await self._take()
        try:
            response = await connection.handle_async_request(request)
            body = await response.aread()
            await response.aclose()
        finally:
            if connection.is_available():
                self._free.append(connection)
            else:
                self._all.discard(connection)
        headers = Headers(response.headers)
        return Reply(response.status, headers, _plain(headers, body))

    async def _take(self) -> httpcore2.AsyncConnectionInterface:
        """A free connection that the server has not closed, or a new one."""
        free = self._free
        while free:
            connection = free.pop()
            if not connection.has_expired():
                break
            self._all.discard(connection)
            await connection.aclose()
        else:
            connection = self._pool.create_connection(self._url.origin)
            self._all.add(connection)
        if free and free[0].has_expired():
            oldest = free.pop(0)
            self._all.discard(oldest)
            await oldest.aclose()
        return connection

    async def aclose(self) -> None:
        """Close all, those in use as well."""
        every, self._all = list(self._all), set()
        self._free.clear()
        for connection in every:
            await connection.aclose()


def _split(url: str) -> tuple[str, str]:
    """`https://host:port` and the rest of a URL, which begins with a slash."""
    at = url.find("/", url.find("//") + 2)
    return (url, "/") if at < 0 else (url[:at], url[at:])


def _plain(headers: Headers, body: bytes) -> bytes:
    """The body as it was before the server compressed it; gzip is all that is asked for.

    Raises:
        zlib.error: it is cut off, or not gzip at all.
    """
    encoding = headers.get("Content-Encoding", "")
    if encoding not in ("gzip", "x-gzip") or not body:
        return body
    unpacker = zlib.decompressobj(31)
    plain = unpacker.decompress(body) + unpacker.flush()
    if not unpacker.eof:
        raise zlib.error("it is cut off")
    return plain


def _factory(context: ssl.SSLContext, proxy: str | None) -> httpcore2.AsyncConnectionPool:
    """What makes connections, through the proxy where there is one."""
    import httpcore2

    from workbench.salesforce.network import AsyncioBackend

    backend = AsyncioBackend()
    if proxy is None:
        return httpcore2.AsyncConnectionPool(
            context, keepalive_expiry=KEEPALIVE_SECONDS, network_backend=backend
        )
    parts = urlsplit(proxy if "//" in proxy else f"http://{proxy}")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise httpcore2.ProxyError(f"workbench can use http and https proxies, not {parts.scheme}")
    user = (unquote(parts.username), unquote(parts.password or "")) if parts.username else None
    return httpcore2.AsyncHTTPProxy(
        f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}/",
        proxy_auth=user,
        ssl_context=context,
        keepalive_expiry=KEEPALIVE_SECONDS,
        network_backend=backend,
    )


def _proxy_of(scheme: str, host: str) -> str | None:
    """The proxy that the environment names for a host; never one for this machine's sandbox."""
    from urllib.request import getproxies, proxy_bypass

    if host in ("localhost", "127.0.0.1", "::1") or proxy_bypass(host):
        return None
    proxies = getproxies()
    return proxies.get(scheme) or proxies.get("all")


def _no_tls() -> ssl.SSLContext:
    """A context that trusts nobody: what is meant for http can reach no https host with it."""
    import ssl

    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def _failures(http: ModuleType) -> tuple[type[Exception], ...]:
    """What an exchange may raise: the roots of httpcore2's exceptions, and what lies below it."""
    return (
        http.TimeoutException,
        http.NetworkError,
        http.ProtocolError,
        http.ProxyError,
        http.UnsupportedProtocol,
        zlib.error,
        OSError,
    )


def translate(error: Exception, url: str) -> TransportError:
    """Our error for one of httpcore2's, which says above all whether the request can have left.

    `ConnectError` and its kind come before the first byte; a `WriteError` may come after the last
    byte that mattered, so everything that is not certainly early counts as sent.
    """
    import httpcore2

    host = url.split("//", 1)[-1].split("/", 1)[0]
    text = str(error) or type(error).__name__
    match error:
        case httpcore2.ConnectTimeout():
            return TransportError(f"{host} did not accept a connection in time", sent=False)
        case httpcore2.PoolTimeout():
            return TransportError(
                f"no connection to {host} became free in time: more requests are in flight "
                "than the pool has connections",
                sent=False,
            )
        case httpcore2.ConnectError() if "CERTIFICATE" in text.upper():
            return TransportError(
                f"the TLS certificate of {host} is not trusted ({text}); "
                "name its authority in ca_file of the credentials, or in SSL_CERT_FILE",
                sent=False,
            )
        case httpcore2.ConnectError():
            return TransportError(f"{host} cannot be reached: {_why(error)}", sent=False)
        case httpcore2.ProxyError():
            return TransportError(f"the proxy refused to connect to {host}: {text}", sent=False)
        case httpcore2.UnsupportedProtocol():
            return TransportError(f"{url!r} is not an address to send to: {text}", sent=False)
        case httpcore2.ReadTimeout():
            return TransportError(f"{host} did not answer in time", sent=True)
        case httpcore2.WriteTimeout():
            return TransportError(f"{host} did not take the request in time", sent=True)
        case zlib.error():
            return TransportError(f"the answer of {host} cannot be decompressed: {text}", sent=True)
        case httpcore2.RemoteProtocolError():
            return TransportError(f"{host} broke the answer off: {text}", sent=True)
        case httpcore2.NetworkError():
            return TransportError(f"the connection to {host} broke: {text}", sent=True)
        case _:
            return TransportError(f"no usable answer from {host}: {text}", sent=True)


def _why(error: BaseException) -> str:
    """Why there is no connection, in words where they are known; else the system's, unnumbered."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, socket.gaierror):
            return "its name can't be resolved"
        if isinstance(cause, ConnectionRefusedError):
            return "connection refused: nothing listens there"
        cause = cause.__cause__ or cause.__context__
    return re.sub(r"^\[Errno -?\d+\] ", "", str(error)) or type(error).__name__
