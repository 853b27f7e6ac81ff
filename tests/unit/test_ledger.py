"""The balance of a run finds whatever does not add up."""

from __future__ import annotations

from typing import Any

import pytest

from workbench.app.ledger import balance
from workbench.model import FailedBatch, FailedRecord

A1 = {"Id__c": "a", "Name": "one"}
A2 = {"Id__c": "A", "Name": "two"}
B = {"Id__c": "b", "Name": "bee", "Title": None}


def failed(sequence: int, *records: FailedRecord) -> FailedBatch:
    return FailedBatch(
        id=str(sequence),
        flow="f",
        task="t",
        kind="refused",
        reason="",
        subject="s",
        stream="S",
        sequence=sequence,
        num_delivered=1,
        timestamp="",
        headers={},
        data=b"",
        digest="",
        settings={},
        records=records,
        attempts=(),
        failed_at="",
    )


def problems(published: Any, kept: Any, rows: Any, **more: Any) -> tuple[str, ...]:
    return balance(published, kept, rows, key_field="id__C", **more).problems


def test_a_run_that_adds_up_has_no_problems() -> None:
    published = {1: [A1], 2: [B], 3: [A2], 4: [], 5: [{"Id__c": "c"}]}
    kept = [failed(4), failed(5, FailedRecord(0, {"Id__c": "c"}, "refused", "X"))]
    ledger = balance(
        published,
        kept,
        [{"Id": "1", "Id__c": "A", "Name": "two"}, {"Id": "2", "Id__c": "b", "Name": "bee"}],
        key_field="Id__c",
    )
    assert ledger.is_balanced
    assert (ledger.events, ledger.failed_events, ledger.rows) == (5, 2, 2)


def test_written_records_of_a_failed_event_count() -> None:
    kept = [failed(1, FailedRecord(0, A1, "written"), FailedRecord(1, B, "refused"))]
    assert problems({1: [A1, B]}, kept, [A1]) == ()
    assert problems({1: [A1, B]}, kept, []) == ("a should be in the table and is not",)


def test_an_unknown_record_may_be_there_or_not() -> None:
    kept = [failed(1, FailedRecord(0, A1, "unknown"))]
    assert problems({1: [A1]}, kept, [A1]) == ()
    assert problems({1: [A1]}, kept, []) == ()


@pytest.mark.parametrize(
    ("published", "kept", "rows", "problem"),
    [
        ({1: [A1]}, [], [], "a should be in the table and is not"),
        ({}, [], [A1], "a is in the table and no event that was written holds it"),
        ({1: [A1], 2: [A2]}, [], [A1], "a: Name should be 'two' and is 'one'"),
        ({1: []}, [], [], "event 1 holds no records and was not kept as failed"),
        ({}, [failed(9)], [], "event 9 is kept as failed but was not published"),
    ],
)
def test_what_does_not_add_up_is_told(published: Any, kept: Any, rows: Any, problem: str) -> None:
    assert problem in problems(published, kept, rows)


def test_an_unsettled_event_is_told() -> None:
    assert problems({}, [], [], unsettled=2) == ("the stream still waits to hear about 2 events",)


def test_after_a_crash_a_row_may_hold_an_older_event_but_not_half_of_one() -> None:
    old, new = {"Id__c": "a", "X": 1, "Y": 1}, {"Id__c": "a", "X": 2, "Y": 2}
    published = {1: [old], 2: [new]}
    assert problems(published, [], [old], is_ordered=False) == ()
    assert problems(published, [], [old]) == ("a: X should be 2 and is 1",)
    mixed = {"Id__c": "a", "X": 1, "Y": 2}
    assert problems(published, [], [mixed], is_ordered=False) == ("a: X should be 2 and is 1",)
