"""A Salesforce that only answers: as many successes as records came, after a set time; with
`--refuse` as many refusals.

Far faster than the emulator, so that what is measured is the client. Run as
`python -m bench.answering_server --latency 0.15`; prints `PORT` once it listens.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import zlib
from typing import ClassVar

REFUSED = (
    b'{"success":false,"errors":[{"statusCode":"FIELD_CUSTOM_VALIDATION_EXCEPTION",'
    b'"message":"A contact needs a title.","fields":["Title"]}]}'
)
ROW = b'{"id":"003000000000001AAA","success":true,"errors":[],"created":false}'
TOKEN = {
    "access_token": "00D000000000001!bench",
    "instance_url": "",
    "id": "http://127.0.0.1/id/00D000000000001AAA/005000000000001AAA",
    "token_type": "Bearer",
    "issued_at": "1790000000000",
    "signature": "bench",
}
VERSIONS = [{"version": "65.0", "label": "bench", "url": "/services/data/v65.0"}]


def steady(times: list[float]) -> float:
    """Answers a second from the first tenth of these times to the last: while connections are
    made, and while the last requests run out, fewer are in flight than may be."""
    tenth = len(times) // 10
    last = len(times) - 1 - tenth
    return (last - tenth) / (times[last] - times[tenth]) if last > tenth else 0.0


class Answering(asyncio.Protocol):
    """One connection: requests are answered in order, each `latency` seconds after it came."""

    latency = 0.0
    row = ROW
    requests = 0
    records = 0
    answered: ClassVar[list[float]] = []

    def __init__(self) -> None:
        self.buffer = b""
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            head = self.buffer[:end].lower()
            length = 0
            at = head.find(b"content-length:")
            if at >= 0:
                length = int(head[at + 15 :].split(b"\r\n", 1)[0])
            if len(self.buffer) < end + 4 + length:
                return
            body = self.buffer[end + 4 : end + 4 + length]
            line = self.buffer[: self.buffer.find(b"\r\n")]
            self.buffer = self.buffer[end + 4 + length :]
            if b"content-encoding: gzip" in head:
                body = zlib.decompress(body, 31)
            self.answer(line, body)

    def answer(self, line: bytes, body: bytes) -> None:
        if b"/oauth2/token" in line:
            self.reply(json.dumps({**TOKEN, "instance_url": self.origin()}).encode())
        elif b"/composite/sobjects" in line:
            cls = type(self)
            count = body.count(b'"attributes"')
            cls.requests += 1
            cls.records += count
            answer = b"[" + b",".join([cls.row] * count) + b"]"
            if self.latency:
                asyncio.get_running_loop().call_later(self.latency, self.result, answer)
            else:
                self.result(answer)
        elif b"GET /counts" in line:
            counts = {"requests": self.requests, "records": self.records}
            self.reply(json.dumps(counts).encode())
        elif b"GET /rate" in line:
            times, type(self).answered = self.answered, []
            self.reply(json.dumps(steady(times)).encode())
        else:
            self.reply(json.dumps(VERSIONS).encode())

    def origin(self) -> str:
        assert self.transport is not None
        host, port = self.transport.get_extra_info("sockname")[:2]
        return f"http://{host}:{port}"

    def result(self, body: bytes) -> None:
        self.answered.append(asyncio.get_running_loop().time())
        self.reply(body)

    def reply(self, body: bytes) -> None:
        if self.transport is None or self.transport.is_closing():
            return
        self.transport.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
            b"Sforce-Limit-Info: api-usage=1/1000000\r\nContent-Length: %d\r\n\r\n"
            % len(body)
            + body
        )


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--latency", type=float, default=0.0)
    parser.add_argument("--refuse", action="store_true")
    given = parser.parse_args()
    Answering.latency = given.latency
    Answering.row = REFUSED if given.refuse else ROW
    server = await asyncio.get_running_loop().create_server(Answering, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
