"""How what a flow depends on is: one look, or the steps of trying to connect."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

__all__ = ["Health", "Step"]


@dataclass(frozen=True, slots=True)
class Step:
    """One step of trying a connection: what it found, or why it failed."""

    name: str
    is_ok: bool
    said: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Health:
    """One look at what a running flow depends on; figures are None where nobody told them.

    `facts` are further (name, value) pairs for people, by `nats` or `salesforce`. `pullers` are the
    pull requests open at the durable, of all processes; all events up to `ack_floor` are settled.
    """

    is_nats_up: bool
    nats: str
    is_logged_in: bool
    pending: int | None = None
    ack_pending: int | None = None
    max_ack_pending: int | None = None
    redelivered: int | None = None
    pullers: int | None = None
    ack_floor: int | None = None
    facts: Mapping[str, Sequence[tuple[str, str]]] = field(default_factory=dict)
