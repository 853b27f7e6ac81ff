"""Records as Avro datums: held to fastavro's reading of them, to captured bytes, and to the rule
that nothing is cut off or left out in silence."""

from __future__ import annotations

import io
import json
import math
from datetime import UTC, date, datetime, time, timedelta, timezone
from typing import Any

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.errors import ServerError
from workbench.salesforce.pubsub_fields import Misfit, varint, writer_of
from workbench.salesforce.pubsub_schema import EventSchema, parse_schema

USER = "005000000000001AAA"


def definition(*fields: tuple[str, str, str]) -> dict[str, Any]:
    """A custom event's schema in the captured shape; fields as (name, Avro type, doc token)."""
    return {
        "type": "record",
        "name": "Order_Event__e",
        "namespace": "com.sforce.eventbus",
        "fields": [
            {"name": "CreatedDate", "type": "long", "doc": "CreatedDate:DateTime"},
            {"name": "CreatedById", "type": "string", "doc": "CreatedBy:EntityId"},
            *(
                {
                    "name": n,
                    "type": ["null", t],
                    "default": None,
                    "doc": f"Data:{d}:00N000000000001",
                }
                for n, t, d in fields
            ),
        ],
    }


ORDER = definition(
    ("Order_Number__c", "string", "Text"),
    ("City__c", "string", "Text"),
    ("Amount__c", "double", "Double"),
)
EVERY = definition(
    ("Text__c", "string", "Text"),
    ("Number__c", "double", "Double"),
    ("Box__c", "boolean", "Boolean"),
    ("When__c", "long", "DateTime"),
    ("Day__c", "long", "DateOnly"),
    ("Hour__c", "long", "TimeOnly"),
    ("Long__c", "long", "Integer"),
    ("Int__c", "int", "Integer"),
    ("Real__c", "float", "Double"),
)


def schema_of(value: dict[str, Any]) -> EventSchema:
    return parse_schema(json.dumps(value), "id")


def encode(schema: EventSchema, record: dict[str, Any], created: int = 1_700_000_000_550) -> bytes:
    [payload] = schema.encode([record], schema.stamp(created, USER))
    assert payload is not None, schema.faults(record)
    return payload


def decode(value: dict[str, Any], payload: bytes) -> Any:
    stream = io.BytesIO(payload)
    decoded = fastavro.schemaless_reader(stream, fastavro.parse_schema(value), None)
    assert stream.tell() == len(payload)
    return decoded


def test_bytes_are_those_of_the_reference() -> None:
    payload = encode(schema_of(ORDER), {"Order_Number__c": "7", "Amount__c": 35.0})
    expected = "cca8abfef962 24 303035303030303030303030303031414141 02 0237 00 02 0000000000804140"
    assert payload == bytes.fromhex(expected)


WHOLE = st.integers(-(2**63), 2**63 - 1)
EXACT = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53), 2**53)
VALUES = {
    "Text__c": st.text(st.characters(exclude_categories=["Cs"])),
    "Number__c": EXACT,
    "Box__c": st.booleans(),
    "When__c": WHOLE,
    "Day__c": st.integers(-(10**6), 10**6).map(lambda day: day * 86_400_000),
    "Hour__c": st.integers(0, 86_399_999),
    "Long__c": WHOLE,
    "Int__c": st.integers(-(2**31), 2**31 - 1),
    "Real__c": st.floats(width=32, allow_nan=False, allow_infinity=False),
}


@given(
    st.fixed_dictionaries({}, optional={n: st.none() | v for n, v in VALUES.items()}),
    st.integers(10**11, 10**13),
)
def test_what_is_encoded_is_what_another_reader_finds(record: dict[str, Any], created: int) -> None:
    schema = schema_of(EVERY)
    found = decode(EVERY, encode(schema, record, created))
    assert found == {
        **dict.fromkeys(VALUES),
        "CreatedDate": created,
        "CreatedById": USER,
        **record,
    }


@given(WHOLE)
def test_varints_are_those_of_the_reference(number: int) -> None:
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, "long", number)
    assert varint(number) == stream.getvalue()


def one_by_one(schema: EventSchema, record: dict[str, Any], stamp: Any) -> bytes | None:
    """The datum by each field's own writer; None where one of them, or an unknown field, fails."""
    parts = []
    try:
        for column in schema.columns:
            if column.name in record:
                parts.append(column.write(record[column.name]))
            else:
                parts.append(stamp.get(column.name, column.absent))
    except Misfit:
        return None
    return b"".join(parts) if record.keys() <= {c.name for c in schema.columns} else None


AT_THE_EDGE = st.sampled_from(
    [0, 1, 0x1FFF, 0x2000, 2**62 - 1, 2**62, 2**63 - 1, -1, -0x2000, 2**53, -0.0, 1e308, True, "x"]
) | st.sampled_from([0, 127, 128, 510, 511, 512, 513, 70_000]).map(lambda size: "ø" + "x" * size)


@given(
    st.lists(
        st.dictionaries(
            st.sampled_from([*VALUES, "CreatedDate", "CreatedById", "Nope"]),
            AT_THE_EDGE | st.none() | st.integers() | st.floats() | st.text() | st.just(USER),
        )
    )
)
def test_the_straight_way_is_the_writers_way(records: list[dict[str, Any]]) -> None:
    schema = schema_of(EVERY)
    stamp = schema.stamp(1_700_000_000_550, USER)
    assert schema.encode(records, stamp) == [one_by_one(schema, r, stamp) for r in records]


def test_ascii_texts_around_the_size_of_the_table_are_read_back() -> None:
    schema = schema_of(EVERY)
    for size in (0, 63, 64, 510, 511, 512, 513, 9000):
        text = "x" * size
        assert decode(EVERY, encode(schema, {"Text__c": text}))["Text__c"] == text


ANY_JSON = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
) | st.sampled_from([[], ["a"], {}, {"a": 1}, "2026-11-23", "2026-11-23T09:30:00Z"])


@given(st.dictionaries(st.sampled_from([*VALUES, "text__c", "CreatedDate", "Nope"]), ANY_JSON))
def test_a_record_is_encoded_whole_or_its_faults_are_named(record: dict[str, Any]) -> None:
    schema = schema_of(EVERY)
    [payload] = schema.encode([record], schema.stamp(1_700_000_000_550, USER))
    faults = schema.faults(record)
    if payload is None:
        assert faults
        assert {fault.field for fault in faults} <= record.keys()
        return
    assert not faults
    found = decode(EVERY, payload)
    for name, value in record.items():
        if isinstance(value, str) and name != "Text__c":
            continue  # a date, by chance
        if name == "Real__c" and isinstance(value, float):
            assert found[name] == pytest.approx(value, rel=1e-6, abs=1e-38)  # 32 bits of it
        else:
            assert found[name] == value
        assert isinstance(found[name], bool) == isinstance(value, bool)


@pytest.mark.parametrize(
    ("name", "value", "code", "words"),
    [
        ("Text__c", 7, "INVALID_TYPE_ON_FIELD_IN_RECORD", "the number 7"),
        ("Text__c", True, "INVALID_TYPE_ON_FIELD_IN_RECORD", "not true"),
        ("Text__c", ["a"], "INVALID_TYPE_ON_FIELD_IN_RECORD", "a list"),
        ("Text__c", "\ud800", "TEXT_DATA_OUTSIDE_SUPPORTED_CHARSET", "surrogate"),
        ("Number__c", "1.5", "INVALID_TYPE_ON_FIELD_IN_RECORD", "the text '1.5'"),
        ("Number__c", True, "INVALID_TYPE_ON_FIELD_IN_RECORD", "a number is wanted"),
        ("Number__c", math.nan, "NUMBER_OUTSIDE_VALID_RANGE", "nan"),
        ("Number__c", math.inf, "NUMBER_OUTSIDE_VALID_RANGE", "inf"),
        ("Number__c", 2**53 + 1, "NUMBER_OUTSIDE_VALID_RANGE", "more digits"),
        ("Number__c", 10**400, "NUMBER_OUTSIDE_VALID_RANGE", "too large"),
        ("Real__c", 1e300, "NUMBER_OUTSIDE_VALID_RANGE", "too large"),
        ("Box__c", 1, "INVALID_TYPE_ON_FIELD_IN_RECORD", "true or false"),
        ("Box__c", "true", "INVALID_TYPE_ON_FIELD_IN_RECORD", "true or false"),
        ("Long__c", 1.0, "INVALID_TYPE_ON_FIELD_IN_RECORD", "a whole number"),
        ("Long__c", "2026-11-23", "INVALID_TYPE_ON_FIELD_IN_RECORD", "a whole number"),
        ("Long__c", 2**63, "NUMBER_OUTSIDE_VALID_RANGE", "not between"),
        ("Int__c", 2**31, "NUMBER_OUTSIDE_VALID_RANGE", "not between"),
        ("When__c", "2026-11-23", "INVALID_TYPE_ON_FIELD_IN_RECORD", "its zone"),
        ("When__c", "2026-11-23T09:30:00", "INVALID_TYPE_ON_FIELD_IN_RECORD", "its zone"),
        ("When__c", "soon", "INVALID_TYPE_ON_FIELD_IN_RECORD", "2026-11-23T09:30:00Z"),
        ("When__c", True, "INVALID_TYPE_ON_FIELD_IN_RECORD", "a whole number"),
        ("When__c", 1.5, "INVALID_TYPE_ON_FIELD_IN_RECORD", "a whole number"),
        ("Day__c", "2026-11-23T00:00:00Z", "INVALID_TYPE_ON_FIELD_IN_RECORD", "a date"),
        ("Day__c", 1, "NUMBER_OUTSIDE_VALID_RANGE", "midnight"),
        ("Hour__c", "09:30+01:00", "INVALID_TYPE_ON_FIELD_IN_RECORD", "without a zone"),
        ("Hour__c", 86_400_000, "NUMBER_OUTSIDE_VALID_RANGE", "time of day"),
        ("CreatedDate", 1_700_000_000, "NUMBER_OUTSIDE_VALID_RANGE", "in seconds?"),
        ("CreatedDate", 1_700_000_000.55, "INVALID_TYPE_ON_FIELD_IN_RECORD", "a whole number"),
        ("CreatedDate", None, "INVALID_TYPE_ON_FIELD_IN_RECORD", "null"),
        ("CreatedById", "someone", "MALFORMED_ID", "no user's id"),
        ("CreatedById", "003000000000001AAA", "MALFORMED_ID", "no user's id"),
        ("text__c", "x", "INVALID_FIELD", "did you mean 'Text__c'?"),
        ("Zzzz", "x", "INVALID_FIELD", "no field 'Zzzz'"),
    ],
)
def test_a_misfit_is_named(name: str, value: Any, code: str, words: str) -> None:
    schema = schema_of(EVERY)
    record = {"Text__c": "sound", name: value}
    assert schema.encode([record], schema.stamp(1_700_000_000_550, USER)) == [None]
    [fault] = schema.faults(record)
    assert (fault.field, fault.code) == (name, code)
    assert words in fault.message


def test_all_faults_of_a_record_are_told_at_once() -> None:
    faults = schema_of(EVERY).faults({"Box__c": 0, "Nope": 1, "Text__c": 2})
    assert [fault.field for fault in faults] == ["Nope", "Text__c", "Box__c"]


def number_of(token: str, text: str) -> int:
    write = writer_of("long", token, "X__c")
    assert write is not None
    stream = io.BytesIO(write(text))
    found: int = fastavro.schemaless_reader(stream, "long", None)  # type: ignore[assignment]
    return found


@given(
    st.datetimes(datetime(1700, 1, 1), datetime(4000, 12, 31)),
    st.integers(-840, 840).map(lambda minutes: timezone(timedelta(minutes=minutes))),
)
def test_date_and_time_texts_become_milliseconds(moment: datetime, zone: timezone) -> None:
    local = moment.replace(tzinfo=UTC).astimezone(zone)
    expected = (moment - datetime(1970, 1, 1)) // timedelta(milliseconds=1)
    assert number_of("DateTime", local.isoformat()) == expected


@given(st.dates(date(1700, 1, 1), date(4000, 12, 31)), st.times())
def test_dates_and_times_of_day_become_milliseconds(day: date, clock: time) -> None:
    days = (day - date(1970, 1, 1)).days
    assert number_of("DateOnly", day.isoformat()) == days * 86_400_000
    since = timedelta(hours=clock.hour, minutes=clock.minute, seconds=clock.second)
    assert (
        number_of("TimeOnly", clock.isoformat())
        == since // timedelta(milliseconds=1) + clock.microsecond // 1000
    )


@pytest.mark.parametrize(
    ("token", "text", "number"),
    [
        ("DateTime", "2023-11-14T22:13:20.550Z", 1_700_000_000_550),
        ("DateTime", "2023-11-14T22:13:20.550+0000", 1_700_000_000_550),
        ("DateTime", "2023-11-14T23:13:20.5509+01:00", 1_700_000_000_550),
        ("DateTime", "1969-12-31T23:59:59.999Z", -1),
        ("DateOnly", "1970-01-02", 86_400_000),
        ("TimeOnly", "00:00:01.5", 1_500),
        ("TimeOnly", "09:30:00.000Z", 34_200_000),
    ],
)
def test_texts_that_salesforce_and_others_write(token: str, text: str, number: int) -> None:
    assert number_of(token, text) == number


def test_a_long_without_a_known_token_takes_no_text() -> None:
    write = writer_of("long", "SomethingNew", "X__c")
    assert write is not None
    assert write(1) == b"\x02"
    with pytest.raises(Misfit):
        write("2026-11-23T09:30:00Z")


def test_defaults_and_required_fields_of_other_shapes() -> None:
    value = definition()
    value["fields"] += [
        {"name": "Flag", "type": "boolean", "default": True},
        {"name": "Reversed", "type": ["string", "null"], "default": "x"},
        {"name": "Wrapped", "type": {"type": "string"}},
        {"name": "Nested", "type": ["null", {"type": "array", "items": "string"}]},
    ]
    schema = schema_of(value)
    found = decode(value, encode(schema, {"Wrapped": "w", "Reversed": None}))
    assert (found["Flag"], found["Reversed"], found["Wrapped"]) == (True, None, "w")
    assert decode(value, encode(schema, {"Wrapped": "w"}))["Reversed"] == "x"
    [missing] = schema.faults({})
    assert (missing.field, missing.code) == ("Wrapped", "REQUIRED_FIELD_MISSING")
    [foreign] = schema.faults({"Wrapped": "", "Nested": ["a"]})
    assert foreign.field == "Nested"
    assert encode(schema, {"Wrapped": "", "Nested": None})


@pytest.mark.parametrize(
    "text", ["", "[]", '"string"', '{"name": "X"}', '{"name": "X", "fields": [{"name": "a"}]}']
)
def test_what_is_no_schema_is_the_servers_fault(text: str) -> None:
    with pytest.raises(ServerError, match="no Avro record"):
        parse_schema(text, "id")


def test_a_required_field_that_cannot_be_filled_is_told_at_the_start() -> None:
    value = definition()
    value["fields"].append({"name": "List", "type": {"type": "array", "items": "string"}})
    with pytest.raises(ServerError, match=r"Order_Event__e\.List"):
        schema_of(value)
