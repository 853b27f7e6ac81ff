"""What to do with a unit that came back: one pure decision from outcomes, tries and times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from workbench.model import Deferred, Outcome, Refused, RolledBack, Unknown, Unsent, Written

__all__ = ["Decision", "Done", "GiveUp", "Redeliver", "Retry", "RetryPolicy", "cut_short", "decide"]


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """When to try again, and when to stop.

    A record is tried up to `max_attempts` times within its first delivery, after waits of
    `initial_backoff_seconds * 2**(n-1)` (n counts the tries made, capped at
    `max_backoff_seconds`), each multiplied by a random factor of 0.5 to 1.5. Every redelivery is
    one more try, `backoff_seconds[n-1]` after the n-th delivery failed (the last step repeats).
    So an event is tried at most `max_attempts + max_deliver - 1` times: the two add and never
    multiply.

    Attributes:
        ack_timeout_seconds: how long an event may take within one delivery, pauses not counted.
        max_deliver: deliveries, the first included; -1 for no end.
    """

    max_attempts: int = 4
    initial_backoff_seconds: float = 0.5
    max_backoff_seconds: float = 10.0
    ack_timeout_seconds: float = 120.0
    backoff_seconds: tuple[float, ...] = (1.0, 10.0, 60.0, 300.0)
    max_deliver: int = 5

    def short_wait(self, tries: int, jitter: float) -> float:
        """Seconds before the next try, after `tries` tries (from 1) in this delivery."""
        wait = min(self.initial_backoff_seconds * 2.0 ** (tries - 1), self.max_backoff_seconds)
        return wait * (0.5 + jitter)

    def long_wait(self, num_delivered: int) -> float:
        """Seconds before the stream delivers it again, after its `num_delivered`-th delivery."""
        if not self.backoff_seconds:
            return 0.0
        return self.backoff_seconds[min(num_delivered, len(self.backoff_seconds)) - 1]


@dataclass(frozen=True, slots=True)
class Done:
    """Every record of the unit is written."""


@dataclass(frozen=True, slots=True)
class Retry:
    """Send it again from here after `seconds`."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Redeliver:
    """Let the stream deliver the event again after `seconds`."""

    seconds: float


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Keep it as a failed batch; `kind` and `reason` as in `FailedBatch`."""

    kind: str
    reason: str


Decision = Done | Retry | Redeliver | GiveUp

DONE = Done()


def decide(
    outcomes: Sequence[Outcome],
    *,
    tries: int,
    num_delivered: int,
    elapsed_seconds: float,
    policy: RetryPolicy,
    is_idempotent: bool,
    is_redelivery_safe: bool,
    jitter: float,
) -> Decision:
    """What becomes of one unit.

    Args:
        outcomes: one per record of the unit, in order.
        tries: how often it was sent in this delivery, this time included.
        num_delivered: as the server counts, from 1.
        elapsed_seconds: since the event was received, pauses not counted.
        is_idempotent: sending the same records twice is harmless.
        is_redelivery_safe: sending all records of the event again is harmless: the operation is
            idempotent, or nothing of the event is written.
        jitter: from 0 to 1, the same for all of a request, so that they go together again.
    """
    worst = _worst(outcomes)
    if worst is None:
        return DONE
    if isinstance(worst, Refused):
        return GiveUp("refused", f"{worst.code}: {worst.message}")
    if isinstance(worst, Unknown) and not is_idempotent:
        return GiveUp("unknown", worst.message)
    asked = worst.retry_after_seconds if isinstance(worst, Deferred) else None
    allowed = policy.max_attempts if num_delivered == 1 else 1
    wait = policy.short_wait(tries, jitter)
    if asked is not None:
        wait = max(wait, asked)
    if tries < allowed and elapsed_seconds + wait <= policy.ack_timeout_seconds:
        return Retry(wait)
    deliveries_left = policy.max_deliver < 0 or num_delivered < policy.max_deliver
    if is_redelivery_safe and deliveries_left:
        return Redeliver(max(policy.long_wait(num_delivered), asked or 0.0))
    # Part of the event is written and writing that again would double it: the rest waits here, on
    # the same schedule the redeliveries would have had.
    if not is_redelivery_safe:
        step = max(1, tries - allowed + 1)
        if policy.max_deliver < 0 or step < policy.max_deliver:
            return Retry(max(policy.long_wait(step), asked or 0.0))
    return GiveUp("exhausted", _tired(worst, tries, num_delivered))


def cut_short(
    policy: RetryPolicy, num_delivered: int, is_redelivery_safe: bool
) -> Redeliver | GiveUp:
    """What becomes of a unit whose next try a shutdown does not leave time for."""
    if is_redelivery_safe and (policy.max_deliver < 0 or num_delivered < policy.max_deliver):
        return Redeliver(0.0)
    return GiveUp("exhausted", "stopped before it could be tried again")


def _worst(outcomes: Sequence[Outcome]) -> Outcome | None:
    """The outcome that decides, or None when all are written.

    A refusal weighs most, since it will not change; a neighbour's rollback weighs least, since it
    says nothing of its own.
    """
    found = set(map(type, outcomes))
    for kind in (Refused, Unknown, Deferred, Unsent, RolledBack):
        if kind in found:
            return next(outcome for outcome in outcomes if type(outcome) is kind)
    assert found <= {Written}
    return None


def _tired(worst: Outcome, tries: int, num_delivered: int) -> str:
    assert not isinstance(worst, Written)
    times = "once" if tries == 1 else f"{tries} times"
    return f"tried {times} in delivery {num_delivered}, the last: {worst.code}: {worst.message}"
