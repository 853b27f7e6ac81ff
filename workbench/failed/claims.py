"""Taking an entry in hand, so that of two people who replay it at once one wins."""

from __future__ import annotations

import getpass
import os
import socket
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime

from workbench.failed.port import FailedStore
from workbench.model import Attempt, Claim, Deed, Entry, FailedRecord

__all__ = ["LEASE_SECONDS", "Claimant", "iso", "user_at_host"]

LEASE_SECONDS = 60.0
"""How long a claim holds unless renewed: after so long, what a dead owner had is free again."""


def user_at_host() -> str:
    """Who we are, for people."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's nameless user
        user = str(os.getuid()) if hasattr(os, "getuid") else "somebody"
    return f"{user}@{socket.gethostname()}"


def iso(seconds: float) -> str:
    """An epoch time as ISO 8601, UTC, to the millisecond."""
    return datetime.fromtimestamp(seconds, tz=UTC).isoformat(timespec="milliseconds")


@dataclass(frozen=True, slots=True)
class Claimant:
    """One replay (or one person's hand) that claims entries of a store. `owner` is unique to it."""

    store: FailedStore
    by: str = field(default_factory=user_at_host)
    owner: str = field(default_factory=lambda: uuid.uuid4().hex)
    lease_seconds: float = LEASE_SECONDS

    async def claim(self, id: str, now: float) -> Entry:
        """Take it in hand until `now` (epoch) plus the lease; again, to keep it.

        Raises:
            ClaimedError: somebody else has it in hand, or it is closed; the sentence says who.
            NotKeptError: there is none.
        """

        return await self.store.change(id, lambda entry: self.claiming(entry, now))

    def claiming(self, entry: Entry, now: float) -> Entry:
        """The entry as it would be once claimed; pure.

        Raises:
            ClaimedError: as `claim`.
        """
        mine = entry.claim if entry.claim and entry.claim.owner == self.owner else None
        since = mine.since if mine else iso(now)
        return entry.claimed(Claim(self.owner, self.by, since, now + self.lease_seconds), now)

    async def release(self, id: str) -> None:
        """Let it go as it was."""
        await self.store.change(id, lambda entry: entry.released(self.owner))

    async def conclude(
        self,
        id: str,
        deed: Deed,
        records: tuple[FailedRecord, ...],
        attempts: tuple[Attempt, ...],
        kind: str = "",
        reason: str = "",
    ) -> Entry:
        """Write down what a replay came to, and let it go.

        Raises:
            ClaimedError: it is no longer ours, as after more than the lease without renewal.
        """
        return await self.store.change(
            id, lambda entry: entry.replayed(self.owner, deed, records, attempts, kind, reason)
        )

    async def discard(self, id: str, reason: str, now: float) -> Entry:
        """Close it without writing it.

        Raises:
            ClaimedError: somebody has it in hand, or it is closed already.
        """
        deed = Deed("discarded", self.by, iso(now), reason)
        return await self.store.change(id, lambda entry: entry.discarded(deed, now))
