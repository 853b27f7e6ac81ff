"""What holds for every call, whatever is in it."""

from __future__ import annotations

from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.emulator import soql
from workbench.emulator.api import Answer, Call, dispatch
from workbench.emulator.objects import load_schema
from workbench.emulator.org import Org
from workbench.emulator.refusals import ApiError
from workbench.emulator.routes import ROUTES

SCHEMA = load_schema()
ROOT = "/services/data/v68.0"


def call(org: Org, method: str, *segments: str, body: Any = None, **query: str) -> Answer:
    return dispatch(
        Call(org, org.user, method, "68.0", segments, query, body, {}, "http://localhost")
    )


KEYS = st.sampled_from(["a", "A", "b", "c", "", None])
ROWS = st.fixed_dictionaries(
    {"LastName": st.sampled_from(["X", "Y", None, "x" * 81])},
    optional={"ExternalId__c": KEYS, "Email": st.sampled_from(["a@example.com", "rubbish", None])},
)


def stored(org: Org) -> dict[str, Any]:
    rows = org.store.tables["Contact"].rows
    return {i: (r["LastName"], r.get("ExternalId__c"), r.get("Email")) for i, r in rows.items()}


@given(calls=st.lists(st.tuples(st.booleans(), st.lists(ROWS, max_size=6)), max_size=5))
def test_what_an_upsert_says_is_what_is_stored(calls: list[tuple[bool, list[Any]]]) -> None:
    org = Org(SCHEMA)
    for all_or_none, rows in calls:
        before = stored(org)
        body = {"allOrNone": all_or_none, "records": rows}
        results = call(
            org, "PATCH", "composite", "sobjects", "Contact", "ExternalId__c", body=body
        ).body
        after = stored(org)
        assert len(results) == len(rows)
        written = [r["id"] for r in results if r["success"]]
        assert len(set(written)) == len(written)
        assert {i for i, values in after.items() if before.get(i) != values} <= set(written)
        assert all(i in after for i in written)
        created = {r["id"] for r in results if r["success"] and r["created"]}
        assert created == set(after) - set(before)
        if all_or_none and len(written) < len(rows):
            assert (written, after) == ([], before)
    keys = [key.casefold() for _, key, _ in stored(org).values() if key is not None]
    assert len(set(keys)) == len(keys)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.floats(allow_nan=False)
    | st.sampled_from(
        [
            "",
            "Contact",
            "003000000000000AAA",
            "@{a.id}",
            "@{a[0].id}",
            "GET",
            "POST",
            f"{ROOT}/sobjects/Contact",
            f"{ROOT}/composite/sobjects",
            "x",
        ]
    ),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "records",
                    "allOrNone",
                    "attributes",
                    "type",
                    "referenceId",
                    "Id",
                    "id",
                    "LastName",
                    "Account",
                    "ExternalId__c",
                    "Birthdate",
                    "Contacts",
                    "compositeRequest",
                    "method",
                    "url",
                    "body",
                    "httpHeaders",
                    "graphs",
                    "graphId",
                    "batchRequests",
                    "richInput",
                    "ids",
                    "fields",
                    "AccountId",
                    "DoNotCall",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
SEGMENT = st.sampled_from(["Contact", "Account", "ExternalId__c", "003000000000000AAA", "x", "é"])


@settings(max_examples=400)
@given(data=st.data(), route=st.sampled_from(ROUTES), body=JSON)
def test_no_call_breaks_the_emulator(data: st.DataObject, route: Any, body: Any) -> None:
    org = Org(SCHEMA)
    segments = [data.draw(SEGMENT) if "*" in part else part for part in route.pattern]
    method = data.draw(st.sampled_from([*route.handlers, "PUT"]))
    ids = data.draw(st.sampled_from(["", "003000000000000AAA,x", "x"]))
    before = stored(org)
    try:
        answer = call(org, method, *segments, body=body, ids=ids, fields="Id", q="SELECT Id FROM x")
    except ApiError as refused:
        answer = Answer(refused.status, refused.body)
    orjson.dumps(answer.body)
    assert answer.status < 500
    if answer.status >= 300:
        assert stored(org) == before


@given(text=st.text(alphabet="SELECT FROM WHERE Contact Id = '\\x1 () , . AND OR NOT null"))
def test_no_query_breaks_the_parser(text: str) -> None:
    status = 200
    try:
        soql.parse("SELECT Id FROM Contact WHERE " + text)
    except ApiError as refused:
        status = refused.status
    assert status in (200, 400)
