"""Every operation from the stream into the org's table."""

from __future__ import annotations

from typing import Any

from tests.integration.end_to_end.world import World, contact, contacts, task


async def test_create_writes_each_record_once_and_acks_each_event(world: World) -> None:
    async with world.running(world.flow(task("make", "create"))) as running:
        await world.publish([contact(1), contact(2)], contact(3))
        await world.settled(running)
    world.expect(contacts(3, 1))
    assert world.failed == []


async def test_update_changes_only_what_the_record_names(world: World) -> None:
    ids = await made(world, 2)
    flow = world.flow(
        task("change", "update"), source={"durable_name": "d", "subject": changes(world)}
    )
    async with world.running(flow) as running:
        await world.publish([{"Id": ids["c1"], "Title": "Boss"}])
        await world.settled(running)
    assert world.table()["c1"]["Title"] == "Boss"
    assert world.table()["c1"]["LastName"] == "Name 1"
    assert "Title" not in world.table()["c0"]


def changes(world: World) -> str:
    """From here on the world publishes to another subject of its stream."""
    world.subject = f"{world.stream}.changes"
    return world.subject


async def made(world: World, count: int) -> dict[str, str]:
    """That many contacts in the table; their ids by key."""
    async with world.running() as running:
        await world.publish(contacts(count))
        await world.settled(running)
    return {key: row["Id"] for key, row in world.table().items()}


async def test_upsert_makes_what_is_missing_and_changes_what_is_there(world: World) -> None:
    async with world.running() as running:
        await world.publish([contact(1, Title="old"), contact(2)])
        await world.settled(running)
        await world.publish([contact(1, Title="new"), contact(3)], contact(2, Title=None))
        await world.settled(running)
    world.expect([contact(1, Title="new"), contact(2), contact(3)])
    assert world.failed == []


async def test_null_clears_a_field_and_an_absent_one_stays(world: World) -> None:
    async with world.running() as running:
        await world.publish(contact(1, Title="x", Phone="1"))
        await world.settled(running)
        await world.publish({"ExternalId__c": "c1", "LastName": "Name 1", "Title": None})
        await world.settled(running)
    assert "Title" not in world.table()["c1"]
    assert world.table()["c1"]["Phone"] == "1"


async def test_delete_takes_out_the_rows_and_again_is_no_failure(world: World) -> None:
    ids = await made(world, 3)
    flow = world.flow(
        task("drop", "delete", ids="{{event.data.ids}}"), source={"subject": changes(world)}
    )
    async with world.running(flow) as running:
        await world.publish({"ids": [ids["c0"], ids["c2"]]})
        await world.settled(running)
    assert world.table().keys() == {"c1"}
    assert world.failed == []


async def test_a_tree_writes_parents_with_their_children(world: World) -> None:
    def account(number: int) -> dict[str, Any]:
        child = {"attributes": {"type": "Contact"}, **contact(number)}
        return {
            "ExternalId__c": f"a{number}",
            "Name": f"Account {number}",
            "Contacts": {"records": [child]},
        }

    async with world.running(world.flow(task("plant", "tree", sobject_type="Account"))) as running:
        await world.publish([account(1), account(2)], account(3))
        await world.settled(running)
    assert world.failed == []
    parents = world.table("Account")
    assert parents.keys() == {"a1", "a2", "a3"}
    for number in (1, 2, 3):
        assert world.table()[f"c{number}"]["AccountId"] == parents[f"a{number}"]["Id"]


async def test_get_in_a_chain_hands_on_what_was_read(world: World) -> None:
    ids = await made(world, 2)
    flow = world.flow(
        task("read", "get", ids="{{event.data.ids}}", fields=["Id", "LastName", "ExternalId__c"]),
        task(
            "copy",
            sobject_type="Lead",
            payload={
                "ExternalId__c": "{{record.ExternalId__c}}",
                "LastName": "{{record.LastName}}",
                "Company": "of {{record.Id}}",
            },
        ),
        source={"subject": changes(world)},
    )
    async with world.running(flow) as running:
        await world.publish({"ids": [ids["c0"], ids["c1"]]})
        await world.settled(running)
    assert world.failed == []
    leads = world.table("Lead")
    assert {key: lead["Company"] for key, lead in leads.items()} == {
        key: f"of {id}" for key, id in ids.items()
    }
