"""What is killed: nats-server under load, and the program itself in mid-batch."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.end_to_end.world import World, contact, contacts, task, until
from workbench.emulator import Emulator
from workbench.jetstream import ConsumerSettings, JetStreamSource, StreamSettings, connect
from workbench.observe import ConnectionChanged
from workbench.sandbox.nats import NatsServer


@pytest.fixture
async def own_world(
    own_server: NatsServer, emulator: Emulator, tmp_path: Path
) -> AsyncIterator[World]:
    """On a server that the test may kill."""
    connection = await connect(own_server.url, None)
    yield World(connection, own_server.url, emulator, tmp_path)
    await connection.aclose()


# -- nats-server -------------------------------------------------------------------------------


async def test_nats_killed_under_load_and_started_again_loses_nothing(
    own_world: World, own_server: NatsServer
) -> None:
    world = own_world
    flow = world.flow(task("write", batch={"max_records": 20}), source={"backoff": ["500ms"]})
    async with world.running(flow) as running:
        await world.publish_all(contacts(3_000))
        for written in (300, 900, 1_500):
            await until(lambda at_least=written: running.engine.snapshot().written >= at_least)
            own_server.kill()
            own_server.start()
        await world.settled(running)
        states = {notice.state for notice in running.seen(ConnectionChanged)}
        assert {"disconnected", "connected"} <= states
    assert world.failed == []
    world.expect(contacts(3_000))


async def test_acks_for_a_nats_that_hangs_arrive_when_it_goes_on(
    own_world: World, own_server: NatsServer
) -> None:
    world = own_world
    world.fault("latency:100ms")
    async with world.running() as running:
        await world.publish_all(contacts(100))
        await until(lambda: running.engine.snapshot().held_events == 100)
        own_server.freeze()
        await until(lambda: running.engine.snapshot().acked == 100)
        own_server.thaw()
        await world.settled(running)
        assert {number for _, number in running.deliveries} == {1}
    assert world.failed == []
    world.expect(contacts(100))


async def test_a_flow_can_be_stopped_while_nats_is_away(
    own_world: World, own_server: NatsServer
) -> None:
    world = own_world
    world.fault("latency:200ms")
    async with world.running() as running:
        await world.publish_all(contacts(50))
        await until(lambda: running.engine.snapshot().stages[0].in_flight)
        own_server.kill()
        running.engine.stop()
        async with asyncio.timeout(10):
            await asyncio.wait([running.run])
        own_server.start()
    world.fault()
    async with world.running() as running:
        await world.settled(running)
    world.expect(contacts(50))
    assert world.failed == []


# -- the program -------------------------------------------------------------------------------


class Process:
    """A `workbench --headless` on a world's flow."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.lines: list[dict[str, Any]] = []
        self._said = asyncio.Event()
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def start(cls, world: World, text: str, name: str = "flow", *more: str) -> Process:
        file = world.folder / f"{name}.yaml"
        file.write_text(text)
        env_file = world.folder / "sandbox.env"
        env_file.write_text(f"NATS_URL={world.nats_url}\nSF_CREDENTIALS={world.credentials}\n")
        arguments = ("--headless", str(file), "--sandbox-env", str(env_file), "--log-level",
                     "debug", "--failed-dir", str(world.folder), *more)  # fmt: skip
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "workbench",
            *arguments,
            cwd=world.folder,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        return cls(process)

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            self.lines.append(json.loads(line))
            self._said.set()

    def events(self, name: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["event"] == name]

    async def says(self, name: str, times: int = 1) -> None:
        """Wait for so many log lines of a kind."""
        async with asyncio.timeout(20):
            while len(self.events(name)) < times:
                assert not self._reading.done(), f"it ended: {self.lines[-3:]}"
                self._said.clear()
                await self._said.wait()

    async def end(self, number: signal.Signals) -> int:
        """Send a signal, wait; the exit code."""
        if self._process.returncode is None:
            self._process.send_signal(number)
        code = await self._process.wait()
        await self._reading
        return code


@pytest.mark.parametrize("all_or_none", [False, True])
async def test_killed_in_mid_batch_again_and_again_it_loses_and_doubles_nothing(
    world: World, all_or_none: bool
) -> None:
    text = world.text(
        task("write", all_or_none=all_or_none, batch={"max_records": 25, "max_in_flight": 4}),
        source={"backoff": ["400ms"], "max_deliver": 50},
    )
    world.fault("latency:30ms-60ms,seed=1", "lock:0.002,seed=1")
    events = [
        contacts(1, start)
        if start % 40
        else [*contacts(39, start), {"ExternalId__c": f"bad{start}"}]
        for start in range(0, 2_400, 40)
    ]
    events += [contacts(1, start) for start in range(10_000, 10_600)]
    process = await Process.start(world, text)
    await process.says("started")
    await world.publish_all(events)
    for kill in range(5):
        await process.says("sent", times=2 + kill)
        assert await process.end(signal.SIGKILL) == -signal.SIGKILL
        process = await Process.start(world, text)
    await world.settled()
    assert await process.end(signal.SIGTERM) == 0
    failed = failed_of(world)
    bad = {
        record["ExternalId__c"] for event in events for record in event if "LastName" not in record
    }
    assert len(failed) == len(bad) == 60
    if all_or_none:
        gone = {r.record["ExternalId__c"] for batch in failed for r in batch.records if r.record}
        assert bad < gone
    else:
        gone = {r.record["ExternalId__c"] for batch in failed for r in batch.failures if r.record}
        assert gone == bad
    world.expect(
        [record for event in events for record in event if record["ExternalId__c"] not in gone]
    )


def failed_of(world: World) -> list[Any]:
    from workbench.failed import FileStore

    return list(FileStore(world.folder / "failed.jsonl").entries())


async def test_two_processes_share_a_durable_and_one_takes_over_when_the_other_is_killed(
    world: World,
) -> None:
    text = world.text(
        task("write", batch={"max_records": 10, "max_in_flight": 2}),
        source={"backoff": ["400ms"], "max_deliver": 50},
    )
    world.fault("latency:20ms")
    processes = [await Process.start(world, text, name) for name in ("one", "two")]
    for process in processes:
        await process.says("started")
    await world.publish_all(contacts(1_500))
    for process in processes:
        await process.says("batch", times=5)  # both work
    await processes[0].end(signal.SIGKILL)
    await world.settled()
    assert await processes[1].end(signal.SIGTERM) == 0
    assert failed_of(world) == []
    world.expect(contacts(1_500))


async def test_sigterm_writes_what_is_in_hand_and_gives_back_the_rest_at_once(
    world: World,
) -> None:
    text = world.text(
        task("write", batch={"max_records": 10, "max_in_flight": 2}), source={"backoff": ["30s"]}
    )
    process = await Process.start(world, text)
    await process.says("started")
    world.fault("latency:150ms")
    await world.publish_all(contacts(2_000))
    await process.says("sent", times=4)
    assert await process.end(signal.SIGTERM) == 0
    assert {line["batch"] for line in process.events("sent")} == {
        line["batch"] for line in process.events("batch")
    }
    world.fault()
    # Nothing waits for the thirty seconds of an ack wait.
    async with world.running(world.flow(source={"backoff": ["30s"]})) as running:
        await world.settled(running, seconds=10)
    world.expect(contacts(2_000))


async def test_what_used_up_its_deliveries_in_crashes_is_found_and_kept_as_failed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody took the event twice and died over it."""
    monkeypatch.setattr("workbench.engine.exhausted.EXHAUSTED_EVERY_SECONDS", 0.2)
    source = {"max_deliver": 2, "backoff": ["100ms"]}
    async with world.running(world.flow(source=source)):
        pass  # makes the stream
    (sequence,) = await world.publish(contact(1))
    settings = ConsumerSettings("d", world.subject, ack_wait_seconds=0.1, max_deliver=2)
    connection = await connect(world.nats_url, None)
    taker = await JetStreamSource.open(connection, StreamSettings(world.stream), settings)
    for delivery in (1, 2):
        (event,) = await taker.receive(1)
        assert event.num_delivered == delivery
    await taker.aclose()
    await connection.aclose()
    async with world.running(world.flow(source=source)) as running:
        await until(lambda: world.failed)
        await world.publish(contact(2))
        await world.settled(running)
    (failed,) = world.failed
    assert (failed.sequence, failed.kind) == (sequence, "undecided")
    assert failed.data == b'{"ExternalId__c":"c1","LastName":"Name 1"}'
    world.expect([contact(2)])
    async with world.running(world.flow(source=source)) as running:
        await world.publish(contact(3))
        await world.settled(running)
    assert len(world.failed) == 1
    assert world.failed[0].failed_at == failed.failed_at
