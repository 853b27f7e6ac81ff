"""Answers become outcomes: one per record, and only what is proven is called written."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from workbench.model import (
    AllWritten,
    Batch,
    Cause,
    Deferred,
    Group,
    Outcome,
    Record,
    Refused,
    RolledBack,
    Unknown,
    Written,
)
from workbench.salesforce import CompositeSettings, RequestBuilder
from workbench.salesforce.codes import Suspect
from workbench.salesforce.results import parse_limit_info, read, retry_after
from workbench.salesforce.transport import Reply

BACK = "ALL_OR_NONE_OPERATION_ROLLED_BACK"
HALTED = {
    "errorCode": "PROCESSING_HALTED",
    "message": "The transaction was rolled back since another operation in the same "
    "transaction failed.",
}


def builder(operation: str = "upsert") -> RequestBuilder:
    key = "ExternalId__c" if operation == "upsert" else None
    return RequestBuilder(
        CompositeSettings(operation=operation, sobject_type="Contact", external_id_field=key)
    )


def rows(count: int) -> list[Record]:
    return [{"ExternalId__c": f"E{n}", "Id": f"00300000000000{n}AAA"} for n in range(count)]


def one(count: int, all_or_none: bool = False) -> Batch:
    return Batch("b", "t", [Group(rows(count), all_or_none)])


def reply(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Reply:
    return Reply(status, headers or {}, json.dumps(value).encode())


def outcomes(batch: Batch, answer: Reply, operation: str = "upsert") -> list[Outcome]:
    return read(builder(operation), batch, answer).outcomes


def good(number: int = 1, **more: Any) -> dict[str, Any]:
    return {"id": f"00300000000000{number}AAA", "success": True, "errors": [], **more}


def bad(code: str, message: str = "no", **more: Any) -> dict[str, Any]:
    error = {"statusCode": code, "message": message, "fields": []}
    return {"success": False, "errors": [error], **more}


REFUSED = {
    "success": False,
    "errors": [{"statusCode": "STRING_TOO_LONG", "message": "too long", "fields": ["LastName"]}],
}


@pytest.mark.parametrize("status", [200, 400])
@pytest.mark.parametrize("rows_told", range(1, 7))
@pytest.mark.parametrize("row", [REFUSED, {"errorCode": "X", "message": "y"}, {}, None, 1])
def test_rows_alike_to_the_byte_are_read_as_rows_that_only_mean_the_same(
    row: Any, rows_told: int, status: int
) -> None:
    value = [row] * rows_told
    tight = Reply(status, {}, json.dumps(value, separators=(",", ":")).encode())
    assert read(builder(), one(3), tight) == read(builder(), one(3), reply(value, status))


class TestCollections:
    def test_every_row_written(self) -> None:
        answer = [good(1, created=True), good(2, created=False), good(3)]
        found = read(builder(), one(3), reply(answer))
        assert found.results == answer
        assert found.outcomes == [
            Written("003000000000001AAA", True, answer[0]),
            Written("003000000000002AAA", False, answer[1]),
            Written("003000000000003AAA", None, answer[2]),
        ]

    def test_partial_failure_is_per_record(self) -> None:
        found = outcomes(one(2), reply([good(), bad("REQUIRED_FIELD_MISSING")]))
        assert [type(outcome) for outcome in found] == [Written, Refused]

    @pytest.mark.parametrize("count", [0, 1, 3])
    def test_a_wrong_number_of_results_proves_nothing(self, count: int) -> None:
        found = outcomes(one(2), reply([good()] * count))
        assert [type(outcome) for outcome in found] == [Unknown, Unknown]

    def test_success_beside_a_failure_of_the_same_transaction_is_rolled_back(self) -> None:
        answer = [good(1), bad("REQUIRED_FIELD_MISSING")]
        found = outcomes(one(2, all_or_none=True), reply(answer))
        assert [type(outcome) for outcome in found] == [RolledBack, Refused]

    def test_success_beside_a_failure_is_rolled_back_whatever_stands_for_its_errors(self) -> None:
        answer = [{**good(), "errors": True}, bad("STRING_TOO_LONG")]
        found = outcomes(one(2, all_or_none=True), reply(answer))
        assert [type(outcome) for outcome in found] == [RolledBack, Refused]

    def test_rolled_back_rows_with_id_and_created_are_not_written(self) -> None:
        answer = [bad(BACK, id="003000000000001AAA", created=True), bad("STRING_TOO_LONG")]
        found = outcomes(one(2, all_or_none=True), reply(answer))
        assert [type(outcome) for outcome in found] == [RolledBack, Refused]

    def test_a_rollback_without_culprit_counts_as_a_try(self) -> None:
        found = outcomes(one(2, all_or_none=True), reply([bad(BACK), bad(BACK)]))
        assert all(isinstance(outcome, Deferred) for outcome in found)

    @pytest.mark.parametrize(
        "row", [None, 7, "x", {}, {"success": "true", "id": "x"}, {"id": "x"}, {"success": 1}]
    )
    def test_a_row_that_cannot_be_read_is_unknown(self, row: Any) -> None:
        found = outcomes(one(2), reply([good(), row]))
        assert [type(outcome) for outcome in found] == [Written, Unknown]

    def test_an_unreadable_row_makes_its_transaction_unknown(self) -> None:
        found = outcomes(one(2, all_or_none=True), reply([good(), None]))
        assert [type(outcome) for outcome in found] == [Unknown, Unknown]

    def test_a_failure_without_reasons_is_refused(self) -> None:
        found = outcomes(one(1), reply([{"success": False, "errors": []}]))
        assert isinstance(found[0], Refused)

    def test_a_deleted_row_is_done_only_when_the_delete_is_repeated(self) -> None:
        answer = reply([bad("ENTITY_IS_DELETED", "entity is deleted", id="003000000000000AAA")])
        batch = one(1)
        assert isinstance(outcomes(batch, answer, "delete")[0], Refused)
        batch.attempt = 2
        assert isinstance(outcomes(batch, answer, "delete")[0], Written)
        assert isinstance(outcomes(batch, answer, "update")[0], Refused)

    def test_a_repeated_delete_stays_done_beside_rolled_back_rows(self) -> None:
        batch = one(2, all_or_none=True)
        batch.attempt = 2
        found = outcomes(batch, reply([bad("ENTITY_IS_DELETED"), bad(BACK)]), "delete")
        assert [type(outcome) for outcome in found] == [Written, Deferred]


class TestWholeAnswers:
    @pytest.mark.parametrize("body", [b"", b"<html>", b"[{", b"\xff\xfe", b"null", b'{"a":1}'])
    def test_success_that_cannot_be_read_is_unknown(self, body: bytes) -> None:
        found = outcomes(one(2), Reply(200, {}, body))
        assert [type(outcome) for outcome in found] == [Unknown, Unknown]

    @pytest.mark.parametrize("status", [502, 503])
    def test_a_busy_server_is_an_outage_only_where_repeating_is_harmless(self, status: int) -> None:
        page = Reply(status, {}, b"<html>busy</html>")
        assert outcomes(one(1), page) == [
            Deferred(f"HTTP_{status}", f"Salesforce answered {status}", Cause.OUTAGE)
        ]
        assert isinstance(outcomes(one(1), page, "create")[0], Unknown)

    @pytest.mark.parametrize("status", [500, 504])
    @pytest.mark.parametrize("operation", ["upsert", "create"])
    def test_a_server_that_broke_down_leaves_it_unknown(self, status: int, operation: str) -> None:
        assert isinstance(outcomes(one(1), Reply(status, {}, b""), operation)[0], Unknown)

    def test_what_one_record_may_have_spoilt_is_a_suspicion(self) -> None:
        answer = reply([{"errorCode": "JSON_PARSER_ERROR", "message": "at [1,5]"}], 400)
        assert all(type(outcome) is Suspect for outcome in outcomes(one(2), answer))

    def test_a_wrong_path_is_the_requests_fault(self) -> None:
        answer = reply([{"errorCode": "NOT_FOUND", "message": "no such resource"}], 404)
        found = outcomes(one(1), answer)
        assert found == [Refused("NOT_FOUND", "no such resource", is_request_fault=True)]

    def test_retry_after_is_passed_on(self) -> None:
        answer = reply(
            [{"errorCode": "REQUEST_LIMIT_EXCEEDED", "message": "TotalRequests Limit exceeded."}],
            403,
            {"Retry-After": "17"},
        )
        found = outcomes(one(1), answer)[0]
        assert isinstance(found, Deferred)
        assert (found.cause, found.retry_after_seconds) == (Cause.LIMIT, 17.0)


def composite(*bodies: tuple[int, Any]) -> Reply:
    return reply(
        {
            "compositeResponse": [
                {"body": body, "httpStatusCode": status, "referenceId": f"group{index}"}
                for index, (status, body) in enumerate(bodies)
            ]
        }
    )


def two(is_atomic: bool = False, all_or_none: bool = True) -> Batch:
    return Batch(
        "b", "t", [Group(rows(2), all_or_none), Group(rows(1), all_or_none)], is_atomic=is_atomic
    )


class TestComposite:
    def test_groups_are_matched_by_reference(self) -> None:
        answer = {
            "compositeResponse": [
                {"body": [good(3)], "httpStatusCode": 200, "referenceId": "group1"},
                {"body": [good(1), good(2)], "httpStatusCode": 200, "referenceId": "group0"},
            ]
        }
        found = read(builder(), two(), reply(answer))
        assert [getattr(outcome, "id", "")[:15] for outcome in found.outcomes] == [
            "003000000000001",
            "003000000000002",
            "003000000000003",
        ]
        assert found.results == [good(1), good(2), good(3)]

    def test_a_group_fails_alone(self) -> None:
        answer = composite((200, [bad(BACK), bad("REQUIRED_FIELD_MISSING")]), (200, [good()]))
        found = outcomes(two(), answer)
        assert [type(outcome) for outcome in found] == [RolledBack, Refused, Written]

    def test_under_an_outer_rollback_success_is_not_written(self) -> None:
        """The quirk the docs own up to: rows that no longer exist keep success and id."""
        answer = composite((200, [good(), bad("REQUIRED_FIELD_MISSING")]), (400, [HALTED]))
        found = outcomes(two(is_atomic=True), answer)
        assert [type(outcome) for outcome in found] == [RolledBack, Refused, RolledBack]

    def test_an_earlier_collection_that_looks_successful_is_rolled_back(self) -> None:
        answer = composite((200, [good(1), good(2)]), (200, [bad("STRING_TOO_LONG")]))
        found = outcomes(two(is_atomic=True), answer)
        assert [type(outcome) for outcome in found] == [RolledBack, RolledBack, Refused]

    def test_everything_halted_without_culprit_counts_as_a_try(self) -> None:
        found = outcomes(two(is_atomic=True), composite((400, [HALTED]), (400, [HALTED])))
        assert all(isinstance(outcome, Deferred) for outcome in found)

    def test_a_missing_subresponse_makes_all_unknown(self) -> None:
        found = outcomes(two(), composite((200, [good(), good()])))
        assert [type(outcome) for outcome in found] == [Unknown] * 3

    def test_a_refused_subrequest_befalls_its_group_only(self) -> None:
        error = {"errorCode": "NOT_FOUND", "message": "no"}
        found = outcomes(two(), composite((404, [error]), (200, [good()])))
        assert [type(outcome) for outcome in found] == [Refused, Refused, Written]


class TestGet:
    def test_rows_come_back_as_data_and_null_is_not_found(self) -> None:
        row = {"attributes": {"type": "Contact"}, "Id": "003000000000000AAA", "LastName": "x"}
        found = outcomes(one(2), reply([row, None]), "get")
        assert found[0] == Written("003000000000000AAA", None, row)
        assert isinstance(found[1], Refused)
        assert found[1].code == "NOT_FOUND"

    def test_a_wrong_count_is_unknown(self) -> None:
        assert isinstance(outcomes(one(2), reply([None]), "get")[0], Unknown)


class TestTree:
    batch = Batch(
        "b",
        "t",
        [
            Group(
                [
                    {
                        "LastName": "A",
                        "Cases": {"records": [{"attributes": {"type": "Case"}}]},
                    },
                    {"attributes": {"referenceId": "mine"}, "LastName": "B"},
                ]
            )
        ],
    )

    def test_results_are_matched_by_reference(self) -> None:
        answer = {
            "hasErrors": False,
            "results": [
                {"referenceId": "mine", "id": "003B"},
                {"referenceId": "ref1", "id": "003A"},
                {"referenceId": "ref2", "id": "500A"},
            ],
        }
        found = read(builder("tree"), self.batch, reply(answer, 201))
        assert found.outcomes == [
            Written("003A", True, {"ids": {"ref1": "003A", "ref2": "500A"}}),
            Written("003B", True, {"ids": {"mine": "003B"}}),
        ]
        assert found.results[1] == [{"referenceId": "mine", "id": "003B"}]

    def test_a_failing_child_refuses_its_root_and_rolls_back_the_others(self) -> None:
        error = {"statusCode": "REQUIRED_FIELD_MISSING", "message": "no", "fields": ["Status"]}
        answer = {"hasErrors": True, "results": [{"referenceId": "ref2", "errors": [error]}]}
        found = outcomes(self.batch, reply(answer, 400), "tree")
        assert found[0] == Refused("REQUIRED_FIELD_MISSING", "no", ("Status",))
        assert isinstance(found[1], RolledBack)

    def test_an_error_about_no_record_we_sent_befalls_all(self) -> None:
        error = {"statusCode": "INVALID_TYPE", "message": "no", "fields": []}
        answer = {"hasErrors": True, "results": [{"referenceId": "other", "errors": [error]}]}
        found = outcomes(self.batch, reply(answer, 400), "tree")
        assert all(isinstance(outcome, Refused) for outcome in found)

    def test_a_missing_id_makes_all_unknown(self) -> None:
        answer = {"hasErrors": False, "results": [{"referenceId": "mine", "id": "003B"}]}
        found = outcomes(self.batch, reply(answer, 201), "tree")
        assert all(isinstance(outcome, Unknown) for outcome in found)


WORDS = (
    "success errors id created statusCode errorCode message fields compositeResponse body "
    "httpStatusCode referenceId group0 group1 hasErrors results ref1 UNABLE_TO_LOCK_ROW "
    "ALL_OR_NONE_OPERATION_ROLLED_BACK PROCESSING_HALTED"
)
words = st.sampled_from(WORDS.split())
leaves = st.none() | st.booleans() | st.integers(0, 600) | st.floats(allow_nan=False) | words
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=5),
    max_leaves=25,
)


@given(
    value=values,
    status=st.sampled_from([200, 201, 300, 302, 400, 401, 403, 404, 413, 418, 500, 502, 503, 599]),
    operation=st.sampled_from(["create", "get", "update", "upsert", "delete", "tree"]),
    sizes=st.lists(st.integers(1, 3), min_size=1, max_size=3),
    flags=st.tuples(st.booleans(), st.booleans()),
    attempt=st.integers(1, 4),
)
def test_whatever_comes_back_there_is_one_outcome_per_record(
    value: Any,
    status: int,
    operation: str,
    sizes: list[int],
    flags: tuple[bool, bool],
    attempt: int,
) -> None:
    groups = [Group(rows(size), flags[0]) for size in sizes]
    if operation == "tree":
        groups = groups[:1]
    batch = Batch("b", "t", groups, flags[1], attempt)
    found = read(builder(operation), batch, reply(value, status))
    assert len(found.outcomes) == len(batch)
    assert len(found.results) in (0, len(batch))


def _truthful(groups: list[list[bool]], is_composite: bool) -> Any:
    """What Salesforce answers where these rows were written."""
    bodies = [
        [good(n, created=True) if ok else bad("STRING_TOO_LONG") for n, ok in enumerate(group)]
        for group in groups
    ]
    if not is_composite:
        return bodies[0]
    return {
        "compositeResponse": [
            {"referenceId": f"group{n}", "httpStatusCode": 200, "httpHeaders": {}, "body": body}
            for n, body in enumerate(bodies)
        ]
    }


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every container in a JSON value, with every key of it."""
    for key in list(value) if isinstance(value, dict) else range(len(value)):
        yield value, key
        if isinstance(value[key], dict | list):
            yield from _places(value[key])


@st.composite
def _damaged(draw: st.DrawFn, answer: Any) -> tuple[int, bytes]:
    """A truthful answer after something between broke it: status, values, order, length."""
    for _ in range(draw(st.integers(0, 2))):
        places = list(_places(answer))
        if not places:
            break
        inside, key = places[draw(st.integers(0, len(places) - 1))]
        match draw(st.integers(0, 3)):
            case 0:
                del inside[key]
            case 1:
                inside[key] = draw(values)
            case 2 if isinstance(inside, list):
                inside.insert(key, inside[key])
            case _:
                inside[key] = draw(st.sampled_from([1, "true", None, [], {}, False]))
    data = json.dumps(answer).encode()
    if draw(st.integers(0, 4)) == 0:
        data = data[: draw(st.integers(0, len(data)))]
    return draw(st.sampled_from([200, 200, 200, 200, 201, 400, 500, 503])), data


@given(
    data=st.data(),
    groups=st.lists(st.lists(st.booleans(), min_size=1, max_size=4), min_size=1, max_size=3),
    is_atomic=st.booleans(),
)
def test_a_broken_answer_never_makes_a_record_written_that_it_does_not_call_written(
    data: st.DataObject, groups: list[list[bool]], is_atomic: bool
) -> None:
    """Where `Written` comes out, the answer as it arrived has the row in its place, with
    `success: true`, in a list as long as the request; in an atomic group all rows have it."""
    is_composite = len(groups) > 1
    status, body = data.draw(_damaged(_truthful(groups, is_composite)))
    batch = Batch("b", "t", [Group(rows(len(group)), is_atomic) for group in groups])
    found = read(builder(), batch, Reply(status, {}, body)).outcomes
    assert len(found) == len(batch)
    start = 0
    for number, group in enumerate(groups):
        got = found[start : start + len(group)]
        start += len(group)
        claimed = [n for n, outcome in enumerate(got) if type(outcome) is Written]
        if not claimed:
            continue
        answer = json.loads(body)
        assert status < 300
        if is_composite:
            (part,) = [
                part
                for part in answer["compositeResponse"]
                if part["referenceId"] == f"group{number}"
            ]
            assert part["httpStatusCode"] < 300
            answer = part["body"]
        assert len(answer) == len(group)
        assert all(answer[n]["success"] is True for n in claimed)
        assert not is_atomic or len(claimed) == len(group)


@given(
    good_rows=st.lists(st.booleans(), min_size=2, max_size=6),
    status=st.sampled_from(["STRING_TOO_LONG", "UNABLE_TO_LOCK_ROW"]),
)
def test_a_transaction_is_written_whole_or_not_at_all(good_rows: list[bool], status: str) -> None:
    answer = [good(n) if is_good else bad(status) for n, is_good in enumerate(good_rows)]
    found = outcomes(one(len(answer), all_or_none=True), reply(answer))
    written = [type(outcome) is Written for outcome in found]
    assert all(written) or not any(written)
    assert all(written) == all(good_rows)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("api-usage=18/15000", {"api-usage": (18, 15000)}),
        (
            "api-usage=25/5000; per-app-api-usage=17/250(appName=sample-app)",
            {"api-usage": (25, 5000), "per-app-api-usage": (17, 250)},
        ),
        (
            "api-usage=10018/100000; api-bursts=1/750",
            {"api-usage": (10018, 100000), "api-bursts": (1, 750)},
        ),
        ("api-usage=?", {}),
        ("", {}),
    ],
)
def test_limit_info_keeps_every_key(text: str, found: dict[str, tuple[int, int]]) -> None:
    assert parse_limit_info(text) == found


def test_retry_after_reads_seconds_and_dates() -> None:
    now, later = "Mon, 23 Nov 2026 10:00:00 GMT", "Mon, 23 Nov 2026 10:00:30 GMT"
    assert retry_after(Reply(503, {"Retry-After": "5"}, b"")) == 5.0
    assert retry_after(Reply(503, {"Retry-After": later, "Date": now}, b"")) == 30.0
    assert retry_after(Reply(503, {"Retry-After": "soon"}, b"")) is None
    assert retry_after(Reply(503, {}, b"")) is None


ROW = '{"id":"%s","success":true,"errors":[]%s}'
ENDS = ("", ',"created":true', ',"created":false')


def usual(ends: list[str]) -> bytes:
    """An answer of successes only, in the very form that Salesforce writes."""
    made = (ROW % (f"0030000000000{n:02}AAA", end) for n, end in enumerate(ends))
    return ("[" + ",".join(made) + "]").encode()


@given(st.lists(st.sampled_from(ENDS[1:]), min_size=1, max_size=6) | st.just([""] * 3))
def test_the_usual_answer_is_told_without_reading_it_and_read_when_asked(ends: list[str]) -> None:
    body = usual(ends)
    reading = read(builder(), one(len(ends)), Reply(200, {}, body))
    assert isinstance(reading.outcomes, AllWritten)
    assert list(reading.results) == json.loads(body)
    written = [Written(row["id"], row.get("created"), row) for row in json.loads(body)]
    assert list(reading.outcomes) == written


@example([""], 7, 7, b'{"id":"')  # an answer that is no JSON, of as many bytes
@given(
    st.lists(st.sampled_from(ENDS), min_size=1, max_size=4),
    st.integers(0, 300),
    st.integers(0, 40),
    st.sampled_from([b"", b"0", b"}", b"]", b"[", b'"', b",", b"false", b'{"id":"', b"\n", b" "]),
)
def test_an_answer_with_any_byte_changed_is_called_written_only_if_it_says_so(
    ends: list[str], at: int, cut: int, put: bytes
) -> None:
    """Whatever is cut out and put in, the quick look never calls more written than a full one."""
    body = usual(ends)
    at %= len(body)
    changed = body[:at] + put + body[at + cut :]
    reading = read(builder(), one(len(ends)), Reply(200, {}, changed))
    try:
        rows = json.loads(changed)
    except ValueError:
        rows = None
    says_so = (
        isinstance(rows, list)
        and len(rows) == len(ends)
        and all(isinstance(row, dict) and row.get("success") is True for row in rows)
    )
    assert (type(reading.outcomes) is AllWritten) == says_so
