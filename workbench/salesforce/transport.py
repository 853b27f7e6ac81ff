"""The border to httpx2: one pool of connections, and one place where its exceptions are translated.

httpx2 takes about 100 ms to import, so it is imported when the first request leaves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.errors import SettingsError, TransportError, UsageError

if TYPE_CHECKING:
    import ssl

    import httpx2

__all__ = ["Reply", "Timeouts", "Transport", "translate"]

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


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer, read to its end and decompressed; header names are looked up without case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Transport:
    """A pool of kept-alive connections, verified TLS, one exception class out.

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
        self._pools: dict[str, httpx2.AsyncHTTPTransport] = {}
        self._urls: dict[str, httpx2.URL] = {}
        self._extensions: dict[str, object] = {}
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
        import httpx2

        try:
            parsed = self._parsed(url)
            pool = self._pool(parsed)
            request = httpx2.Request(
                method, parsed, headers=headers, content=body, extensions=dict(self._extensions)
            )
            response = await pool.handle_async_request(request)
            await response.aread()
        except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError, OSError) as error:
            raise translate(error, url) from error
        return Reply(response.status_code, response.headers, response.content)

    async def aclose(self) -> None:
        """Close every connection; may be called twice."""
        self._is_closed = True
        pools, self._pools = list(self._pools.values()), {}
        for pool in pools:
            await pool.aclose()

    def _parsed(self, url: str) -> httpx2.URL:
        """Parsing a URL costs as much as building the rest of the request; a run uses very few."""
        import httpx2

        parsed = self._urls.get(url)
        if parsed is None:
            parsed = httpx2.URL(url)
            if "?" not in url:
                self._urls[url] = parsed
        return parsed

    def _pool(self, url: httpx2.URL) -> httpx2.AsyncHTTPTransport:
        """The connections to a host.

        A pool and not a whole client of httpx2: its redirects must never be followed with a token,
        its cookies are of no use here, and without them a request costs less CPU time.
        """
        origin = f"{url.scheme}://{url.netloc.decode()}"
        pool = self._pools.get(origin)
        if pool is None:
            pool = self._pools[origin] = self._open(url)
        return pool

    def _open(self, url: httpx2.URL) -> httpx2.AsyncHTTPTransport:
        """A pool for http or https; loading the trusted certificates (25 ms) is for https."""
        import httpx2

        self._extensions = {
            "timeout": {
                "connect": self._timeouts.connect,
                "read": self._timeouts.read,
                "write": self._timeouts.write,
                "pool": self._timeouts.pool,
            }
        }
        return httpx2.AsyncHTTPTransport(
            verify=self._tls_context() if url.scheme == "https" else _no_tls(),
            limits=httpx2.Limits(
                max_connections=self._max_connections,
                max_keepalive_connections=self._max_connections,
                keepalive_expiry=KEEPALIVE_SECONDS,
            ),
            proxy=_proxy_of(url.scheme, url.host),
        )

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


def translate(error: Exception, url: str) -> TransportError:
    """Our error for one of httpx2's, which says above all whether the request can have left.

    `ConnectError` and its kind come before the first byte; a `WriteError` may come after the last
    byte that mattered, so everything that is not certainly early counts as sent.
    """
    import httpx2

    host = url.split("//", 1)[-1].split("/", 1)[0]
    text = str(error) or type(error).__name__
    match error:
        case httpx2.ConnectTimeout():
            return TransportError(f"{host} did not accept a connection in time", sent=False)
        case httpx2.PoolTimeout():
            return TransportError(
                f"no connection to {host} became free in time: more requests are in flight "
                "than the pool has connections",
                sent=False,
            )
        case httpx2.ConnectError() if "CERTIFICATE" in text.upper():
            return TransportError(
                f"the TLS certificate of {host} is not trusted ({text}); "
                "name its authority in ca_file of the credentials, or in SSL_CERT_FILE",
                sent=False,
            )
        case httpx2.ConnectError():
            return TransportError(f"{host} cannot be reached: {text}", sent=False)
        case httpx2.ProxyError():
            return TransportError(f"the proxy refused to connect to {host}: {text}", sent=False)
        case httpx2.UnsupportedProtocol() | httpx2.InvalidURL():
            return TransportError(f"{url!r} is not an address to send to: {text}", sent=False)
        case httpx2.ReadTimeout():
            return TransportError(f"{host} did not answer in time", sent=True)
        case httpx2.WriteTimeout():
            return TransportError(f"{host} did not take the request in time", sent=True)
        case httpx2.DecodingError():
            return TransportError(f"the answer of {host} cannot be decompressed: {text}", sent=True)
        case httpx2.RemoteProtocolError():
            return TransportError(f"{host} broke the answer off: {text}", sent=True)
        case httpx2.NetworkError():
            return TransportError(f"the connection to {host} broke: {text}", sent=True)
        case _:
            return TransportError(f"no usable answer from {host}: {text}", sent=True)
