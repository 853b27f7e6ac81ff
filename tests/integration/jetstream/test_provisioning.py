"""Stream and durable against the flow file: made, compared, changed, or refused."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from tests.integration.jetstream.conftest import Place
from workbench.errors import ConsumerMismatch, StreamError
from workbench.jetstream import (
    ConsumerSettings,
    Provisioned,
    StreamSettings,
    connect,
    find_stream,
    provision,
)
from workbench.sandbox.nats import NatsServer


def _drift(found: Provisioned) -> dict[str, tuple[object, object, str]]:
    return {item.field: (item.file, item.server, item.action) for item in found.drift}


async def test_both_are_made_as_the_file_says_and_found_again(place: Place) -> None:
    stream = replace(
        place.stream_settings,
        max_age_seconds=3600,
        max_bytes=2147483648,
        max_messages=1000,
        max_messages_per_subject=500,
        max_message_size=10_000,
        retention="limits",
        discard="old",
        duplicate_window_seconds=30,
        description="contacts",
        replicas=1,
        storage="memory",
    )
    made = await provision(place.connection, stream, place.consumer(10, 7, 99))
    assert made.created == (place.stream, "d")
    config = made.stream["config"]
    assert config["max_age"] == 3600 * 10**9
    assert (config["max_bytes"], config["max_msgs"]) == (2147483648, 1000)
    assert (config["storage"], config["description"]) == ("memory", "contacts")
    consumer = made.consumer["config"]
    assert (consumer["ack_policy"], consumer["ack_wait"]) == ("explicit", 10 * 10**9)
    assert (consumer["max_deliver"], consumer["max_ack_pending"]) == (7, 99)
    assert "backoff" not in consumer
    again = await provision(place.connection, stream, place.consumer(10, 7, 99))
    assert (again.created, again.drift) == ((), ())


async def test_a_short_max_age_shortens_the_duplicate_window_with_it(place: Place) -> None:
    stream = replace(place.stream_settings, max_age_seconds=60)
    await provision(place.connection, stream, place.consumer())
    shorter = replace(stream, max_age_seconds=10)
    found = await provision(place.connection, shorter, place.consumer())
    assert found.stream["config"]["duplicate_window"] == 10 * 10**9


async def test_drift_is_mended_and_what_we_do_not_know_is_kept(place: Place) -> None:
    await place.connection.api(
        f"STREAM.CREATE.{place.stream}",
        {
            "name": place.stream,
            "subjects": [f"{place.stream}.>", f"other.{place.stream}"],
            "max_age": 3600 * 10**9,
            "allow_direct": True,
            "metadata": {"owner": "crm"},
            "compression": "s2",
        },
    )
    await place.connection.api(
        f"CONSUMER.CREATE.{place.stream}.d",
        {
            "stream_name": place.stream,
            "config": {
                "name": "d",
                "durable_name": "d",
                "ack_policy": "explicit",
                "backoff": [10**9, 2 * 10**9],
                "max_deliver": 3,
                "filter_subjects": [f"{place.stream}.a", f"{place.stream}.b"],
                "max_batch": 77,
                "headers_only": True,
            },
        },
    )
    stream = replace(place.stream_settings, max_age_seconds=7200)
    found = await provision(place.connection, stream, place.consumer(5))
    drift = _drift(found)
    assert drift["stream.max_age"] == (7200 * 10**9, 3600 * 10**9, "changed")
    assert drift["consumer.max_deliver"] == (5, 3, "changed")
    assert drift["consumer.ack_wait"][0] == 5 * 10**9
    assert {"consumer.backoff", "consumer.filter_subjects", "consumer.headers_only"} <= set(drift)
    told = [str(item) for item in found.drift]
    assert "stream.max_age: file 7,200 s, server 3,600 s; changed on the server" in told
    config, consumer = found.stream["config"], found.consumer["config"]
    assert config["metadata"]["owner"] == "crm"
    assert (config["compression"], config["allow_direct"]) == ("s2", True)
    assert f"other.{place.stream}" in config["subjects"]
    assert (consumer["filter_subject"], consumer["max_batch"]) == (place.subject, 77)
    assert consumer.get("headers_only", False) is False
    assert (await provision(place.connection, stream, place.consumer(5))).drift == ()


async def test_subjects_that_the_stream_covers_are_no_drift(place: Place) -> None:
    await provision(place.connection, place.stream_settings, place.consumer())
    narrow = replace(place.stream_settings, subjects=(place.subject,))
    found = await provision(place.connection, narrow, place.consumer())
    assert found.drift == ()
    assert found.stream["config"]["subjects"] == [f"{place.stream}.>"]


async def test_a_wider_subject_takes_in_what_it_covers(place: Place) -> None:
    narrow = replace(place.stream_settings, subjects=(place.subject, f"other.{place.stream}"))
    await provision(place.connection, narrow, place.consumer())
    found = await provision(place.connection, place.stream_settings, place.consumer())
    assert found.stream["config"]["subjects"] == [f"other.{place.stream}", f"{place.stream}.>"]


async def test_without_leave_the_stream_is_only_compared(place: Place) -> None:
    await provision(place.connection, place.stream_settings, place.consumer())
    stream = replace(place.stream_settings, create_or_update=False, max_messages=5)
    found = await provision(place.connection, stream, place.consumer())
    assert _drift(found) == {"stream.max_msgs": (5, -1, "kept")}
    assert found.stream["config"]["max_msgs"] == -1


async def test_what_the_server_will_not_change_is_a_mismatch(place: Place) -> None:
    await provision(place.connection, place.stream_settings, place.consumer())
    for change in ({"storage": "memory"}, {"retention": "workqueue"}):
        with pytest.raises(ConsumerMismatch, match="can't be changed as the flow file says"):
            await provision(
                place.connection, replace(place.stream_settings, **change), place.consumer()
            )


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"ack_policy": "none"}, "ack_policy is 'none'"),
        ({"ack_policy": "explicit", "deliver_subject": "x"}, "it pushes"),
        (
            {
                "ack_policy": "explicit",
                "priority_policy": "overflow",
                "priority_groups": ["g"],
            },
            "priority group",
        ),
    ],
)
async def test_a_durable_of_another_kind_is_a_mismatch(
    place: Place, config: dict[str, object], said: str
) -> None:
    if "priority_groups" in config and place.connection.version < (2, 11):
        pytest.skip("nats-server has priority groups from 2.11 on")
    await place.connection.api(
        f"STREAM.CREATE.{place.stream}",
        {"name": place.stream, "subjects": [f"{place.stream}.>"]},
    )
    await place.connection.api(
        f"CONSUMER.CREATE.{place.stream}.d",
        {"stream_name": place.stream, "config": {"durable_name": "d", "name": "d", **config}},
    )
    with pytest.raises(ConsumerMismatch, match=said):
        await provision(place.connection, place.stream_settings, place.consumer())


async def test_a_filter_that_can_never_match_is_a_mismatch(place: Place) -> None:
    with pytest.raises(ConsumerMismatch, match="subject 'elsewhere' is not in stream"):
        await provision(place.connection, place.stream_settings, ConsumerSettings("d", "elsewhere"))


async def test_a_stream_that_is_not_there_and_may_not_be_made(place: Place) -> None:
    with pytest.raises(StreamError, match="does not exist: create it, or set"):
        await provision(place.connection, StreamSettings("none"), place.consumer())
    with pytest.raises(StreamError, match=r"no stream\.subjects to create it with"):
        await provision(place.connection, StreamSettings("none", True), place.consumer())


async def test_subjects_of_another_stream_are_refused(place: Place) -> None:
    await provision(place.connection, place.stream_settings, place.consumer())
    with pytest.raises(StreamError, match="another stream holds some of these subjects"):
        await provision(
            place.connection,
            StreamSettings(f"{place.stream}x", True, (f"{place.stream}.>",)),
            place.consumer(),
        )


async def test_a_stream_is_found_by_its_subject(place: Place) -> None:
    await provision(place.connection, place.stream_settings, place.consumer())
    found = await provision(place.connection, StreamSettings(), place.consumer())
    assert found.stream_name == place.stream
    with pytest.raises(StreamError, match="no stream holds subject 'nowhere'"):
        await find_stream(place.connection, "nowhere")


async def test_several_processes_may_start_at_once(server: NatsServer, place: Place) -> None:
    connections = [await connect(server.url) for _ in range(4)]
    found = await asyncio.gather(
        *(provision(each, place.stream_settings, place.consumer()) for each in connections)
    )
    assert {item.stream_name for item in found} == {place.stream}
    for each in connections:
        await each.aclose()
