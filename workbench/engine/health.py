"""What an answer says of Salesforce itself, apart from its records."""

from __future__ import annotations

from workbench.engine.gate import Gate
from workbench.model import Answer, Cause, Deferred, Outcome, Unknown, Unsent, Written

__all__ = ["read_health"]


def read_health(gate: Gate, stage: str, answer: Answer, now: float) -> bool:
    """Tell the gate; returns False if the records are not to be charged for a try.

    They are not where the request failed as a whole and the flow is paused for it: the outage is
    no record's fault. The exception is a request without an answer while Salesforce has just
    answered the probe: its records themselves may be the reason.
    """
    was_probe = gate.is_half_open
    trouble = None if answer.is_all_written else _trouble(answer)
    if trouble is None:
        gate.alive(now)
        if answer.api_used is not None and answer.api_limit is not None:
            gate.spent(answer.api_used, answer.api_limit, now, stage=stage)
        return True
    text = f"{trouble.code}: {trouble.message}"
    if isinstance(trouble, Deferred) and trouble.cause is Cause.LIMIT:
        gate.limit(text, now, stage=stage, retry_after=trouble.retry_after_seconds)
    else:
        gate.trouble(text, now, stage=stage, is_certain=isinstance(trouble, Unsent))
    return gate.is_open or (was_probe and isinstance(trouble, Unknown))


def _trouble(answer: Answer) -> Deferred | Unsent | Unknown | None:
    """The trouble that all records share, an org limit before others; None if any record was
    answered for itself."""
    found: Deferred | Unsent | Unknown | None = None
    for outcome in answer.outcomes:
        if not _is_trouble(outcome):
            return None
        assert isinstance(outcome, Deferred | Unsent | Unknown)
        is_limit = isinstance(outcome, Deferred) and outcome.cause is Cause.LIMIT
        if found is None or is_limit:
            found = outcome
    return found


def _is_trouble(outcome: Outcome) -> bool:
    if type(outcome) is Written:
        return False
    if isinstance(outcome, Deferred):
        return outcome.cause in (Cause.OUTAGE, Cause.LIMIT)
    return isinstance(outcome, Unsent | Unknown)
