"""Outcomes as observers name and count them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from workbench.model import AllWritten, Outcome, Written

__all__ = ["count_outcomes", "outcome_name"]

# The class names without capitals.
_NAMES = {
    "Written": "written",
    "Refused": "refused",
    "RolledBack": "rolled_back",
    "Deferred": "deferred",
    "Unsent": "unsent",
    "Unknown": "unknown",
}


def outcome_name(kind: type[Outcome]) -> str:
    """How an outcome is called in log lines, metrics and spans."""
    for base in kind.__mro__:
        if base.__name__ in _NAMES:
            return _NAMES[base.__name__]
    return kind.__name__


def count_outcomes(outcomes: Sequence[Outcome]) -> Mapping[tuple[str, str], int]:
    """How many records by outcome and code; the code of what is written is empty."""
    if isinstance(outcomes, AllWritten):  # nearly always, and then none need be looked at
        return {("written", ""): len(outcomes)}
    return Counter(
        (outcome_name(type(o)), "" if isinstance(o, Written) else o.code) for o in outcomes
    )
