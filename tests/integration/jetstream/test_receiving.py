"""The pull loop against a healthy server."""

from __future__ import annotations

import asyncio
import time

import pytest

from tests.integration.jetstream.conftest import Place, receive_count, settled, until
from workbench.errors import UsageError
from workbench.jetstream import Message, publish


async def test_every_event_comes_once_in_order_and_acks_reach_the_server(place: Place) -> None:
    source = await place.source()
    await place.publish(3000)
    assert await receive_count(source, 3000) == [b"%d" % n for n in range(3000)]
    assert (await settled(source)).ack_floor == 3000
    await source.aclose()


async def test_an_event_carries_its_coordinates(place: Place) -> None:
    source = await place.source()
    before = time.time()
    await publish(place.connection, Message(place.subject, b"\x00\xff", {"k": "å"}, id="a1"))
    [event] = await source.receive(10)
    assert (event.subject, event.data, event.stream) == (place.subject, b"\x00\xff", place.stream)
    assert (event.sequence, event.num_delivered, event.id) == (1, 1, "a1")
    assert dict(event.headers) == {"k": "å", "Nats-Msg-Id": "a1"}
    assert before - 1 < event.timestamp.timestamp() < time.time() + 1
    assert event.received <= time.monotonic()
    assert source.pending == 0
    await source.aclose()


async def test_never_more_is_asked_than_the_limit(place: Place) -> None:
    source = await place.source()
    await place.publish(50)
    events = await source.receive(7)
    while len(events) < 7:
        events += await source.receive(7 - len(events))
    await source.flush()
    assert (await source.info()).ack_pending <= 14  # 7 returned, 7 more asked for
    await source.aclose()


async def test_a_message_right_after_an_empty_poll_comes_at_once(place: Place) -> None:
    source = await place.source()
    loop = asyncio.get_running_loop()
    for _ in range(5):
        loop.call_later(0.02, source.wake)
        assert await source.receive(10) == []
        started = loop.time()
        receiving = asyncio.create_task(source.receive(10))
        await publish(place.connection, Message(place.subject, b"x"))
        source.ack(await receiving)
        assert loop.time() - started < 0.2
    await source.aclose()


async def test_receiving_goes_on_after_requests_expired(place: Place) -> None:
    source = await place.source()
    receiving = asyncio.create_task(source.receive(10))
    first = source._number
    await until(lambda: source._number >= first + 2)  # two have expired and were replaced
    await publish(place.connection, Message(place.subject, b"late"))
    assert [event.data for event in await receiving] == [b"late"]
    await source.aclose()


async def test_wake_returns_an_empty_list(place: Place) -> None:
    source = await place.source()
    source.wake()
    assert await source.receive(1) == []
    await source.aclose()


async def test_a_pause_that_is_over_does_not_make_it_spin(place: Place) -> None:
    source = await place.source()
    now = asyncio.get_running_loop().time()
    source._ask_at = now - 1
    assert source._next_look() > now + 0.5
    await source.aclose()


async def test_a_limit_below_one_is_a_bug(place: Place) -> None:
    source = await place.source()
    with pytest.raises(UsageError):
        await source.receive(0)
    await source.aclose()


async def test_max_ack_pending_holds_the_rest_back_without_stalling(place: Place) -> None:
    source = await place.source(max_ack_pending=10)
    await place.publish(30)
    seen = 0
    started = asyncio.get_running_loop().time()
    while seen < 30:
        events = await source.receive(100)
        assert len(events) <= 10
        seen += len(events)
        source.ack(events)
    assert asyncio.get_running_loop().time() - started < 2
    await source.aclose()


async def test_large_events_are_bounded_by_bytes_and_all_come(place: Place) -> None:
    source = await place.source()
    for number in range(40):
        await publish(place.connection, Message(place.subject, bytes([number]) * 900_000))
    seen: list[int] = []
    while len(seen) < 40:
        events = await source.receive(1000)
        seen += [event.data[0] for event in events]
        source.ack(events)
    assert seen == list(range(40))
    await source.aclose()


async def test_stopping_returns_what_was_on_its_way_and_asks_for_no_more(place: Place) -> None:
    source = await place.source()
    await place.publish(100)
    events = await source.receive(10)
    receiving = asyncio.create_task(source.receive(20))  # asks for more, some of it on its way
    await asyncio.sleep(0)
    source.wake()
    events += await receiving
    started = asyncio.get_running_loop().time()
    events += await source.stop_receiving()
    assert asyncio.get_running_loop().time() - started < 2
    assert len(events) == len({event.sequence for event in events}) <= 30
    source.nak(events, 0)
    await source.flush()
    assert (await source.info()).waiting == 0
    assert await source.receive(10) == []
    await source.aclose()
    other = await place.source()
    started = asyncio.get_running_loop().time()
    assert len(set(await receive_count(other, 100))) == 100
    assert asyncio.get_running_loop().time() - started < 2  # none waits for its ack wait
    await other.aclose()


async def test_two_processes_share_one_durable(place: Place) -> None:
    sources = [await place.source(), await place.source()]
    await place.publish(2000)
    seen: list[bytes] = []

    async def work(number: int) -> None:
        while len(seen) < 2000:
            events = await sources[number].receive(50)
            sources[number].ack(events)
            seen.extend(event.data for event in events)
        for source in sources:
            source.wake()

    await asyncio.gather(work(0), work(1))
    assert sorted(map(int, seen)) == list(range(2000))
    for source in sources:
        await source.aclose()
