"""sObject Collections: create, update, upsert, delete, retrieve, and what each says of a row."""

from __future__ import annotations

from typing import Any

import pytest

from workbench.emulator.ids import long_id

from .conftest import ROOT, UPSERT, Client, code, codes, contacts

ROLLED_BACK = "ALL_OR_NONE_OPERATION_ROLLED_BACK"


def person(key: str | None, **values: Any) -> dict[str, Any]:
    return {"ExternalId__c": key, "LastName": "Hopper"} | values


async def test_an_upsert_inserts_then_changes(client: Client) -> None:
    first = await client.upsert(person("a"), person("b"))
    assert [row["created"] for row in first.body] == [True, True]
    assert all(long_id(row["id"]) == row["id"] for row in first.body)
    second = await client.upsert(person("A", Phone="1"), person("c"))
    assert [row["created"] for row in second.body] == [False, True]
    assert second.body[0]["id"] == first.body[0]["id"]
    assert (await client.get("Contact", first.body[0]["id"]))["ExternalId__c"] == "A"
    assert await client.count("Contact") == 3


async def test_null_clears_and_absent_leaves(client: Client) -> None:
    row = (await client.upsert(person("a", Phone="1", Title="T"))).body[0]
    await client.upsert({"ExternalId__c": "a", "Phone": None})
    stored = await client.get("Contact", row["id"])
    assert (stored["Phone"], stored["Title"], stored["LastName"]) == (None, "T", "Hopper")


async def test_results_stand_in_the_order_of_the_records(client: Client) -> None:
    reply = await client.upsert(
        person("a"), person("b", LastName=None), person("c"), {"ExternalId__c": "d"}
    )
    assert reply.status == 200
    assert codes(reply) == [None, "REQUIRED_FIELD_MISSING", None, "REQUIRED_FIELD_MISSING"]
    assert reply.body[1]["errors"] == [
        {
            "statusCode": "REQUIRED_FIELD_MISSING",
            "message": "Required fields are missing: [LastName]",
            "fields": ["LastName"],
        }
    ]
    assert "id" not in reply.body[1]
    assert await client.count("Contact") == 2


async def test_all_or_none_takes_everything_back_and_leaves_misleading_rows(
    client: Client,
) -> None:
    existing = (await client.upsert(person("a", Phone="1"))).body[0]["id"]
    reply = await client.upsert(
        person("a", Phone="2"), person("new"), person("bad", Email="x"), all_or_none=True
    )
    assert reply.status == 200
    assert codes(reply) == [ROLLED_BACK, ROLLED_BACK, "INVALID_EMAIL_ADDRESS"]
    assert reply.body[0]["id"] == existing
    assert [row["created"] for row in reply.body] == [True, True, True]
    assert (await client.get("Contact", existing))["Phone"] == "1"
    assert await client.count("Contact") == 1
    assert (await client.upsert(person("new"))).body[0]["created"] is True


async def test_one_key_twice_in_a_call_refuses_all_its_rows(client: Client) -> None:
    reply = await client.upsert(person("Same"), person("other"), person("SAME"))
    assert codes(reply) == ["DUPLICATE_VALUE", None, "DUPLICATE_VALUE"]
    assert reply.body[0]["errors"][0]["message"] == "Duplicate external id specified: same"


async def test_a_row_without_its_key_is_refused(client: Client) -> None:
    reply = await client.upsert({"LastName": "x"}, person(None), person(""))
    assert codes(reply) == ["MISSING_ARGUMENT"] * 3


async def test_two_hundred_rows_are_the_most(client: Client) -> None:
    rows = [person(str(n)) for n in range(201)]
    refused = await client.upsert(*rows)
    assert (refused.status, code(refused)) == (400, "EXCEEDED_ID_LIMIT")
    assert "cannot submit more than 200 records" in refused.body[0]["message"]
    assert codes(await client.upsert(*rows[:200])) == [None] * 200


async def test_create_gives_no_created_and_refuses_a_taken_key(client: Client) -> None:
    path = f"{ROOT}/composite/sobjects"
    first = await client.call("POST", path, contacts(person("a")))
    assert first.body == [{"id": first.body[0]["id"], "success": True, "errors": []}]
    reply = await client.call("POST", path, contacts(person("A"), person("b", Id="003")))
    assert codes(reply) == ["DUPLICATE_VALUE", "INVALID_FIELD_FOR_INSERT_UPDATE"]
    assert reply.body[0]["errors"][0]["message"] == (
        "duplicate value found: ExternalId__c duplicates value on record with id: "
        + first.body[0]["id"][:15]
    )
    rolled_back = await client.call(
        "POST", path, contacts(person("n"), person("a"), all_or_none=True)
    )
    assert codes(rolled_back) == [ROLLED_BACK, "DUPLICATE_VALUE"]
    assert "id" not in rolled_back.body[0]


async def test_update_finds_rows_by_short_and_long_id(client: Client) -> None:
    path = f"{ROOT}/composite/sobjects"
    ids = [row["id"] for row in (await client.upsert(person("a"), person("b"))).body]
    reply = await client.call(
        "PATCH", path, contacts({"id": ids[0][:15], "Phone": "1"}, {"Id": ids[1], "Phone": "2"})
    )
    assert [row["id"] for row in reply.body] == ids
    stored = [(await client.get("Contact", identifier))["Phone"] for identifier in ids]
    assert stored == ["1", "2"]


async def test_update_refuses_ids_row_by_row(client: Client) -> None:
    row = (await client.upsert(person("a"))).body[0]
    account = await client.create("Account", Name="A")
    await client.call("DELETE", f"sobjects/Contact/{row['id']}")
    reply = await client.call(
        "PATCH",
        f"{ROOT}/composite/sobjects",
        contacts(
            {"id": "nonsense"},
            {"Phone": "1"},
            {"id": account},
            {"id": row["id"]},
            {"id": "003000000000000AAA"},
        ),
    )
    assert reply.status == 200
    assert codes(reply) == [
        "MALFORMED_ID",
        "MISSING_ARGUMENT",
        "MALFORMED_ID",
        "ENTITY_IS_DELETED",
        "INVALID_CROSS_REFERENCE_KEY",
    ]


async def test_rolled_back_updates_carry_their_ids(client: Client) -> None:
    ids = [row["id"] for row in (await client.upsert(person("a"), person("b"))).body]
    rows = ({"id": ids[0], "Phone": "1"}, {"id": ids[1], "LastName": None})
    reply = await client.call(
        "PATCH", f"{ROOT}/composite/sobjects", contacts(*rows, all_or_none=True)
    )
    assert codes(reply) == [ROLLED_BACK, "REQUIRED_FIELD_MISSING"]
    assert reply.body[0]["id"] == ids[0]


async def test_delete_takes_ids_with_any_comma(client: Client) -> None:
    rows = (await client.upsert(*(person(str(n)) for n in range(4)))).body
    ids = [row["id"] for row in rows]
    encoded = f"{client.emulator.login_url}{ROOT}/composite/sobjects?ids={ids[0]}%2C{ids[1][:15]}"
    from yarl import URL

    async with client.session.delete(URL(encoded, encoded=True), headers=client.headers) as answer:
        assert [row["id"] for row in await answer.json()] == ids[:2]
    again = await client.call(
        "DELETE", f"composite/sobjects?ids={ids[0]},{ids[2]},rubbish&allOrNone=true"
    )
    assert codes(again) == ["ENTITY_IS_DELETED", ROLLED_BACK, "MALFORMED_ID"]
    assert await client.count("Contact") == 2
    many = ",".join([ids[2]] * 201)
    assert code(await client.call("DELETE", f"composite/sobjects?ids={many}")) == (
        "EXCEEDED_ID_LIMIT"
    )


async def test_retrieve_keeps_the_order_and_says_null_for_the_unknown(client: Client) -> None:
    ids = [row["id"] for row in (await client.upsert(person("a"), person("b"))).body]
    asked = [ids[1], "rubbish", ids[0][:15], "003000000000000AAA"]
    path = "composite/sobjects/Contact"
    by_get = await client.call("GET", f"{path}?ids={','.join(asked)}&fields=ExternalId__c")
    by_post = await client.call("POST", path, {"ids": asked, "fields": ["externalid__c"]})
    assert by_get.body == by_post.body
    assert [row and row["ExternalId__c"] for row in by_get.body] == ["b", None, "a", None]
    assert by_get.body[0]["attributes"] == {
        "type": "Contact",
        "url": f"{ROOT}/sobjects/Contact/{ids[1]}",
    }
    bad = await client.call("POST", path, {"ids": asked, "fields": ["Nope"]})
    assert (bad.status, code(bad)) == (400, "INVALID_FIELD")
    many = await client.call("POST", path, {"ids": ids * 1001, "fields": ["Id"]})
    assert code(many) == "EXCEEDED_ID_LIMIT"


async def test_create_mixes_types_in_at_most_ten_chunks(client: Client) -> None:
    kinds = [
        {"attributes": {"type": "Account"}, "Name": "A"},
        {"attributes": {"type": "Contact"}, "LastName": "C"},
    ]
    path = "composite/sobjects"
    assert codes(await client.call("POST", path, {"records": kinds * 5})) == [None] * 10
    refused = await client.call("POST", path, {"records": kinds * 6})
    assert refused.status == 400
    assert "more than 10 chunks" in refused.body[0]["message"]


@pytest.mark.parametrize(
    ("values", "expected", "fields"),
    [
        ({"Nope__c": 1}, "INVALID_FIELD", []),
        ({"LastName": "x" * 81}, "STRING_TOO_LONG", ["LastName"]),
        ({"Email": "no at sign"}, "INVALID_EMAIL_ADDRESS", ["Email"]),
        ({"AccountId": "rubbish"}, "MALFORMED_ID", ["AccountId"]),
        ({"AccountId": "001000000000000AAA"}, "INVALID_CROSS_REFERENCE_KEY", ["AccountId"]),
        ({"DoNotCall": "perhaps"}, "INVALID_TYPE_ON_FIELD_IN_RECORD", ["DoNotCall"]),
        ({"FirstName": {"a": 1}}, "INVALID_TYPE_ON_FIELD_IN_RECORD", ["FirstName"]),
        ({"Name": "x"}, "INVALID_FIELD_FOR_INSERT_UPDATE", ["Name"]),
        ({"CreatedDate": "x"}, "INVALID_FIELD_FOR_INSERT_UPDATE", ["CreatedDate"]),
        ({"Account": {"ExternalId__c": "none"}}, "INVALID_FIELD", []),
        ({"Id": "003000000000000AAA"}, "INVALID_FIELD_FOR_INSERT_UPDATE", ["Id"]),
    ],
)
async def test_a_bad_value_is_its_own_rows_fault(
    client: Client, values: dict[str, Any], expected: str, fields: list[str]
) -> None:
    reply = await client.upsert(person("good"), person("bad", **values))
    assert codes(reply) == [None, expected]
    assert reply.body[1]["errors"][0]["fields"] == fields


async def test_an_unreadable_date_poisons_the_whole_call(client: Client) -> None:
    reply = await client.upsert(person("good"), person("bad", Birthdate="tomorrow"))
    assert (reply.status, code(reply)) == (400, "JSON_PARSER_ERROR")
    assert await client.count("Contact") == 0


async def test_a_parent_is_found_by_its_external_id(client: Client) -> None:
    account = await client.create("Account", Name="Acme", ExternalId__c="ACME")
    row = (await client.upsert(person("a", Account={"ExternalId__c": "acme"}))).body[0]
    assert (await client.get("Contact", row["id"]))["AccountId"] == account
    kept = await client.upsert({"ExternalId__c": "a", "Account": None})
    assert codes(kept) == [None]
    assert (await client.get("Contact", row["id"]))["AccountId"] == account
    missing = await client.upsert(person("b", Account={"ExternalId__c": "nobody"}))
    assert missing.body[0]["errors"][0]["message"] == (
        "Foreign key external ID: nobody not found for field ExternalId__c in entity Account"
    )
    await client.upsert({"ExternalId__c": "a", "AccountId": None})
    assert (await client.get("Contact", row["id"]))["AccountId"] is None


@pytest.mark.parametrize(
    ("path", "body", "status", "expected"),
    [
        (f"{ROOT}/composite/sobjects/Contact/Nope__c", contacts(person("a")), 404, "NOT_FOUND"),
        (f"{ROOT}/composite/sobjects/Contact/Id", contacts(person("a")), 404, "NOT_FOUND"),
        (f"{ROOT}/composite/sobjects/Nope/ExternalId__c", contacts(), 404, "NOT_FOUND"),
        ("/services/data/v45.0" + UPSERT.removeprefix(ROOT), contacts(), 404, "NOT_FOUND"),
        (UPSERT, {"record": []}, 400, "JSON_PARSER_ERROR"),
        (UPSERT, {"records": [1]}, 400, "JSON_PARSER_ERROR"),
        (UPSERT, [], 400, "JSON_PARSER_ERROR"),
        (f"{ROOT}/composite/sobjects", {"records": [{"id": "x"}]}, 400, "INVALID_TYPE"),
    ],
)
async def test_a_call_that_makes_no_sense_is_refused_whole(
    client: Client, path: str, body: Any, status: int, expected: str
) -> None:
    reply = await client.call("PATCH", path, body)
    assert (reply.status, code(reply)) == (status, expected)
