"""A real server on loopback, and a plain client made of the emulator's own descriptors."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
import pytest

from workbench.emulator.descriptors import MESSAGES, METHODS, SERVICE
from workbench.emulator.org import Org
from workbench.emulator.pubsub import PubSubLimits, PubSubServer

TOPIC = "/event/OrderStatus__e"
USER_ID = "005WB0000000001YAA"
M = MESSAGES


class Client:
    """The six rpcs as callables, with the metadata of a logged-in user."""

    GetTopic: Any
    GetSchema: Any
    Publish: Any
    PublishStream: Any
    Subscribe: Any
    ManagedSubscribe: Any

    def __init__(self, server: PubSubServer, channel: Any) -> None:
        self.server = server
        self.channel = channel
        self.token = server.org.sessions.issue(server.org.user)
        for method, (request, response, streams) in METHODS.items():
            make = channel.stream_stream if streams else channel.unary_unary
            call = make(
                f"/{SERVICE}/{method}",
                request_serializer=M[request].SerializeToString,
                response_deserializer=M[response].FromString,
            )
            setattr(self, method, self._with_metadata(call, streams))

    def metadata(self, **changed: str | None) -> tuple[tuple[str, str], ...]:
        values = {
            "accesstoken": self.token,
            "instanceurl": "http://127.0.0.1:1",
            "tenantid": self.server.org.id,
        } | changed
        return tuple((key, value) for key, value in values.items() if value is not None)

    def _with_metadata(self, call: Any, streams: bool) -> Callable[..., Any]:
        def unary(request: Any, metadata: Any = None, timeout: float = 10.0) -> Any:
            return call(request, metadata=metadata or self.metadata(), timeout=timeout)

        def stream(metadata: Any = None, timeout: float = 20.0) -> Any:
            return call(metadata=metadata or self.metadata(), timeout=timeout)

        return stream if streams else unary

    def event(self, *, id: str = "", schema_id: str | None = None, **values: Any) -> Any:
        """A ProducerEvent of the sample topic."""
        topic = self.server.topics.get(TOPIC)
        assert topic is not None
        schema = topic.schema
        values = {"CreatedDate": 1_700_000_000_550, "CreatedById": USER_ID} | values
        return M["ProducerEvent"](
            id=id,
            schema_id=schema.id if schema_id is None else schema_id,
            payload=schema.encode(values),
        )

    def events(self, count: int) -> list[Any]:
        return [self.event(id=f"event-{n}", Order_ID__c=str(n)) for n in range(count)]

    async def publish(self, *events: Any) -> Any:
        return await self.Publish(M["PublishRequest"](topic_name=TOPIC, events=events))

    async def subscribe(self, **request: Any) -> Any:
        """A Subscribe call that has sent its first request; from the start unless told."""
        call = self.Subscribe()
        request = {"topic_name": TOPIC, "replay_preset": 1, "num_requested": 100} | request
        await call.write(M["FetchRequest"](**request))
        return call


async def collect(call: Any, count: int) -> list[Any]:
    """The first `count` events that a subscription delivers."""
    events: list[Any] = []
    while len(events) < count:
        response = await call.read()
        assert response is not grpc.aio.EOF, await call.details()
        events.extend(response.events)
    return events


async def refusal(awaitable: Any) -> tuple[grpc.StatusCode, str, str]:
    """(status, error code without its prefix, details) that a call or a stream's read ends with."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await awaitable
    error = caught.value
    trailers = dict(error.trailing_metadata())
    code = str(trailers.get("error-code", ""))
    prefix = "sfdc.platform.eventbus.grpc."
    assert not code or code.startswith(prefix)
    assert not code or str(trailers["rpc-id"]) in error.details()
    return error.code(), code.removeprefix(prefix), error.details()


@pytest.fixture
async def start() -> AsyncIterator[Callable[..., Any]]:
    """A function that starts a server with limits, and returns a client of it."""
    opened: list[Any] = []

    async def begin(**settings: Any) -> Client:
        server = PubSubServer(Org(), limits=PubSubLimits(**settings))
        await server.start()
        channel = grpc.aio.insecure_channel(
            server.address, options=(("grpc.max_send_message_length", -1),)
        )
        opened.append((server, channel))
        return Client(server, channel)

    yield begin
    for server, channel in opened:
        await channel.close()
        await server.aclose()


@pytest.fixture
async def client(start: Callable[..., Any]) -> Client:
    made: Client = await start()
    return made


@pytest.fixture(autouse=True)
async def no_task_left() -> AsyncIterator[None]:
    """Every test leaves the loop as it found it, but for grpc's own poller."""
    yield
    left = [t for t in asyncio.all_tasks() if t is not asyncio.current_task()]
    assert not [t for t in left if "workbench" in repr(t.get_coro())]
