"""Subscribe and ManagedSubscribe over real sockets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc
import pytest

from .conftest import TOPIC, Client, M, collect, refusal

S = grpc.StatusCode
LATEST, EARLIEST, CUSTOM = 0, 1, 2


def ids(events: list[Any]) -> list[str]:
    return [event.event.id for event in events]


async def test_latest_sees_only_what_comes_after(start: Callable[..., Any]) -> None:
    client: Client = await start(keepalive_seconds=0.1)
    await client.publish(client.event(id="before"))
    call = await client.subscribe(replay_preset=LATEST)
    keepalive = await call.read()
    assert not keepalive.events
    await client.publish(client.event(id="after"))
    assert ids(await collect(call, 1)) == ["after"]
    call.cancel()


@pytest.mark.parametrize("length", [8, 10])
async def test_custom_goes_on_strictly_after_its_event(client: Client, length: int) -> None:
    response = await client.publish(*client.events(5))
    replay = response.results[2].replay_id[:length]
    call = await client.subscribe(replay_preset=CUSTOM, replay_id=replay)
    assert ids(await collect(call, 2)) == ["event-3", "event-4"]
    call.cancel()


async def test_topics_share_positions_but_not_events(client: Client) -> None:
    topics = client.server.topics
    topics.publish_values("CRM_Event__e", {"Message__c": "hello"}, "005")
    response = await client.publish(client.event(id="mine"))
    call = await client.subscribe()
    assert ids(await collect(call, 1)) == ["mine"]
    other = topics.as_json("/event/CRM_Event__e")["events"]
    assert other[0]["fields"]["Message__c"] == "hello"
    assert other[0]["replay_id"] < response.results[0].replay_id.hex()
    call.cancel()


async def test_credit_adds_up_and_is_capped_at_100(client: Client) -> None:
    for _ in range(3):
        await client.publish(*client.events(100))
    call = await client.subscribe(num_requested=30)
    first = await call.read()
    assert (len(first.events), first.pending_num_requested) == (30, 0)
    await call.write(M["FetchRequest"](num_requested=100_000))
    second = await call.read()
    assert len(second.events) + second.pending_num_requested == 100
    await call.write(M["FetchRequest"](topic_name=TOPIC, num_requested=7))
    events = [*second.events, *await collect(call, 107 - len(second.events))]
    assert len(events) == 107
    call.cancel()


async def test_latest_replay_id_is_at_or_after_the_last_event(client: Client) -> None:
    await client.publish(*client.events(3))
    call = await client.subscribe(num_requested=2)
    response = await call.read()
    assert response.latest_replay_id == response.events[-1].replay_id
    call.cancel()


async def test_keepalives_carry_the_tip_and_no_events(start: Callable[..., Any]) -> None:
    client: Client = await start(keepalive_seconds=0.1)
    response = await client.publish(*client.events(2))
    call = await client.subscribe()
    events = (await call.read()).events
    assert len(events) == 2
    keepalive = await call.read()
    assert not keepalive.events
    assert keepalive.latest_replay_id >= response.results[-1].replay_id
    assert keepalive.pending_num_requested == 98
    assert keepalive.rpc_id
    resumed = await client.subscribe(replay_preset=CUSTOM, replay_id=keepalive.latest_replay_id)
    await client.publish(client.event(id="next"))
    assert ids(await collect(resumed, 1)) == ["next"]
    call.cancel()
    resumed.cancel()


async def test_without_credit_the_stream_closes(start: Callable[..., Any]) -> None:
    client: Client = await start(fetch_seconds=0.2)
    await client.publish(client.event())
    call = await client.subscribe(num_requested=1)
    await call.read()
    status, _, details = await refusal(call.read())
    assert status == S.UNAVAILABLE
    assert details.startswith("RST_STREAM")


async def test_a_client_that_is_done_gets_what_it_asked_for(client: Client) -> None:
    await client.publish(*client.events(5))
    call = await client.subscribe(num_requested=3)
    await call.done_writing()
    assert [len(response.events) async for response in call] == [3]
    assert await call.code() == S.OK


async def test_a_response_holds_at_most_three_megabytes(client: Client) -> None:
    event = client.event(Order_ID__c="x" * 1_000_000)
    for _ in range(3):
        await client.publish(event, event)
    call = await client.subscribe()
    sizes = [len((await call.read()).events) for _ in range(2)]
    assert sizes == [3, 3]
    call.cancel()


@pytest.mark.parametrize(
    ("request_", "status", "code"),
    [
        ({"topic_name": ""}, S.INVALID_ARGUMENT, "topic.validation.empty"),
        ({"topic_name": "/event/X__e"}, S.NOT_FOUND, "topic.not.found"),
        (
            {"num_requested": 0},
            S.INVALID_ARGUMENT,
            "subscription.fetch.requested.events.invalid",
        ),
        (
            {"replay_preset": CUSTOM},
            S.INVALID_ARGUMENT,
            "subscription.fetch.replayid.validation.failed",
        ),
        (
            {"replay_preset": CUSTOM, "replay_id": b"x"},
            S.INVALID_ARGUMENT,
            "subscription.fetch.replayid.corrupted",
        ),
        (
            {"replay_preset": CUSTOM, "replay_id": b"\0" * 10},
            S.INVALID_ARGUMENT,
            "subscription.fetch.replayid.corrupted",
        ),
    ],
)
async def test_wrong_first_requests(
    client: Client, request_: dict[str, Any], status: grpc.StatusCode, code: str
) -> None:
    call = await client.subscribe(**request_)
    assert (await refusal(call.read()))[:2] == (status, code)


async def test_wrong_later_requests(client: Client) -> None:
    call = await client.subscribe()
    await call.write(M["FetchRequest"](topic_name="/event/CRM_Event__e", num_requested=1))
    assert (await refusal(call.read()))[1] == "subscription.fetch.topic.mismatch"
    call = await client.subscribe()
    await call.write(M["FetchRequest"](num_requested=-1))
    assert (await refusal(call.read()))[1] == "subscription.fetch.requested.events.invalid"


async def test_a_wrong_request_without_credit_left_is_refused_too(client: Client) -> None:
    await client.publish(client.event())
    call = await client.subscribe(num_requested=1)
    await collect(call, 1)
    await call.write(M["FetchRequest"](num_requested=0))
    assert (await refusal(call.read()))[1] == "subscription.fetch.requested.events.invalid"


async def test_a_topic_that_may_not_be_read(client: Client) -> None:
    client.server.topics.declare("OrderStatus__e", [], can_subscribe=False)
    call = await client.subscribe()
    assert (await refusal(call.read()))[1] == "subscription.topic.cannot.subscribe"


async def test_past_retention_is_a_corrupted_replay_id(client: Client) -> None:
    bus = client.server.topics.bus
    first = (await client.publish(client.event())).results[0].replay_id
    bus.clear()
    await client.publish(client.event(id="kept"))
    call = await client.subscribe(replay_preset=CUSTOM, replay_id=first)
    assert (await refusal(call.read()))[1] == "subscription.fetch.replayid.corrupted"
    call = await client.subscribe(replay_preset=EARLIEST)
    assert ids(await collect(call, 1)) == ["kept"]
    call.cancel()


async def managed(client: Client, **request: Any) -> Any:
    call = client.ManagedSubscribe()
    await call.write(M["ManagedFetchRequest"](**request))
    return call


async def test_a_managed_subscription_goes_on_after_its_commit(client: Client) -> None:
    client.server.topics.subscribe("Orders", TOPIC, from_earliest=True)
    response = await client.publish(*client.events(4))
    call = await managed(client, developer_name="Orders", num_requested=10)
    assert ids(await collect(call, 4)) == [f"event-{n}" for n in range(4)]
    commit = M["CommitReplayRequest"](
        commit_request_id="c1", replay_id=response.results[1].replay_id
    )
    await call.write(M["ManagedFetchRequest"](commit_replay_id_request=commit))
    answer = (await call.read()).commit_response
    assert (answer.commit_request_id, answer.replay_id) == ("c1", commit.replay_id)
    assert not answer.HasField("error")
    assert answer.process_time > 1_600_000_000_000
    call.cancel()
    assert ids(await managed_again(client, 2)) == ["event-2", "event-3"]


async def managed_again(client: Client, count: int) -> list[Any]:
    """Events of the subscription once the server has noticed that its client is gone."""
    while True:
        call = await managed(client, developer_name="Orders", num_requested=10)
        try:
            return await collect(call, count)
        except grpc.aio.AioRpcError as error:
            if error.code() != S.ALREADY_EXISTS:
                raise
        finally:
            call.cancel()


async def test_a_bad_commit_is_answered_and_the_stream_goes_on(client: Client) -> None:
    made = client.server.topics.subscribe("Orders", TOPIC)
    call = await managed(client, subscription_id=made.id, num_requested=1)
    commit = M["CommitReplayRequest"](commit_request_id="bad", replay_id=b"never")
    await call.write(M["ManagedFetchRequest"](commit_replay_id_request=commit))
    answer = (await call.read()).commit_response
    assert answer.error.code == 2
    assert answer.error.msg
    await client.publish(client.event(id="still"))
    assert ids(await collect(call, 1)) == ["still"]
    call.cancel()


async def test_a_commit_past_retention_uses_the_error_recovery(client: Client) -> None:
    made = client.server.topics.subscribe("Orders", TOPIC, recovers_from_earliest=True)
    made.committed = (await client.publish(client.event(id="old"))).results[0].replay_id
    client.server.topics.bus.clear()
    await client.publish(client.event(id="kept"))
    call = await managed(client, developer_name="Orders", num_requested=1)
    assert ids(await collect(call, 1)) == ["kept"]
    call.cancel()


async def test_one_client_at_a_time(client: Client) -> None:
    client.server.topics.subscribe("Orders", TOPIC, from_earliest=True)
    await client.publish(client.event())
    first = await managed(client, developer_name="Orders", num_requested=1)
    await first.read()
    second = await managed(client, developer_name="Orders", num_requested=1)
    found = await refusal(second.read())
    assert found[:2] == (S.ALREADY_EXISTS, "managed.subscription.already.active")
    first.cancel()


async def test_without_commits_the_stream_ends(start: Callable[..., Any]) -> None:
    client: Client = await start(commit_seconds=0.3, keepalive_seconds=0.1)
    client.server.topics.subscribe("Orders", TOPIC)
    call = await managed(client, developer_name="Orders", num_requested=1)

    async def listen() -> None:
        while True:
            await call.read()

    assert (await refusal(listen()))[0] == S.DEADLINE_EXCEEDED


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ({"num_requested": 1}, "id.or.developer.name.empty"),
        (
            {"developer_name": "Orders", "subscription_id": "18x", "num_requested": 1},
            "id.or.developer.name.empty",
        ),
        ({"developer_name": "None", "num_requested": 1}, "developer.name.not.found"),
        ({"subscription_id": "18x", "num_requested": 1}, "subscription.id.not.found"),
        ({"developer_name": "Orders"}, "fetch.request.requested.events.invalid"),
        (
            {"developer_name": "Orders", "num_requested": 1, "commit_replay_id_request": {}},
            "fetch.request.commit.invalid",
        ),
        ({"developer_name": "Stopped", "num_requested": 1}, "config.stopped"),
    ],
)
async def test_wrong_managed_requests(client: Client, request_: dict[str, Any], code: str) -> None:
    client.server.topics.subscribe("Orders", TOPIC)
    client.server.topics.subscribe("Stopped", TOPIC).is_stopped = True
    call = await managed(client, **request_)
    assert (await refusal(call.read()))[1].endswith(code)
