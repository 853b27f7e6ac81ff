"""A shorter way through nats-py's parser for whole messages that go to a mailbox.

nats-py matches each control line with up to seven regular expressions and awaits twice per message;
that is more than half of what receiving costs. Everything but such messages still goes its way.
Leans on `Parser` of nats-py 2.16.0, as `client` does.
"""

from __future__ import annotations

from typing import Any

from nats.protocol.parser import AWAITING_CONTROL_LINE, Parser

from workbench.model import Event

__all__ = ["MailboxParser"]

_LONG_BYTES = 64 * 1024
"""Messages longer than this are gathered by nats-py, which does not look at them per read."""


class MailboxParser(Parser):
    """Belongs to one `NatsClient` and fills its mailboxes."""

    def __init__(self, client: Any) -> None:
        super().__init__(client)
        self._mailboxes = client.mailboxes

    async def parse(self, data: bytes = b"") -> None:
        if self.state != AWAITING_CONTROL_LINE:  # nats-py is in the middle of a message
            missing = self.needed + 2 - len(self.buf)
            await super().parse(data[:missing])
            data = data[missing:]
            if not data:
                return
        text = bytes(self.buf) + data if self.buf else data
        at = await self._deliver(text)
        self.buf = bytearray(text[at:])
        if self.buf and not self._is_short_start(text, at):
            await super().parse()

    async def _deliver(self, text: bytes) -> int:
        """Put whole messages into their mailboxes, until something else comes; where it begins."""
        at, end = 0, len(text)
        mailbox: Any = None
        sid = name = b""
        subject = ""
        try:
            while (eol := text.find(b"\r\n", at)) >= 0:
                # MSG <subject> <sid> [reply] <size>
                # HMSG <subject> <sid> [reply] <header size> <size>
                parts = text[at:eol].split(b" ")
                kind, count = parts[0], len(parts)
                head = 0
                if kind == b"HMSG" and count in (5, 6):
                    head = int(parts[-2])
                elif kind != b"MSG" or count not in (4, 5):
                    break
                if parts[2] != sid:
                    if mailbox is not None:
                        mailbox.bell.set()
                    sid = parts[2]
                    mailbox = self._mailboxes.get(int(sid))
                start = eol + 2
                stop = start + int(parts[-1])
                if mailbox is None or stop + 2 > end:
                    break
                if parts[1] != name:  # most of what comes has the same
                    name = parts[1]
                    subject = name.decode()
                headers = None
                if kind == b"HMSG":
                    headers = await self.nc._process_headers(text[start : start + head])
                    start += head
                    count -= 1
                reply = parts[3].decode() if count == 5 else ""
                event = Event(subject, text[start:stop], headers, "", 0, 1, 0, reply)
                mailbox.messages.append(event)
                at = stop + 2
        finally:
            if mailbox is not None:
                mailbox.bell.set()
        return at

    def _is_short_start(self, text: bytes, at: int) -> bool:
        """Whether the rest is the beginning of a message that the next read will complete."""
        if not text.startswith((b"MSG ", b"HMSG "), at):
            return False
        eol = text.find(b"\r\n", at)
        if eol < 0:
            return len(text) - at < _LONG_BYTES
        parts = text[at:eol].split(b" ")
        size = int(parts[-1])
        return (
            int(parts[2]) in self._mailboxes
            and size < _LONG_BYTES
            and len(text) < eol + 2 + size + 2
        )
