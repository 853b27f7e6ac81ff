"""Seeing that failed batches are replayed or discarded, by whomever: they do it in processes of
their own, which nobody asks for metrics."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from workbench.errors import DeadLetterError
from workbench.failed import FailedStore
from workbench.model import EntryFilter

__all__ = ["FailedWatch"]

_LOOK_SECONDS = 15.0
_MOST_AT_ONCE = 500
"""Changed entries read in one look; more than that are come to later."""

_EVERY = EntryFilter(statuses=frozenset({"open", "claimed", "resolved", "discarded"}))
_CLOSED = {"resolved": "replayed", "discarded": "discarded"}


class FailedWatch:
    """Follows the changes of one store of failed batches, from its beginning.

    Args:
        told: hears of each entry that was closed: its flow, and `replayed` or `discarded`.
    """

    def __init__(self, store: FailedStore, told: Callable[[str, str], None]) -> None:
        self._store = store
        self._told = told
        self._after = 0

    async def run(self) -> None:
        """Look every `_LOOK_SECONDS` until cancelled; a store that can't be read is looked at
        again."""
        while True:
            with suppress(DeadLetterError):  # whoever stores into it says so
                await self.look()
            await asyncio.sleep(_LOOK_SECONDS)

    async def look(self) -> None:
        """Take in what changed since the last look.

        Raises:
            DeadLetterError: the store can't be read.
        """
        page = await self._store.page(_EVERY, self._after, _MOST_AT_ONCE)
        self._after = page.next
        for entry in page.entries:
            if entry.state in _CLOSED:
                self._told(entry.flow, _CLOSED[entry.state])
