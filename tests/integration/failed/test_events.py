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
    return len(await ids_on_topic(world))


async def ids_on_topic(world: World) -> list[str]:
    events = await world.sandbox.control("GET", "/emulator/events/OrderStatus__e")
    return [event["id"] for event in events["events"]]


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


async def test_what_is_published_again_has_the_id_of_its_first_try(orders: World) -> None:
    await orders.fault("pubsub-drop:1.0,count=1")
    await orders.run([[{"Order_ID__c": "1"}, {"Order_ID__c": "2"}]])
    first = await ids_on_topic(orders)
    async with orders.desk as desk:
        assert (await desk.replay(ReplayRequest(accept_duplicates=True))).is_all_resolved
    assert await ids_on_topic(orders) == first * 2
    assert len(set(first)) == 2


async def test_what_failed_of_an_event_never_takes_the_id_of_its_neighbour(orders: World) -> None:
    rows = [{"Order_ID__c": "1"}, {"Order_ID__c": 2}, {"Order_ID__c": "3"}]
    await orders.run([rows])
    assert await published(orders) == 2
    (id,) = await orders.ids()
    async with orders.desk as desk:
        mended = {1: {"Order_ID__c": "2"}}
        report = await desk.replay(request(id, which="failed", edits={id: Edit(mended)}))
    assert report.resolved == [id]
    ids = await ids_on_topic(orders)
    assert len(set(ids)) == len(ids) == 3


CHAIN = """
    - salesforce_restapi_composite:
        name: upsert
        operation: upsert
        credentials_path: /etc/sfdc/credentials.json
        sobject_type: Contact
        external_id_field: ExternalId__c
        payload: {from_event: true}
    - salesforce_pubsubapi_publisher:
        name: publish
        credentials_path: /etc/sfdc/credentials.json
        topic: /event/OrderStatus__e
        payload: {Order_ID__c: "{{event.data[0].id}}"}
"""


async def test_what_a_replay_brings_about_is_no_second_copy_of_the_first(orders: World) -> None:
    start = FLOW.index("    - salesforce_pubsubapi_publisher")
    orders.flow_file.write_text(FLOW[:start] + CHAIN.lstrip("\n"))
    await orders.run([[{"ExternalId__c": "a", "LastName": "A"}, {"ExternalId__c": "b"}]])
    assert await published(orders) == 1
    (id,) = await orders.ids()
    async with orders.desk as desk:
        mended = {1: {"ExternalId__c": "b", "LastName": "B"}}
        report = await desk.replay(request(id, edits={id: Edit(mended)}))
    assert report.resolved == [id]
    assert len(set(await ids_on_topic(orders))) == 2
