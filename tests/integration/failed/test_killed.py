"""kill -9 at every step of store, claim, replay and resolve: nothing lost, nothing doubled.

| killed when | then there is | and afterwards |
|---|---|---|
| nothing is stored | the event, not settled | it is delivered again, fails, is kept |
| the rest of a large entry is stored, its head not | the event; parts nobody points at | likewise |
| the head is stored, nobody knows | entry and event | delivered again, the same one entry |
| the store has confirmed, the event is not terminated | entry and event | likewise |
| nothing is claimed | an open entry | it is replayed |
| it is claimed, nothing is sent | a claim that runs out | it is replayed, told as unfinished |
| the request is about to leave | likewise | likewise |
| it is written, the answer not read | likewise, and the rows | written again over themselves |
| the answer is read, nothing recorded | likewise | likewise |
| it is recorded | a resolved entry | there is nothing left to do |
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.integration.failed.conftest import EVERY, NEEDS_TITLE, SUBJECT, World, contact
from tests.integration.failed.killed import STEPS
from workbench.app.opening import connect_nats, open_flow
from workbench.app.replay_choice import ReplayRequest
from workbench.jetstream import Message, publish_all

ROOT = Path(__file__).parents[3]
STORE = [step for step in STEPS if step.startswith("store")]
REPLAY = [step for step in STEPS if not step.startswith("store")]


async def killed(world: World, step: str) -> None:
    """Run a process until it is killed at this step."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.integration.failed.killed",
        json.dumps(world.sandbox.environment),
        str(world.flow_file),
        step,
        cwd=ROOT,
        env=dict(os.environ),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(40):
        told, errors = await process.communicate()
    assert told.decode() == f"killed at {step}\n", errors.decode()
    assert process.returncode == -9


def events() -> list[Any]:
    """Three that are written, two that a rule refuses, one of these large."""
    large = [contact(n, Description="x" * 1_000) for n in range(100, 300)]
    return [*(contact(n, Title="x") for n in range(3)), contact(3), large]


@pytest.mark.parametrize("step", STORE)
async def test_killed_while_storing(world: World, step: str) -> None:
    world.edit_flow('- "10s"', '- "1s"')  # so that what a killed process held comes back soon
    await world.rule(NEEDS_TITLE)
    async with open_flow(world.flow, world.stores.of(world.flow)):
        pass  # makes the stream
    connection = await connect_nats(world.sandbox.environment["NATS_URL"], None)
    data = [json.dumps(event).encode() for event in events()]
    await publish_all(connection, [Message(SUBJECT, item) for item in data])
    await connection.aclose()
    await killed(world, step)
    await world.run([])
    desk = world.desk
    entries = [await desk.get(id) for id in await world.ids(EVERY)]
    assert sorted(len(entry.batch.failures) for entry in entries) == [1, 200]
    assert {entry.batch.data for entry in entries} == set(data[3:])
    assert set(await world.rows()) == {"c000", "c001", "c002"}
    report = await desk.replay(
        ReplayRequest(patch=[{"op": "add", "path": "/Title", "value": "Dr"}])
    )
    await desk.aclose()
    assert report.is_all_resolved
    assert len(await world.sandbox.rows("Contact")) == len(await world.rows()) == 204


@pytest.mark.parametrize("step", REPLAY)
async def test_killed_while_replaying(world: World, step: str) -> None:
    await world.rule(NEEDS_TITLE)
    await world.run(events())
    ids = await world.ids()
    assert len(ids) == 2
    await world.no_rules()
    await killed(world, step)
    desk = world.desk
    entries = {id: await desk.get(id) for id in ids}
    resolved = {id for id, entry in entries.items() if entry.state == "resolved"}
    assert len(resolved) == (1 if step == "resolve: it is recorded" else 0)
    for id, entry in entries.items():
        if entry.claim is not None:
            assert entry.claim.by == "killed@test"
            assert "claimed by killed@test" in desk.describe(entry)
        assert len(entry.batch.data) > 0, id
    async with asyncio.timeout(20):
        while await world.ids():  # until the claims of the dead have run out
            await desk.replay(ReplayRequest())
            await asyncio.sleep(0.1)
    await desk.aclose()
    after = [await desk.get(id) for id in ids]
    assert {entry.state for entry in after} == {"resolved"}
    claimed_then = {id for id, entry in entries.items() if entry.claim is not None}
    unfinished = {e.id for e in after if any(deed.what == "unfinished" for deed in e.history)}
    assert unfinished == claimed_then
    # Upserts of the same keys: each contact is there, and there once.
    assert len(await world.sandbox.rows("Contact")) == len(await world.rows()) == 204
