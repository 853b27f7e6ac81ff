"""What a store of failed batches promises; a file, JetStream and memory keep it alike.

`tests/conformance/test_failed_store.py` holds all of them to it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from workbench.model import Entry, EntryCounts, EntryFilter, EntryPage, FailedBatch

__all__ = ["Change", "FailedStore"]

Change = Callable[[Entry], Entry]
"""From an entry to its successor; pure, as it is called again when somebody else was faster.
What it raises ends the change; returning the entry itself changes nothing."""


class FailedStore(Protocol):
    """Failed batches by id. Any number of processes may use one store at the same time."""

    async def store(self, batches: Sequence[FailedBatch]) -> None:
        """Return only when every one is durable; an id already there gains these attempts, newest
        outcomes, and is open again.

        Raises:
            DeadLetterError: at least one could not be stored; storing all again is harmless.
            DeadLetterRefused: likewise, and it will not go better next time.
        """
        ...

    async def page(self, wanted: EntryFilter, after: int = 0, limit: int = 200) -> EntryPage:
        """At most `limit` entries that fit, in the order of their last change; never loads all.

        An entry that changes between two pages comes again on a later one. `after` is the `next`
        of the page before; 0 begins with the oldest.

        Raises:
            DeadLetterError: the store can't be read.
        """
        ...

    async def get(self, id: str) -> Entry:
        """One entry, whole.

        Raises:
            NotKeptError: there is none, or part of it has been discarded by age.
            DeadLetterError: the store can't be read.
        """
        ...

    async def change(self, id: str, step: Change) -> Entry:
        """Replace an entry by its successor, durably, if nobody else did meanwhile; else again
        from what they made of it. Returns the successor.

        Raises:
            NotKeptError: there is none.
            DeadLetterError: it was not stored, or this is not known (then it may be).
        """
        ...

    async def counts(self) -> EntryCounts:
        """Open entries and their failed records; cheap enough to ask every second."""
        ...

    async def aclose(self) -> None: ...
