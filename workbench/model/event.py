"""The event as the stream gave it, and what the stream is told about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

__all__ = ["Ack", "Event", "Nak", "Settlement", "Term"]

_NO_HEADERS: Mapping[str, str] = {}


class Event:
    """One fact from the stream: bytes and coordinates, exactly as delivered.

    A plain slotted class, not a frozen dataclass: one is made per event at tens of thousands a
    second, and freezing costs three times the construction. Treat it as read-only all the same.

    Attributes:
        subject: the NATS subject it was published to.
        data: the payload, untouched.
        headers: NATS headers; empty when there were none.
        stream, sequence: where it lies; together they name it for ever.
        num_delivered: how often the server has handed it out, from 1, this time included.
        timestamp_ns: when the stream stored it, ns since the epoch, UTC.
        token: what its source needs to settle it; meaningless to everyone else.
        received: the clock's monotonic seconds when it arrived, set by the source.
    """

    __slots__ = (
        "data",
        "headers",
        "num_delivered",
        "received",
        "sequence",
        "stream",
        "subject",
        "timestamp_ns",
        "token",
    )

    def __init__(
        self,
        subject: str,
        data: bytes,
        headers: Mapping[str, str] | None = None,
        stream: str = "",
        sequence: int = 0,
        num_delivered: int = 1,
        timestamp_ns: int = 0,
        token: Any = None,
        received: float = 0.0,
    ) -> None:
        self.subject = subject
        self.data = data
        self.headers = headers or _NO_HEADERS
        self.stream = stream
        self.sequence = sequence
        self.num_delivered = num_delivered
        self.timestamp_ns = timestamp_ns
        self.token = token
        self.received = received

    @property
    def id(self) -> str:
        """The publisher's `Nats-Msg-Id`, or `stream:sequence` where there is none."""
        return self.headers.get("Nats-Msg-Id") or f"{self.stream}:{self.sequence}"

    @property
    def timestamp(self) -> datetime:
        """When the stream stored it, UTC."""
        return datetime.fromtimestamp(self.timestamp_ns / 1e9, tz=UTC)

    def __repr__(self) -> str:
        return f"Event({self.stream}:{self.sequence} {self.subject} {len(self.data)} B)"


@dataclass(frozen=True, slots=True)
class Ack:
    """Every record it caused is written."""


@dataclass(frozen=True, slots=True)
class Nak:
    """Deliver it again after `delay_seconds` (0: at once)."""

    delay_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Term:
    """Never deliver it again: what failed of it is stored as a failed batch."""

    reason: str


Settlement = Ack | Nak | Term
