"""Replays beside each other, beside a live flow, in chains, and where writing twice would hurt."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import pytest

from tests.integration.failed.conftest import (
    EVERY,
    NEEDS_TITLE,
    SUBJECT,
    World,
    contact,
    request,
)
from workbench.app.failed_stores import FailedStores
from workbench.app.opening import open_flow
from workbench.app.replay_choice import Edit, ReplayRequest
from workbench.app.settings import Settings
from workbench.errors import DeadLetterError
from workbench.failed import Claimant
from workbench.jetstream import Message, publish_all
from workbench.model import EntryFilter
from workbench.sandbox.nats import NatsServer

CREATE = (
    ("operation: upsert", "operation: create"),
    ("        external_id_field: ExternalId__c\n", ""),
)


async def test_of_two_people_who_replay_the_same_one_wins_and_the_other_is_told(
    world: World,
) -> None:
    await world.rule(NEEDS_TITLE)
    await world.run([contact(n) for n in range(8)])
    await world.no_rules()
    await world.fault("latency:100ms")
    one, other = world.desk, world.desk
    reports = await asyncio.gather(one.replay(ReplayRequest()), other.replay(ReplayRequest()))
    await one.aclose()
    await other.aclose()
    resolved = [id for report in reports for id in report.resolved]
    assert len(resolved) == len(set(resolved)) == 8
    told = [why for report in reports for _, why in report.skipped]
    assert len(told) == 8
    assert all("is being replayed by" in why or "was resolved by" in why for why in told)
    requests = (await world.sandbox.control("GET", "/emulator/requests"))["requests"]
    assert len(await world.sandbox.rows("Contact")) == 8, requests


async def test_what_may_be_written_already_is_created_again_only_on_an_explicit_yes(
    world: World,
) -> None:
    for old, new in CREATE:
        world.edit_flow(old, new)
    await world.fault("drop:1.0,count=1,path=*composite*")
    await world.run([{"LastName": "Berg"}])
    (id,) = await world.ids()
    async with world.desk as desk:
        entry = await desk.get(id)
        assert entry.batch.kind == "unknown"
        plan = await desk.dry_run(request(id))
        assert (plan.entries, plan.duplicates) == (0, [id])
        report = await desk.replay(request(id))
        assert "--accept-duplicates" in report.skipped[0][1]
        assert (await desk.get(id)).claim is None
        assert len(await world.sandbox.rows("Contact")) == 1
        report = await desk.replay(request(id, accept_duplicates=True))
    assert report.resolved == [id]
    assert len(await world.sandbox.rows("Contact")) == 2


async def test_a_create_that_somebody_died_over_waits_for_a_yes(world: World) -> None:
    for old, new in CREATE:
        world.edit_flow(old, new)
    await world.rule(NEEDS_TITLE)
    await world.run([{"LastName": "Berg"}])
    await world.no_rules()
    (id,) = await world.ids()
    dead = Claimant(world.stores.of(world.flow), by="dead@host", lease_seconds=30)
    await dead.claim(id, time.time())
    async with world.desk as desk:
        plan = await desk.dry_run(request(id))
        assert "is being replayed by dead@host" in plan.skipped[0][1]
        assert "it is free at " in plan.skipped[0][1]
        await dead.claim(id, time.time() - 31)
        assert (await desk.dry_run(request(id))).duplicates == [id]
        report = await desk.replay(request(id))
        assert "--accept-duplicates" in report.skipped[0][1]
        assert (await desk.get(id)).history[0].by == "dead@host"
        report = await desk.replay(request(id, accept_duplicates=True))
    assert report.resolved == [id]
    assert len(await world.sandbox.rows("Contact")) == 1


async def test_a_replay_beside_the_live_flow(world: World) -> None:
    await world.rule(NEEDS_TITLE)
    await world.run([contact(n) for n in range(20)])
    await world.no_rules()
    async with open_flow(world.flow, world.stores.of(world.flow)) as opened, world.desk as desk:
        running = asyncio.create_task(opened.engine.run())
        more = [json.dumps(contact(n)).encode() for n in range(20, 120)]
        publishing = publish_all(opened.connection, [Message(SUBJECT, item) for item in more])
        report, _ = await asyncio.gather(desk.replay(ReplayRequest()), publishing)
        async with asyncio.timeout(30):
            while (await opened.source.info()).lag:  # noqa: ASYNC110 the server has no bell
                await asyncio.sleep(0.02)
        opened.engine.stop()
        await running
    assert report.is_all_resolved
    assert len(await world.rows()) == len(await world.sandbox.rows("Contact")) == 120


async def test_an_all_or_none_event_goes_again_as_a_whole(world: World) -> None:
    world.edit_flow("all_or_none: false", "all_or_none: true")
    await world.rule(NEEDS_TITLE)
    await world.run([[contact(1, Title="x"), contact(2), contact(3, Title="x")]])
    (id,) = await world.ids()
    assert await world.rows() == {}
    async with world.desk as desk:
        assert {r.code for r in await desk.records(id)} == {
            "FIELD_CUSTOM_VALIDATION_EXCEPTION", "ALL_OR_NONE_OPERATION_ROLLED_BACK"
        }  # fmt: skip
        report = await desk.replay(request(id, edits={id: Edit({1: contact(2, Title="y")})}))
    assert report.resolved == [id]
    assert len(await world.rows()) == 3


async def test_a_chain_goes_on_from_the_task_that_failed(world: World) -> None:
    text = world.flow_file.read_text()
    world.flow_file.write_text(
        text
        + """
    - salesforce_restapi_composite:
        name: note_account
        operation: upsert
        credentials_path: /etc/sfdc/credentials.json
        sobject_type: Account
        external_id_field: ExternalId__c
        payload:
          ExternalId__c: "{{ event.data[0].id }}"
          Name: "contact {{ event.subject }}"
"""
    )
    await world.rule(NEEDS_TITLE)
    await world.rule(
        {
            "object": "Account",
            "validation_rules": [
                {"name": "never", "when": {"field": "Name", "is": "not_blank"}, "message": "no"}
            ],
        }
    )
    await world.run([contact(1)])
    (first,) = await world.ids()
    await world.sandbox.control("DELETE", "/emulator/rules/Contact")
    async with world.desk as desk:
        plan = await desk.dry_run(request(first))
        assert plan.later == ["note_account"]
        report = await desk.replay(request(first))
        assert report.resolved == [first]
        assert set(await world.rows()) == {"c001"}
        (second,) = await world.ids()
        entry = await desk.get(second)
        assert entry.batch.task == "note_account"
        assert entry.batch.input is not None
        assert second in (await desk.get(first)).history[0].note
        await world.no_rules()
        report = await desk.replay(request(second))
    assert report.resolved == [second]
    (account,) = await world.sandbox.rows("Account")
    assert account["ExternalId__c"] == (await world.rows())["c001"]["Id"]


async def test_a_budget_used_up_by_the_last_request_does_not_hold_the_end(world: World) -> None:
    await world.rule(NEEDS_TITLE)
    await world.run([contact(1)])
    await world.no_rules()
    world.edit_flow("flow:\n", "flow:\n  api_budget: {daily_share: 0.1}\n")
    await world.sandbox.control("POST", "/emulator/limits", {"daily_calls": 1_000, "used": 500})
    async with world.desk as desk, asyncio.timeout(20):
        report = await desk.replay(ReplayRequest())
    assert report.is_all_resolved


async def test_it_takes_as_many_requests_as_were_told(world: World) -> None:
    await world.rule(NEEDS_TITLE)
    await world.run([contact(n) for n in range(1_010)])
    await world.no_rules()
    async with world.desk as desk:
        plan = await desk.dry_run(ReplayRequest(), ask_org=True)
        assert plan.requests == 6
        await world.sandbox.control("DELETE", "/emulator/requests")
        assert (await desk.replay(ReplayRequest())).is_all_resolved
    requests = (await world.sandbox.control("GET", "/emulator/requests"))["requests"]
    assert len([r for r in requests if "composite" in r["path"]]) == plan.requests


async def test_a_broken_flow_stops_the_replay_and_leaves_the_rest_as_it_was(world: World) -> None:
    await world.rule(NEEDS_TITLE)
    await world.run([contact(n) for n in range(60)])
    world.edit_flow("external_id_field: ExternalId__c", "external_id_field: Nowhere__c")
    patch = [{"op": "add", "path": "/Nowhere__c", "value": "x"}]
    async with world.desk as desk:
        report = await desk.replay(ReplayRequest(patch=patch))
        assert "in a row failed with" in report.stopped
        assert report.left > 0
        assert len(report.failed_again) + report.left == 60
        page = await desk.page()
        assert {entry.status(0.0) for entry in page.entries} == {"open"}
        assert len([e for e in page.entries if e.claimed_by]) == 0


@pytest.mark.parametrize("denied", ["$JS.API.STREAM.CREATE.workbench_failed", "workbench.failed.>"])
async def test_what_jetstream_refuses_is_kept_in_a_file_and_told(
    denied: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = (
        "accounts { A { jetstream: enabled, users: [ { user: u, password: p, permissions: {"
        f'publish: {{ deny: ["{denied}"] }} }} }} ] }} }}'
    )
    from tests.conformance.test_failed_store import batch

    with NatsServer(tmp_path / "nats", config=config) as server:
        url = server.url.replace("nats://", "nats://u:p@")
        settings = Settings({"NATS_URL": url, "XDG_STATE_HOME": str(tmp_path)})
        async with FailedStores(settings) as stores:
            store = stores.named()
            await store.store([batch(1)])
            assert (await stores.files.counts()).entries == 1
            assert (await stores.files.get(batch(1).id)).batch == batch(1)
            assert (await store.page(EntryFilter())).entries == ()
            assert "failed batches are kept in" in caplog.text


async def test_what_cannot_be_stored_is_refused_until_nats_is_back(tmp_path: Path) -> None:
    from tests.conformance.test_failed_store import batch

    server = NatsServer(tmp_path / "nats")
    server.start()
    settings = Settings({"NATS_URL": server.url, "XDG_STATE_HOME": str(tmp_path)})
    async with FailedStores(settings) as stores:
        store = stores.named()
        await store.store([batch(1)])
        server.kill()
        try:
            await store.store([batch(2)])
            raise AssertionError("stored, and NATS is away")
        except DeadLetterError:
            pass
        server.start()
        async with asyncio.timeout(20):
            while True:
                try:
                    await store.store([batch(2)])
                    break
                except DeadLetterError:
                    await asyncio.sleep(0.1)
        assert len((await store.page(EVERY)).entries) == 2
        assert (await stores.files.counts()).entries == 0
    server.stop()
