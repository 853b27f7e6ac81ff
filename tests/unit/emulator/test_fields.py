"""What fields take, keep and refuse."""

from __future__ import annotations

from typing import Any

import pytest

from workbench.emulator.fields import FIELD_TYPES, Field
from workbench.emulator.refusals import ApiError, RowError


def check(kind: str, value: Any, **settings: Any) -> Any:
    return Field("F__c", kind, **settings).checker()(value)


@pytest.mark.parametrize(
    ("kind", "value", "kept"),
    [
        ("text", "+4722123456", "+4722123456"),
        ("text", "", None),
        ("text", 5, "5"),
        ("text", True, "true"),
        ("email", "a.b+c@example.co.uk", "a.b+c@example.co.uk"),
        ("number", 5, 5.0),
        ("number", "1e2", 100.0),
        ("integer", 5.0, 5),
        ("integer", "", None),
        ("boolean", "TRUE", True),
        ("date", "2026-11-23", "2026-11-23"),
        ("date", "2026-11-23T10:00:00Z", "2026-11-23"),
        ("datetime", "2026-11-23T10:00:00Z", "2026-11-23T10:00:00.000+0000"),
        ("datetime", "2026-11-23T10:00:00.1234567+02:00", "2026-11-23T08:00:00.123+0000"),
        ("datetime", "2026-11-23T10:00:00.000+0000", "2026-11-23T10:00:00.000+0000"),
    ],
)
def test_values_that_are_kept(kind: str, value: Any, kept: Any) -> None:
    stored = check(kind, value)
    assert stored == kept
    assert type(stored) is type(kept)


@pytest.mark.parametrize(
    ("kind", "value", "code"),
    [
        ("text", "x" * 256, "STRING_TOO_LONG"),
        ("text", [1], "INVALID_TYPE_ON_FIELD_IN_RECORD"),
        ("email", "a@b", "INVALID_EMAIL_ADDRESS"),
        ("email", "a b@example.com", "INVALID_EMAIL_ADDRESS"),
        ("number", "five", "INVALID_TYPE_ON_FIELD_IN_RECORD"),
        ("number", True, "INVALID_TYPE_ON_FIELD_IN_RECORD"),
        ("number", 10**18, "NUMBER_OUTSIDE_VALID_RANGE"),
        ("number", 10**400, "NUMBER_OUTSIDE_VALID_RANGE"),
        ("number", "nan", "NUMBER_OUTSIDE_VALID_RANGE"),
        ("integer", 1.5, "INVALID_TYPE_ON_FIELD_IN_RECORD"),
        ("integer", 2**31, "NUMBER_OUTSIDE_VALID_RANGE"),
        ("integer", "inf", "NUMBER_OUTSIDE_VALID_RANGE"),
        ("boolean", 1, "INVALID_TYPE_ON_FIELD_IN_RECORD"),
        ("lookup", "x", "MALFORMED_ID"),
    ],
)
def test_values_that_are_refused(kind: str, value: Any, code: str) -> None:
    with pytest.raises(RowError) as caught:
        check(kind, value)
    assert caught.value.code == code
    assert caught.value.errors[0]["fields"] == ["F__c"]


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("date", "23.11.2026"),
        ("date", "2026-02-30"),
        ("date", 5),
        ("datetime", "2026-11-23"),
        ("datetime", "2026-11-23T25:00:00Z"),
        ("datetime", 1),
        ("datetime", "0001-01-01T00:00:00+10:00"),
    ],
)
def test_a_date_that_cannot_be_read_refuses_the_call(kind: str, value: Any) -> None:
    with pytest.raises(ApiError) as caught:
        check(kind, value)
    assert caught.value.body[0]["errorCode"] == "JSON_PARSER_ERROR"


@pytest.mark.parametrize("kind", sorted(FIELD_TYPES))
def test_every_type_can_be_described(kind: str) -> None:
    described = Field("F__c", kind).describe()
    assert described["name"] == "F__c"
    assert described["custom"] is True
    assert described["type"]
