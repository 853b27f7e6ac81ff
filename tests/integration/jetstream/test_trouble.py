"""The server dies, freezes, loses things, forbids things: nothing of ours is lost or silent."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.integration.jetstream.conftest import Place, receive_count, settled, until
from workbench.errors import PublishError, StreamError
from workbench.jetstream import (
    ConsumerSettings,
    Credentials,
    JetStreamSource,
    Message,
    StreamSettings,
    connect,
    publish,
)
from workbench.model import Event
from workbench.sandbox.nats import NatsServer


async def test_killed_and_restarted_under_load_loses_nothing(
    own_place: Place, own_server: NatsServer
) -> None:
    source = await own_place.source(ack_wait=1)
    await own_place.publish(6000)
    seen: set[bytes] = set()
    kills = 0
    while len(seen) < 6000:
        events = await source.receive(200)
        source.ack(events)
        seen.update(event.data for event in events)
        if len(seen) > 1500 * (kills + 1) and kills < 3:
            own_server.kill()
            own_server.start()
            kills += 1
    assert kills == 3
    await settled(source)
    await source.aclose()


async def test_an_idle_source_receives_soon_after_a_restart(
    own_place: Place, own_server: NatsServer
) -> None:
    source = await own_place.source()
    receiving = asyncio.create_task(source.receive(10))
    await asyncio.sleep(0)
    own_server.kill()
    own_server.start()
    other = await connect(own_server.url)
    await publish(other, Message(own_place.subject, b"after"))
    events = await asyncio.wait_for(receiving, 2)
    assert [event.data for event in events] == [b"after"]
    await other.aclose()
    await source.aclose()


async def test_settlements_made_while_the_server_is_away_arrive_later(
    own_place: Place, own_server: NatsServer
) -> None:
    source = await own_place.source()
    await own_place.publish(10)
    events = await source.receive(10)
    own_server.kill()
    await until(lambda: not own_place.connection.is_connected)
    source.ack(events)
    await source.flush()  # returns, as the server is not reachable
    own_server.start()
    await until(lambda: own_place.connection.is_connected)
    await settled(source)
    await source.aclose()


async def test_a_frozen_server_only_pauses(own_place: Place, own_server: NatsServer) -> None:
    source = await own_place.source()
    await own_place.publish(5)
    source.ack(await source.receive(5))
    own_server.freeze()
    asyncio.get_running_loop().call_later(2.5, own_server.thaw)
    asyncio.get_running_loop().call_later(2.6, source.wake)
    assert await source.receive(5) == []
    await own_place.publish(5, start=5)
    assert await receive_count(source, 5) == [b"%d" % n for n in range(5, 10)]
    await source.aclose()


async def test_a_worker_killed_with_events_in_hand_gets_them_delivered_again(
    place: Place, server: NatsServer
) -> None:
    keeper = await place.source(ack_wait=0.5)
    await place.publish(20)
    script = (
        "import asyncio, sys\n"
        "from workbench.jetstream import *\n"
        "async def main(url, stream):\n"
        "    connection = await connect(url)\n"
        "    settings = ConsumerSettings('d', f'{stream}.in', 0.5, 5)\n"
        "    source = await JetStreamSource.open(\n"
        "        connection, StreamSettings(stream, True, (f'{stream}.>',)), settings)\n"
        "    events = await source.receive(20)\n"
        "    while len(events) < 20:\n"
        "        events += await source.receive(20 - len(events))\n"
        "    source.ack(events[:5])\n"
        "    await source.flush()\n"
        "    print('holding', flush=True)\n"
        "    await asyncio.sleep(60)\n"
        "asyncio.run(main(*sys.argv[1:]))\n"
    )
    worker = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, server.url, place.stream, stdout=asyncio.subprocess.PIPE
    )
    assert worker.stdout is not None
    assert await worker.stdout.readline() == b"holding\n"
    os.kill(worker.pid, signal.SIGKILL)
    await worker.wait()
    assert sorted(map(int, await receive_count(keeper, 15))) == list(range(5, 20))
    await settled(keeper)
    await keeper.aclose()


async def test_a_durable_deleted_while_running_is_made_again_where_it_stood(place: Place) -> None:
    source = await place.source()
    await place.publish(10)
    await receive_count(source, 10)
    await settled(source)  # looking at the info remembers the ack floor
    receiving = asyncio.create_task(source.receive(10))
    await asyncio.sleep(0)
    await place.connection.api(f"CONSUMER.DELETE.{place.stream}.d")
    await until(lambda: place.changes)
    await place.publish(1, start=10)
    assert [event.data for event in await receiving] == [b"10"]
    assert "deleted on the server; made again from sequence 11" in place.changes[0][1]
    await source.aclose()


async def test_a_stream_deleted_while_running_is_made_again(place: Place) -> None:
    source = await place.source()
    receiving = asyncio.create_task(source.receive(10))
    await asyncio.sleep(0)
    await place.connection.api(f"STREAM.DELETE.{place.stream}")
    await until(lambda: place.changes)
    await place.publish(1)
    assert [event.data for event in await receiving] == [b"0"]
    await source.aclose()


@pytest.mark.parametrize("what", ["CONSUMER.DELETE.{}.d", "STREAM.DELETE.{}"])
async def test_what_was_deleted_and_may_not_be_made_ends_receiving(place: Place, what: str) -> None:
    await (await place.source()).aclose()
    place.stream_settings = replace(place.stream_settings, create_or_update=False)
    source = await place.source()
    receiving = asyncio.create_task(source.receive(10))
    await asyncio.sleep(0)
    await place.connection.api(what.format(place.stream))
    with pytest.raises(StreamError, match="was deleted on the server while the flow ran"):
        await asyncio.wait_for(receiving, 3)
    with pytest.raises(StreamError):
        await source.receive(1)
    await source.aclose()


async def test_a_consumer_gone_before_the_first_pull_is_noticed(place: Place) -> None:
    source = await place.source()
    await place.connection.api(f"CONSUMER.DELETE.{place.stream}.d")
    await place.publish(1)
    assert [event.data for event in await asyncio.wait_for(source.receive(1), 3)] == [b"0"]
    await source.aclose()


WORKER = """
accounts {{ A {{ jetstream: enabled, users: [
  {{ user: admin, password: a }}
  {{ user: worker, password: w, permissions: {{
      publish: [{publish}], subscribe: ["_INBOX.>"] }} }}
] }} }}
"""
CREATE = '"$JS.API.CONSUMER.INFO.crm.d", "$JS.API.STREAM.INFO.crm"'
NEXT = '"$JS.API.CONSUMER.MSG.NEXT.crm.d"'
ACK = '"$JS.ACK.crm.d.>"'


async def _least_rights(folder: Path, rights: str) -> tuple[NatsServer, list[tuple[str, str]]]:
    server = NatsServer(folder / "nats", WORKER.format(publish=rights)).start()
    admin = await connect(server.url, Credentials(user="admin", password="a"))
    source = await JetStreamSource.open(admin, *_settings(True))
    await publish(admin, Message("crm.in", b"x"))
    await source.aclose()
    await admin.aclose()
    return server, []


def _settings(create: bool) -> tuple[StreamSettings, ConsumerSettings]:
    stream = StreamSettings("crm", create, ("crm.>",) if create else ())
    return stream, ConsumerSettings("d", "crm.in", 0.5, 5)


async def test_least_rights_are_enough_and_what_is_missing_is_told(tmp_path: Path) -> None:
    server, changes = await _least_rights(tmp_path, f"{CREATE}, {NEXT}, {ACK}")
    connection = await connect(
        server.url,
        Credentials(user="worker", password="w"),
        on_change=lambda state, detail: changes.append((state, detail)),
    )
    source = await JetStreamSource.open(connection, *_settings(False))
    assert any("only noticed while this process runs" in detail for _, detail in changes)
    source.ack(await source.receive(1))
    await settled(source)
    await source.aclose()
    await connection.aclose()
    server.stop()


@pytest.mark.parametrize(
    ("rights", "said"),
    [
        (f"{CREATE}, {NEXT}", r"may not publish to \$JS\.ACK\.crm\.d\.>"),
        (f"{CREATE}, {ACK}", r"may not publish to \$JS\.API\.CONSUMER\.MSG\.NEXT\.crm\.d"),
    ],
)
async def test_a_missing_right_ends_receiving_with_a_sentence(
    tmp_path: Path, rights: str, said: str
) -> None:
    server, _ = await _least_rights(tmp_path, rights)
    connection = await connect(server.url, Credentials(user="worker", password="w"))
    source = await JetStreamSource.open(connection, *_settings(False))

    async def work() -> None:
        while True:
            source.ack(await source.receive(1))

    with pytest.raises(StreamError, match=said):
        await asyncio.wait_for(work(), 5)
    await source.aclose()
    await connection.aclose()
    server.stop()


async def test_both_forms_of_the_ack_subject_are_read(place: Place, tmp_path: Path) -> None:
    if place.connection.version < (2, 14):
        pytest.skip("nats-server has the second form from 2.14 on")
    with NatsServer(tmp_path / "nats", "feature_flags { js_ack_fc_v2: true }") as server:
        connection = await connect(server.url)
        source = await JetStreamSource.open(connection, *_settings(True))
        await publish(connection, Message("crm.in", b"x"))
        [event] = await source.receive(1)
        assert len(event.token.split(".")) > 9
        assert (event.stream, event.sequence, event.num_delivered) == ("crm", 1, 1)
        assert abs(event.timestamp.timestamp() - time.time()) < 5
        source.ack([event])
        await settled(source)
        await source.aclose()
        await connection.aclose()


async def test_an_event_whose_ack_the_server_never_heard_is_acked_again_and_not_returned(
    own_server: NatsServer, own_place: Place
) -> None:
    source = await own_place.source(ack_wait=0.5)
    await own_place.publish(10)
    events: list[Event] = []
    while len(events) < 10:
        events += await source.receive(10)
    own_server.freeze()
    source.ack(events[:6])
    source.term(events[6:8], "kept")
    await source.flush()
    own_server.kill()
    own_server.start()
    again: list[Event] = []
    while len(again) < 2:  # the two that nothing was said about
        again += await source.receive(10)
    source.ack(again)
    info = await settled(source)
    assert {event.sequence for event in again} == {9, 10}
    assert info.ack_floor == 10
    await source.aclose()


async def test_events_of_a_stream_made_anew_are_new_though_their_numbers_are_not(
    own_place: Place,
) -> None:
    source = await own_place.source()
    await own_place.publish(5)
    assert len(await receive_count(source, 5)) == 5
    await own_place.connection.api(f"STREAM.DELETE.{own_place.stream}")
    again = asyncio.create_task(receive_count(source, 5))
    while True:
        try:
            await own_place.publish(5, start=5)
            break
        except PublishError:
            continue
    async with asyncio.timeout(20):
        assert await again == [b"5", b"6", b"7", b"8", b"9"]
    await source.aclose()
