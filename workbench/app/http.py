"""`/livez`, `/readyz` and `/metrics` for those who watch a headless run.

Three fixed GET answers need no web framework, and none is imported: a probe that costs the program
a tenth of a second of start-up would be a poor probe.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from http import HTTPStatus

from workbench.errors import SettingsError

__all__ = ["StatusServer", "parse_address"]

_MAX_HEAD_BYTES = 16_384
_REQUEST_SECONDS = 5.0

_TEXT = "text/plain; charset=utf-8"
_METRICS = "text/plain; version=0.0.4; charset=utf-8"


def parse_address(text: str) -> tuple[str, int]:
    """Host and port of `:8080`, `127.0.0.1:8080` or `[::1]:8080`; no host means all addresses.

    >>> parse_address(":8080")
    ('', 8080)
    >>> parse_address("[::1]:9000")
    ('::1', 9000)

    Raises:
        SettingsError: it is not of that form.
    """
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > 65_535:
        raise SettingsError(f"--http {text!r} is not an address such as :8080 or 127.0.0.1:8080")
    return host.strip("[]"), int(port)


class StatusServer:
    """A listening socket that answers as long as the event loop turns.

    Args:
        not_ready: the reasons, one sentence each, why the process is not ready; empty when it is.
        metrics: the metrics as Prometheus reads them.
    """

    def __init__(
        self, not_ready: Callable[[], Sequence[str]], metrics: Callable[[], bytes]
    ) -> None:
        self._not_ready = not_ready
        self._metrics = metrics
        self._server: asyncio.Server | None = None
        self.port = 0

    async def start(self, host: str, port: int) -> None:
        """Listen; with port 0 on a free one, which `port` then tells.

        Raises:
            SettingsError: the address is taken or not ours.
        """
        try:
            self._server = await asyncio.start_server(
                self._serve, host or None, port, limit=_MAX_HEAD_BYTES
            )
        except OSError as error:
            reason = error.strerror or error
            raise SettingsError(f"--http can't listen on {host}:{port}: {reason}") from error
        self.port = self._server.sockets[0].getsockname()[1]

    async def aclose(self) -> None:
        """Stop listening; may be called twice."""
        server, self._server = self._server, None
        if server is not None:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_REQUEST_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(self._answer(head))
                await writer.drain()
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # whoever asked went away, or speaks something else
        finally:
            writer.close()

    def _answer(self, head: bytes) -> bytes:
        method, _, rest = head.partition(b"\r\n")[0].decode("latin-1").partition(" ")
        path = rest.partition(" ")[0].partition("?")[0]
        if method not in ("GET", "HEAD"):
            status, kind, body = HTTPStatus.METHOD_NOT_ALLOWED, _TEXT, b"only GET\n"
        elif path == "/livez":
            status, kind, body = HTTPStatus.OK, _TEXT, b"ok\n"
        elif path == "/readyz":
            reasons = self._not_ready()
            status = HTTPStatus.SERVICE_UNAVAILABLE if reasons else HTTPStatus.OK
            kind, body = _TEXT, ("".join(f"{r}\n" for r in reasons) or "ok\n").encode()
        elif path == "/metrics":
            status, kind, body = HTTPStatus.OK, _METRICS, self._metrics()
        else:
            status, kind, body = HTTPStatus.NOT_FOUND, _TEXT, b"/livez, /readyz or /metrics\n"
        lines = (
            f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: {kind}\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        return lines.encode() + (b"" if method == "HEAD" else body)
