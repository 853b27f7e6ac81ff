"""Whether the flow may send: a state machine fed with answers and times, and nothing else.

While the gate is closed no event uses up an attempt: what is held stays held, what is in the
stream stays there, and one probe at a time finds out when to go on.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Gate", "Pause", "PauseCause"]

TROUBLE_BEFORE_PAUSE = 3
"""Requests in a row that fail as a whole, with none answered between, before it is an outage."""

_FIRST_PROBE_SECONDS = {"outage": 1.0, "limit": 60.0, "budget": 300.0}
_LAST_PROBE_SECONDS = {"outage": 30.0, "limit": 900.0, "budget": 300.0}


class PauseCause(StrEnum):
    """Why the flow is paused."""

    OUTAGE = "outage"
    """Salesforce cannot be reached or answers 5xx throughout: probed every 1 to 30 s."""
    LIMIT = "limit"
    """A limit of the org is reached: probed every 1 to 15 min."""
    BUDGET = "budget"
    """The flow's share of the org's daily calls is used up: one request every 5 min looks again."""
    BROKEN = "broken"
    """Events in a row failed for a reason that is the flow's: waits for a person."""
    OPERATOR = "operator"
    """Somebody asked for it: waits for them."""


@dataclass(frozen=True, slots=True)
class Pause:
    """A pause as it stands: why, since when (monotonic seconds), and the next probe's time."""

    cause: PauseCause
    reason: str
    since: float
    next_probe: float | None
    probes: int = 0


class Gate:
    """Open, closed for a cause, or half open (one request is out to find out)."""

    def __init__(self, *, pause_after: int = 20, daily_share: float | None = None) -> None:
        self._pause_after = pause_after
        self._daily_share = daily_share
        self._trouble = 0
        self._broken_run = 0
        self._broken_reason = ""
        self._paused_before = 0.0
        self.pause: Pause | None = None
        self.is_half_open = False
        self.stage: str | None = None

    @property
    def is_open(self) -> bool:
        return self.pause is None

    @property
    def is_broken(self) -> bool:
        """Whether it is closed for a fault of the flow itself."""
        return self.pause is not None and self.pause.cause is PauseCause.BROKEN

    def paused_seconds(self, now: float) -> float:
        """How long it was closed in all: the time that no event is charged for."""
        current = now - self.pause.since if self.pause else 0.0
        return self._paused_before + current

    def probe_due(self, now: float) -> bool:
        """Whether it is time to find out; answer with `half_open`, `alive` or `trouble`."""
        pause = self.pause
        return (
            pause is not None
            and not self.is_half_open
            and pause.next_probe is not None
            and now >= pause.next_probe
        )

    def half_open(self) -> None:
        """Let one request through."""
        self.is_half_open = True

    def alive(self, now: float) -> None:
        """Salesforce answered for its records; ends a pause that was waiting for that."""
        self._trouble = 0
        if self.pause and self.pause.cause in (
            PauseCause.OUTAGE,
            PauseCause.LIMIT,
            PauseCause.BUDGET,
        ):
            self._open(now)

    def trouble(self, reason: str, now: float, *, stage: str, is_certain: bool) -> None:
        """A request failed as a whole. `is_certain`: no record of it can be the reason."""
        self._trouble += 1
        if self.pause or is_certain or self._trouble >= TROUBLE_BEFORE_PAUSE:
            self._close(PauseCause.OUTAGE, reason, now, stage)

    def limit(self, reason: str, now: float, *, stage: str, retry_after: float | None) -> None:
        """The org refused for a limit."""
        self._close(PauseCause.LIMIT, reason, now, stage, retry_after)

    def spent(self, used: int, limit: int, now: float, *, stage: str) -> None:
        """The org's daily calls as just told; closes when the flow's share is used up."""
        share = self._daily_share
        if share is not None and limit > 0 and used >= share * limit:
            reason = f"{used} of {limit} daily calls are used; the flow may use {share:.0%}"
            self._close(PauseCause.BUDGET, reason, now, stage)

    def failed_for_request(self, reason: str, now: float) -> None:
        """An event failed for what the flow asks, not for what the event holds."""
        self._broken_run = self._broken_run + 1 if reason == self._broken_reason else 1
        self._broken_reason = reason
        if self._broken_run >= self._pause_after > 0 and self.pause is None:
            text = f"{self._broken_run} events in a row failed with {reason}"
            self._close(PauseCause.BROKEN, text, now, None)

    def wrote(self) -> None:
        """A record was written, so the flow as such is not broken."""
        self._broken_run = 0

    def hold(self, now: float, reason: str = "paused by hand") -> None:
        """Close until `resume`."""
        self._close(PauseCause.OPERATOR, reason, now, None)

    def resume(self, now: float) -> None:
        """Open, whatever the cause."""
        self._broken_run = self._trouble = 0
        if self.pause:
            self._open(now)

    def _open(self, now: float) -> None:
        assert self.pause is not None
        self._paused_before += now - self.pause.since
        self.pause = None
        self.is_half_open = False
        self.stage = None

    def _close(
        self,
        cause: PauseCause,
        reason: str,
        now: float,
        stage: str | None,
        retry_after: float | None = None,
    ) -> None:
        """Close, or stay closed and wait longer for the next probe.

        Somebody's own pause and the broken flow's are not overwritten: they wait for a person.
        """
        old = self.pause
        if old and old.cause in (PauseCause.OPERATOR, PauseCause.BROKEN):
            if cause is PauseCause.OPERATOR:
                self.pause = Pause(cause, reason, old.since, None)
            return
        was_probe = self.is_half_open
        self.is_half_open = False
        probes = old.probes if old and old.cause is cause else 0
        # Only the probe's own failure lengthens the wait: late answers of requests that were in
        # flight when the gate closed say nothing new.
        if old and old.cause is cause and not was_probe:
            return
        wait: float | None = None
        if cause in _FIRST_PROBE_SECONDS:
            wait = min(_FIRST_PROBE_SECONDS[cause] * 2**probes, _LAST_PROBE_SECONDS[cause])
            wait = max(wait, retry_after or 0.0)
        self.pause = Pause(
            cause,
            reason,
            old.since if old else now,
            None if wait is None else now + wait,
            probes + 1,
        )
        self.stage = stage
