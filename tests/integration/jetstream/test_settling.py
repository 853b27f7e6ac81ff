"""Acks, naks, terms and waits as the server understands them, with times."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from tests.integration.jetstream.conftest import Place, settled
from workbench.jetstream import JetStreamSource, peek
from workbench.model import Event


async def _one(source: JetStreamSource) -> tuple[Event, float]:
    """The next event, and when it came."""
    [event] = await source.receive(1)
    return event, asyncio.get_running_loop().time()


async def test_a_nak_comes_back_after_its_own_delay_and_counts_deliveries(place: Place) -> None:
    source = await place.source(max_deliver=4)
    await place.publish(1)
    event, before = await _one(source)
    assert event.num_delivered == 1
    for delivery, delay in enumerate((0.1, 0.4, 0.0), 2):
        source.nak([event], delay)
        event, came = await _one(source)
        assert event.num_delivered == delivery
        assert delay - 0.02 <= came - before < delay + 0.3
        before = came
    source.ack([event])
    await settled(source)
    await source.aclose()


async def test_an_event_without_a_word_comes_back_after_the_ack_wait(place: Place) -> None:
    source = await place.source(ack_wait=0.5)
    await place.publish(1)
    _, first = await _one(source)
    event, second = await _one(source)
    assert event.num_delivered == 2
    assert 0.45 <= second - first < 1.2
    await source.aclose()


async def test_in_progress_keeps_it_longer_than_the_ack_wait(place: Place) -> None:
    source = await place.source(ack_wait=0.5)
    await place.publish(1)
    [event] = await source.receive(1)
    loop = asyncio.get_running_loop()
    end = loop.time() + 1.5
    while loop.time() < end:
        source.in_progress([event])
        loop.call_later(0.15, source.wake)
        assert await source.receive(1) == []
    source.ack([event])
    await settled(source)
    await source.aclose()


async def test_term_ends_it_and_tells_the_reason(place: Place) -> None:
    source = await place.source()
    await place.publish(1)
    subject = f"$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED.{place.stream}.d"
    mailbox = await place.connection.client.open_mailbox(subject)
    source.term(await source.receive(1), "stored as failed\r\nbatch")
    await mailbox.wait(2)
    assert b'"reason":"stored as failed batch"' in mailbox.messages[0].data
    await settled(source)
    await place.connection.client.close_mailbox(mailbox)
    await source.aclose()


async def test_delayed_naks_do_not_block_the_rest(place: Place) -> None:
    source = await place.source()
    await place.publish(1500)
    waiting = 0
    while waiting < 1500:  # more than the server's own default of 1,000 would let wait
        events = await source.receive(500)
        source.nak(events, 30)
        waiting += len(events)
    await place.publish(1, start=9999)
    assert [event.data for event in await source.receive(1)] == [b"9999"]
    await source.aclose()


async def test_settling_an_empty_list_or_while_closed_is_harmless(place: Place) -> None:
    source = await place.source()
    source.ack([])
    source.nak([], 1)
    source.term([], "x")
    source.in_progress([])
    await source.flush()
    await source.aclose()


async def test_the_first_ack_of_a_run_is_confirmed_by_the_server(place: Place) -> None:
    source = await place.source()
    await place.publish(1)
    source.ack(await source.receive(1))
    while not source._is_ack_confirmed:
        asyncio.get_running_loop().call_later(0.05, source.wake)
        assert await source.receive(1) == []
    assert place.changes == []
    await source.aclose()


@pytest.mark.parametrize("retention", ["limits", "workqueue"])
async def test_an_event_that_used_up_its_deliveries_is_found_until_it_is_forgotten(
    place: Place, retention: str
) -> None:
    place.stream_settings = replace(place.stream_settings, retention=retention)
    source = await place.source(ack_wait=0.2, max_deliver=2)
    await place.publish(2)
    events = await source.receive(1)
    while len(events) < 4:  # both events, twice, without a word
        events += await source.receive(4)
    while len(await source.exhausted()) < 2:  # the server tells only while somebody pulls
        asyncio.get_running_loop().call_later(0.1, source.wake)
        assert await source.receive(4) == []
    await source.aclose()

    again = await place.source(ack_wait=0.2, max_deliver=2)  # another process, later
    first, second = await again.exhausted()
    assert (first.data, first.sequence, first.num_delivered) == (b"0", 1, 2)
    assert first.subject == place.subject
    await again.forget_exhausted([first])
    assert [event.sequence for event in await again.exhausted()] == [second.sequence]
    await again.forget_exhausted([second])
    assert await again.exhausted() == []
    left = await peek(place.connection, place.stream)
    assert len(left) == (2 if retention == "limits" else 0)
    await again.aclose()


async def _exhaust(place: Place, source: JetStreamSource) -> list[Event]:
    """One event, delivered once and never answered, until the server gives it up."""
    await place.publish(1)
    assert len(await source.receive(1)) == 1
    found: list[Event] = []
    async with asyncio.timeout(10):
        while not found:
            asyncio.get_running_loop().call_later(0.1, source.wake)
            assert await source.receive(1) == []
            found = await source.exhausted()
    return found


async def test_an_exhausted_event_that_the_stream_has_discarded_is_told_and_forgotten(
    place: Place,
) -> None:
    source = await place.source(ack_wait=0.2, max_deliver=1)
    await _exhaust(place, source)
    await source.aclose()
    await place.connection.api(f"STREAM.PURGE.{place.stream}")
    again = await place.source(ack_wait=0.2, max_deliver=1)
    assert await again.exhausted() == []
    assert "it is lost; raise the stream's limits" in place.changes[-1][1]
    told = len(place.changes)
    assert await again.exhausted() == []
    assert len(place.changes) == told
    await again.aclose()


async def test_without_a_stream_of_its_own_exhausted_events_are_heard_live(
    own_place: Place,
) -> None:
    await own_place.connection.api(
        "STREAM.CREATE.audit", {"name": "audit", "subjects": ["$JS.EVENT.ADVISORY.>"]}
    )
    source = await own_place.source(ack_wait=0.2, max_deliver=1)
    assert "only noticed while this process runs" in own_place.changes[0][1]
    found = await _exhaust(own_place, source)
    assert [(event.data, event.num_delivered) for event in found] == [(b"0", 1)]
    assert [event.sequence for event in await source.exhausted()] == [1]
    await source.forget_exhausted(found)
    assert await source.exhausted() == []
    await source.aclose()


async def test_the_advisory_stream_is_made_again_when_somebody_deletes_it(
    own_place: Place,
) -> None:
    source = await own_place.source(ack_wait=0.2, max_deliver=1)
    await own_place.connection.api("STREAM.DELETE.workbench_advisories")
    assert await source.exhausted() == []
    assert len(await _exhaust(own_place, source)) == 1
    await source.aclose()
