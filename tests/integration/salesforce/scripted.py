"""A Salesforce that says exactly what a test tells it to, down to the broken byte."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Asked", "Scripted", "answer", "serve"]


@dataclass
class Asked:
    """A request as it came; `body` is after decompression."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


Handler = Callable[[Asked], "bytes | Awaitable[bytes]"]


def answer(
    value: Any = None, status: int = 200, body: bytes | None = None, **headers: str
) -> bytes:
    """A whole HTTP answer; keyword headers have `_` for `-`."""
    data = json.dumps(value).encode() if body is None else body
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(data)}"]
    lines += [f"{name.replace('_', '-')}: {text}" for name, text in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + data


@dataclass
class Scripted:
    """Answers `/services/data` and logins by itself, everything else by `handler`.

    `handler` returns the bytes to write: b"" closes the connection, and too few for the
    Content-Length close it in mid-answer.
    """

    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    logins: int = 0
    handler: Handler = lambda asked: answer({}, 404)
    login: Handler | None = None
    connections: int = 0

    @property
    def token(self) -> str:
        """What the last login gave out."""
        return f"00D000000000001!T{self.logins}"

    async def respond(self, asked: Asked) -> bytes:
        if asked.target == "/services/oauth2/token":
            self.logins += 1
            if self.login is None:
                return answer(self.token_answer())
            given = self.login(asked)
        elif asked.target == "/services/data":
            return answer([{"version": "67.0"}, {"version": "68.0"}, {"version": "69.0"}])
        else:
            self.asked.append(asked)
            given = self.handler(asked)
        return given if isinstance(given, bytes) else await given

    def token_answer(self) -> dict[str, str]:
        return {
            "access_token": self.token,
            "instance_url": self.url,
            "id": f"{self.url}/id/00D000000000001AAA/005000000000001AAA",
        }

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while asked := await _read(reader):
                data = await self.respond(asked)
                writer.write(data)
                await writer.drain()
                head, _, body = data.partition(b"\r\n\r\n")
                length = (
                    int(head.lower().partition(b"content-length:")[2].split()[0]) if head else 1
                )
                if len(body) != length:
                    return
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


async def _read(reader: asyncio.StreamReader) -> Asked | None:
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        line = await reader.readline()
        if not line:
            return None
        head += line
    first, *lines = head.decode().split("\r\n")
    method, target, _ = first.split(" ")
    headers = {}
    for line in filter(None, lines):
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    if headers.get("content-encoding") == "gzip":
        body = gzip.decompress(body)
    return Asked(method, target, headers, body)


@asynccontextmanager
async def serve() -> AsyncIterator[Scripted]:
    """A scripted server on a free port of this machine."""
    scripted = Scripted()
    server = await asyncio.start_server(scripted.converse, "127.0.0.1", 0)
    scripted.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield scripted
    finally:
        server.close()
