"""SOQL, just enough to look."""

from __future__ import annotations

from typing import Any

import pytest
from yarl import URL

from .conftest import ROOT, Client, Reply, code


async def ask(client: Client, text: str, resource: str = "query", **headers: str) -> Reply:
    url = URL(client.emulator.login_url) / f"{ROOT[1:]}/{resource}" % {"q": text}
    return await client.call("GET", str(url), headers=headers)


async def names(client: Client, rest: str) -> list[str]:
    reply = await ask(client, f"SELECT LastName FROM Contact {rest}")
    assert reply.status == 200, reply.body
    return [row["LastName"] for row in reply.body["records"]]


@pytest.fixture
async def people(client: Client) -> dict[str, str]:
    """An account and four contacts; ids by name."""
    acme = await client.create("Account", Name="Acme")
    made = {"Acme": acme}
    rows: list[dict[str, Any]] = [
        {"LastName": "Ada", "AccountId": acme, "Birthdate": "1815-12-10", "DoNotCall": True},
        {"LastName": "Bob", "Phone": "1"},
        {"LastName": "O'Hara", "AccountId": acme},
        {"LastName": "zoe", "Phone": "2"},
    ]
    for row in rows:
        key = row["LastName"]
        made[key] = await client.create("Contact", ExternalId__c=key, **row)
    return made


@pytest.mark.parametrize(
    ("rest", "expected"),
    [
        ("", ["Ada", "Bob", "O'Hara", "zoe"]),
        ("WHERE LastName = 'ADA'", ["Ada"]),
        ("WHERE LastName != 'Ada' AND Phone != null", ["Bob", "zoe"]),
        ("WHERE ExternalId__c = 'o\\'hara'", ["O'Hara"]),
        ("WHERE ExternalId__c IN ('ada', 'ZOE', 'none')", ["Ada", "zoe"]),
        ("WHERE Phone = null", ["Ada", "O'Hara"]),
        ("WHERE Account.Name = 'acme'", ["Ada", "O'Hara"]),
        ("WHERE DoNotCall = true", ["Ada"]),
        ("WHERE Birthdate < 1900-01-01", ["Ada"]),
        (
            "WHERE CreatedDate > 2020-01-01T00:00:00Z ORDER BY Phone DESC NULLS LAST LIMIT 2",
            ["zoe", "Bob"],
        ),
        ("WHERE LastName LIKE '%o%' AND NOT (Phone = '1' OR Phone = '2')", ["O'Hara"]),
        (
            "WHERE LastName NOT IN ('Ada') ORDER BY LastName DESC LIMIT 2 OFFSET 1",
            ["O'Hara", "Bob"],
        ),
        ("LIMIT 0", []),
    ],
)
async def test_conditions_orders_and_limits(
    client: Client, people: dict[str, str], rest: str, expected: list[str]
) -> None:
    assert await names(client, rest) == expected


async def test_ids_of_either_length_are_found(client: Client, people: dict[str, str]) -> None:
    assert await names(client, f"WHERE Id = '{people['Bob'][:15]}'") == ["Bob"]
    assert await names(client, f"WHERE AccountId = '{people['Acme'][:15]}'") == ["Ada", "O'Hara"]


async def test_parents_are_nested_records(client: Client, people: dict[str, str]) -> None:
    reply = await ask(
        client, "select id, contact.name, account.name from contact order by lastname limit 2"
    )
    first, second = reply.body["records"]
    assert first["Account"]["Name"] == "Acme"
    assert first["Account"]["attributes"]["type"] == "Account"
    assert (first["Name"], second["Account"]) == ("Ada", None)


async def test_count_counts(client: Client, people: dict[str, str]) -> None:
    reply = await ask(client, "SELECT COUNT() FROM Contact WHERE Phone = null")
    assert reply.body == {"totalSize": 2, "done": True, "records": []}


async def test_counts_of_fields_leave_blank_values_out(
    client: Client, people: dict[str, str]
) -> None:
    reply = await ask(client, "SELECT COUNT(Id), count(c.Account.Name) named FROM Contact c")
    assert reply.body["records"] == [
        {"attributes": {"type": "AggregateResult"}, "expr0": 4, "named": 2}
    ]
    mixed = await ask(client, "SELECT COUNT(Id), LastName FROM Contact")
    assert code(mixed) == "MALFORMED_QUERY"


async def test_an_alias_stands_for_the_object(client: Client, people: dict[str, str]) -> None:
    reply = await ask(
        client, "SELECT c.LastName, c.CreatedBy.Name FROM Contact c WHERE c.LastName = 'Bob'"
    )
    row = reply.body["records"][0]
    assert (row["LastName"], row["CreatedBy"]["Name"]) == ("Bob", "Integration User")
    assert code(await ask(client, "SELECT x.LastName FROM Contact c")) == "INVALID_FIELD"


async def test_columns_are_told_instead_of_rows(client: Client, people: dict[str, str]) -> None:
    async def columns(text: str) -> dict[str, Any]:
        url = URL(client.emulator.login_url) / f"{ROOT[1:]}/query" % {"q": text, "columns": "true"}
        return dict((await client.call("GET", str(url))).body)

    body = await columns("SELECT Id, DoNotCall, Account.Name, account.annualrevenue FROM Contact")
    assert (body["entityName"], body["keyPrefix"], body["idSelected"]) == ("Contact", "003", True)
    told = body["columnMetadata"]
    assert [c["columnName"] for c in told] == ["Id", "DoNotCall", "Account"]
    assert [c["columnName"] for c in told[2]["joinColumns"]] == ["Name", "AnnualRevenue"]
    assert (told[1]["booleanType"], told[2]["joinColumns"][1]["numberType"]) == (True, True)
    (counted,) = (await columns("SELECT COUNT(Id) n FROM Contact"))["columnMetadata"]
    assert (counted["columnName"], counted["aggregate"]) == ("n", True)


async def test_all_fields_can_be_asked_for(client: Client, people: dict[str, str]) -> None:
    reply = await ask(client, "SELECT FIELDS(ALL) FROM Account LIMIT 200")
    assert reply.body["records"][0]["Name"] == "Acme"


async def test_query_all_shows_the_bin(client: Client, people: dict[str, str]) -> None:
    await client.call("DELETE", f"sobjects/Contact/{people['Bob']}")
    text = "SELECT LastName FROM Contact WHERE IsDeleted = true"
    assert (await ask(client, text)).body["totalSize"] == 0
    assert (await ask(client, text, "queryAll")).body["records"][0]["LastName"] == "Bob"


async def test_a_long_result_comes_in_pages(client: Client) -> None:
    for start in range(0, 600, 200):
        await client.upsert(
            *({"ExternalId__c": str(n), "LastName": "X"} for n in range(start, start + 200))
        )
    text = "SELECT ExternalId__c FROM Contact"
    page = await ask(client, text, **{"Sforce-Query-Options": "batchSize=250"})
    seen = [row["ExternalId__c"] for row in page.body["records"]]
    while not page.body["done"]:
        page = await client.call(
            "GET", page.body["nextRecordsUrl"], headers={"Sforce-Query-Options": "batchSize=250"}
        )
        seen += [row["ExternalId__c"] for row in page.body["records"]]
    assert seen == [str(n) for n in range(600)]
    assert page.body["totalSize"] == 600
    lost = await client.call("GET", f"{ROOT}/query/01g000000000000AAA-2000")
    assert code(lost) == "INVALID_QUERY_LOCATOR"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "MALFORMED_QUERY"),
        ("SELECT FROM Contact", "MALFORMED_QUERY"),
        ("SELECT Id FROM Contact WHERE", "MALFORMED_QUERY"),
        ("SELECT Id FROM Contact WHERE Id = 'x", "MALFORMED_QUERY"),
        ("SELECT Id FROM Contact GROUP BY Id", "MALFORMED_QUERY"),
        ("SELECT Id FROM Contact WHERE " + "(" * 200 + "Id = 'x'", "MALFORMED_QUERY"),
        ("SELECT Id FROM Nope", "INVALID_TYPE"),
        ("SELECT Nope FROM Contact", "INVALID_FIELD"),
        ("SELECT Nope.Name FROM Contact", "INVALID_FIELD"),
        ("SELECT Id FROM Contact WHERE LastName = 5", "INVALID_FIELD"),
    ],
)
async def test_a_query_that_makes_no_sense(client: Client, text: str, expected: str) -> None:
    reply = await ask(client, text)
    assert (reply.status, code(reply)) == (400, expected)
