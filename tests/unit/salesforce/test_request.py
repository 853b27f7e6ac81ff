"""What a batch looks like on the wire, without a network."""

from __future__ import annotations

import copy
import gzip
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.errors import SettingsError
from workbench.model import Batch, Group, Record
from workbench.salesforce import CompositeSettings, CompositeSink, RequestBuilder
from workbench.salesforce.composite import key_of
from workbench.salesforce.request import compressed, normal_version


def settings(operation: str = "upsert", **more: Any) -> CompositeSettings:
    key = "ExternalId__c" if operation == "upsert" else None
    return CompositeSettings(
        operation=operation, sobject_type="Contact", external_id_field=key, **more
    )


def batch(*groups: list[Record], all_or_none: bool = False, is_atomic: bool = False) -> Batch:
    return Batch("b1", "t", [Group(rows, all_or_none) for rows in groups], is_atomic)


def built(operation: str, work: Batch, **more: Any) -> tuple[str, str, Any]:
    request = RequestBuilder(settings(operation, **more), "68.0").build(work)
    return request.method, request.target, json.loads(request.body) if request.body else None


KEYS = st.text(st.sampled_from("aAΣσ \t\0\u2003İé"), max_size=4) | st.sampled_from([None, 1, 2.0])
ROOT = "/services/data/v68.0/composite"
TYPED = {"type": "Contact"}


def test_one_group_is_a_plain_collections_call_with_its_own_flag() -> None:
    rows: list[Record] = [{"ExternalId__c": "A"}, {"ExternalId__c": "B"}]
    for flag in (False, True):
        assert built("upsert", batch(rows, all_or_none=flag)) == (
            "PATCH",
            f"{ROOT}/sobjects/Contact/ExternalId__c",
            {"allOrNone": flag, "records": [{"attributes": TYPED, **row} for row in rows]},
        )


@pytest.mark.parametrize(("operation", "method"), [("create", "POST"), ("update", "PATCH")])
def test_create_and_update_differ_by_method_only(operation: str, method: str) -> None:
    row: Record = {"LastName": "Hansen", "Id": None}
    assert built(operation, batch([row])) == (
        method,
        f"{ROOT}/sobjects",
        {"allOrNone": False, "records": [{"attributes": TYPED, **row}]},
    )


def test_groups_share_a_composite_call_and_keep_their_own_atomicity() -> None:
    work = Batch("b", "t", [Group([{"LastName": "A"}], True), Group([{"LastName": "B"}], False)])
    method, target, body = built("create", work)
    assert (method, target) == ("POST", ROOT)
    assert body["allOrNone"] is False
    assert body["collateSubrequests"] is False
    assert [sub["referenceId"] for sub in body["compositeRequest"]] == ["group0", "group1"]
    assert [sub["body"]["allOrNone"] for sub in body["compositeRequest"]] == [True, False]
    assert {sub["url"] for sub in body["compositeRequest"]} == {f"{ROOT}/sobjects"}


def test_under_an_outer_all_or_none_the_inner_one_is_true_as_well() -> None:
    _, _, body = built("create", batch([{"a": 1}], [{"a": 2}], is_atomic=True))
    assert body["allOrNone"] is True
    assert [sub["body"]["allOrNone"] for sub in body["compositeRequest"]] == [True, True]


def test_subrequests_carry_no_header_that_composite_forbids() -> None:
    work = batch([{"a": 1}], [{"a": 2}])
    _, _, body = built("create", work, allow_duplicate_save=True)
    for sub in body["compositeRequest"]:
        assert sub["httpHeaders"] == {
            "Sforce-Auto-Assign": "FALSE",
            "Sforce-Mru": "updateMru=false",
            "Sforce-Duplicate-Rule-Header": "allowSave=true",
        }


def test_delete_lists_its_ids_in_the_query() -> None:
    rows: list[Record] = [{"Id": "003000000000001AAA"}, {"id": "003000000000002AAA"}]
    assert built("delete", batch(rows, all_or_none=True)) == (
        "DELETE",
        f"{ROOT}/sobjects?ids=003000000000001AAA,003000000000002AAA&allOrNone=true",
        None,
    )


def test_get_posts_ids_and_fields() -> None:
    rows: list[Record] = [{"Id": "003000000000001AAA"}]
    assert built("get", batch(rows), fields=("Id", "LastName")) == (
        "POST",
        f"{ROOT}/sobjects/Contact",
        {"ids": ["003000000000001AAA"], "fields": ["Id", "LastName"]},
    )


def test_get_flattens_groups_since_reading_needs_no_atomicity() -> None:
    _, target, body = built("get", batch([{"Id": "1"}], [{"Id": "2"}]))
    assert target == f"{ROOT}/sobjects/Contact"
    assert body == {"ids": ["1", "2"], "fields": ["Id"]}


def test_tree_gives_a_reference_to_every_record_that_has_none() -> None:
    row: Record = {
        "LastName": "Root",
        "Cases": {
            "records": [
                {"attributes": {"type": "Case", "referenceId": "ref1"}, "Subject": "a"},
                {"attributes": {"type": "Case"}, "Subject": "b"},
            ]
        },
    }
    before = copy.deepcopy(row)
    _, target, body = built("tree", batch([row, {"LastName": "Second"}]))
    assert target == f"{ROOT}/tree/Contact"
    first, second = body["records"]
    assert first["attributes"] == {"type": "Contact", "referenceId": "ref2"}
    assert [child["attributes"] for child in first["Cases"]["records"]] == [
        {"type": "Case", "referenceId": "ref1"},
        {"type": "Case", "referenceId": "ref3"},
    ]
    assert second["attributes"]["referenceId"] == "ref4"
    assert row == before


def test_records_are_never_changed_and_their_own_type_wins() -> None:
    row: Record = {"attributes": {"type": "Account"}, "Name": "x"}
    before = copy.deepcopy(row)
    assert built("create", batch([row]))[2]["records"] == [before]
    bare: Record = {"attributes": {"url": "/x"}}
    assert built("create", batch([bare]))[2]["records"] == [
        {"attributes": {"type": "Contact", "url": "/x"}}
    ]
    assert row == before
    assert bare == {"attributes": {"url": "/x"}}


TEXTS = st.text(st.sampled_from('},{"[]:\\aé'), max_size=6) | st.sampled_from(
    ["attributes", "},{", '"attributes"', "{}", "a"]
)
VALUES = st.recursive(
    TEXTS | st.integers(-9, 9) | st.none() | st.booleans(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXTS, inner, max_size=2),
    max_leaves=6,
)


@given(st.lists(st.dictionaries(TEXTS, VALUES, max_size=3), min_size=1, max_size=4), st.booleans())
def test_attributes_are_put_before_the_fields_whatever_the_records_hold(
    rows: list[Record], flag: bool
) -> None:
    """The text is made without making the records anew; it must say the same as if it were."""
    request = RequestBuilder(settings(), "68.0").build(batch(rows, all_or_none=flag))
    body = json.loads(request.body)
    assert body["allOrNone"] is flag
    for sent, row in zip(body["records"], rows, strict=True):
        own = row.get("attributes")
        if "attributes" not in row:
            assert sent == {"attributes": TYPED, **row}
            assert next(iter(sent)) == "attributes"
        elif own is None or isinstance(own, dict):
            assert sent == {**row, "attributes": {**TYPED, **(own or {})}}
        else:
            assert sent == row


def test_without_an_sobject_type_records_bring_their_own() -> None:
    rows: list[Record] = [{"attributes": {"type": "Account"}, "Name": "x"}, {"Name": "y"}]
    request = RequestBuilder(CompositeSettings("create", "")).build(batch(rows))
    assert json.loads(request.body)["records"] == rows


def test_headers_ask_for_predictable_loads_and_hold_no_secret() -> None:
    headers = RequestBuilder(settings(allow_duplicate_save=True)).headers
    assert headers["Sforce-Auto-Assign"] == "FALSE"
    assert headers["Sforce-Mru"] == "updateMru=false"
    assert headers["Sforce-Duplicate-Rule-Header"] == "allowSave=true"
    assert headers["Sforce-Call-Options"] == "client=workbench"
    assert "Authorization" not in headers
    assert "Sforce-Duplicate-Rule-Header" not in RequestBuilder(settings()).headers


def test_a_sink_without_a_client_shows_the_request() -> None:
    sink = CompositeSink(None, settings(), api_version="v65.0")
    request = sink.request_of(batch([{"ExternalId__c": "A"}]))
    assert request.target == "/services/data/v65.0/composite/sobjects/Contact/ExternalId__c"


@pytest.mark.parametrize("text", ["68", "68.0", "v68.0", "V68.0", 68, 68.0])
def test_a_version_may_be_written_in_any_usual_way(text: object) -> None:
    assert normal_version(text) == "68.0"


@pytest.mark.parametrize("text", ["", "latest", "47.0", "68.5", "v", None])
def test_what_is_no_version_is_refused(text: object) -> None:
    with pytest.raises(SettingsError, match="api_version"):
        normal_version(text)


def test_compressing_is_undone_by_gzip() -> None:
    assert gzip.decompress(compressed(b"abc" * 1000)) == b"abc" * 1000


class TestKeys:
    def test_external_ids_differ_by_case_only_count_as_equal(self) -> None:
        sink = CompositeSink(None, settings())
        assert (
            sink.keys_of([{"ExternalId__c": "AbC"}])[0]
            == sink.keys_of([{"externalid__C": "aBc"}])[0]
        )
        assert (
            sink.keys_of([{"ExternalId__c": 7}])[0]
            == sink.keys_of([{"ExternalId__c": 7.0}])[0]
            == "7"
        )
        assert sink.keys_of([{"ExternalId__c": " a "}])[0] == "a"
        assert sink.keys_of([{"LastName": "x"}])[0] is None
        assert sink.keys_of([{"ExternalId__c": None}])[0] is None

    @given(
        st.lists(
            st.fixed_dictionaries(
                {}, optional={"ExternalId__c": KEYS, "externalid__C": KEYS, "Name": KEYS}
            ),
            min_size=1,
            max_size=4,
        )
    )
    def test_many_at_once_are_what_each_is_alone(self, rows: list[Record]) -> None:
        made = settings()
        assert CompositeSink(None, made).keys_of(rows) == [key_of(made, row) for row in rows]

    @pytest.mark.parametrize("operation", ["update", "delete"])
    def test_ids_are_compared_by_15_characters_with_case(self, operation: str) -> None:
        sink = CompositeSink(None, settings(operation))
        assert (
            sink.keys_of([{"Id": "003D000000QV9n2IAD"}])[0]
            == sink.keys_of([{"id": "003D000000QV9n2"}])[0]
        )
        assert (
            sink.keys_of([{"Id": "003D000000QV9n2"}])[0]
            != sink.keys_of([{"Id": "003D000000QV9N2"}])[0]
        )
        assert sink.keys_of([{"LastName": "x"}])[0] is None

    @pytest.mark.parametrize("operation", ["create", "tree", "get"])
    def test_other_operations_have_no_key(self, operation: str) -> None:
        assert CompositeSink(None, settings(operation)).keys_of([{"Id": "x"}]) == [None]


class TestSettings:
    def test_an_unknown_operation_is_refused_with_the_choice(self) -> None:
        with pytest.raises(SettingsError, match="create, get, update, upsert, delete, tree"):
            CompositeSettings(operation="merge", sobject_type="Contact")

    def test_upsert_needs_its_key(self) -> None:
        with pytest.raises(SettingsError, match="external_id_field"):
            CompositeSettings(operation="upsert", sobject_type="Contact")

    def test_limits_follow_from_the_operation(self) -> None:
        upsert = settings().limits
        assert (upsert.max_records, upsert.max_groups, upsert.max_atomic_records) == (200, 5, 1000)
        assert upsert.is_idempotent
        assert not upsert.is_one_event
        tree = settings("tree").limits
        assert tree.is_one_event
        assert not tree.is_idempotent
        assert tree.max_atomic_records == 200
        assert not settings("create").limits.is_idempotent
        assert settings("upsert", max_records=50).limits.max_records == 50
        assert settings("upsert", max_records=5000).limits.max_records == 200
