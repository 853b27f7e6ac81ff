"""Looking at the stream now and then while a flow runs: how far behind it is, what is in danger.

It also keeps the source's ack floor fresh, from which a durable that somebody deletes is made
again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from workbench.errors import StreamError
from workbench.flow import format_duration
from workbench.jetstream import Connection, JetStreamSource, SourceInfo, peek
from workbench.observe import Notice, StreamInDanger, StreamSeen

__all__ = ["LOOK_SECONDS", "StreamWatch"]

LOOK_SECONDS = 10.0

_AGE_SHARES = (0.5, 0.75, 0.9)
"""Shares of the stream's max_age at which an event that waits is told of, each once."""


class StreamWatch:
    """The last look at a flow's stream and durable; `run` keeps it fresh.

    Attributes:
        info: how they stood, None before the first look.
        oldest_seconds: age of the oldest event that is not settled, None where all are.
    """

    def __init__(
        self,
        flow: str,
        source: JetStreamSource,
        connection: Connection,
        subject: str,
        tell: Callable[[Notice], None],
        *,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.info: SourceInfo | None = None
        self.oldest_seconds: float | None = None
        self._flow = flow
        self._source = source
        self._connection = connection
        self._subject = subject
        self._tell = tell
        self._now = now
        self._told_share = 0.0
        self._told_discarded = 0

    async def run(self) -> None:
        """Look every `LOOK_SECONDS` until cancelled; a server that does not answer is told of by
        the connection itself."""
        while True:
            try:
                await self.look()
            except StreamError:
                self.info = None
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Look once, and tell what is new.

        Raises:
            StreamError: JetStream does not answer, or stream or durable are gone.
        """
        info = self.info = await self._source.info()
        self.oldest_seconds = await self._oldest(info)
        oldest = self.oldest_seconds
        self._tell(StreamSeen(self._flow, info.pending, info.ack_pending, oldest))
        for text in self._dangers(info):
            self._tell(StreamInDanger(self._flow, text))

    async def _oldest(self, info: SourceInfo) -> float | None:
        if not info.lag:
            return None
        name = self._source.provisioned.stream_name
        start = info.ack_floor + 1
        events = await peek(self._connection, name, self._subject, start_sequence=start, limit=1)
        return max(0.0, self._now() - events[0].timestamp_ns / 1e9) if events else None

    def _dangers(self, info: SourceInfo) -> list[str]:
        """What was not told before: events near the end of their time, events gone unwritten."""
        dangers = []
        limit, oldest = info.max_age_seconds, self.oldest_seconds or 0.0
        share = oldest / limit if limit else 0.0
        reached = max((step for step in _AGE_SHARES if share >= step), default=0.0)
        if reached > self._told_share:
            dangers.append(
                f"the oldest of {info.lag} events to be written is {_span(oldest)} old, and the "
                f"stream discards events after {_span(limit)}: raise stream.max_age before then"
            )
        self._told_share = reached
        if info.discarded > self._told_discarded:
            dangers.append(
                f"the stream has discarded up to {info.discarded} events that were not written, "
                "by its max_age or another of its limits"
            )
        self._told_discarded = info.discarded
        return dangers


def _span(seconds: float) -> str:
    return format_duration(float(round(seconds)))
