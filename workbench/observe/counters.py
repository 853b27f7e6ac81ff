"""Numbers of one run, kept by the engine itself so that no observer has to count."""

from __future__ import annotations

__all__ = ["Counters"]


class Counters:
    """Totals since the start; every field only grows, but for the API figures.

    Attributes:
        received: deliveries taken in hand; redelivered: those of them that were not the first.
        acked, naked, terminated: settlements sent, by kind.
        requests: requests to Salesforce that left; retries: tries scheduled after a failure.
        written: records Salesforce says are written.
        failures: records (or whole events, code UNFIT) given up, by (task, code).
        api_used, api_limit: the org's daily calls as last told; 0 before.
    """

    __slots__ = (
        "acked",
        "api_limit",
        "api_used",
        "failures",
        "naked",
        "received",
        "redelivered",
        "requests",
        "retries",
        "terminated",
        "written",
    )

    def __init__(self) -> None:
        self.received = 0
        self.redelivered = 0
        self.acked = 0
        self.naked = 0
        self.terminated = 0
        self.requests = 0
        self.retries = 0
        self.written = 0
        self.failures: dict[tuple[str, str], int] = {}
        self.api_used = 0
        self.api_limit = 0

    def failed(self, code: str, task: str, count: int = 1) -> None:
        """Count so many more records of `task` that are given up with `code`."""
        key = (task, code)
        self.failures[key] = self.failures.get(key, 0) + count

    @property
    def settled(self) -> int:
        """Events that will not come back."""
        return self.acked + self.terminated

    @property
    def given_up(self) -> int:
        """Records and unfit events that were given up, all tasks and codes."""
        return sum(self.failures.values())
