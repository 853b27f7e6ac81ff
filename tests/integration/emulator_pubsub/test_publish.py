"""Publish and PublishStream over real sockets."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from typing import Any

import grpc
import pytest

from .conftest import TOPIC, USER_ID, Client, M, collect, refusal

S = grpc.StatusCode


async def test_what_is_published_is_delivered_as_it_was(client: Client) -> None:
    events = [
        client.event(id="a", Order_ID__c="7", Status__c="", Timestamp__c=1_700_000_000_000),
        client.event(id="b", Order_ID__c="Ærø 日本 🚚"),
    ]
    response = await client.publish(*events)
    call = await client.subscribe()
    got = await collect(call, 2)
    assert [e.event for e in got] == events
    assert [e.replay_id for e in got] == [r.replay_id for r in response.results]
    assert [r.correlation_key for r in response.results] == ["a", "b"]
    assert response.schema_id == events[0].schema_id
    assert response.rpc_id
    assert all(len(e.replay_id) == 10 and e.replay_id.endswith(b"\0\0") for e in got)
    call.cancel()


async def test_events_without_id_get_one_on_success_and_none_on_failure(client: Client) -> None:
    bad = M["ProducerEvent"](schema_id=client.event().schema_id, payload=b"")
    response = await client.publish(client.event(), bad)
    assert len(response.results[0].correlation_key) == 36
    assert response.results[1].correlation_key == ""


async def test_each_fault_of_an_event_is_its_own_and_neighbours_pass(client: Client) -> None:
    good = client.event(id="good")
    crm = client.server.topics.get("/event/CRM_Event__e")
    assert crm is not None
    other = crm.schema
    foreign = other.encode({"CreatedDate": 1, "CreatedById": USER_ID, "Message__c": "x"})
    message = M["ProducerEvent"]
    cases = {
        "left over": message(schema_id=good.schema_id, payload=good.payload + b"\0"),
        "it is too short": message(schema_id=good.schema_id, payload=b""),
        "no OrderStatus__e datum": message(schema_id=good.schema_id, payload=good.payload[:-1]),
        "CreatedById is missing": client.event(CreatedById=""),
        "can't be blank": client.event(schema_id=""),
        "is unknown": client.event(schema_id="AAAAAAAAAAAAAAAAAAAAAA"),
        "belongs to CRM_Event__e": message(schema_id=other.id, payload=foreign),
        "36 characters": client.event(id="x" * 37),
        "limit is 1048576": message(schema_id=good.schema_id, payload=b"x" * (1024 * 1024 + 1)),
    }
    response = await client.publish(good, *cases.values(), good)
    first, *refused, last = response.results
    assert first.replay_id
    assert last.replay_id
    for words, result in zip(cases, refused, strict=True):
        assert words in result.error.msg
        assert result.error.code == 1
        assert not result.replay_id
    assert len(client.server.topics.as_json(TOPIC)["events"]) == 2


async def test_an_event_of_exactly_one_megabyte_passes(client: Client) -> None:
    event = client.event(Order_ID__c="x")
    text = "x" * (1024 * 1024 - len(event.payload) - 2)
    event = client.event(Order_ID__c="x" + text)
    assert len(event.payload) == 1024 * 1024
    response = await client.publish(event)
    assert response.results[0].replay_id


async def test_a_request_above_four_megabytes_looks_like_a_lost_upstream(client: Client) -> None:
    event = M["ProducerEvent"](id="x", schema_id="s", payload=os.urandom(1_000_000))
    status, code, details = await refusal(client.publish(*[event] * 5))
    assert (status, code) == (S.UNAVAILABLE, "")
    assert details.startswith("upstream connect error")
    stream = client.PublishStream()
    await stream.write(M["PublishRequest"](topic_name=TOPIC, events=[event] * 5))
    status, code, _ = await refusal(stream.read())
    assert (status, code) == (S.UNAVAILABLE, "")


@pytest.mark.parametrize(
    ("request_", "status", "code"),
    [
        ({}, S.INVALID_ARGUMENT, "publish.topic.validation.empty"),
        ({"topic_name": "/event/None__e"}, S.NOT_FOUND, "topic.not.found"),
        ({"topic_name": "nonsense"}, S.PERMISSION_DENIED, "topic.meta.permission"),
        ({"topic_name": TOPIC}, S.INVALID_ARGUMENT, "publish.event.count.invalid"),
        (
            {"topic_name": TOPIC, "auth_refresh": "x"},
            S.INVALID_ARGUMENT,
            "publish.auth.refresh.invalid",
        ),
    ],
)
async def test_wrong_requests_end_the_call(
    client: Client, request_: dict[str, Any], status: grpc.StatusCode, code: str
) -> None:
    request = M["PublishRequest"](**request_)
    assert (await refusal(client.Publish(request)))[:2] == (status, code)
    stream = client.PublishStream()
    await stream.write(request)
    assert (await refusal(stream.read()))[:2] == (status, code)


async def test_a_topic_that_may_not_be_published_to(client: Client) -> None:
    client.server.topics.declare("OrderStatus__e", [("A__c", "text")], can_publish=False)
    info = await client.GetTopic(M["TopicRequest"](topic_name=TOPIC))
    assert not info.can_publish
    assert (await refusal(client.publish(client.event())))[0] == S.PERMISSION_DENIED


async def test_a_stream_answers_each_request_in_order(client: Client) -> None:
    stream = client.PublishStream()
    for number in range(20):
        topic = TOPIC if number == 0 else ""
        events = [client.event(id=f"{number}-{n}") for n in range(3)]
        await stream.write(M["PublishRequest"](topic_name=topic, events=events))
    await stream.done_writing()
    keys = [r.correlation_key async for response in stream for r in response.results]
    assert keys == [f"{number}-{n}" for number in range(20) for n in range(3)]
    assert await stream.code() == S.OK


async def test_a_stream_keeps_its_topic(client: Client) -> None:
    stream = client.PublishStream()
    await stream.write(M["PublishRequest"](topic_name=TOPIC, events=[client.event()]))
    await stream.read()
    await stream.write(
        M["PublishRequest"](topic_name="/event/CRM_Event__e", events=[client.event()])
    )
    assert (await refusal(stream.read()))[:2] == (S.INVALID_ARGUMENT, "publish.topic.mismatch")


async def test_an_idle_stream_is_swept_and_only_valid_events_keep_it(
    start: Callable[..., Any],
) -> None:
    client: Client = await start(publish_idle_seconds=0.3)
    bad = M["ProducerEvent"](id="bad", schema_id="?", payload=b"")
    request = M["PublishRequest"](topic_name=TOPIC, events=[bad])

    async def send_bad_ones() -> None:
        stream = client.PublishStream()
        while True:
            await stream.write(request)
            await stream.read()

    status, code, details = await refusal(send_bad_ones())
    while status == S.INTERNAL:
        # grpc.aio hides the true end of a stream from a write that meets it half way.
        status, code, details = await refusal(send_bad_ones())
    assert (status, code) == (S.CANCELLED, "publish.stream.sweeper.timeout")
    assert "timeout period of 0 seconds" in details


async def test_an_idle_stream_lives_on_with_valid_events(start: Callable[..., Any]) -> None:
    client: Client = await start(publish_idle_seconds=1)
    stream = client.PublishStream()
    started = time.monotonic()
    while time.monotonic() - started < 1.3:
        await stream.write(M["PublishRequest"](topic_name=TOPIC, events=[client.event()]))
        assert (await stream.read()).results[0].replay_id
    stream.cancel()


async def test_delayed_answers_of_a_stream_overlap(client: Client) -> None:
    client.server.org.faults.add("pubsub-latency:200ms")
    stream = client.PublishStream()
    started = time.monotonic()
    for number in range(10):
        await stream.write(
            M["PublishRequest"](topic_name=TOPIC, events=[client.event(id=str(number))])
        )
    keys = [(await stream.read()).results[0].correlation_key for _ in range(10)]
    assert keys == [str(number) for number in range(10)]
    assert 0.2 <= time.monotonic() - started < 1.5
    stream.cancel()


async def test_an_older_schema_id_goes_on_while_the_answer_names_the_new_one(
    client: Client,
) -> None:
    before = client.event(id="before", Order_ID__c="1")
    new = client.server.topics.add_field("OrderStatus__e", "Carrier__c", "text")
    response = await client.publish(before)
    assert response.results[0].replay_id
    assert response.schema_id == new.id != before.schema_id
    after = client.event(id="after", Carrier__c="sea")
    assert after.schema_id == new.id
    await client.publish(after)
    got = await collect(await client.subscribe(), 2)
    assert [e.event.schema_id for e in got] == [before.schema_id, new.id]
    shown = client.server.topics.as_json(TOPIC)["events"]
    assert "Carrier__c" not in shown[0]["fields"]
    assert shown[1]["fields"]["Carrier__c"] == "sea"


async def test_old_bytes_under_the_new_schema_id_are_refused(client: Client) -> None:
    old = client.event()
    old.schema_id = client.server.topics.add_field("OrderStatus__e", "New__c", "text").id
    response = await client.publish(old)
    assert "no OrderStatus__e datum" in response.results[0].error.msg


async def test_an_older_schema_that_cannot_be_reconciled_is_refused(client: Client) -> None:
    event = client.event(Order_ID__c="text")
    client.server.topics.declare("OrderStatus__e", [("Order_ID__c", "number")])
    response = await client.publish(event)
    assert "cannot be reconciled" in response.results[0].error.msg


async def test_the_hourly_allocation_refuses_what_is_above_it(client: Client) -> None:
    client.server.topics.bus.hourly_allocation = 3
    response = await client.publish(*client.events(5))
    errors = [r.error.msg.partition(":")[0] for r in response.results]
    assert errors == ["", "", "", "LIMIT_EXCEEDED", "LIMIT_EXCEEDED"]


async def test_order_is_kept_within_a_request_and_positions_are_adjacent(client: Client) -> None:
    responses = await asyncio.gather(*(client.publish(*client.events(50)) for _ in range(4)))
    for response in responses:
        positions = [int.from_bytes(r.replay_id[:8], "big") for r in response.results]
        assert positions == list(range(positions[0], positions[0] + 50))
