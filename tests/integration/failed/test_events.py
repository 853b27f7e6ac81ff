"""Platform events that could not be published, published again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.integration.failed.conftest import World, request
from workbench.app.replay_choice import Edit, ReplayRequest
from workbench.sandbox import Sandbox, SandboxOptions

FLOW = """
flow:
  name: orders
  tasks:
    - nats_jetstream_subscriber:
        name: source
        url: "{{env.NATS_URL}}"
        subject: crm.contacts.upsert
        stream: {name: crm, subjects: ["crm.>"], create_or_update: true}
        durable_name: orders
    - salesforce_pubsubapi_publisher:
        name: publish
        credentials_path: /etc/sfdc/credentials.json
        topic: /event/OrderStatus__e
        payload: {from_event: true}
"""


@pytest.fixture
async def orders(tmp_path: Path) -> AsyncIterator[World]:
    async with Sandbox(SandboxOptions(pubsub=True)) as sandbox:
        world = World(sandbox, tmp_path)
        world.flow_file.write_text(FLOW)
        yield world
        await world.stores.aclose()


async def published(world: World) -> int:
    events = await world.sandbox.control("GET", "/emulator/events/OrderStatus__e")
    return len(events["events"])


async def test_an_event_of_the_wrong_fields_is_mended_and_published(orders: World) -> None:
    await orders.run(
        [{"Order_ID__c": "1", "Status__c": "new"}, {"Order_ID__c": "2", "Stat__c": "x"}]
    )
    assert await published(orders) == 1
    (id,) = await orders.ids()
    async with orders.desk as desk:
        entry = await desk.get(id)
        assert entry.batch.kind in ("refused", "unfit")
        plan = await desk.dry_run(request(id))
        assert (plan.requests, plan.what) == (1, {"publish /event/OrderStatus__e": 1})
        assert "Stat__c" in desk.describe(entry)
        report = await desk.replay(request(id))
        assert report.failed_again == [id]
        mended = {0: {"Order_ID__c": "2", "Status__c": "x"}}
        report = await desk.replay(request(id, edits={id: Edit(mended)}))
    assert report.resolved == [id]
    assert await published(orders) == 2


async def test_what_may_be_published_already_waits_for_a_yes(orders: World) -> None:
    await orders.fault("pubsub-drop:1.0,count=1")
    await orders.run([{"Order_ID__c": "1", "Status__c": "new"}])
    (id,) = await orders.ids()
    async with orders.desk as desk:
        assert (await desk.get(id)).batch.kind == "unknown"
        report = await desk.replay(ReplayRequest())
        assert "--accept-duplicates" in report.skipped[0][1]
        report = await desk.replay(ReplayRequest(accept_duplicates=True))
    assert report.is_all_resolved
    assert await published(orders) == 2
