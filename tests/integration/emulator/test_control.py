"""The control endpoint: looking in, rules, faults, reset."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import Client, code, codes

ADA = {"ExternalId__c": "a", "LastName": "Ada", "Email": "ada@example.com"}


async def test_state_counts_rows_calls_and_sessions(client: Client) -> None:
    await client.upsert(ADA)
    state = (await client.call("GET", "/emulator/state")).body
    assert state["records"]["Contact"] == 1
    assert state["calls"] == 1
    assert state["sessions"] == {"open": 1, "issued": 1}
    assert state["events"] == ["CRM_Event__e", "OrderStatus__e"]


async def test_a_reset_leaves_an_empty_org(client: Client) -> None:
    await client.upsert(ADA)
    await client.fault("lock")
    rules = {"object": "Contact", "duplicate_rules": [{"match": ["Email"]}]}
    await client.call("POST", "/emulator/rules", rules)
    await client.call("POST", "/emulator/reset")
    assert (await client.call("GET", "/emulator/rules")).body == {}
    state = (await client.call("GET", "/emulator/state")).body
    assert (state["records"]["Contact"], state["calls"], state["faults"]) == (0, 0, [])
    assert (await client.call("GET", "limits")).status == 401


async def test_faults_are_listed_and_taken_back(client: Client) -> None:
    reply = await client.call(
        "POST",
        "/emulator/faults",
        {"faults": ["lock:0.5", {"kind": "status", "value": 503, "share": 0.1}]},
    )
    first, second = reply.body["added"]
    listed = (await client.call("GET", "/emulator/faults")).body["faults"]
    assert [f["fault"] for f in listed] == ["lock:0.5", "status:503,share=0.1"]
    left = await client.call("DELETE", f"/emulator/faults/{first}")
    assert [f["id"] for f in left.body["faults"]] == [second]
    assert (await client.call("DELETE", "/emulator/faults/99")).status == 404
    plain = await client.call("POST", "/emulator/faults", data=b"drop:0.5\nlatency:5ms\n")
    assert len(plain.body["added"]) == 2
    assert (await client.call("DELETE", "/emulator/faults")).body == {"faults": []}


@pytest.mark.parametrize("body", [{}, [], {"fault": 5}, {"kind": "nope"}, {"fault": "lock:9"}, 7])
async def test_a_fault_that_cannot_be_understood_changes_nothing(client: Client, body: Any) -> None:
    reply = await client.call("POST", "/emulator/faults", body)
    assert reply.status == 400
    assert reply.body["error"]
    assert (await client.call("GET", "/emulator/faults")).body == {"faults": []}


async def test_a_validation_rule_refuses_rows_until_it_is_removed(client: Client) -> None:
    rule = {
        "name": "phone",
        "when": {"field": "Phone", "is": "blank"},
        "message": "A contact needs a phone number.",
        "field": "Phone",
    }
    added = await client.call(
        "POST", "/emulator/rules", {"object": "Contact", "validation_rules": [rule]}
    )
    assert added.status == 201
    reply = await client.upsert(ADA, ADA | {"ExternalId__c": "b", "Phone": "1"})
    assert codes(reply) == ["FIELD_CUSTOM_VALIDATION_EXCEPTION", None]
    assert reply.body[0]["errors"] == [
        {
            "statusCode": "FIELD_CUSTOM_VALIDATION_EXCEPTION",
            "message": "A contact needs a phone number.",
            "fields": ["Phone"],
        }
    ]
    assert list((await client.call("GET", "/emulator/rules")).body) == ["Contact"]
    await client.call("DELETE", "/emulator/rules/Contact")
    assert codes(await client.upsert(ADA)) == [None]


async def test_a_duplicate_rule_is_overruled_by_its_header(client: Client) -> None:
    await client.upsert(ADA)
    rules = {"object": "Contact", "duplicate_rules": [{"match": ["Email"]}]}
    assert (await client.call("POST", "/emulator/rules", rules)).status == 201
    twin = {"LastName": "Twin", "Email": "ADA@example.com"}
    refused = await client.upsert(twin | {"ExternalId__c": "b"})
    assert codes(refused) == ["DUPLICATES_DETECTED"]
    single = await client.call("POST", "sobjects/Contact", twin)
    assert (single.status, code(single)) == (400, "DUPLICATES_DETECTED")
    result = single.body[0]["duplicateResult"]
    assert result["allowSave"] is True
    assert len(result["matchResults"][0]["matchRecords"]) == 1
    saved = await client.call(
        "POST",
        "sobjects/Contact",
        twin,
        headers={"Sforce-Duplicate-Rule-Header": "allowSave=true; runAsCurrentUser=true"},
    )
    assert saved.status == 201
    assert codes(await client.upsert({"ExternalId__c": "a", "Email": "new@example.com"})) == [None]


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ({"object": "Nope"}, "no object Nope"),
        ({"object": "Contact", "rules": []}, "unknown key rules"),
        (
            {"object": "Contact", "validation_rules": [{"when": {"field": "X", "is": "blank"}}]},
            "no field 'X'",
        ),
        (
            {"object": "Contact", "validation_rules": [{"when": {"field": "Phone", "is": "odd"}}]},
            "`is` must be one of",
        ),
        ({"object": "Contact", "duplicate_rules": [{}]}, "match must name"),
    ],
)
async def test_a_rule_that_cannot_be_understood_says_why(
    client: Client, rules: dict[str, Any], words: str
) -> None:
    reply = await client.call("POST", "/emulator/rules", rules)
    assert reply.status in (400, 404)
    assert words in reply.body["error"]
    assert (await client.call("GET", "/emulator/rules")).body == {}


async def test_requests_are_logged_newest_first_without_secrets(client: Client) -> None:
    await client.upsert(ADA, ADA | {"ExternalId__c": "b", "LastName": None})
    await client.call("GET", "limits?token=secret")
    log = (await client.call("GET", "/emulator/requests")).body["requests"]
    assert [entry["path"].rpartition("/")[2] for entry in log] == [
        "limits",
        "ExternalId__c",
        "token",
    ]
    assert (log[1]["status"], log[1]["records"], log[1]["failed"]) == (200, 2, 1)
    assert log[1]["ms"] > 0
    assert "secret" not in str(log)


async def test_records_come_in_pages(client: Client) -> None:
    await client.upsert(*({"ExternalId__c": str(n), "LastName": "X"} for n in range(5)))
    page = (await client.call("GET", "/emulator/records/contact?offset=3&limit=10")).body
    assert (page["total"], [r["ExternalId__c"] for r in page["records"]]) == (5, ["3", "4"])
    assert (await client.call("GET", "/emulator/records/Nope")).status == 404
    assert (await client.call("GET", "/emulator/records/Contact?limit=x")).status == 400


async def test_what_is_not_there_is_404(client: Client) -> None:
    assert (await client.call("GET", "/emulator/nothing")).status == 404
    assert (await client.call("PUT", "/emulator/state")).status == 404
