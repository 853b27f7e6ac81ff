"""From a bound flow to a running engine: everything opened, handed over, and closed in reverse.

This is the one place where adapters meet the engine's ports. They do not know the ports; the
assignments here are what the type checker proves them by.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, TypeAlias

from workbench.app.watch import StreamWatch
from workbench.engine import (
    MAX_HELD_EVENTS,
    DeadLetters,
    Engine,
    Gate,
    Pace,
    PauseCause,
    RetryPolicy,
    Sink,
    Source,
    StageSpec,
    SystemClock,
)
from workbench.flow import CompositeTask, Flow, SinkTask, SubscriberTask
from workbench.jetstream import (
    Connection,
    ConsumerSettings,
    Credentials,
    JetStreamSource,
    StreamSettings,
    ack_wait_seconds,
    connect,
    load_credentials,
)
from workbench.observe import ConnectionChanged, Observer, Snapshot
from workbench.salesforce import CompositeSettings, CompositeSink, SalesforceClient
from workbench.salesforce.credentials import read as read_salesforce_credentials

if TYPE_CHECKING:
    from workbench.salesforce import PublisherSink

__all__ = [
    "OpenFlow",
    "TaskSink",
    "composite_settings",
    "connect_nats",
    "open_clients",
    "open_flow",
    "open_sinks",
    "open_source",
    "sink_of",
    "stage_spec",
]


@dataclasses.dataclass(frozen=True, slots=True)
class OpenFlow:
    """A flow with all it needs open; `engine.run()` is still to be called."""

    flow: Flow
    engine: Engine
    source: JetStreamSource
    connection: Connection
    clients: tuple[SalesforceClient, ...]
    watch: StreamWatch

    def not_ready(self) -> list[str]:
        """Why it does not take events into Salesforce right now, one sentence each."""
        snapshot = self.engine.snapshot()
        reasons = []
        if not self.connection.is_connected:
            reasons.append(f"NATS at {self.connection.address} is not connected")
        if any(client.session.current is None for client in self.clients):
            reasons.append("not logged in to Salesforce")
        if snapshot.pause_reason:
            reasons.append(f"{snapshot.state}: {snapshot.pause_reason} ({_until(snapshot)})")
        elif snapshot.state != "running":
            reasons.append(snapshot.state)
        return [f"{self.flow.name}: {reason}" for reason in reasons]


def _until(snapshot: Snapshot) -> str:
    """What ends a pause, and its cause, by which the failure guide tells more."""
    cause, probe = snapshot.pause_cause, snapshot.next_probe_seconds
    if cause == PauseCause.BROKEN:
        ends = "goes on when the file is mended, or at SIGUSR1"
    elif cause == PauseCause.OPERATOR:
        ends = "goes on at SIGUSR1"
    else:
        ends = f"looks again in {probe:.0f} s" if probe else "looks again now"
    return f"{cause}: {ends}"


@asynccontextmanager
async def open_flow(
    flow: Flow, dead_letters: DeadLetters, *, observers: Sequence[Observer] = ()
) -> AsyncIterator[OpenFlow]:
    """Connect, log in, create or check stream and durable, and build the engine.

    NATS and Salesforce are opened at the same time. Both must answer: a flow that cannot work is
    told so at once, not when the first event comes.

    Raises:
        SettingsError: a credentials file is missing or wrong.
        StreamError: NATS can't be reached or is not as the file says.
        SalesforceError: the login failed, or a topic can't be published to.
    """
    async with AsyncExitStack() as stack:
        clients = open_clients(flow, flow.sinks, stack)
        sinks = {task.name: sink_of(task, flow, clients) for task in flow.sinks}
        engines: list[Engine] = []

        def changed(state: str, detail: str) -> None:
            notice = ConnectionChanged(flow.name, "nats", state, detail)
            for engine in engines:
                engine.observers.notify(notice)
            if not engines:  # while it is being opened
                for observer in observers:
                    observer.notify(notice)

        login = asyncio.create_task(open_sinks(sinks.values(), stack))
        try:
            connection, source = await open_source(flow.source, stack, changed)
            await login
        finally:
            login.cancel()
            await asyncio.gather(login, return_exceptions=True)
        port: Source = source
        engine = Engine(
            flow.name,
            flow.source.name,
            [stage_spec(flow, task, sinks[task.name]) for task in flow.sinks],
            source=port,
            dead_letters=dead_letters,
            clock=SystemClock(),
            observers=observers,
            gate=Gate(pause_after=flow.failed.pause_after, daily_share=flow.api_budget.daily_share),
            pace=_pace(flow.source),
            max_held_events=_most_held(flow.source),
        )
        engines.append(engine)
        watch = StreamWatch(
            flow.name, source, connection, flow.source.subject, engine.observers.notify
        )
        watching = asyncio.create_task(watch.run(), name=f"{flow.name}-watch")
        try:
            yield OpenFlow(flow, engine, source, connection, tuple(clients.values()), watch)
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)


def _most_held(task: SubscriberTask) -> int:
    """Beyond `max_ack_pending` (-1: no bound) the server would send nothing anyway."""
    bound = task.max_ack_pending
    return MAX_HELD_EVENTS if bound is None or bound < 0 else bound


def _pace(task: SubscriberTask) -> Pace:
    return Pace(task.max_messages, task.delay_seconds or 0.0, task.throttle_seconds or 0.0)


async def connect_nats(
    url: str, credentials_path: str | None, on_change: Callable[[str, str], None] | None = None
) -> Connection:
    """A connection to NATS as a source's settings describe it; the caller closes it.

    Raises:
        SettingsError: the credentials file is missing or wrong.
        StreamError: no server took us.
    """
    credentials = load_credentials(credentials_path) if credentials_path else Credentials()
    return await connect(url, credentials, on_change=on_change)


async def open_source(
    task: SubscriberTask, stack: AsyncExitStack, changed: Callable[[str, str], None] | None = None
) -> tuple[Connection, JetStreamSource]:
    """Connect to NATS and create or check stream and durable; both are closed with the stack.

    Raises:
        SettingsError: the credentials file is missing or wrong.
        StreamError: NATS can't be reached or is not as the file says.
    """
    connection = await connect_nats(task.url, task.credentials_path, changed)
    stack.push_async_callback(connection.aclose)
    source = await JetStreamSource.open(
        connection,
        _stream_settings(task),
        ConsumerSettings(
            durable=task.durable_name,
            filter_subject=task.subject,
            ack_wait_seconds=ack_wait_seconds(task.ack_timeout_seconds, _stated_backoff(task)),
            max_deliver=task.max_deliver,
            max_ack_pending=task.max_ack_pending,
        ),
    )
    stack.push_async_callback(source.aclose)
    return connection, source


def _stated_backoff(task: SubscriberTask) -> tuple[float, ...]:
    """The backoff that the file itself gives: only that shortens the server's ack wait."""
    return task.backoff_seconds if task.settings.get("backoff") else ()


def _stream_settings(task: SubscriberTask) -> StreamSettings:
    return StreamSettings(**dataclasses.asdict(task.stream)) if task.stream else StreamSettings()


def open_clients(
    flow: Flow, tasks: Sequence[SinkTask], stack: AsyncExitStack
) -> dict[str, SalesforceClient]:
    """One client per credentials file, with room for the requests of all its tasks; they are
    closed with the stack."""
    in_flight: dict[str, int] = {}
    for task in tasks:
        path = task.credentials_path
        in_flight[path] = in_flight.get(path, 0) + task.batch.max_in_flight
    clients = {}
    for path, count in in_flight.items():
        clients[path] = SalesforceClient(
            read_salesforce_credentials(path), max_in_flight=count, api_version=flow.api_version
        )
        stack.push_async_callback(clients[path].aclose)
    return clients


TaskSink: TypeAlias = "CompositeSink | PublisherSink"
"""Both are `Sink`s of the engine; `request_of` shows a batch's request as well."""


def sink_of(task: SinkTask, flow: Flow, clients: Mapping[str, SalesforceClient]) -> TaskSink:
    """A task's way into Salesforce over the client of its credentials, still to be opened by
    `open_sinks`; without that client it can only show requests."""
    client = clients.get(task.credentials_path)
    if isinstance(task, CompositeTask):
        return CompositeSink(client, composite_settings(task), api_version=flow.api_version)
    # Here, so that a flow without platform events does not load what only they need.
    from workbench.salesforce import PublisherSettings, PublisherSink

    settings = PublisherSettings(
        topic=task.topic,
        endpoint=task.endpoint,
        max_records=task.batch.max_records,
        accept_duplicates=task.accept_duplicates,
        flow=flow.name,
    )
    return PublisherSink(client, settings)


async def open_sinks(sinks: Iterable[TaskSink], stack: AsyncExitStack) -> None:
    """Log in, and look up what the sinks will need, all at once; they are closed with the stack.

    Raises:
        SalesforceError: a login failed, or a topic is not there or not ours to publish to.
    """
    opening = []
    for sink in sinks:
        opening.append(asyncio.create_task(sink.open()))
        if not isinstance(sink, CompositeSink):
            stack.push_async_callback(sink.aclose)
    try:
        await asyncio.gather(*opening)
    finally:
        for task in opening:
            task.cancel()
        await asyncio.gather(*opening, return_exceptions=True)


def composite_settings(task: CompositeTask) -> CompositeSettings:
    """What the REST sink is told of a task."""
    return CompositeSettings(
        operation=task.operation,
        sobject_type=task.sobject_type,
        external_id_field=task.external_id_field,
        allow_duplicate_save=task.allow_duplicate_save,
        fields=task.fields,
        max_records=task.batch.max_records,
    )


def stage_spec(flow: Flow, task: SinkTask, sink: Sink) -> StageSpec:
    """What the engine is told of a task."""
    source = flow.source
    default = RetryPolicy()
    return StageSpec(
        name=task.name,
        upstreams=task.depends_on,
        render=task.render,
        sink=sink,
        policy=RetryPolicy(
            max_attempts=task.retry.max_attempts,
            initial_backoff_seconds=task.retry.initial_backoff_seconds,
            ack_timeout_seconds=source.ack_timeout_seconds or default.ack_timeout_seconds,
            backoff_seconds=source.backoff_seconds,
            max_deliver=source.max_deliver,
        ),
        order_key=task.order_key,
        is_atomic=isinstance(task, CompositeTask) and task.all_or_none,
        max_records=task.batch.max_records,
        linger_seconds=task.batch.linger_seconds,
        max_in_flight=task.batch.max_in_flight,
        settings=task.settings,
        digest=flow.digest,
    )
