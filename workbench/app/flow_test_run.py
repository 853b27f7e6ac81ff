"""Running the cases of a flow: the real engine, one event, answers given or the sandbox's."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any

from workbench.app.flow_tests import Case, Seen, differences, outcome_text
from workbench.app.opening import TaskSink, open_clients, open_sinks, sink_of, stage_spec
from workbench.app.settings import Settings
from workbench.codec import decode, encode
from workbench.engine import Engine, Gate, StageSpec, SystemClock
from workbench.errors import AuthorizationError, SettingsError
from workbench.flow import CompositeTask, Flow
from workbench.model import Event, FailedBatch, FailedRecord, Written
from workbench.observe import BatchAnswered, BatchSent, Notice
from workbench.salesforce import Request, SalesforceClient
from workbench.salesforce.transport import Reply

__all__ = ["needs_sandbox", "run_case"]

_SANDBOX_SECONDS = 60.0


def needs_sandbox(flow: Flow, case: Case) -> bool:
    """Whether some task of the flow has no answers given."""
    return any(task.name not in case.answers for task in flow.sinks)


async def run_case(flow: Flow, case: Case, settings: Settings) -> list[str]:
    """What is not as the case says; nothing when all is.

    Every record is sent once: retries are the engine's own matter. The sandbox is emptied first
    where it is used.

    Raises:
        SettingsError: the case does not fit the flow.
        SalesforceError: the sandbox is not there.
    """
    _check(flow, case)
    uses_sandbox = needs_sandbox(flow, case)
    if uses_sandbox:
        await _prepare(case, settings)
    async with AsyncExitStack() as stack:
        real = [task for task in flow.sinks if task.name not in case.answers]
        clients = open_clients(flow, real, stack)
        sinks: dict[str, TaskSink] = {}
        for task in flow.sinks:
            given = case.answers.get(task.name)
            users = clients if given is None else {task.credentials_path: _Scripted(given)}
            sinks[task.name] = sink_of(task, flow, users)
        await open_sinks(sinks.values(), stack)
        seen = await _run(flow, case, sinks)
    for sobject in case.rows or ():
        page = await _ask(settings, "GET", f"/emulator/records/{sobject}")
        seen.rows[sobject] = page["records"]
    return differences(case, seen)


def _check(flow: Flow, case: Case) -> None:
    tasks = {task.name: task for task in flow.sinks}
    for name in [*case.answers, *(case.outcomes or ())]:
        if name not in tasks:
            raise SettingsError(f"{case.file}: {case.name!r} names task {name!r}, which "
                                f"{flow.name} has not")  # fmt: skip
    if (case.rules or case.faults) and not needs_sandbox(flow, case):
        raise SettingsError(
            f"{case.file}: {case.name!r} gives all answers, so the sandbox is never asked"
        )
    for name in case.answers:
        if not isinstance(tasks[name], CompositeTask):
            raise SettingsError(
                f"{case.file}: {case.name!r} gives answers for {name!r}, which publishes events: "
                "only HTTP answers can be given"
            )


async def _run(flow: Flow, case: Case, sinks: dict[str, TaskSink]) -> Seen:
    stream = flow.source.stream
    event = Event(
        case.subject or flow.source.subject,
        case.data,
        dict(case.headers),
        stream.name if stream else "",
        sequence=1,
        timestamp_ns=time.time_ns(),
    )
    watcher = _Watcher(sinks)
    source = _OneEvent(event)
    engine = Engine(
        flow.name,
        flow.source.name,
        [_once(stage_spec(flow, task, sinks[task.name])) for task in flow.sinks],
        source=source,
        dead_letters=watcher,
        clock=SystemClock(),
        observers=[watcher],
        gate=Gate(pause_after=0),
    )
    running = asyncio.create_task(engine.run())
    settled = asyncio.create_task(source.settled.wait())
    try:
        await asyncio.wait({running, settled}, return_when=asyncio.FIRST_COMPLETED)
        engine.stop()
        await running
    finally:
        settled.cancel()
        await asyncio.gather(settled, return_exceptions=True)
    return watcher.seen


def _once(spec: StageSpec) -> StageSpec:
    policy = dataclasses.replace(spec.policy, max_attempts=1, max_deliver=1)
    return dataclasses.replace(spec, policy=policy, linger_seconds=0.0)


class _OneEvent:
    """A stream of one event, delivered once."""

    ack_wait_seconds = 60.0
    max_deliver = 1

    def __init__(self, event: Event) -> None:
        self.settled = asyncio.Event()
        self._events = [event]
        self._woken = asyncio.Event()

    async def receive(self, limit: int) -> list[Event]:
        if not self._events:
            await self._woken.wait()
            self._woken.clear()
        events, self._events = self._events, []
        return events

    def wake(self) -> None:
        self._woken.set()

    def ack(self, events: Sequence[Event]) -> None:
        self.settled.set()

    def nak(self, events: Sequence[Event], delay_seconds: float) -> None:
        self.settled.set()

    def term(self, events: Sequence[Event], reason: str) -> None:
        self.settled.set()

    def in_progress(self, events: Sequence[Event]) -> None: ...

    async def exhausted(self) -> list[Event]:
        return []

    async def forget_exhausted(self, events: Sequence[Event]) -> None: ...

    async def stop_receiving(self) -> list[Event]:
        self._woken.set()
        return []

    async def flush(self) -> None: ...


class _Watcher:
    """Sees what leaves and what becomes of each record; keeps failed batches as outcomes."""

    def __init__(self, sinks: dict[str, TaskSink]) -> None:
        self.seen = Seen()
        self._sinks = sinks

    async def store(self, batches: Sequence[FailedBatch]) -> None:
        for batch in batches:
            if batch.records:
                self.seen.outcomes[batch.task] = [outcome_text(r) for r in batch.records]
            else:
                self.seen.outcomes[batch.task] = [f"{batch.kind} {batch.reason}"]

    def notify(self, notice: Notice) -> None:
        if isinstance(notice, BatchSent):
            request = self._sinks[notice.batch.task].request_of(notice.batch)
            self.seen.requests.append(
                {
                    "task": notice.batch.task,
                    "method": request.method,
                    "path": request.target,
                    "body": _value(request.body),
                }
            )
        elif isinstance(notice, BatchAnswered):
            told = self.seen.outcomes.setdefault(notice.batch.task, [])
            for outcome in notice.answer.outcomes:  # of failed ones `store` says more
                is_written = isinstance(outcome, Written)
                name = "written" if is_written else type(outcome).__name__.lower()
                told.append(outcome_text(FailedRecord(0, None, name)))


class _Scripted(SalesforceClient):
    """A client that gets the answers of a case, one after the other."""

    def __init__(self, answers: Sequence[tuple[int, Any]]) -> None:
        self.usage = {}
        self._version = None
        self._answers = list(answers)

    async def open(self) -> Any:
        return None

    async def call(self, request: Request, gzip_min_bytes: int | None = None) -> Reply:
        if not self._answers:
            raise AuthorizationError("more requests leave than the case has answers for")
        status, body = self._answers.pop(0)
        return Reply(status, {}, b"" if body is None else encode(body))


def _value(body: bytes) -> Any:
    try:
        return decode(body) if body else None
    except ValueError:
        return body.decode("utf-8", "replace")


async def _prepare(case: Case, settings: Settings) -> None:
    await _ask(settings, "POST", "/emulator/reset")
    for rule in case.rules:
        await _ask(settings, "POST", "/emulator/rules", rule)
    for fault in case.faults:
        await _ask(settings, "POST", "/emulator/faults", {"fault": fault})


async def _ask(settings: Settings, method: str, path: str, body: Any = None) -> Any:
    """The answer of the sandbox's control endpoint.

    Raises:
        SettingsError: it refused, or there is none.
    """
    address = settings.sandbox.get("SF_LOGIN_URL")
    if address is None:
        raise SettingsError("a case needs the sandbox, and none is running")

    def ask() -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            address + path, data, {"Content-Type": "application/json"}, method=method
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=_SANDBOX_SECONDS) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                said = error.read().decode("utf-8", "replace")
            raise SettingsError(f"the sandbox refused {path}: {said}") from error
        except OSError as error:
            raise SettingsError(f"the sandbox does not answer: {error}") from error

    return await asyncio.to_thread(ask)
