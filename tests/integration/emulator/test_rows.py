"""Single rows by id and by external id."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench.emulator import Emulator, EmulatorOptions

from .conftest import ROOT, Client, code

OBJECTS = """
objects:
  Account:
    fields:
      Region__c: {type: text, external_id: true}
      Score__c: {type: number, precision: 4, scale: 2}
      Number__c: {type: number, precision: 9, external_id: true, unique: true}
      Tier__c: {type: picklist, values: [Gold, Silver], restricted: true}
  Invoice__c:
    fields:
      Number__c: {type: text, length: 20, external_id: true, unique: true, case_sensitive: true}
      Account__c: {type: lookup, reference_to: Account, child_relationship: Invoices__r}
      Serial__c: {type: autonumber, prefix: "INV-"}
"""


@pytest.fixture
def options(tmp_path: Path) -> EmulatorOptions:
    """An org with a custom object and more account fields."""
    path = tmp_path / "objects.yaml"
    path.write_text(OBJECTS)
    return EmulatorOptions(tls=False, objects=(path,))


async def test_a_row_lives_and_dies_by_its_id(client: Client) -> None:
    created = await client.call("POST", "sobjects/Contact/", {"LastName": "Hopper"})
    identifier = created.body["id"]
    assert created.status == 201
    assert created.body == {"id": identifier, "success": True, "errors": []}
    assert created.headers["Location"] == f"{ROOT}/sobjects/Contact/{identifier}"
    path = f"sobjects/Contact/{identifier[:15]}"
    changed = await client.call("PATCH", path, {"FirstName": "Grace"})
    assert (changed.status, changed.raw) == (204, b"")
    row = (await client.call("GET", f"{path}?fields=Name,CreatedDate")).body
    assert row["Name"] == "Grace Hopper"
    assert row["CreatedDate"].endswith("+0000")
    assert row["attributes"]["url"].endswith(identifier)
    assert (await client.call("DELETE", path)).status == 204
    gone = await client.call("GET", path)
    assert (gone.status, code(gone)) == (404, "ENTITY_IS_DELETED")


async def test_a_post_may_stand_for_a_patch(client: Client) -> None:
    identifier = await client.create("Contact", LastName="Hopper")
    path = f"sobjects/Contact/{identifier}?_HttpMethod=PATCH"
    assert (await client.call("POST", path, {"Phone": "1"})).status == 204
    assert (await client.get("Contact", identifier))["Phone"] == "1"


async def test_an_upsert_by_key_answers_201_then_200(client: Client) -> None:
    path = "sobjects/Contact/ExternalId__c/a%2Fb c"
    first = await client.call("PATCH", path, {"LastName": "Hopper"})
    assert (first.status, first.body["created"]) == (201, True)
    second = await client.call("PATCH", path, {"Phone": "1"})
    assert (second.status, second.body["created"]) == (200, False)
    row = (await client.call("GET", path + "/")).body
    assert (row["ExternalId__c"], row["Phone"]) == ("a/b c", "1")
    old = await client.call("PATCH", f"/services/data/v45.0/{path}", {"Phone": "2"})
    assert (old.status, old.raw) == (204, b"")
    repeated = await client.call("PATCH", path, {"ExternalId__c": "a/b c"})
    assert (repeated.status, code(repeated)) == (400, "INVALID_FIELD")
    assert (await client.call("DELETE", path)).status == 204
    assert (await client.call("GET", path)).status == 404


async def test_a_key_that_fits_two_rows_answers_300_with_their_urls(client: Client) -> None:
    ids = [await client.create("Account", Name=n, Region__c="north") for n in ("A", "B")]
    path = "sobjects/Account/Region__c/North"
    for method in ("GET", "PATCH", "DELETE"):
        reply = await client.call(method, path, {"Name": "C"} if method == "PATCH" else None)
        assert reply.status == 300
        assert reply.body == [f"{ROOT}/sobjects/Account/{i}" for i in ids]
    record = {"attributes": {"type": "Account"}, "Region__c": "north"}
    many = await client.call("PATCH", "composite/sobjects/Account/Region__c", {"records": [record]})
    assert many.body[0]["errors"][0]["statusCode"] == "DUPLICATE_EXTERNAL_ID"


async def test_a_case_sensitive_key_tells_cases_apart(client: Client) -> None:
    for number, status in (("a", 201), ("A", 201), ("a", 200)):
        reply = await client.call("PATCH", f"sobjects/Invoice__c/Number__c/{number}", {})
        assert reply.status == status
    rows = (await client.call("GET", "/emulator/records/Invoice__c")).body["records"]
    assert [row["Serial__c"] for row in rows] == ["INV-00000001", "INV-00000002"]
    assert rows[0]["Id"].startswith("a00")


async def test_numbers_are_rounded_to_scale_and_kept_in_range(client: Client) -> None:
    identifier = await client.create("Account", Name="A", Score__c=12.345)
    assert (await client.get("Account", identifier))["Score__c"] == pytest.approx(12.35, abs=0.01)
    path = f"sobjects/Account/{identifier}"
    for value, expected in (
        (100, "NUMBER_OUTSIDE_VALID_RANGE"),
        ("x", "INVALID_TYPE_ON_FIELD_IN_RECORD"),
    ):
        assert code(await client.call("PATCH", path, {"Score__c": value})) == expected


async def test_a_number_may_be_the_key(client: Client) -> None:
    path = "composite/sobjects/Account/Number__c"
    rows = [{"attributes": {"type": "Account"}, "Name": "A", "Number__c": n} for n in (7, "8")]
    first = await client.call("PATCH", path, {"records": rows})
    assert [row["created"] for row in first.body] == [True, True]
    rows[0]["Number__c"], rows[1]["Number__c"] = "7", 8.0
    again = await client.call("PATCH", path, {"records": rows})
    assert [row["created"] for row in again.body] == [False, False]
    single = await client.call("GET", "sobjects/Account/Number__c/7")
    assert single.body["Id"] == first.body[0]["id"]


async def test_a_restricted_picklist_takes_its_own_values_in_any_case(client: Client) -> None:
    identifier = await client.create("Account", Name="A", Tier__c="gold", Industry="Anything")
    assert (await client.get("Account", identifier))["Tier__c"] == "Gold"
    reply = await client.call("PATCH", f"sobjects/Account/{identifier}", {"Tier__c": "Tin"})
    assert code(reply) == "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST"


@pytest.mark.parametrize(
    ("method", "path", "status", "expected", "words"),
    [
        ("GET", "sobjects/Nope/003000000000000AAA", 404, "NOT_FOUND", "does not exist"),
        ("GET", "sobjects/Contact/rubbish", 404, "NOT_FOUND", "external ID field"),
        ("GET", "sobjects/Contact/Nope__c/1", 404, "NOT_FOUND", "external ID field"),
        ("GET", "sobjects/Contact/003000000000000AAA", 404, "NOT_FOUND", "does not exist"),
        ("GET", "sobjects/Contact/ExternalId__c/none", 404, "NOT_FOUND", "does not exist"),
        ("PUT", "sobjects/Contact", 405, "METHOD_NOT_ALLOWED", "Allowed are GET,POST"),
        ("POST", "sobjects/User", 400, "INVALID_TYPE_FOR_OPERATION", "User"),
    ],
)
async def test_what_is_not_there_or_not_allowed(
    client: Client, method: str, path: str, status: int, expected: str, words: str
) -> None:
    reply = await client.call(method, path, {} if method != "GET" else None)
    assert (reply.status, code(reply)) == (status, expected)
    assert words in reply.body[0]["message"]


async def test_platform_events_are_described_as_what_can_only_be_created(client: Client) -> None:
    described = (await client.call("GET", "sobjects/orderstatus__e/describe")).body
    fields = {f["name"]: f for f in described["fields"]}
    assert fields["Order_ID__c"]["createable"] is True
    assert fields["ReplayId"]["createable"] is False
    assert (described["createable"], described["updateable"], described["queryable"]) == (
        True,
        False,
        False,
    )
    listed = (await client.call("GET", "sobjects")).body["sobjects"]
    assert "OrderStatus__e" in [kind["name"] for kind in listed]
    basic = (await client.call("GET", "sobjects/OrderStatus__e")).body
    assert basic["objectDescribe"]["name"] == "OrderStatus__e"


async def test_describe_tells_what_a_client_checks_before_it_writes(client: Client) -> None:
    described = (await client.call("GET", "sobjects/Account/describe")).body
    fields = {f["name"]: f for f in described["fields"]}
    assert described["keyPrefix"] == "001"
    assert fields["Name"]["nillable"] is False
    assert fields["Name"]["length"] == 255
    assert fields["Id"]["createable"] is False
    assert fields["ExternalId__c"]["externalId"] is True
    assert fields["ExternalId__c"]["idLookup"] is True
    assert fields["Tier__c"]["restrictedPicklist"] is True
    assert [v["value"] for v in fields["Tier__c"]["picklistValues"]] == ["Gold", "Silver"]
    children = {c["relationshipName"]: c["childSObject"] for c in described["childRelationships"]}
    assert children["Contacts"] == "Contact"
    assert children["Invoices__r"] == "Invoice__c"
    names = [o["name"] for o in (await client.call("GET", "sobjects")).body["sobjects"]]
    assert {"Account", "Contact", "Lead", "Opportunity", "Case", "Invoice__c"} <= set(names)
    basic = (await client.call("GET", "sobjects/Account")).body
    assert basic["objectDescribe"]["name"] == "Account"


async def test_every_standard_object_can_be_filled(client: Client, emulator: Emulator) -> None:
    account = await client.create("Account", Name="A", AnnualRevenue=5, NumberOfEmployees=3)
    contact = await client.create(
        "Contact", LastName="C", AccountId=account, Birthdate="1906-12-09"
    )
    await client.create("Lead", LastName="L", Company="C")
    await client.create(
        "Opportunity",
        Name="O",
        StageName="Prospecting",
        CloseDate="2026-11-23",
        Amount=1.5,
        AccountId=account,
    )
    case = await client.create("Case", Subject="S", ContactId=contact)
    stored = await client.get("Case", case)
    assert (stored["CaseNumber"], stored["Status"]) == ("00000001", "New")
    assert stored["OwnerId"] == emulator.org.user.id
