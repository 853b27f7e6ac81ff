"""What a screen or a command asks of failed batches; holds no more of them than a list needs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from workbench.app.failed_text import describe
from workbench.codec import encode
from workbench.errors import ClaimedError, NotKeptError
from workbench.failed import Claimant, FailedStore
from workbench.model import Entry, EntryCounts, EntryFilter, EntryPage, EntrySummary, Record

if TYPE_CHECKING:
    from workbench.app.flow_book import FlowBook
    from workbench.app.replay import Replayer
    from workbench.app.replay_choice import ReplayRequest
    from workbench.app.replay_plan import Plan
    from workbench.app.replay_report import Progress, Report

__all__ = ["ChosenRecord", "Discarded", "EntryGroupCount", "FailedDesk"]

GroupBy = Literal["code", "field", "flow"]

_Key = tuple[str, str, str, str]  # flow, task, code, field

_EVERY = EntryFilter(statuses=frozenset({"open", "claimed", "resolved", "discarded"}))


@dataclass(frozen=True, slots=True)
class EntryGroupCount:
    """So many entries and records that failed alike; what the group is not by stays empty.

    `first` and `last` are when the oldest and the newest of them failed.
    """

    flow: str
    task: str
    code: str
    field: str
    entries: int
    records: int
    first: str
    last: str

    @property
    def filter(self) -> EntryFilter:
        """The entries of the group."""
        return EntryFilter(flow=self.flow, task=self.task, code=self.code, field=self.field)

    def holds(self, entry: EntrySummary) -> bool:
        """Whether the entry is counted here; unlike `filter`, a group without a field holds only
        what failed for no field."""
        if self.flow:
            return (entry.flow, entry.task) == (self.flow, self.task)
        return any(
            group.field == self.field and self.code in ("", group.code) for group in entry.groups
        )


@dataclass(frozen=True, slots=True)
class ChosenRecord:
    """One record of an entry that a replay would send, beside what had failed."""

    index: int
    before: Record | None
    after: Record
    code: str
    message: str
    fields: tuple[str, ...]


@dataclass(slots=True)
class Discarded:
    """What became of a discard: ids that are closed now, and those left alone with a sentence."""

    discarded: list[str] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)


class FailedDesk:
    """The failed batches of one store. Use it as `async with`; it closes its logins, not the
    store."""

    def __init__(self, store: FailedStore, flows: FlowBook, *, by: str | None = None) -> None:
        self.store = store
        self.flows = flows
        self._by = by
        self._seen: dict[str, EntrySummary] = {}
        self._seen_to = 0
        self._puzzle: tuple[int, int] | None = None
        self._looking = asyncio.Lock()
        self._opened: Replayer | None = None

    async def __aenter__(self) -> FailedDesk:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close what was logged in."""
        if self._opened is not None:
            await self._opened.aclose()

    # -- looking -----------------------------------------------------------------------------

    async def counts(self) -> EntryCounts:
        """Open entries and their records that are not written; may be asked every second."""
        return await self.store.counts()

    async def groups(
        self,
        by: GroupBy = "code",
        wanted: EntryFilter | None = None,
        fits: Callable[[EntrySummary], bool] = lambda entry: True,
    ) -> list[EntryGroupCount]:
        """Open entries that failed alike, the most records first; may be asked every second, as
        only what changed since the last time is read."""
        await self._look()
        found: dict[_Key, EntryGroupCount] = {}
        for entry in self.entries(wanted, fits):
            for key, records in _keys(entry, by):
                old = found.get(key) or EntryGroupCount(*key, 0, 0, entry.failed_at, "")
                found[key] = replace(
                    old,
                    entries=old.entries + 1,
                    records=old.records + records,
                    first=min(old.first, entry.failed_at),
                    last=max(old.last, entry.failed_at),
                )
        return sorted(found.values(), key=lambda group: (-group.records, -group.entries))

    def entries(
        self,
        wanted: EntryFilter | None = None,
        fits: Callable[[EntrySummary], bool] = lambda entry: True,
    ) -> list[EntrySummary]:
        """The open entries as `groups` found them last, in an order that changes leave alone."""
        wanted, now = wanted or EntryFilter(), time.time()
        return [entry for entry in self._seen.values() if wanted.fits(entry, now) and fits(entry)]

    async def page(
        self, wanted: EntryFilter | None = None, after: int = 0, limit: int = 200
    ) -> EntryPage:
        """Some entries, the longest unchanged first; `next` leads to more, and to changes."""
        return await self.store.page(wanted or EntryFilter(), after, limit)

    async def get(self, id: str) -> Entry:
        """One entry, whole.

        Raises:
            NotKeptError: there is none.
        """
        return await self.store.get(id)

    def describe(self, entry: Entry, *, all_records: bool = False) -> str:
        """Everything that is known of it, for people."""
        return describe(entry, all_records=all_records)

    async def export(self, wanted: EntryFilter) -> AsyncIterator[bytes]:
        """The entries as JSON objects, one by one; `Entry.from_json` reads them."""
        from workbench.app.replay import select

        for summary in await select(self.store, wanted):
            try:
                yield encode((await self.store.get(summary.id)).to_json())
            except NotKeptError:
                continue  # discarded by age meanwhile

    async def _look(self) -> None:
        """Read what changed since the last look; closed entries are forgotten."""
        async with self._looking:
            has_changed = False
            while True:
                page = await self.store.page(_EVERY, self._seen_to, 1_000)
                has_changed |= bool(page.entries)
                for entry in page.entries:
                    if entry.state == "open":
                        self._seen[entry.id] = entry
                    else:
                        self._seen.pop(entry.id, None)
                self._seen_to = page.next
                if page.is_last:
                    break
            counts = await self.store.counts()
            found = (len(self._seen), counts.entries)
            if found[0] != found[1] and not has_changed and found != self._puzzle:
                # Discarded by age, or the stream was made anew: begin again, once.
                self._puzzle, self._seen_to = found, 0
                self._seen.clear()

    # -- replaying ---------------------------------------------------------------------------

    async def records(self, id: str, request: ReplayRequest | None = None) -> list[ChosenRecord]:
        """What a replay would send of an entry.

        Raises:
            WorkbenchError: nothing would be sent, and why.
        """
        choice = await self._replayer.choice(id, request or _request(id))
        old = {record.index: record for record in choice.entry.batch.records}
        chosen = []
        for index, after in zip(choice.indexes, choice.records, strict=True):
            known = old.get(index)
            chosen.append(
                ChosenRecord(
                    index,
                    known.record if known else None,
                    after,
                    known.code if known else "",
                    known.message if known else "",
                    known.fields if known else (),
                )
            )
        return chosen

    async def dry_run(self, request: ReplayRequest, *, ask_org: bool = False) -> Plan:
        """What a replay would do; sends nothing. `ask_org` logs in for the API calls left."""
        return await self._replayer.plan(request, ask_org=ask_org)

    async def replay(
        self,
        request: ReplayRequest,
        progress: Callable[[Progress], None] = lambda progress: None,
        stop: asyncio.Event | None = None,
    ) -> Report:
        """Do it; see `Replayer.run`."""
        return await self._replayer.run(request, progress=progress, stop=stop)

    async def discard(self, wanted: EntryFilter, reason: str) -> Discarded:
        """Close entries without writing them.

        Raises:
            DeadLetterError: the store can't be read.
        """
        from workbench.app.replay import select

        claimant = Claimant(self.store) if self._by is None else Claimant(self.store, self._by)
        result = Discarded()
        for entry in await select(self.store, wanted):
            try:
                await claimant.discard(entry.id, reason, time.time())
            except (ClaimedError, NotKeptError) as error:
                result.skipped.append((entry.id, str(error)))
            else:
                result.discarded.append(entry.id)
        return result

    async def test_case(self, id: str) -> str:
        """The YAML text of a flow test that this entry makes.

        Raises:
            WorkbenchError: the entry, or its flow, is not there.
        """
        from workbench.app.flow_tests import case_of

        return case_of(await self.store.get(id))

    @property
    def _replayer(self) -> Replayer:
        if self._opened is None:
            from workbench.app.replay import Replayer

            self._opened = Replayer(self.store, self.flows, by=self._by)
        return self._opened


def _request(id: str) -> ReplayRequest:
    from workbench.app.replay_choice import ReplayRequest

    return ReplayRequest(EntryFilter(ids=frozenset({id})))


def _keys(entry: EntrySummary, by: GroupBy) -> list[tuple[_Key, int]]:
    """The groups an entry belongs to, and its records in each."""
    if by == "flow":
        return [((entry.flow, entry.task, "", ""), entry.failed)]
    counted: dict[_Key, int] = {}
    for group in entry.groups:
        code = group.code if by == "code" else ""
        key = ("", "", code, group.field)
        counted[key] = counted.get(key, 0) + (group.count if entry.records else 0)
    return list(counted.items())
