"""Every `pubsub-...` fault, as a client sees it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import grpc
import pytest

from .conftest import TOPIC, Client, M, collect, refusal

S = grpc.StatusCode


def on_bus(client: Client) -> list[str]:
    return [event["id"] for event in client.server.topics.as_json(TOPIC)["events"]]


def request(*events: Any) -> Any:
    return M["PublishRequest"](topic_name=TOPIC, events=events)


@pytest.mark.parametrize(
    ("status", "code"),
    [
        ("RESOURCE_EXHAUSTED", "service.protection.triggered"),
        ("UNAVAILABLE", "service.unavailable"),
        ("INTERNAL", "service.unavailable"),
        ("UNAUTHENTICATED", "service.auth.error"),
        ("CANCELLED", "publish.stream.sweeper.timeout"),
        ("ABORTED", ""),
    ],
)
async def test_a_status_ends_the_call_before_anything_is_done(
    client: Client, status: str, code: str
) -> None:
    client.server.org.faults.add(f"pubsub-status:{status},count=3")
    assert (await refusal(client.publish(client.event())))[:2] == (S[status], code)
    stream = client.PublishStream()
    await stream.write(request(client.event()))
    assert (await refusal(stream.read()))[:2] == (S[status], code)
    call = await client.subscribe()
    assert (await refusal(call.read()))[:2] == (S[status], code)
    assert on_bus(client) == []
    await client.publish(client.event(id="later"))
    assert on_bus(client) == ["later"]


async def test_a_status_in_mid_stream_spares_the_requests_before(client: Client) -> None:
    client.server.org.faults.add("pubsub-status:UNAVAILABLE,after=2,path=PublishStream")
    stream = client.PublishStream()
    for number in range(3):
        await stream.write(request(client.event(id=str(number))))
    answers = [await stream.read() for _ in range(2)]
    assert [a.results[0].correlation_key for a in answers] == ["0", "1"]
    assert (await refusal(stream.read()))[0] == S.UNAVAILABLE
    assert on_bus(client) == ["0", "1"]


async def test_expiry_in_mid_stream_ends_the_session_for_every_call(client: Client) -> None:
    call = await client.subscribe()
    client.server.org.faults.add("pubsub-expire,path=PublishStream,count=1")
    stream = client.PublishStream()
    await stream.write(request(client.event()))
    assert (await refusal(stream.read()))[:2] == (S.UNAUTHENTICATED, "service.auth.error")
    assert (await refusal(client.publish(client.event())))[1] == "service.auth.error"
    client.token = client.server.org.sessions.issue(client.server.org.user)
    await client.publish(client.event(id="new token"))
    assert (await call.read()).events[0].event.id == "new token"
    call.cancel()


async def test_a_reset_does_nothing_and_a_drop_loses_only_the_answer(client: Client) -> None:
    client.server.org.faults.add("pubsub-reset,count=1")
    status, code, details = await refusal(client.publish(client.event(id="reset")))
    assert (status, code) == (S.UNAVAILABLE, "")
    assert details.startswith("RST_STREAM")
    client.server.org.faults.add("pubsub-drop,count=1")
    assert (await refusal(client.publish(client.event(id="dropped"))))[0] == S.UNAVAILABLE
    assert on_bus(client) == ["dropped"]


async def test_a_subscription_is_reset_in_mid_stream(client: Client) -> None:
    call = await client.subscribe()
    await client.publish(client.event(id="first"))
    await call.read()
    client.server.org.faults.add("pubsub-reset,path=Subscribe")
    await client.publish(client.event(id="second"))
    assert (await refusal(call.read()))[0] == S.UNAVAILABLE


async def test_a_stall_is_silence(start: Callable[..., Any]) -> None:
    client: Client = await start(keepalive_seconds=0.05)
    client.server.org.faults.add("pubsub-stall,path=*ublish*")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await client.Publish(request(client.event()), timeout=0.3)
    assert caught.value.code() == S.DEADLINE_EXCEEDED
    client.server.org.faults.clear()
    call = await client.subscribe()
    assert not (await call.read()).events
    client.server.org.faults.add("pubsub-stall,path=Subscribe")
    await client.publish(client.event())

    async def drain() -> None:
        while True:
            await call.read()

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(drain(), 0.5)
    call.cancel()


async def test_late_answers_are_overtaken_and_none_is_lost(client: Client) -> None:
    client.server.org.faults.add("pubsub-late:100ms,every=3")
    stream = client.PublishStream()
    for number in range(9):
        await stream.write(request(client.event(id=str(number))))
    await stream.done_writing()
    keys = [response.results[0].correlation_key async for response in stream]
    assert keys == ["0", "1", "3", "4", "6", "7", "2", "5", "8"]
    assert on_bus(client) == [str(number) for number in range(9)]


async def test_spoiled_events_are_refused_one_by_one(client: Client) -> None:
    client.server.org.faults.add("pubsub-event:LIMIT_EXCEEDED,every=2")
    response = await client.publish(*client.events(4))
    assert [bool(r.replay_id) for r in response.results] == [True, False, True, False]
    assert response.results[1].error.msg.startswith("LIMIT_EXCEEDED: ")
    assert response.results[1].correlation_key == "event-1"
    assert on_bus(client) == ["event-0", "event-2"]


async def test_doubled_events_share_their_id_and_not_their_position(client: Client) -> None:
    client.server.org.faults.add("pubsub-double")
    await client.publish(client.event(id="twice"))
    first, second = await collect(await client.subscribe(), 2)
    assert first.event == second.event
    assert first.replay_id < second.replay_id


async def test_the_schema_changes_under_a_running_publisher(client: Client) -> None:
    client.server.org.faults.add("pubsub-schema,after=1")
    event = client.event(id="a")
    before = (await client.publish(event)).schema_id
    after = await client.publish(event)
    assert after.schema_id != before
    assert after.results[0].replay_id
    info = await client.GetTopic(M["TopicRequest"](topic_name=TOPIC))
    assert info.schema_id == after.schema_id
    schema = await client.GetSchema(M["SchemaRequest"](schema_id=info.schema_id))
    assert "Added1__c" in schema.schema_json


async def test_faults_can_be_narrowed_to_one_topic(client: Client) -> None:
    client.server.org.faults.add("pubsub-status:UNAVAILABLE,object=CRM_Event__e")
    await client.publish(client.event())
    found = await refusal(client.GetTopic(M["TopicRequest"](topic_name="/event/CRM_Event__e")))
    assert found[0] == S.UNAVAILABLE
