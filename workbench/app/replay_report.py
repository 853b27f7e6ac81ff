"""What a replay came to, and how far it is."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["Progress", "Report"]


@dataclass(slots=True)
class Report:
    """What a replay came to, by entry ids.

    Attributes:
        resolved: all of it is written.
        failed_again: it is open still, with more attempts.
        reasons: why what failed again did, by id.
        skipped: not touched, and a sentence why.
        unrecorded: replayed, but the store could not be told: it will look unfinished.
        left: chosen, and not come to before it was stopped.
        stopped: why it ended early, empty if it did not.
        written: records.
    """

    resolved: list[str] = field(default_factory=list)
    failed_again: list[str] = field(default_factory=list)
    reasons: dict[str, str] = field(default_factory=dict)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    unrecorded: list[tuple[str, str]] = field(default_factory=list)
    left: int = 0
    stopped: str = ""
    written: int = 0

    @property
    def is_all_resolved(self) -> bool:
        """Whether nothing of what was chosen is open still."""
        return not (self.failed_again or self.skipped or self.unrecorded or self.left)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a replay is: entries done of all, and what became of the last one."""

    done: int
    total: int
    resolved: int
    failed: int
    skipped: int
    last_id: str
    note: str
