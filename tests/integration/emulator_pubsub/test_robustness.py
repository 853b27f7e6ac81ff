"""Clients that misbehave, leave, or come in numbers; closing; what is imported when."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import grpc
import pytest

from workbench.emulator.descriptors import SERVICE
from workbench.emulator.org import Org
from workbench.emulator.pubsub import PubSubServer

from .conftest import TOPIC, Client, M, collect, refusal


def test_the_emulator_without_pubsub_needs_neither_grpc_nor_avro() -> None:
    code = (
        "import sys, asyncio\n"
        "from workbench.emulator import Emulator, EmulatorOptions\n"
        "async def main():\n"
        "    async with Emulator(EmulatorOptions(tls=False)):\n"
        "        print(sorted({'grpc', 'google.protobuf', 'fastavro'} & set(sys.modules)))\n"
        "asyncio.run(main())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


async def test_closing_cuts_open_streams() -> None:
    server = PubSubServer(Org())
    await server.start()
    async with grpc.aio.insecure_channel(server.address) as channel:
        client = Client(server, channel)
        subscription = await client.subscribe()
        publication = client.PublishStream()
        await publication.write(M["PublishRequest"](topic_name=TOPIC, events=[client.event()]))
        await publication.read()
        await collect(subscription, 1)
        await server.aclose()
        with pytest.raises((grpc.aio.AioRpcError, asyncio.CancelledError)):
            await subscription.read()
        with pytest.raises((grpc.aio.AioRpcError, asyncio.CancelledError)):
            await publication.read()


async def test_a_port_is_free_again_after_closing() -> None:
    first = PubSubServer(Org())
    await first.start()
    await first.aclose()
    second = PubSubServer(Org(), port=first.port)
    await second.start()
    await second.aclose()


async def test_clients_that_leave_leave_nothing_behind(client: Client) -> None:
    for _ in range(20):
        call = await client.subscribe()
        await client.publish(client.event())
        await collect(call, 1)
        call.cancel()
    while client.server.topics.bus.watchers(TOPIC):
        await client.GetTopic(M["TopicRequest"](topic_name=TOPIC))
    response = await client.publish(client.event(id="after"))
    assert response.results[0].replay_id


async def test_a_hundred_streams_at_once(client: Client) -> None:
    async def one(number: int) -> list[str]:
        stream = client.PublishStream()
        keys = []
        for index in range(5):
            event = client.event(id=f"{number}-{index}")
            await stream.write(M["PublishRequest"](topic_name=TOPIC, events=[event]))
            keys.append((await stream.read()).results[0].correlation_key)
        await stream.done_writing()
        assert await stream.read() is grpc.aio.EOF
        return keys

    found = await asyncio.gather(*(one(number) for number in range(100)))
    assert found == [[f"{number}-{index}" for index in range(5)] for number in range(100)]
    shown = client.server.topics.as_json(TOPIC)["events"]
    for number in range(100):
        mine = [e["id"] for e in shown if e["id"].startswith(f"{number}-")]
        assert mine == [f"{number}-{index}" for index in range(5)]


async def test_a_client_that_sends_without_reading_is_held_back(client: Client) -> None:
    client.server.org.faults.add("pubsub-latency:10s")
    stream = client.PublishStream()
    request = M["PublishRequest"](topic_name=TOPIC, events=client.events(1))
    for _ in range(400):
        await stream.write(request)
    client.server.org.faults.clear()
    while client.server.topics.bus.count(TOPIC) < 256:
        await client.GetTopic(M["TopicRequest"](topic_name=TOPIC))
    for _ in range(20):
        await client.GetTopic(M["TopicRequest"](topic_name=TOPIC))
    assert client.server.topics.bus.count(TOPIC) == 256
    stream.cancel()


async def test_an_unknown_method_is_unimplemented(client: Client) -> None:
    call = client.channel.unary_unary(f"/{SERVICE}/Nothing")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call(b"", metadata=client.metadata())
    assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED


async def test_a_stream_that_says_nothing_ends_in_peace(client: Client) -> None:
    for call in (client.Subscribe(), client.ManagedSubscribe(), client.PublishStream()):
        await call.done_writing()
        assert await call.read() is grpc.aio.EOF
        assert await call.code() == grpc.StatusCode.OK


async def test_fifty_subscribers_see_the_same(start: Callable[..., Any]) -> None:
    client: Client = await start()
    calls = [await client.subscribe(num_requested=40) for _ in range(50)]
    for number in range(40):
        await client.publish(client.event(id=str(number)))
    for call in calls:
        assert [e.event.id for e in await collect(call, 40)] == [str(n) for n in range(40)]
        call.cancel()
    assert (await refusal(client.publish()))[1] == "publish.event.count.invalid"


async def test_whatever_happens_an_answer_and_the_bus_agree(client: Client) -> None:
    for fault in (
        "pubsub-drop:0.05,seed=1",
        "pubsub-reset:0.05,seed=2",
        "pubsub-status:UNAVAILABLE:0.05,seed=3",
        "pubsub-event:0.1,seed=4",
        "pubsub-late:5ms:0.3,seed=5",
        "pubsub-latency:0ms-3ms:0.5,seed=6",
        "pubsub-schema:0.02,seed=7",
    ):
        client.server.org.faults.add(fault)
    confirmed: dict[str, bytes] = {}
    refused: set[str] = set()
    sent = 0
    while sent < 300:
        stream = client.PublishStream()
        try:
            for _ in range(10):
                events = [client.event(id=f"{sent}-{n}") for n in range(5)]
                sent += 1
                await stream.write(M["PublishRequest"](topic_name=TOPIC, events=events))
            await stream.done_writing()
            async for response in stream:
                for result in response.results:
                    if result.HasField("error"):
                        refused.add(result.correlation_key)
                    else:
                        confirmed[result.correlation_key] = result.replay_id
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
            continue
    held = {
        event["id"]: bytes.fromhex(event["replay_id"])
        for event in client.server.topics.as_json(TOPIC, limit=10_000)["events"]
    }
    assert confirmed
    assert refused
    assert confirmed.items() <= held.items()
    assert not refused & held.keys()
    lost_answers = len(held) - len(confirmed)
    assert lost_answers > 0
