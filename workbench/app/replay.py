"""Writing failed batches again: by the same engine, renderer, batcher and sender as everything.

`Replayer.plan` says what would happen and sends nothing; `Replayer.run` does it.
"""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

from workbench.app.flow_book import FlowBook, task_of
from workbench.app.opening import TaskSink, open_clients, open_sinks, sink_of, stage_spec
from workbench.app.replay_choice import Choice, ReplayRequest, choose
from workbench.app.replay_plan import Plan, Planner
from workbench.app.replay_report import Progress, Report
from workbench.app.replay_source import ReplaySource
from workbench.engine import Engine, Gate, SystemClock
from workbench.engine.unit import Unit
from workbench.errors import NotKeptError, SettingsError, WorkbenchError
from workbench.failed import Claimant, FailedStore
from workbench.flow import Flow, SinkTask
from workbench.model import Entry, EntryFilter, EntrySummary, Event, Origin, Record
from workbench.observe import Observer
from workbench.salesforce import SalesforceClient

__all__ = ["Replayer", "select"]

_SOURCE = "failed batches"
"""What the replayed task receives from; no task can be meant, as it has a blank in it."""

_MAX_HELD = 500
_AT_ONCE = 16

_LINGER_SECONDS = 0.2
"""Claiming takes longer than a flow lingers, and requests shall be as full as the plan says."""

_WAITS_SECONDS = (1.0, 10.0)
"""A person waits for a replay, so what is not written after these waits stays open."""


@dataclass(frozen=True, slots=True)
class _Part:
    """The chosen entries of one task of one version of a flow, in their order."""

    flow: str
    task: str
    digest: str


async def select(
    store: FailedStore, wanted: EntryFilter, limit: int | None = None
) -> list[EntrySummary]:
    """The entries that are meant, in the order of their events, so that the older write of a key
    does not come last; named ones whatever their status.

    Raises:
        NotKeptError: there is none of a named id.
        DeadLetterError: the store can't be read.
    """
    found: dict[str, EntrySummary] = {}
    if wanted.ids:
        for id in wanted.ids:
            found[id] = (await store.get(id)).summary
        return _in_order(found.values())[:limit]
    after = 0
    while limit is None or len(found) < limit:
        page = await store.page(wanted, after)
        found.update((entry.id, entry) for entry in page.entries)
        after = page.next
        if page.is_last:
            break
    return _in_order(list(found.values())[:limit])


def _in_order(entries: Iterable[EntrySummary]) -> list[EntrySummary]:
    return sorted(entries, key=lambda entry: (entry.stream, entry.sequence, entry.id))


class Replayer:
    """Replays entries of one store. Use it as `async with`; logins are kept until its end.

    Args:
        book: finds the flows.
        by: who replays, as the entries will tell; user and host unless said.
    """

    def __init__(
        self,
        store: FailedStore,
        book: FlowBook,
        *,
        by: str | None = None,
        observers: Sequence[Observer] = (),
    ) -> None:
        self.store = store
        self.book = book
        self.claimant = Claimant(store) if by is None else Claimant(store, by)
        self._observers = observers
        self._clients: dict[str, SalesforceClient] = {}
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Replayer:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close what was logged in; may be called twice."""
        self._clients.clear()
        await self._stack.aclose()

    # -- saying ------------------------------------------------------------------------------

    async def plan(
        self,
        request: ReplayRequest,
        chosen: Sequence[EntrySummary] | None = None,
        *,
        ask_org: bool = False,
    ) -> Plan:
        """What would be sent; with `ask_org` it logs in and asks for the API calls that are left.

        Raises:
            DeadLetterError: the store can't be read.
            SalesforceError: `ask_org`, and the login failed.
        """
        if chosen is None:
            chosen = await select(self.store, request.wanted, request.limit)
        plan = Plan()
        flows: dict[str, Flow] = {}
        planners: dict[_Part, Planner] = {}
        for start in range(0, len(chosen), _AT_ONCE):
            ids = [entry.id for entry in chosen[start : start + _AT_ONCE]]
            for id, found in zip(ids, await self._entries(ids), strict=True):
                if isinstance(found, str):
                    plan.skipped.append((id, found))
                    continue
                choice = self._planned(found, request, plan)
                if choice is None:
                    continue
                part = self._part(found.summary, request)
                flows[choice.task.credentials_path] = choice.flow
                if part not in planners:
                    planners[part] = Planner(plan, choice)
                planners[part].add(choice)
        for planner in planners.values():
            planner.finish()
        if ask_org and planners:
            await self._ask_org(flows, plan)
        return plan

    async def choice(self, id: str, request: ReplayRequest) -> Choice:
        """What would be sent of one entry.

        Raises:
            NotKeptError, SettingsError, FlowError, RenderError: nothing would, and why.
        """
        return self._choose(await self.store.get(id), request)

    async def _entries(self, ids: Sequence[str]) -> list[Entry | str]:
        async def fetch(id: str) -> Entry | str:
            try:
                return await self.store.get(id)
            except NotKeptError as error:
                return str(error)

        return await asyncio.gather(*map(fetch, ids))

    def _planned(self, entry: Entry, request: ReplayRequest, plan: Plan) -> Choice | None:
        try:
            # As if it were claimed, which nobody is told: who has it, or died over it, counts.
            return self._choose(self.claimant.claiming(entry, time.time()), request)
        except _MayDouble as error:
            plan.duplicates.append(entry.id)
            plan.skipped.append((entry.id, str(error)))
        except WorkbenchError as error:
            plan.skipped.append((entry.id, str(error)))
        return None

    async def _ask_org(self, flows: dict[str, Flow], plan: Plan) -> None:
        for path, flow in flows.items():
            client = self._client(flow, path)
            token = await client.open()
            user = client.session.username or token.user_id or "somebody"
            plan.orgs.append(f"{user} at {token.instance_url}")
            usage = client.api_usage or await client.fetch_usage()
            if usage is not None:
                plan.api_used, plan.api_limit = usage

    # -- doing -------------------------------------------------------------------------------

    async def run(
        self,
        request: ReplayRequest,
        chosen: Sequence[EntrySummary] | None = None,
        *,
        progress: Callable[[Progress], None] = lambda progress: None,
        stop: asyncio.Event | None = None,
    ) -> Report:
        """Replay; entries that somebody else has in hand are left to them and told.

        Setting `stop` ends it early: requests in flight are waited for, the rest stays as it was.

        Raises:
            DeadLetterError: the entries can't be read.
            SalesforceError: the login failed, or was refused on the way.
        """
        if chosen is None:
            chosen = await select(self.store, request.wanted, request.limit)
        parts: dict[_Part, list[str]] = {}
        for entry in chosen:
            parts.setdefault(self._part(entry, request), []).append(entry.id)
        report = Report()
        teller = _Teller(report, len(chosen), progress)
        stop = stop or asyncio.Event()
        for part, ids in parts.items():
            if stop.is_set() or report.stopped:
                report.left += len(ids)
                report.stopped = report.stopped or "stopped by hand"
                continue
            await self._run_part(part, ids, request, report, teller, stop)
        return report

    async def _run_part(
        self,
        part: _Part,
        ids: list[str],
        request: ReplayRequest,
        report: Report,
        teller: _Teller,
        stop: asyncio.Event,
    ) -> None:
        try:
            flow = await self._flow_of(ids[0], request)
            task = task_of(flow, part.task)
        except WorkbenchError as error:
            for id in ids:
                report.skipped.append((id, str(error)))
                teller(id, str(error))
            return

        def chosen_of(entry: Entry) -> Choice:
            return self._choose(entry, request, flow)

        source = ReplaySource(ids, self.claimant, chosen_of, self.store, report, teller)
        source.max_deliver = len(_WAITS_SECONDS) + 1
        async with AsyncExitStack() as stack:
            tasks = list(_with_followers(flow, task))
            sinks = {other.name: self._sink(other, flow) for other in tasks}
            await open_sinks(sinks.values(), stack)
            engine = self._engine(flow, task, sinks, source)

            def broken(reason: str) -> None:
                report.stopped = reason
                engine.stop()

            source.on_broken = broken
            await _finish(engine, source, stop, report)
        report.left += source.untouched

    def _engine(
        self, flow: Flow, task: SinkTask, sinks: dict[str, TaskSink], source: ReplaySource
    ) -> Engine:
        def render(event: Event, data: Any) -> list[Record]:
            return source.records_of(event)

        def order_key(event: Event, data: Any, record: Record) -> str | None:
            choice = source.choice_of(event)
            return task.order_key(choice.event, choice.data, record) if task.order_key else None

        def origins(unit: Unit) -> list[Origin]:
            branch = None if unit.visit.stage.name == task.name else unit.branch
            return source.choice_of(unit.event).origins(branch, unit.start, len(unit.records))

        specs = []
        for name, sink in sinks.items():
            spec = stage_spec(flow, task_of(flow, name), sink)
            policy = dataclasses.replace(
                spec.policy, backoff_seconds=_WAITS_SECONDS, max_deliver=source.max_deliver
            )
            spec = dataclasses.replace(spec, policy=policy, origins=origins)
            if name == task.name:
                ordered = order_key if task.order_key is not None else None
                spec = dataclasses.replace(
                    spec,
                    upstreams=(_SOURCE,),
                    render=render,
                    order_key=ordered,
                    linger_seconds=max(spec.linger_seconds, _LINGER_SECONDS),
                )
            specs.append(spec)
        return Engine(
            flow.name,
            _SOURCE,
            specs,
            source=source,
            dead_letters=source,
            clock=SystemClock(),
            observers=(source, *self._observers),
            gate=Gate(pause_after=flow.failed.pause_after, daily_share=flow.api_budget.daily_share),
            max_held_events=_MAX_HELD,
        )

    # -- finding -----------------------------------------------------------------------------

    def _choose(self, entry: Entry, request: ReplayRequest, flow: Flow | None = None) -> Choice:
        batch = entry.batch
        if flow is None:
            is_then = request.with_flow == "recorded"
            flow = self.book.recorded(batch) if is_then else self.book.flow(batch.flow)
        choice = choose(entry, flow, task_of(flow, batch.task), request)
        if choice.is_doubling and not request.accept_duplicates:
            raise _MayDouble(
                "it may be written already, and would then be written twice: look in the org, "
                "then replay with --accept-duplicates, or discard it"
            )
        return choice

    async def _flow_of(self, id: str, request: ReplayRequest) -> Flow:
        batch = (await self.store.get(id)).batch
        if request.with_flow == "recorded":
            return self.book.recorded(batch)
        return self.book.flow(batch.flow)

    def _part(self, entry: EntrySummary, request: ReplayRequest) -> _Part:
        digest = entry.digest if request.with_flow == "recorded" else ""
        return _Part(entry.flow, entry.task, digest)

    def _sink(self, task: SinkTask, flow: Flow) -> TaskSink:
        client = self._client(flow, task.credentials_path)
        return sink_of(task, flow, {task.credentials_path: client})

    def _client(self, flow: Flow, path: str) -> SalesforceClient:
        if path not in self._clients:
            users = [task for task in flow.sinks if task.credentials_path == path]
            self._clients.update(open_clients(flow, users, self._stack))
        return self._clients[path]


class _MayDouble(SettingsError):
    """Only waiting for somebody's explicit yes."""


class _Teller:
    """Counts entries that are done with and tells progress."""

    def __init__(self, report: Report, total: int, progress: Callable[[Progress], None]) -> None:
        self._report = report
        self._total = total
        self._progress = progress

    def __call__(self, id: str, note: str) -> None:
        report = self._report
        failed = len(report.failed_again) + len(report.unrecorded)
        resolved, skipped = len(report.resolved), len(report.skipped)
        done = resolved + failed + skipped
        self._progress(Progress(done, self._total, resolved, failed, skipped, id, note))


def _with_followers(flow: Flow, task: SinkTask) -> Iterator[SinkTask]:
    """The task and all that receive, directly or not, from it, in the file's order."""
    names = {task.name}
    for other in flow.sinks:
        if other.name in names or not names.isdisjoint(other.depends_on):
            names.add(other.name)
            yield other


async def _finish(
    engine: Engine, source: ReplaySource, stop: asyncio.Event, report: Report
) -> None:
    """Run until everything is settled, or it must stop."""
    running = asyncio.create_task(engine.run(), name="replay")
    finished = asyncio.create_task(source.is_finished.wait())
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({running, finished, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if stop.is_set() and not source.is_finished.is_set():
            report.stopped = report.stopped or "stopped by hand"
        engine.stop()
        await running
    except BaseException:
        engine.hurry()
        await asyncio.gather(running, return_exceptions=True)
        raise
    finally:
        for waiter in (finished, stopping):
            waiter.cancel()
        await asyncio.gather(finished, stopping, return_exceptions=True)
