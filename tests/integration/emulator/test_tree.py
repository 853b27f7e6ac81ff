"""sObject Tree: parents with children, all or none."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import Client, code


def node(kind: str, reference: str, **values: Any) -> dict[str, Any]:
    return {"attributes": {"type": kind, "referenceId": reference}} | values


def account(reference: str, *contacts: dict[str, Any], name: str = "A") -> dict[str, Any]:
    return node("Account", reference, Name=name, Contacts={"records": list(contacts)})


async def plant(client: Client, *records: dict[str, Any]) -> Any:
    return await client.call("POST", "composite/tree/Account", {"records": list(records)})


async def test_results_come_level_by_level(client: Client) -> None:
    reply = await plant(
        client,
        account("a1", node("Contact", "c1", LastName="X")),
        account("a2", node("Contact", "c2", LastName="Y")),
    )
    assert reply.status == 201
    assert reply.body["hasErrors"] is False
    ids = {r["referenceId"]: r["id"] for r in reply.body["results"]}
    assert list(ids) == ["a1", "a2", "c1", "c2"]
    assert (await client.get("Contact", ids["c2"]))["AccountId"] == ids["a2"]


async def test_one_bad_record_keeps_all_out_and_only_it_is_named(client: Client) -> None:
    reply = await plant(
        client, account("a1", node("Contact", "good", LastName="X"), node("Contact", "bad"))
    )
    assert reply.status == 400
    assert reply.body["hasErrors"] is True
    assert [r["referenceId"] for r in reply.body["results"]] == ["bad"]
    assert reply.body["results"][0]["errors"][0]["statusCode"] == "REQUIRED_FIELD_MISSING"
    assert await client.count("Account") == 0


async def test_a_reference_used_twice_is_reported_for_each_use(client: Client) -> None:
    reply = await plant(client, account("same"), account("same"), account("other"))
    assert [r["referenceId"] for r in reply.body["results"]] == ["same", "same"]
    assert await client.count("Account") == 0


async def test_more_than_two_hundred_records_over_all_trees_are_refused(client: Client) -> None:
    contacts = [node("Contact", f"c{n}", LastName="X") for n in range(200)]
    reply = await plant(client, account("a", *contacts))
    assert reply.status == 400
    assert (await plant(client, account("a", *contacts[:199]))).status == 201


async def test_more_than_five_levels_are_refused(client: Client) -> None:
    deepest: dict[str, Any] = node("Account", "n0", Name="A")
    for level in range(1, 6):
        deepest = node("Account", f"n{level}", Name="A", ChildAccounts={"records": [deepest]})
    reply = await plant(client, deepest)
    assert reply.status == 400
    shallower = deepest["ChildAccounts"]["records"][0]
    assert (await plant(client, shallower)).status == 201


@pytest.mark.parametrize(
    ("record", "status", "expected"),
    [
        ({"attributes": {"type": "Account"}, "Name": "A"}, 403, "INVALID_INPUT"),
        (node("Contact", "c", LastName="X"), 400, "INVALID_INPUT"),
        (node("Account", "a", Name="A", Strangers={"records": []}), 400, "INVALID_FIELD"),
    ],
)
async def test_a_tree_of_the_wrong_shape_is_refused_whole(
    client: Client, record: dict[str, Any], status: int, expected: str
) -> None:
    reply = await plant(client, record)
    assert (reply.status, code(reply)) == (status, expected)
