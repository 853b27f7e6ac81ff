"""Schemas and payloads against vectors of real orgs."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.emulator.avro import AvroError, event_schema

ORDER = event_schema(
    "Order_Event__e",
    [("Order_Number__c", "text"), ("City__c", "text"), ("Amount__c", "number")],
)
EVERY = event_schema(
    "Every__e",
    [
        ("Text__c", "text"),
        ("Long__c", "textarea"),
        ("Number__c", "number"),
        ("Flag__c", "boolean"),
        ("Moment__c", "datetime"),
        ("Day__c", "date"),
    ],
)
CREATED = {"CreatedDate": 1_700_000_000_550, "CreatedById": "005000000000001AAA"}
# prefix, CreatedDate, CreatedById, Order_Number__c "7", City__c null, Amount__c 35.0
VECTOR = bytes.fromhex(
    "cca8abfef96224" + b"005000000000001AAA".hex() + "02023700020000000000804140"
)


@pytest.mark.parametrize(
    ("schema", "id_"),
    [
        (ORDER, "_CADE3qaegX3ECEW0rlbYA"),
        (event_schema("Test_Event__e", [("Message__c", "text")]), "6L0yfG1TjHj3IeYaje5uZQ"),
        (event_schema("CM_Test_Event_Two__e", [("Message__c", "text")]), "K98aAtiNFBjA-PJlcvaQ2g"),
    ],
)
def test_schema_ids_are_those_of_the_captures(schema: object, id_: str) -> None:
    assert getattr(schema, "id") == id_  # noqa: B009


def test_the_check_vector() -> None:
    values = {**CREATED, "Order_Number__c": "7", "City__c": None, "Amount__c": 35.0}
    assert ORDER.encode(values) == VECTOR
    assert ORDER.decode(VECTOR) == values


def test_a_new_field_is_a_new_schema_at_the_end_and_the_old_one_is_untouched() -> None:
    wider = ORDER.with_field("Extra__c", "boolean")
    assert wider.id != ORDER.id
    assert [f["name"] for f in wider.definition["fields"]][-1] == "Extra__c"
    assert len(ORDER.definition["fields"]) == 5
    assert ORDER.resolves(VECTOR, wider)
    assert wider.resolves(wider.encode(CREATED), ORDER)
    with pytest.raises(ValueError, match="already has a field Extra__c"):
        wider.with_field("Extra__c", "text")


def test_types_that_do_not_fit_each_other_do_not_resolve() -> None:
    other = event_schema("Order_Event__e", [("Order_Number__c", "number")])
    assert not ORDER.resolves(VECTOR, other)


def test_an_unknown_type_is_said_with_its_field() -> None:
    with pytest.raises(ValueError, match=r"X__e\.A__c: no event field type 'colour'"):
        event_schema("X__e", [("A__c", "colour")])


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"CreatedDate": 1},
        {**CREATED, "Unknown__c": 1},
        {**CREATED, "City__c": 1},
        {**CREATED, "Amount__c": "35"},
        {**CREATED, "CreatedDate": "2026-01-01"},
    ],
)
def test_values_that_do_not_fit_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(AvroError):
        ORDER.encode(values)


@given(
    st.fixed_dictionaries(
        {
            "CreatedDate": st.integers(-(2**63), 2**63 - 1),
            "CreatedById": st.text(),
            "Text__c": st.none() | st.text(),
            "Long__c": st.none() | st.text(),
            "Number__c": st.none() | st.floats(allow_nan=False),
            "Flag__c": st.none() | st.booleans(),
            "Moment__c": st.none() | st.integers(-(2**63), 2**63 - 1),
            "Day__c": st.none() | st.integers(0, 2**40),
        }
    )
)
def test_every_value_comes_back_and_every_cut_is_noticed(values: dict[str, object]) -> None:
    payload = EVERY.encode(values)
    assert EVERY.decode(payload) == values
    with pytest.raises(AvroError):
        EVERY.decode(payload + b"\0")
    with pytest.raises(AvroError):
        EVERY.decode(payload[:-1])


def test_nan_is_a_number_to_avro() -> None:
    decoded = EVERY.decode(EVERY.encode({**CREATED, "Number__c": math.nan}))
    assert math.isnan(decoded["Number__c"])


@given(st.binary(max_size=60))
def test_no_bytes_break_the_decoder(payload: bytes) -> None:
    try:
        values = EVERY.decode(payload)
    except AvroError:
        return
    assert set(values) == {f["name"] for f in EVERY.definition["fields"]}
