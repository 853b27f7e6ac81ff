"""How a stream and its durable stand, for screens, metrics and warnings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from workbench.jetstream.connection import Connection

__all__ = ["SourceInfo", "source_info"]

_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """One look at the server.

    Attributes:
        pending: events not delivered yet.
        ack_pending: delivered and not settled, waiting naks included.
        max_ack_pending: at so many the server stops delivering.
        redelivered: of the ack-pending ones, those delivered more than once.
        waiting: pull requests open, of all processes.
        ack_floor: everything up to this stream sequence is settled.
        first_sequence, last_sequence, messages, bytes: of the stream.
        first_timestamp: when the oldest event was stored, as the server writes it.
        max_age_seconds: how old an event may get before the stream discards it; 0 for no limit.
        discarded: sequences beyond the ack floor that the stream has discarded already. Events
            of this durable among them were lost to its limits; with a filter that selects only
            some of the stream's subjects they may have been others.
        is_paused: somebody paused the durable on the server.
    """

    pending: int
    ack_pending: int
    max_ack_pending: int
    redelivered: int
    waiting: int
    ack_floor: int
    first_sequence: int
    last_sequence: int
    messages: int
    bytes: int
    first_timestamp: str
    max_age_seconds: float
    discarded: int
    is_paused: bool

    @property
    def lag(self) -> int:
        """Events that this durable still has to do with."""
        return self.pending + self.ack_pending


async def source_info(connection: Connection, stream: str, durable: str) -> SourceInfo:
    """Ask the server; two requests.

    Raises:
        StreamError: it does not answer, or stream or durable are gone.
    """
    consumer: dict[str, Any] = await connection.api(f"CONSUMER.INFO.{stream}.{durable}")
    info: dict[str, Any] = await connection.api(f"STREAM.INFO.{stream}")
    state, floor = info["state"], int(consumer["ack_floor"].get("stream_seq", 0))
    first = int(state["first_seq"])
    has_work = consumer["num_pending"] or consumer["num_ack_pending"]
    return SourceInfo(
        pending=consumer["num_pending"],
        ack_pending=consumer["num_ack_pending"],
        max_ack_pending=int(consumer["config"].get("max_ack_pending", -1)),
        redelivered=consumer["num_redelivered"],
        waiting=consumer["num_waiting"],
        ack_floor=floor,
        first_sequence=first,
        last_sequence=state["last_seq"],
        messages=state["messages"],
        bytes=state["bytes"],
        first_timestamp=state["first_ts"],
        max_age_seconds=info["config"].get("max_age", 0) / _NS,
        discarded=max(0, first - floor - 1) if has_work else 0,
        is_paused=bool(consumer.get("paused", False)),
    )
