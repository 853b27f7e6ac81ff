"""Publishing with confirmation, and looking without a consumer."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from tests.integration.jetstream.conftest import Place
from workbench.errors import PublishError, StreamError
from workbench.jetstream import (
    Message,
    peek,
    peek_last,
    peek_since,
    provision,
    publish,
    publish_all,
)


async def test_a_publish_is_confirmed_once_per_id(place: Place) -> None:
    await provision(place.connection, place.stream_settings, place.consumer())
    message = Message(place.subject, b"1", {"a": "b"}, id="x")
    first = await publish(place.connection, message)
    assert (first.stream, first.sequence, first.is_duplicate) == (place.stream, 1, False)
    again = await publish(place.connection, message)
    assert (again.sequence, again.is_duplicate) == (1, True)
    many = await publish_all(place.connection, [Message(place.subject, b"")] * 600)
    assert [one.sequence for one in many] == list(range(2, 602))


async def test_what_is_not_stored_is_said(place: Place) -> None:
    await provision(place.connection, place.stream_settings, place.consumer())
    with pytest.raises(PublishError, match="no stream holds subject nowhere"):
        await publish(place.connection, Message("nowhere", b""))
    with pytest.raises(PublishError, match="is not a subject"):
        await publish(place.connection, Message("no where", b""))
    with pytest.raises(PublishError, match="max_payload"):
        await publish(place.connection, Message(place.subject, b"x" * 1_100_000))
    await provision(
        place.connection, replace(place.stream_settings, max_message_size=10), place.consumer()
    )
    with pytest.raises(PublishError, match="the stream refused"):
        await publish(place.connection, Message(place.subject, b"x" * 11))


async def test_a_stream_without_leader_is_tried_again(place: Place) -> None:
    publishing = asyncio.create_task(publish(place.connection, Message(place.subject, b"x")))
    await asyncio.sleep(0)  # refused once by now: nobody listens yet
    await provision(place.connection, place.stream_settings, place.consumer())
    assert (await publishing).sequence == 1


@pytest.mark.parametrize("is_direct", [True, False])
@pytest.mark.parametrize("retention", ["limits", "workqueue"])
async def test_looking_leaves_the_durable_as_it_was(
    place: Place, is_direct: bool, retention: str
) -> None:
    await place.connection.api(
        f"STREAM.CREATE.{place.stream}",
        {
            "name": place.stream,
            "subjects": [f"{place.stream}.>"],
            "allow_direct": is_direct,
            "retention": retention,
        },
    )
    source = await place.source()
    for number in range(30):
        subject = place.subject if number % 2 else f"{place.stream}.other"
        await publish(place.connection, Message(subject, b"%d" % number, {"n": str(number)}))
    look, stream = place.connection, place.stream
    everything = await peek(look, stream, limit=100)
    assert [int(event.data) for event in everything] == list(range(30))
    assert [event.headers["n"] for event in everything[:2]] == ["0", "1"]
    assert set(everything[0].headers) == {"n"}
    mine = await peek(look, stream, place.subject, start_sequence=5, limit=3)
    assert [event.sequence for event in mine] == [6, 8, 10]
    assert {event.subject for event in mine} == {place.subject}
    assert [event.sequence for event in await peek_last(look, stream, limit=2)] == [29, 30]
    last = await peek_last(look, stream, place.subject, limit=4)
    assert [event.sequence for event in last] == [24, 26, 28, 30]
    assert len(await peek_last(look, stream, place.subject, limit=100)) == 15
    since = await peek_since(look, stream, since_ns=everything[10].timestamp_ns, limit=2)
    assert [event.sequence for event in since] == [11, 12]
    assert await peek_since(look, stream, since_ns=everything[-1].timestamp_ns + 1) == []
    assert await peek(look, stream, start_sequence=31) == []
    assert await peek(look, stream, f"{stream}.none") == []
    assert await peek_last(look, stream, f"{stream}.none") == []
    info = await source.info()
    assert (info.pending, info.ack_pending, info.ack_floor) == (15, 0, 0)
    await source.aclose()


async def test_looking_at_an_empty_or_missing_stream(place: Place) -> None:
    await provision(place.connection, place.stream_settings, place.consumer())
    assert await peek(place.connection, place.stream) == []
    assert await peek_last(place.connection, place.stream) == []
    assert await peek_since(place.connection, place.stream, since_ns=0) == []
    with pytest.raises(StreamError, match="stream 'nope' does not exist"):
        await peek(place.connection, "nope")


async def test_the_info_tells_what_the_stream_discarded_under_the_durable(place: Place) -> None:
    place.stream_settings = replace(place.stream_settings, max_messages=5)
    source = await place.source()
    await place.publish(10)
    info = await source.info()
    assert (info.pending, info.first_sequence, info.last_sequence) == (5, 6, 10)
    assert info.discarded == 5
    assert not info.is_paused
    await source.aclose()
