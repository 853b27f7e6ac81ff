"""A desk in memory for the application: the real language and preview, the real engine on the
fakes of `workbench.testing`, and a clock that stands still."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from textual.pilot import Pilot

from workbench.app.desk import Desk
from workbench.app.failed_desk import FailedDesk
from workbench.app.flow_book import FlowBook
from workbench.app.health import Health, Step
from workbench.app.replay import select
from workbench.app.replay_choice import ReplayRequest
from workbench.app.replay_plan import Plan
from workbench.app.replay_report import Progress, Report
from workbench.app.settings import Settings
from workbench.app.target import Target
from workbench.app.trial import Trial
from workbench.engine import Engine, Gate, RetryPolicy, StageSpec
from workbench.errors import AuthenticationError, PublishError, StreamError
from workbench.failed import FailedStore
from workbench.flow import Flow
from workbench.model import (
    Answer,
    Batch,
    Cause,
    Claim,
    Deed,
    Deferred,
    Event,
    Exchange,
    FailedRecord,
    Outcome,
    Record,
    Refused,
    Written,
)
from workbench.observe import Observer, Snapshot
from workbench.testing import FakeClock, MemoryFailedStore, MemorySink, MemorySource
from workbench.tui.app import WorkbenchApp
from workbench.tui.config import Config, State
from workbench.tui.screens.place import PlaceScreen

FLOW = """\
flow:
  name: contacts
  tasks:
    - nats_jetstream_subscriber:
        name: start
        url: "{{env.NATS_URL}}"
        subject: crm.contacts.upsert
        stream: {name: crm, subjects: ["crm.>"]}
        durable_name: contacts
        max_deliver: 5
        backoff: ["1s", "10s", "1m", "5m"]

    - salesforce_restapi_composite:
        name: upsert
        operation: upsert
        credentials_path: /etc/sfdc/credentials.json
        sobject_type: Contact
        external_id_field: ExternalId__c
        payload:
          ExternalId__c: "{{event.data.id}}"
          LastName: "{{event.data.name}}"
"""

NASTY = (
    "[/]",
    "[/red]",
    "[@click=app.quit]press me[/]",
    "\x1b]0;owned\x07",
    "\x1b[2J\x9b31m",
    "日本語の名前",
    "e\u0301\u200d👩‍👩‍👧",
    "\u202egnp.exe",
    "a\rb\x00c\x7f",
    "[bold]$text-error[/bold]",
)
"""What data from outside may hold, and no screen may stumble over."""


class ScriptedSink(MemorySink):
    """Answers as a Contact object would: a name `refuse` is refused, `lock` deferred once."""

    def __init__(self) -> None:
        super().__init__()
        self._locked: set[str] = set()

    async def write(self, batch: Batch) -> Answer:
        if self.hold is not None:
            await self.hold.wait()
        outcomes = [self.outcome_of(record) for record in batch.records]
        results = [
            {"id": f"003{i:03}", "success": True}
            if isinstance(outcome, Written)
            else {"success": False, "errors": [{"statusCode": outcome.code}]}
            for i, outcome in enumerate(outcomes)
        ]
        body = b'{"allOrNone":false,"records":[]}'
        exchange = Exchange("PATCH", "/services/data/v65.0/x", body, 200, b"[]", 0.0, 0.148)
        return Answer(outcomes, exchange, results, api_used=1_200, api_limit=100_000)

    def outcome_of(self, record: Record) -> Outcome:
        name, key = str(record["LastName"]), str(record["ExternalId__c"])
        if name == "refuse":
            return Refused(
                "FIELD_CUSTOM_VALIDATION_EXCEPTION", "Amount must be positive", ("A__c",)
            )
        if name == "lock" and key not in self._locked:
            self._locked.add(key)
            return Deferred("UNABLE_TO_LOCK_ROW", "unable to obtain access", Cause.CONTENTION)
        return Written(f"003{key}", created=True)


class FakeRun:
    """The real engine on a stream in memory."""

    def __init__(
        self, desk: FakeDesk, flow: Flow, path: Path, observers: Sequence[Observer]
    ) -> None:
        self.flow, self.path = flow, path
        self.target = desk.target(flow)
        self.error: str | None = None
        self.health: Health | None = desk.health
        self.calls: list[str] = []
        self._is_stopping = False
        task = flow.sinks[0]
        spec = StageSpec(
            name=task.name,
            upstreams=(flow.source.name,),
            render=task.render,
            sink=desk.sink,
            policy=RetryPolicy(),
            linger_seconds=0.0,
        )
        self.engine = Engine(
            flow.name,
            flow.source.name,
            [spec],
            source=desk.source,
            dead_letters=desk.dead_letters,
            clock=desk.clock,
            observers=observers,
            gate=Gate(),
            seed=1,
        )
        self._running = asyncio.create_task(self.engine.run(), name="fake-run")

    @property
    def state(self) -> str:
        return "ended" if self._running.done() else self.engine.snapshot().state

    @property
    def is_over(self) -> bool:
        return self._running.done()

    def snapshot(self) -> Snapshot | None:
        return self.engine.snapshot()

    def pause(self) -> None:
        self.calls.append("pause")
        self.engine.pause()

    def resume(self) -> None:
        self.calls.append("resume")
        self.engine.resume()

    def stop(self) -> None:
        self.calls.append("stop")
        self.engine.stop()

    def hurry(self) -> None:
        self.calls.append("hurry")
        self.engine.hurry()

    async def wait(self) -> None:
        await asyncio.wait([self._running])


class ScriptedReplays(FailedDesk):
    """Plans as the real one; what is replayed is answered by the `ScriptedSink`, one by one."""

    def __init__(self, store: FailedStore, flows: FlowBook, sink: ScriptedSink, *, by: str) -> None:
        super().__init__(store, flows, by=by)
        self.sink = sink
        self.requests: list[ReplayRequest] = []
        self.hold: asyncio.Event | None = None
        self.org_problem: str | None = None

    async def dry_run(self, request: ReplayRequest, *, ask_org: bool = False) -> Plan:
        if ask_org and self.org_problem:
            raise AuthenticationError(self.org_problem)
        plan = await super().dry_run(request)
        if ask_org:
            plan.api_used, plan.api_limit = 1_204, 100_000
        return plan

    async def replay(
        self,
        request: ReplayRequest,
        progress: Callable[[Progress], None] = lambda progress: None,
        stop: asyncio.Event | None = None,
    ) -> Report:
        self.requests.append(request)
        chosen, report = await select(self.store, request.wanted), Report()
        for place, entry in enumerate(chosen):
            if self.hold is not None:
                await self.hold.wait()
            if stop is not None and stop.is_set():
                report.stopped, report.left = "stopped by hand", len(chosen) - place
                return report
            note = await self._again(entry.id, request, report)
            done, failed = place + 1, len(report.failed_again)
            progress(Progress(done, len(chosen), done - failed, failed, 0, entry.id, note))
            await asyncio.sleep(0)
        return report

    async def _again(self, id: str, request: ReplayRequest, report: Report) -> str:
        old = await self.store.get(id)
        known = {record.index: record for record in old.batch.records}
        bad = ""
        for item in await self.records(id, request):
            outcome = self.sink.outcome_of(item.after)
            if isinstance(outcome, Refused):
                known[item.index] = FailedRecord(
                    item.index, item.after, "refused", outcome.code, outcome.message, outcome.fields
                )
                bad = bad or outcome.code
            else:
                known[item.index] = FailedRecord(item.index, item.after, "written")
        deed = Deed("failed_again" if bad else "replayed", "ada@here", "2026-11-23T10:00:00+00:00")
        claim = Claim("me", "ada@here", deed.at, 9e9)
        records = [known[index] for index in sorted(known)]
        await self.store.change(
            id, lambda entry: entry.claimed(claim, 0.0).replayed("me", deed, records, ())
        )
        (report.failed_again if bad else report.resolved).append(id)
        return bad


class FakeDesk(Desk):
    """Checks and previews like the real one; runs, peeks and publishes in memory."""

    def __init__(
        self, *, is_sandbox: bool = True, path: str = "/etc/sfdc/credentials.json"
    ) -> None:
        sandbox = {"SF_CREDENTIALS": path, "NATS_URL": "nats://127.0.0.1:4222"}
        env = {"NATS_URL": "nats://127.0.0.1:4222"}
        super().__init__(
            Settings(env, sandbox if is_sandbox else {}), lambda flow: self.dead_letters
        )
        self.clock = FakeClock()
        self.source = MemorySource(self.clock, stream="crm")
        self.sink = ScriptedSink()
        self.dead_letters = MemoryFailedStore()
        self.replays = ScriptedReplays(
            self.dead_letters, FlowBook(self.settings, []), self.sink, by="ada@here"
        )
        self.health: Health | None = Health(
            True,
            "nats://127.0.0.1:4222",
            True,
            230,
            12,
            1000,
            1,
            facts={"nats": [("server", "2.12")]},
        )
        self.runs: list[FakeRun] = []
        self.published: list[tuple[str, bytes]] = []
        self.events: list[Event] = []
        self.is_down = False
        self.outside: Health | None = None

    def preview(self, text: str, path: Path, event: Event) -> Trial:
        return dataclasses.replace(super().preview(text, path, event), seconds=0.003)

    def target(self, flow: Flow) -> Target:
        if self.is_sandbox:
            return Target(
                flow.name, flow.source.url, flow.source.subject, "http://127.0.0.1:8443",
                "ada@sandbox", "SANDBOX on this machine", True, ("upsert Contact",),
            )  # fmt: skip
        org = "https://acme.my.salesforce.com"
        kind = "My Domain of a production or Developer Edition org"
        return Target(
            flow.name, flow.source.url, flow.source.subject, org, "ada@acme.example", kind, False,
            ("upsert Contact",),
        )  # fmt: skip

    def failed(self, text: str, path: Path) -> FailedDesk:
        self.replays.flows.add(self.flow(text, path))
        return self.replays

    def start(self, text: str, path: Path, observers: Sequence[Observer]) -> FakeRun:  # type: ignore[override]
        run = FakeRun(self, self.flow(text, path), path, observers)
        self.runs.append(run)
        return run

    async def peek(self, text: str, path: Path, limit: int = 50) -> list[Event]:
        if self.is_down:
            raise StreamError("no NATS server answers at nats://127.0.0.1:4222")
        return self.events[-limit:]

    async def look(self, text: str, path: Path) -> Health:
        if self.outside is None:
            raise StreamError("stream crm has no durable contacts")
        return self.outside

    async def publish(self, text: str, path: Path, subject: str, data: bytes) -> str:
        if self.is_down:
            raise PublishError("JetStream did not confirm the event")
        self.published.append((subject, data))
        return f"{subject}: stored in stream crm as sequence {len(self.published)}"

    async def test(self, text: str, path: Path, tell: Callable[[Step], None]) -> None:
        tell(Step("flow file", True, "flow contacts, 2 tasks", 0.004))
        tell(Step("NATS", not self.is_down, "nats-server 2.12", 0.002))
        tell(Step("Salesforce login", True, "https://acme.my.salesforce.com", 0.08))


def write_flow(folder: Path, text: str = FLOW, name: str = "contacts.yaml") -> Path:
    """A flow file in a folder."""
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def application(place: Path, desk: FakeDesk | None = None, **more: object) -> WorkbenchApp:
    """The application on a desk in memory, with nothing remembered and nothing set."""
    desk = desk or FakeDesk()
    return WorkbenchApp(
        place, desk, config=Config(), state=State(), clock=desk.clock, **more  # type: ignore[arg-type]
    )  # fmt: skip


@asynccontextmanager
async def opened(
    app: WorkbenchApp, *, size: tuple[int, int] = (120, 40), notifications: bool = True
) -> AsyncIterator[Pilot[None]]:
    """The application as a pilot drives it, once it has opened its first place."""
    async with app.run_test(size=size, notifications=notifications) as pilot:
        async with asyncio.timeout(20):
            while not (isinstance(app.screen, PlaceScreen) and app.screen.is_mounted):
                await pilot.pause()
        await pilot.pause()
        yield pilot
