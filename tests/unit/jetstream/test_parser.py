"""Our way through the wire protocol and nats-py's give the same messages, however they are cut."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from workbench.jetstream import parser as parser_module
from workbench.jetstream.client import Mailbox, NatsClient

MINE, OTHER = 5, 6


class _Client(NatsClient):
    """Not connected; counts what else the server says."""

    def __init__(self) -> None:
        super().__init__(is_tls_wanted=False)
        self.pings = 0
        self.mailboxes[MINE] = Mailbox(None)

    async def _process_ping(self) -> None:
        self.pings += 1


@dataclass(frozen=True)
class _Sent:
    sid: int
    subject: str
    reply: str
    headers: dict[str, str]
    data: bytes

    def wire(self) -> bytes:
        raw = b""
        if self.headers:
            lines = "".join(f"{key}: {value}\r\n" for key, value in self.headers.items())
            raw = f"NATS/1.0\r\n{lines}\r\n".encode()
        reply = f"{self.reply} " if self.reply else ""
        sizes = f"{len(raw)} {len(raw) + len(self.data)}" if raw else f"{len(self.data)}"
        verb = "HMSG" if raw else "MSG"
        head = f"{verb} {self.subject} {self.sid} {reply}{sizes}\r\n".encode()
        return head + raw + self.data + b"\r\n"


_messages = st.builds(
    _Sent,
    st.sampled_from([MINE, MINE, MINE, OTHER]),
    st.sampled_from(["crm.a", "crm.ø", "MSG"]),
    st.sampled_from(["", "$JS.ACK.s.d.1.2.3.4.5"]),
    st.sampled_from([{}, {}, {"K": "v"}, {"K": "é", "Other": "x: y"}]),
    st.one_of(st.binary(max_size=40), st.just(b"MSG a 5 1\r\nx\r\n"), st.just(b"x" * 300)),
)
_items = st.lists(st.one_of(_messages, st.just(b"PING\r\n"), st.just(b"+OK\r\n")), max_size=12)


@given(_items, st.lists(st.integers(0, 10_000), max_size=12), st.sampled_from([16, 128, 65536]))
def test_any_cut_gives_every_message_in_order(
    items: list[_Sent | bytes], cuts: list[int], long_bytes: int
) -> None:
    wire = b"".join(item if isinstance(item, bytes) else item.wire() for item in items)
    places = sorted({cut % (len(wire) + 1) for cut in cuts} | {0, len(wire)})

    async def feed() -> Any:
        client = _Client()
        for start, stop in itertools.pairwise(places):
            await client._ps.parse(wire[start:stop])
        return client

    limit, parser_module._LONG_BYTES = parser_module._LONG_BYTES, long_bytes
    try:
        client = asyncio.run(feed())
    finally:
        parser_module._LONG_BYTES = limit
    expected = [
        (item.subject, item.reply, item.headers, item.data)
        for item in items
        if isinstance(item, _Sent) and item.sid == MINE
    ]
    got = [
        (event.subject, event.token, dict(event.headers), event.data)
        for event in client.mailboxes[MINE].messages
    ]
    assert got == expected
    assert client.pings == items.count(b"PING\r\n")
    assert not client._ps.buf
