"""A store of failed batches in memory, with the same promises as the durable ones."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from workbench.errors import DeadLetterError, NotKeptError
from workbench.model import (
    Entry,
    EntryCounts,
    EntryFilter,
    EntryPage,
    EntrySummary,
    FailedBatch,
    rival_id,
)

__all__ = ["MemoryFailedStore"]


class MemoryFailedStore:
    """Entries by id, the longest unchanged first; `is_down` makes every call fail."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}
        self.is_down = False
        self._revision = 0

    async def store(self, batches: Sequence[FailedBatch]) -> None:
        self._check()
        for given in batches:
            batch = given
            known = self.entries.get(batch.id)
            if known is not None and known.batch.timestamp != batch.timestamp:
                batch = replace(batch, id=rival_id(batch))
                known = self.entries.get(batch.id)
            self._put(known, Entry(batch) if known is None else known.stored(batch))

    async def page(self, wanted: EntryFilter, after: int = 0, limit: int = 200) -> EntryPage:
        self._check()
        found: list[EntrySummary] = []
        now, seen = time.time(), after
        for entry in self.entries.values():
            if entry.revision > after and wanted.fits(entry.summary, now):
                if len(found) == limit:
                    return EntryPage(tuple(found), seen, False)
                found.append(entry.summary)
                seen = entry.revision
        return EntryPage(tuple(found), self._revision, True)

    async def get(self, id: str) -> Entry:
        self._check()
        if id not in self.entries:
            raise NotKeptError(f"memory keeps no failed batch {id}")
        return self.entries[id]

    async def change(self, id: str, step: Callable[[Entry], Entry]) -> Entry:
        known = await self.get(id)
        return self._put(known, step(known))

    async def counts(self) -> EntryCounts:
        self._check()
        failed = [max(e.summary.failed, 1) for e in self.entries.values() if e.state == "open"]
        return EntryCounts(len(failed), sum(failed))

    async def aclose(self) -> None:
        pass

    def _put(self, known: Entry | None, entry: Entry) -> Entry:
        if entry is not known:
            self._revision += 1
            entry = replace(entry, revision=self._revision)
            self.entries.pop(entry.id, None)
            self.entries[entry.id] = entry
        return entry

    def _check(self) -> None:
        if self.is_down:
            raise DeadLetterError("the store is down")
