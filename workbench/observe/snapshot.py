"""How a flow stands at one moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["Snapshot", "StageSnapshot"]


@dataclass(frozen=True, slots=True)
class StageSnapshot:
    """One task: requests in flight, and units queued, waiting for another try or for a key."""

    name: str
    in_flight: int
    queued: int
    waiting: int
    held_by_key: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One flow. Totals count since the start.

    `state` is starting, running, paused, draining or stopped; `pause_cause` and `pause_reason`
    say why while it is paused, and `next_probe_seconds` when it looks again (None: it waits for a
    person). `failures` counts records given up, by (task, code).
    """

    flow: str
    state: str
    pause_cause: str
    pause_reason: str
    next_probe_seconds: float | None
    uptime_seconds: float
    held_events: int
    held_records: int
    held_bytes: int
    stages: tuple[StageSnapshot, ...]
    received: int
    redelivered: int
    acked: int
    naked: int
    terminated: int
    requests: int
    retries: int
    written: int
    failures: Mapping[tuple[str, str], int]
    api_used: int
    api_limit: int
