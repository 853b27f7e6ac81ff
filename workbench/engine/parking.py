"""What is kept for events that were sent back to the stream, until they return.

Their keys stay taken, so that no later event of a key overtakes; and what is decided already is
remembered, so that only the rest is sent again. That spares Salesforce, and keeps the order of
keys free of cycles: an event that returns never lines up for a key it had let go.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from workbench.engine.unit import Visit

__all__ = ["SLACK_SECONDS", "Parking"]

SLACK_SECONDS = 30.0
"""How much longer than its delay an event's keys are kept for it, for the server to redeliver."""


@dataclass(slots=True)
class _Parked:
    """One event's keys and visits by place (task and branch)."""

    keys: dict[str, set[str]]
    visits: dict[str, Visit]
    until: float


class Parking:
    """Events by stream sequence that are expected back."""

    __slots__ = ("_parked",)

    def __init__(self) -> None:
        self._parked: dict[int, _Parked] = {}

    def __bool__(self) -> bool:
        return bool(self._parked)

    def __contains__(self, sequence: int) -> bool:
        return sequence in self._parked

    def __iter__(self) -> Iterator[int]:
        return iter(self._parked)

    def park(self, visit: Visit, seconds: float, now: float) -> None:
        """Keep a visit's keys and memory for the `seconds` until its event comes again."""
        sequence, until = visit.event.sequence, now + seconds + SLACK_SECONDS
        parked = self._parked.get(sequence)
        if parked is None:
            parked = self._parked[sequence] = _Parked({}, {}, until)
        parked.until = max(parked.until, until)
        parked.visits[_place(visit)] = visit
        parked.keys[_place(visit)] = set(visit.fate.kept)

    def remember(self, sequence: int, visits: Iterable[Visit]) -> None:
        """Keep what other visits of a parked event have decided."""
        parked = self._parked.get(sequence)
        if parked is not None:
            parked.visits.update((_place(visit), visit) for visit in visits)

    def recall(self, visit: Visit) -> list[int] | None:
        """Let a visit take over what an earlier delivery decided; returns the indexes of the
        records that are still to be sent, None for all."""
        parked = self._parked.get(visit.event.sequence)
        known = parked.visits.get(_place(visit)) if parked else None
        if known is None or len(known.all) != len(visit.all):
            return None
        if known.known_fate is None:  # all written
            return []
        fate, old = visit.fate, known.fate
        fate.outcomes, fate.attempts = old.outcomes, old.attempts
        fate.kind, fate.reason = old.kind, old.reason
        fate.is_partly_written = old.is_partly_written
        return sorted(old.again)

    def take_keys(self, visit: Visit) -> set[str]:
        """The keys kept for a visit, which are its own from here on."""
        parked = self._parked.get(visit.event.sequence)
        return parked.keys.pop(_place(visit), set()) if parked else set()

    def leave(self, sequence: int) -> list[tuple[str, set[str]]]:
        """Forget an event; returns the keys nobody took over, as (task, keys)."""
        parked = self._parked.pop(sequence, None)
        if parked is None:
            return []
        return [(place.partition("<")[0], keys) for place, keys in parked.keys.items() if keys]

    def overdue(self, now: float) -> list[int]:
        """Events that another process took, or the stream lost."""
        return [sequence for sequence, parked in self._parked.items() if parked.until <= now]

    def is_due(self, sequence: int, now: float) -> bool:
        """Whether the time has come at which the stream delivers the event again."""
        return self._parked[sequence].until - SLACK_SECONDS <= now

    def extend(self, sequence: int, now: float) -> None:
        """Keep an event that is in hand again."""
        self._parked[sequence].until = now + SLACK_SECONDS

    def next_deadline(self) -> float | None:
        """When the first of them is overdue."""
        return min((parked.until for parked in self._parked.values()), default=None)

    def clear(self) -> None:
        self._parked.clear()


def _place(visit: Visit) -> str:
    return f"{visit.stage.name}<{visit.branch}"
