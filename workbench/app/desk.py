"""What the application's screens ask of the world, by the same calls as the command line.

Nothing heavy is imported before it is needed: the first picture waits neither for NATS and HTTP
nor for the flow language.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.app.settings import Settings
from workbench.errors import Problem, RenderError, SettingsError, WorkbenchError

if TYPE_CHECKING:
    from workbench.app.failed_desk import FailedDesk
    from workbench.app.health import Health, Step
    from workbench.app.run import Run
    from workbench.app.target import Target
    from workbench.app.trial import Trial
    from workbench.failed import FailedStore
    from workbench.flow import Flow
    from workbench.jetstream import Connection
    from workbench.model import Event
    from workbench.observe import Observer

    Stores = Callable[[Flow], FailedStore]

__all__ = ["Desk"]

_KEPT_FLOWS = 4


class Desk:
    """Flows in a place, with the settings they are bound to.

    Args:
        settings: environment, sandbox and overrides, as for the command line.
        stores: opens the failed batches of a flow, as `FailedStores.of` does.
    """

    def __init__(self, settings: Settings, stores: Stores) -> None:
        self.settings = settings
        self._stores = stores
        self._failed: dict[tuple[str, str | None, str], FailedDesk] = {}
        self._connections: dict[tuple[str, str | None], Connection] = {}
        self._connecting = asyncio.Lock()
        self._flows: OrderedDict[tuple[str, Path, bool], Flow] = OrderedDict()
        self._flows_lock = threading.Lock()

    @property
    def is_sandbox(self) -> bool:
        return self.settings.is_sandbox

    def warm_up(self) -> None:
        """Import what connecting takes; for a thread, while nobody waits for it."""
        import workbench.app.failed_desk
        import workbench.app.flow_book
        import workbench.app.outside  # noqa: F401

    def check(self, text: str, path: Path) -> tuple[Problem, ...]:
        """Every problem of the text, as `workbench check` finds them in the file."""
        from workbench.app.flows import check_text

        try:
            return tuple(check_text(text, path, self.settings))
        except SettingsError as error:
            return (Problem(str(path), 0, 0, "", "error", "settings", str(error)),)

    def flow(self, text: str, path: Path) -> Flow:
        """The flow that a text describes, bound.

        Raises:
            FlowError, SettingsError: it can't run as it stands.
        """
        return self._read(text, path, self.settings)

    def sample(self, text: str, path: Path, data: bytes) -> Event:
        """An event with these data, as if the flow had received it.

        Raises:
            FlowError, SettingsError: as `flow`.
        """
        from workbench.model import Event

        flow = self._previewed(text, path)
        stream = flow.source.stream
        return Event(
            flow.source.subject,
            data,
            stream=stream.name if stream else "",
            sequence=1,
            timestamp_ns=time.time_ns(),
        )

    def preview(self, text: str, path: Path, event: Event) -> Trial:
        """The requests the event would cause; sends nothing. Slow for large events: use a thread.

        Raises:
            FlowError, SettingsError: the flow can't run as it stands.
        """
        from workbench.app.outline import outline
        from workbench.app.preview import preview
        from workbench.app.trial import Request, Trial

        flow = self._previewed(text, path)
        started = time.perf_counter()
        result = preview(flow, event)
        requests = tuple(
            Request(
                item.task, item.request.method, item.request.target, item.request.body, item.records
            )
            for item in result.requests
        )
        problems = tuple(_problem(flow, event, sentence) for sentence in result.problems)
        seconds = time.perf_counter() - started
        return Trial(requests, problems, result.later, seconds, outline(flow))

    def _previewed(self, text: str, path: Path) -> Flow:
        if "NATS_URL" in self.settings.variables:
            return self.flow(text, path)
        # Nothing is connected to, so the usual variable for the address need not be set.
        env = {"NATS_URL": "nats://localhost:4222", **self.settings.env}
        settings = Settings(env, self.settings.sandbox, self.settings.overrides)
        return self._read(text, path, settings)

    def _read(self, text: str, path: Path, settings: Settings) -> Flow:
        """The flow of a text, remembered: the same few are asked for all the time, from the event
        loop too, and thousands of lines take a second to read."""
        key = (text, path, settings is self.settings)
        with self._flows_lock:
            known = self._flows.get(key)
            if known is not None:
                self._flows.move_to_end(key)
                return known
        flow = _flow_of(text, path, settings)
        with self._flows_lock:
            self._flows[key] = flow
            while len(self._flows) > _KEPT_FLOWS:
                self._flows.popitem(last=False)
        return flow

    def target(self, flow: Flow) -> Target:
        """Where the flow would read and write."""
        from workbench.app.target import target_of

        return target_of(flow, is_sandbox=self.is_sandbox)

    def start(self, text: str, path: Path, observers: Sequence[Observer]) -> Run:
        """Run the flow in the background of this event loop.

        Raises:
            FlowError, SettingsError: it can't run as it stands.
        """
        from workbench.app.run import Run

        flow = self.flow(text, path)
        run = Run(flow, path, self.target(flow))
        run._task = asyncio.create_task(
            run._run(self._stores(flow), observers), name=f"desk-run-{flow.name}"
        )
        return run

    def failed(self, text: str, path: Path) -> FailedDesk:
        """The failed batches that lie where the flow's do, those of other flows among them; always
        the same desk for the same place. Flows are found beside `path`; this one is as `text` says.

        Raises:
            FlowError, SettingsError: the flow can't run as it stands.
        """
        from workbench.app.failed_desk import FailedDesk
        from workbench.app.flow_book import FlowBook

        flow = self.flow(text, path)
        place = (flow.source.url, flow.source.credentials_path, flow.failed.stream)
        if place not in self._failed:
            book = FlowBook(self.settings, [path.parent])
            self._failed[place] = FailedDesk(self._stores(flow), book)
        self._failed[place].flows.add(flow)
        return self._failed[place]

    async def peek(self, text: str, path: Path, limit: int = 50) -> list[Event]:
        """The last events the flow's durable would be given, oldest first; touches no durable.

        Raises:
            FlowError, SettingsError: the flow can't run as it stands.
            StreamError: NATS or the stream can't be reached.
        """
        from workbench.jetstream import peek_last

        source = (await asyncio.to_thread(self.flow, text, path)).source
        if source.stream is None:
            raise SettingsError("the flow names no stream, so there is none to look into")
        connection = await self._connection(source.url, source.credentials_path)
        return await peek_last(connection, source.stream.name, source.subject, limit=limit)

    async def look(self, text: str, path: Path) -> Health:
        """How the flow's durable stands, whoever runs the flow; nothing is made or changed.

        Raises:
            FlowError, SettingsError: the flow can't run as it stands.
            StreamError: NATS can't be reached, or stream or durable are not there.
        """
        from workbench.app.outside import look

        source = (await asyncio.to_thread(self.flow, text, path)).source
        return await look(await self._connection(source.url, source.credentials_path), source)

    async def publish(self, text: str, path: Path, subject: str, data: bytes) -> str:
        """Publish an event to the flow's NATS; returns where it lies, as a sentence.

        Raises:
            FlowError, SettingsError: the flow can't run as it stands.
            StreamError: not confirmed.
        """
        from workbench.jetstream import Message, publish

        source = (await asyncio.to_thread(self.flow, text, path)).source
        connection = await self._connection(source.url, source.credentials_path)
        stored = await publish(connection, Message(subject, data))
        return f"{subject}: stored in stream {stored.stream} as sequence {stored.sequence}"

    async def test(self, text: str, path: Path, tell: Callable[[Step], None]) -> None:
        """Try NATS, the stream, and each login, telling the steps one by one."""
        from workbench.app.health import Step
        from workbench.salesforce import SalesforceClient
        from workbench.salesforce.credentials import read

        async def step(name: str, trying: Callable[[], object]) -> bool:
            began = time.perf_counter()
            try:
                said = trying()
                said = await said if asyncio.iscoroutine(said) else said
            except WorkbenchError as error:
                tell(Step(name, False, str(error), time.perf_counter() - began))
                return False
            tell(Step(name, True, str(said), time.perf_counter() - began))
            return True

        flow: Flow | None = None

        def load() -> str:
            nonlocal flow
            flow = self.flow(text, path)
            return f"flow {flow.name}, {len(flow.tasks)} tasks"

        if not await step("flow file", load) or flow is None:
            return
        source = flow.source

        async def nats() -> str:
            connection = await self._connection(source.url, source.credentials_path)
            return f"nats-server {'.'.join(map(str, connection.version))} at {connection.address}"

        async def stream() -> str:
            events = await self.peek(text, path, 1)
            return f"last event is sequence {events[-1].sequence}" if events else "no event yet"

        if await step("NATS", nats):
            await step("stream", stream)
        for credentials in dict.fromkeys(task.credentials_path for task in flow.sinks):

            async def login(credentials: str = credentials) -> str:
                client = SalesforceClient(read(credentials), max_in_flight=1)
                try:
                    token = await client.open()
                    return f"{token.instance_url}, API {client.api_version}"
                finally:
                    await client.aclose()

            await step(f"Salesforce login with {Path(credentials).name}", login)

    async def _connection(self, url: str, credentials_path: str | None) -> Connection:
        from workbench.app.opening import connect_nats

        key = (url, credentials_path)
        async with self._connecting:
            known = self._connections.get(key)
            if known is not None and known.is_connected:
                return known
            if known is not None:
                await known.aclose()
            self._connections[key] = await connect_nats(url, credentials_path)
            return self._connections[key]

    async def aclose(self) -> None:
        """Close what was opened for looking, publishing and replaying; runs are their own
        affair."""
        for failed in self._failed.values():
            await failed.aclose()
        connections, self._connections = self._connections, {}
        for connection in connections.values():
            await connection.aclose()


def _flow_of(text: str, path: Path, settings: Settings) -> Flow:
    from workbench.app.flows import flow_of

    return flow_of(text, path, settings)


def _problem(flow: Flow, event: Event, sentence: str) -> Problem:
    """The sentence with the place in the file, where a field of a payload is at fault."""
    from workbench import codec

    for task in flow.sinks:
        try:
            task.render(event, codec.decode(event.data))
        except RenderError as error:
            if error.reason not in sentence:
                continue
            document = flow.document
            inner = f"payload.{error.field}" if error.field else "payload"
            for field_path in (f"{inner}", error.field, "payload"):
                place = f"{_dotted(task.path)}.{field_path}"
                span = document.locate(place)
                if span is not None:
                    return Problem(flow.file, span[0], span[1], place, "error", "preview", sentence)
        except ValueError:
            break
    return Problem(flow.file, 0, 0, "", "error", "preview", sentence)


def _dotted(path: Sequence[str | int]) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")
