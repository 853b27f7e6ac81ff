"""A real NATS, a Salesforce emulator and flows between them, for tests of the whole."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from workbench.app.flows import flow_of
from workbench.app.opening import OpenFlow, open_flow
from workbench.app.settings import Settings
from workbench.codec import encode
from workbench.emulator import Emulator
from workbench.errors import StreamError
from workbench.failed import FileStore
from workbench.flow import Flow
from workbench.jetstream import Connection, Message, SourceInfo, publish_all, source_info
from workbench.model import FailedBatch, Record
from workbench.observe import BatchAnswered, EventsReceived, Notice
from workbench.testing import RecordingObserver

__all__ = ["Running", "World", "contact", "contacts", "subscriber", "task", "until"]

_numbers = itertools.count(1)

Data = Any


def contact(number: int, **more: Any) -> Record:
    """A contact that Salesforce takes."""
    return {"ExternalId__c": f"c{number}", "LastName": f"Name {number}", **more}


def contacts(count: int, start: int = 0) -> list[Record]:
    return [contact(number) for number in range(start, start + count)]


def task(name: str, operation: str = "upsert", **more: Any) -> dict[str, Any]:
    """A composite task on Contact; its payload is the event unless `more` says otherwise."""
    settings: dict[str, Any] = {
        "name": name,
        "operation": operation,
        "credentials_path": "/nowhere",
        "sobject_type": "Contact",
        "retry": {"max_attempts": 4, "initial_backoff": "20ms"},
    }
    if operation == "upsert":
        settings["external_id_field"] = "ExternalId__c"
    settings |= more
    if "ids" not in settings:
        settings.setdefault("payload", {"from_event": True})
    return {"salesforce_restapi_composite": settings}


def subscriber(stream: str, **more: Any) -> dict[str, Any]:
    """A source on a stream of its own; None leaves a setting out."""
    settings = {
        "name": "source",
        "url": "nats://nowhere:4222",
        "subject": f"{stream}.in",
        "stream": {"name": stream, "subjects": [f"{stream}.>"], "create_or_update": True},
        "durable_name": "d",
        "ack_timeout": "60s",
        "backoff": ["2s"],
        **more,
    }
    said = {key: value for key, value in settings.items() if value is not None}
    return {"nats_jetstream_subscriber": said}


async def until(holds: Callable[[], object], seconds: float = 20.0) -> None:
    """Wait for something that tells nobody when it becomes true."""
    async with asyncio.timeout(seconds):
        while not holds():  # noqa: ASYNC110  there is nothing to be woken by
            await asyncio.sleep(0.005)


class Running:
    """A flow that runs in this process."""

    def __init__(self, opened: OpenFlow, run: asyncio.Task[None], seen: RecordingObserver) -> None:
        self.opened = opened
        self.engine = opened.engine
        self.run = run
        self._seen = seen

    def seen(self, kind: type[Notice]) -> list[Any]:
        """The notices of a kind, so far."""
        return self._seen.of(kind)

    @property
    def sizes(self) -> list[int]:
        """How many records each answered request held, in order."""
        return [len(notice.batch) for notice in self.seen(BatchAnswered)]

    @property
    def deliveries(self) -> list[tuple[int, int]]:
        """(sequence, num_delivered) of everything that was received."""
        return [
            (event.sequence, number)
            for notice, numbers in zip(self.seen(EventsReceived), self._seen.numbers, strict=True)
            for event, number in zip(notice.events, numbers, strict=True)
        ]


class _Seen(RecordingObserver):
    """Also remembers deliveries as they were counted then: events are updated in place."""

    def __init__(self) -> None:
        super().__init__()
        self.numbers: list[list[int]] = []

    def notify(self, notice: Notice) -> None:
        super().notify(notice)
        if isinstance(notice, EventsReceived):
            self.numbers.append([event.num_delivered for event in notice.events])


class World:
    """Where flows run: one stream, one org, one folder for files; each test has its own."""

    def __init__(self, connection: Connection, nats_url: str, org: Emulator, folder: Path) -> None:
        self.connection = connection
        self.nats_url = nats_url
        self.emulator = org
        self.folder = folder
        self.stream = f"e{next(_numbers)}"
        self.subject = f"{self.stream}.in"
        self.credentials = self.write_credentials(username=org.username, password=org.password)

    def write_credentials(self, name: str = "sf.json", **more: Any) -> Path:
        """A Salesforce credentials file for the org, with what the grant wants in `more`."""
        path = self.folder / name
        path.touch(0o600)
        given = {
            "client_id": self.emulator.client_id,
            "client_secret": self.emulator.client_secret,
            "login_url": self.emulator.login_url,
            **more,
        }
        path.write_text(json.dumps({k: v for k, v in given.items() if v is not None}))
        return path

    # -- flows ---------------------------------------------------------------------------------

    def text(
        self, *tasks: dict[str, Any], source: dict[str, Any] | None = None, **flow: Any
    ) -> str:
        """A flow file; JSON is YAML. Without tasks: upserts of Contact."""
        all_tasks = [subscriber(self.stream, **(source or {})), *(tasks or [task("write")])]
        return json.dumps({"flow": {"name": self.stream, "tasks": all_tasks, **flow}})

    def flow(
        self,
        *tasks: dict[str, Any],
        source: dict[str, Any] | None = None,
        credentials: Path | None = None,
        nats_url: str | None = None,
        nats_credentials: Path | None = None,
        **more: Any,
    ) -> Flow:
        """That file, bound to this world."""
        environment = {
            "NATS_URL": nats_url or self.nats_url,
            "SF_CREDENTIALS": str(credentials or self.credentials),
        }
        if nats_credentials:
            environment["NATS_CREDENTIALS"] = str(nats_credentials)
        text = self.text(*tasks, source=source, **more)
        return flow_of(text, Path(f"{self.stream}.yaml"), Settings({}, environment))

    @property
    def store(self) -> FileStore:
        return FileStore(self.folder / "failed.jsonl")

    @property
    def failed(self) -> list[FailedBatch]:
        """What is kept as failed, by sequence."""
        return sorted(self.store.entries(), key=lambda batch: (batch.sequence, batch.task))

    @asynccontextmanager
    async def running(self, flow: Flow | None = None) -> AsyncIterator[Running]:
        """Open a flow (upserts of Contact) and run it until the block ends, then drain."""
        seen = _Seen()
        async with open_flow(flow or self.flow(), self.store, observers=[seen]) as opened:
            run = asyncio.create_task(opened.engine.run(drain_timeout_seconds=20))
            try:
                yield Running(opened, run, seen)
            finally:
                opened.engine.stop()
                await asyncio.wait([run])
            run.result()

    # -- the stream ----------------------------------------------------------------------------

    async def publish(self, *events: Data, connection: Connection | None = None) -> list[int]:
        """Publish each as JSON (bytes as they are); the sequences that the stream gave them."""
        return await self.publish_all(events, connection)

    async def publish_all(
        self, events: Iterable[Data], connection: Connection | None = None
    ) -> list[int]:
        messages = [
            Message(self.subject, event if isinstance(event, bytes) else encode(event))
            for event in events
        ]
        published = await publish_all(connection or self.connection, messages)
        return [item.sequence for item in published]

    async def info(self) -> SourceInfo:
        return await source_info(self.connection, self.stream, "d")

    async def _info_or_none(self) -> SourceInfo | None:
        """None while the server is just being started again."""
        try:
            return await self.info()
        except StreamError:
            return None

    async def settled(
        self, running: Running | None = None, *, lag: int = 0, seconds: float = 30.0
    ) -> SourceInfo:
        """Wait until the stream has nothing pending and nothing unsettled, or just `lag` events
        that are; a flow that ends meanwhile raises what it ended with."""
        async with asyncio.timeout(seconds):
            while (info := await self._info_or_none()) is None or info.lag != lag:
                if running is not None and running.run.done():
                    running.run.result()
                await asyncio.sleep(0.02)
        return info

    # -- the org -------------------------------------------------------------------------------

    @property
    def org(self) -> Any:
        return self.emulator.org

    def fault(self, *texts: str) -> None:
        """Only these faults are on."""
        self.org.faults.clear()
        for text in texts:
            self.org.faults.add(text)

    def rows(self, kind: str = "Contact") -> list[dict[str, Any]]:
        """The rows of a table, oldest first; blank fields are absent."""
        return list(self.org.store.tables[kind].rows.values())

    def table(
        self, kind: str = "Contact", *, by: str = "ExternalId__c"
    ) -> dict[str, dict[str, Any]]:
        """The rows by a field that is different for each."""
        rows = {row[by]: row for row in self.rows(kind)}
        assert len(rows) == len(self.rows(kind)), f"{by} is there twice"
        return rows

    def requests(self, path: str = "/composite") -> list[dict[str, Any]]:
        """The requests whose path holds a text, oldest first."""
        return [request for request in self.org.requests if path in request["path"]]

    def expect(self, records: Sequence[Record], kind: str = "Contact") -> None:
        """The table holds exactly these records, the last of each key counting, in full."""
        wanted: dict[str, Record] = {}
        for record in records:
            wanted.setdefault(record["ExternalId__c"], {}).update(record)
        found = self.table(kind)
        assert found.keys() == wanted.keys()
        for key, record in wanted.items():
            row = found[key]
            assert {name: row.get(name) for name in record} == record
