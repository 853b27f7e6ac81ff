"""Composite, Batch and Graph: references, both levels of allOrNone, limits."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import ROOT, UPSERT, Client, code, contacts


def step(
    reference: str, url: str, body: Any = None, method: str = "POST", **more: Any
) -> dict[str, Any]:
    return {
        "method": method,
        "url": url,
        "referenceId": reference,
        **more,
    } | ({} if body is None else {"body": body})


def people(reference: str, *keys: str, inner: bool, bad: str | None = None) -> dict[str, Any]:
    rows = [{"ExternalId__c": key, "LastName": "X"} for key in keys]
    if bad:
        rows.append({"ExternalId__c": bad})
    return step(reference, UPSERT, contacts(*rows, all_or_none=inner), "PATCH")


async def send(client: Client, *steps: dict[str, Any], all_or_none: bool = False) -> Any:
    reply = await client.call(
        "POST", "composite", {"allOrNone": all_or_none, "compositeRequest": list(steps)}
    )
    assert reply.status == 200, reply.body
    return reply.body["compositeResponse"]


async def test_a_later_step_uses_what_an_earlier_one_made(client: Client) -> None:
    made, row, read = await send(
        client,
        step("acme", f"{ROOT}/sobjects/Account", {"Name": "Acme"}),
        step(
            "ada",
            f"{ROOT}/sobjects/Contact",
            {"LastName": "of @{acme.id}", "AccountId": "@{acme.id}"},
        ),
        step("read", f"{ROOT}/sobjects/Contact/@{{ada.id}}", method="GET"),
    )
    assert [r["httpStatusCode"] for r in (made, row, read)] == [201, 201, 200]
    assert made["httpHeaders"]["Location"].endswith(made["body"]["id"])
    assert read["body"]["AccountId"] == made["body"]["id"]
    assert read["body"]["LastName"] == f"of {made['body']['id']}"


async def test_a_reference_reaches_into_a_collection(client: Client) -> None:
    _, row = await send(
        client,
        step(
            "accounts",
            f"{ROOT}/composite/sobjects",
            {"records": [{"attributes": {"type": "Account"}, "Name": "A"}]},
        ),
        step(
            "ada", f"{ROOT}/sobjects/Contact", {"LastName": "X", "AccountId": "@{accounts[0].id}"}
        ),
    )
    assert row["httpStatusCode"] == 201


async def test_a_reference_to_nothing_fails_its_own_step(client: Client) -> None:
    bad, good = await send(
        client,
        step("a", f"{ROOT}/sobjects/Contact", {"LastName": "@{nobody.id}"}),
        step("b", f"{ROOT}/sobjects/Contact", {"LastName": "X"}),
    )
    assert (bad["httpStatusCode"], bad["body"][0]["errorCode"]) == (400, "PROCESSING_HALTED")
    assert good["httpStatusCode"] == 201


@pytest.mark.parametrize(
    ("outer", "inner", "stored"),
    [(False, False, 3), (False, True, 2), (True, True, 0), (True, False, 0)],
)
async def test_what_is_stored_under_both_levels_of_all_or_none(
    client: Client, outer: bool, inner: bool, stored: int
) -> None:
    first, second = await send(
        client,
        people("first", "a", "b", inner=inner),
        people("second", "c", inner=inner, bad="d"),
        all_or_none=outer,
    )
    assert await client.count("Contact") == stored
    if outer:
        assert first["httpStatusCode"] == 400
        assert first["body"][0]["errorCode"] == "PROCESSING_HALTED"
    else:
        assert [row["success"] for row in first["body"]] == [True, True]
    assert second["httpStatusCode"] == 200
    # Under an outer true the inner false still says success of a row that is gone.
    assert [row["success"] for row in second["body"]] == [not inner, False]


async def test_a_failed_single_row_halts_all_others(client: Client) -> None:
    responses = await send(
        client,
        step("a", f"{ROOT}/sobjects/Contact", {"LastName": "X"}),
        step("b", f"{ROOT}/sobjects/Contact", {}),
        step("c", f"{ROOT}/sobjects/Contact", {"LastName": "X"}),
        all_or_none=True,
    )
    codes = [r["body"][0]["errorCode"] for r in responses]
    assert codes == ["PROCESSING_HALTED", "REQUIRED_FIELD_MISSING", "PROCESSING_HALTED"]
    assert [r["httpStatusCode"] for r in responses] == [400, 400, 400]
    assert [r["referenceId"] for r in responses] == ["a", "b", "c"]
    assert await client.count("Contact") == 0


async def test_a_thousand_rows_fit_in_one_atomic_call(client: Client) -> None:
    steps = [people(f"p{n}", *(f"{n}-{row}" for row in range(200)), inner=True) for n in range(5)]
    await send(client, *steps, all_or_none=True)
    assert await client.count("Contact") == 1000
    used = (await client.call("GET", "/emulator/state")).body["api_usage"]["used"]
    assert used == 1


@pytest.mark.parametrize(
    "steps",
    [
        [step(f"s{n}", f"{ROOT}/limits", method="GET") for n in range(26)],
        [people(f"s{n}", str(n), inner=True) for n in range(6)],
        [step("same", f"{ROOT}/limits", method="GET")] * 2,
        [step("not-good", f"{ROOT}/limits", method="GET")],
        [step("a", "/limits", method="GET")],
        [step("a", f"{ROOT}/limits", method="get")],
        [step("a", f"{ROOT}/limits", method="GET", httpHeaders={"Accept": "x"})],
        [],
    ],
)
async def test_a_composite_of_the_wrong_shape_is_refused_whole(
    client: Client, steps: list[dict[str, Any]]
) -> None:
    reply = await client.call("POST", "composite", {"compositeRequest": steps})
    assert reply.status == 400
    assert reply.body[0]["errorCode"] in ("LIMIT_EXCEEDED", "INVALID_INPUT", "JSON_PARSER_ERROR")


async def test_a_composite_cannot_hold_another(client: Client) -> None:
    (inner,) = await send(client, step("a", f"{ROOT}/composite", {"compositeRequest": []}))
    assert inner["httpStatusCode"] == 400


async def test_a_batch_is_no_transaction_and_costs_a_call_for_each(client: Client) -> None:
    requests = [
        {"method": "POST", "url": "v68.0/sobjects/Contact", "richInput": {"LastName": "X"}},
        {"method": "POST", "url": "v68.0/sobjects/Contact", "richInput": {}},
        {"method": "GET", "url": "v68.0/limits"},
    ]
    reply = await client.call("POST", "composite/batch", {"batchRequests": requests})
    assert reply.body["hasErrors"] is True
    assert [r["statusCode"] for r in reply.body["results"]] == [201, 400, 200]
    assert await client.count("Contact") == 1
    assert reply.headers["Sforce-Limit-Info"].startswith("api-usage=3/")
    halted = await client.call(
        "POST", "composite/batch", {"haltOnError": True, "batchRequests": requests}
    )
    assert [r["statusCode"] for r in halted.body["results"]] == [201, 400, 412]


async def test_graphs_succeed_and_fail_apart(client: Client) -> None:
    def graph(name: str, **contact: Any) -> dict[str, Any]:
        return {
            "graphId": name,
            "compositeRequest": [
                step("acc", f"{ROOT}/sobjects/Account", {"Name": name}),
                step("con", f"{ROOT}/sobjects/Contact", {"AccountId": "@{acc.id}", **contact}),
            ],
        }

    reply = await client.call(
        "POST", "composite/graph", {"graphs": [graph("good", LastName="X"), graph("bad")]}
    )
    assert reply.status == 200
    good, bad = reply.body["graphs"]
    assert (good["isSuccessful"], bad["isSuccessful"]) == (True, False)
    codes = [r["body"][0]["errorCode"] for r in bad["graphResponse"]["compositeResponse"]]
    assert codes == ["PROCESSING_HALTED", "REQUIRED_FIELD_MISSING"]
    assert await client.count("Account") == 1


async def test_after_fourteen_failed_graphs_the_rest_are_not_tried(client: Client) -> None:
    bad = [step("a", f"{ROOT}/sobjects/Contact", {})]
    good = [step("a", f"{ROOT}/sobjects/Contact", {"LastName": "X"})]
    graphs = [{"graphId": f"g{n}", "compositeRequest": bad} for n in range(15)]
    graphs.append({"graphId": "last", "compositeRequest": good})
    reply = await client.call("POST", "composite/graph", {"graphs": graphs})
    last = reply.body["graphs"][-1]
    assert last["isSuccessful"] is False
    assert last["graphResponse"]["compositeResponse"][0]["body"][0]["errorCode"] == (
        "PROCESSING_HALTED"
    )
    assert await client.count("Contact") == 0


@pytest.mark.parametrize(
    "graphs",
    [
        [
            {"graphId": f"g{n}", "compositeRequest": [step("a", f"{ROOT}/sobjects/Contact", {})]}
            for n in range(76)
        ],
        [
            {
                "graphId": "g",
                "compositeRequest": [
                    step(f"s{n}", f"{ROOT}/sobjects/Contact", {}) for n in range(501)
                ],
            }
        ],
        [{"graphId": "g", "compositeRequest": [people("p", "a", inner=True)]}],
        [
            {
                "graphId": "g",
                "compositeRequest": [
                    step("s0", f"{ROOT}/sobjects/Contact", {}),
                    *(
                        step(f"s{n}", f"{ROOT}/sobjects/Contact", {"LastName": f"@{{s{n - 1}.id}}"})
                        for n in range(1, 16)
                    ),
                ],
            }
        ],
        [{"compositeRequest": []}],
    ],
)
async def test_a_graph_beyond_the_limits_is_refused_whole(
    client: Client, graphs: list[dict[str, Any]]
) -> None:
    reply = await client.call("POST", "composite/graph", {"graphs": graphs})
    assert reply.status == 400
    assert code(reply) in ("LIMIT_EXCEEDED", "INVALID_INPUT", "JSON_PARSER_ERROR")
