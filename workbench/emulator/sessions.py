"""Who is logged in: users, and the access tokens given to them."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from .ids import short_id

__all__ = ["Sessions", "User"]

IDLE_SECONDS = 2 * 60 * 60
"""A session dies after two idle hours unless the org says otherwise.
https://developer.salesforce.com/docs/platform/pub-sub-api/guide/supported-auth.html (2026-11-23)"""
MOST_SESSIONS = 10_000
"""The oldest token is forgotten beyond this many, so that a login per call cannot fill memory."""


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who may log in; `id` has 18 characters."""

    id: str
    username: str
    email: str
    name: str


@dataclass(slots=True)
class _Session:
    user: User
    issued: float
    last_used: float


class Sessions:
    """The tokens that are good right now. REST and gRPC ask the same instance."""

    def __init__(
        self,
        org_id: str,
        *,
        idle_seconds: float = IDLE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._head = short_id(org_id) + "!"
        self._idle_seconds = idle_seconds
        self._clock = clock
        self._sessions: dict[str, _Session] = {}
        self.issued = 0
        """Tokens given out since the start or the last reset."""

    def issue(self, user: User) -> str:
        """A new token, `<org id, 15 characters>!<random text>`."""
        token = self._head + "AQ" + secrets.token_urlsafe(72)
        now = self._clock()
        self._sessions[token] = _Session(user, now, now)
        self.issued += 1
        if len(self._sessions) > MOST_SESSIONS:
            del self._sessions[next(iter(self._sessions))]
        return token

    def check(self, token: str) -> User | None:
        """The user of a good token, which counts as using it; None when expired or unknown."""
        if self.ages(token) is None:
            return None
        session = self._sessions[token]
        session.last_used = self._clock()
        return session.user

    def ages(self, token: str) -> tuple[float, float] | None:
        """Seconds since a good token was issued and until it expires unused; None as above."""
        session = self._sessions.get(token)
        if session is None:
            return None
        now = self._clock()
        left = session.last_used + self._idle_seconds - now
        if left < 0:
            del self._sessions[token]
            return None
        return now - session.issued, left

    def revoke(self, token: str) -> bool:
        """End one session; False when there was none."""
        return self._sessions.pop(token, None) is not None

    def expire_all(self) -> int:
        """End every session; how many there were."""
        count = len(self._sessions)
        self._sessions.clear()
        return count

    def __len__(self) -> int:
        return len(self._sessions)
