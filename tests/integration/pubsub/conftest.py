"""The emulator on loopback, a sink that publishes to it, and a subscriber that reads back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import grpc
import pytest

from workbench.emulator import Emulator, EmulatorOptions
from workbench.emulator.avro import EventSchema
from workbench.emulator.descriptors import MESSAGES, SERVICE
from workbench.model import Answer, Batch, Group, Record, Written
from workbench.salesforce import PublisherSettings, PublisherSink, SalesforceClient
from workbench.salesforce.credentials import Credentials, parse

TOPIC = "/event/OrderStatus__e"


def batch_of(records: Sequence[Record]) -> Batch:
    return Batch("batch-1", "publish", [Group(list(records))])


def orders(count: int, start: int = 0) -> list[Record]:
    return [{"Order_ID__c": str(number)} for number in range(start, start + count)]


def summary(answer: Answer) -> list[str]:
    """One word per outcome, with the code of those that are not written."""
    words = []
    for outcome in answer.outcomes:
        word = type(outcome).__name__
        words.append(word if isinstance(outcome, Written) else f"{word} {outcome.code}")
    return words


def is_written(answer: Answer) -> bool:
    return all(type(outcome) is Written for outcome in answer.outcomes)


class Org:
    """The emulator, and everything that was opened on it."""

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator
        self._closing: list[Callable[[], Awaitable[None]]] = []

    @property
    def topics(self) -> Any:
        return self.emulator.org.topics

    def credentials(self, **more: str) -> Credentials:
        return parse(
            {
                "client_id": self.emulator.client_id,
                "client_secret": self.emulator.client_secret,
                "login_url": self.emulator.login_url,
                **more,
            },
            source="test",
        )

    def fault(self, text: str) -> None:
        self.emulator.org.faults.add(text)

    def calm(self) -> None:
        self.emulator.org.faults.clear()

    def sink(self, topic: str = TOPIC, *, endpoint: str = "", ca: str = "", **more: Any) -> Any:
        """A sink that is not open yet."""
        client = SalesforceClient(self.credentials(**({"ca_file": ca} if ca else {})))
        endpoint = endpoint or self.emulator.pubsub_address
        sink = PublisherSink(client, PublisherSettings(topic, endpoint, **more))
        self._closing += [client.aclose, sink.aclose]
        return sink

    async def open(self, topic: str = TOPIC, **more: Any) -> PublisherSink:
        sink: PublisherSink = self.sink(topic, **more)
        await sink.open()
        return sink

    def on_bus(self, topic: str = TOPIC, field: str = "Order_ID__c") -> list[Any]:
        """One field of everything on the topic, in the bus's order."""
        return [
            event["fields"][field] for event in self.topics.as_json(topic, limit=10**6)["events"]
        ]

    async def subscribed(self, count: int, topic: str = TOPIC) -> list[tuple[Any, dict[str, Any]]]:
        """The first `count` events that a subscriber receives: (ConsumerEvent, decoded fields)."""
        token = self.emulator.org.sessions.issue(self.emulator.org.user)
        metadata = (
            ("accesstoken", token),
            ("instanceurl", self.emulator.login_url),
            ("tenantid", self.emulator.org.id),
        )
        found: list[tuple[Any, dict[str, Any]]] = []
        async with grpc.aio.insecure_channel(self.emulator.pubsub_address) as channel:
            call = channel.stream_stream(
                f"/{SERVICE}/Subscribe",
                request_serializer=MESSAGES["FetchRequest"].SerializeToString,
                response_deserializer=MESSAGES["FetchResponse"].FromString,
            )(metadata=metadata, timeout=10)
            asked = 0
            while len(found) < count:
                if asked == len(found):
                    more = min(100, count - len(found))
                    asked += more
                    await call.write(
                        MESSAGES["FetchRequest"](
                            topic_name=topic, replay_preset=1, num_requested=more
                        )
                    )
                response = await call.read()
                assert response is not grpc.aio.EOF
                for event in response.events:
                    schema: EventSchema = self.topics.schema(event.event.schema_id)
                    found.append((event, schema.decode(event.event.payload)))
            call.cancel()
        return found

    async def aclose(self) -> None:
        for close in reversed(self._closing):
            await close()


@pytest.fixture
async def org() -> AsyncIterator[Org]:
    async with Emulator(EmulatorOptions(pubsub=True)) as emulator:
        made = Org(emulator)
        yield made
        await made.aclose()


@pytest.fixture(autouse=True)
async def no_task_left() -> AsyncIterator[None]:
    """Every test leaves the loop as it found it, but for grpc's own poller."""
    yield
    left = [t for t in asyncio.all_tasks() if t is not asyncio.current_task()]
    assert not [t for t in left if "workbench" in repr(t.get_coro())]
