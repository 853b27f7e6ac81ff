"""The judge of the chaos run sees what it is there to see."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from chaos.ledger import Books, balance
from chaos.traffic import ATOMIC, CREATE, EVENT, UPSERT
from chaos.troubles import Crash
from tests.conformance.test_failed_store import batch
from workbench.model import Event, FailedBatch, FailedRecord


def event(sequence: int, subject: str, *records: dict[str, Any]) -> Event:
    data = json.dumps(records).encode()
    return Event(subject, data, {"Nats-Msg-Id": f"e{sequence}"}, "chaos", sequence)


def failed(sequence: int, kind: str, *outcomes: str) -> FailedBatch:
    records = tuple(FailedRecord(n, {}, outcome) for n, outcome in enumerate(outcomes))
    return replace(batch(sequence), kind=kind, records=records)


def second(number: int) -> str:
    return f"2026-11-23T10:00:{number:02}.000+0000"


NOON = 1_795_428_000.0  # second(0)


@pytest.fixture
def books() -> Books:
    """Of a run in which all went well, but for what was refused as it should be."""
    return Books(
        stream=[
            event(1, UPSERT, {"ExternalId__c": "k1", "LastName": "v1"}),
            event(2, UPSERT, {"ExternalId__c": "k1", "LastName": "v2"}, {"ExternalId__c": "k2"}),
            event(3, CREATE, {"LastName": "v3", "Company": "C"}),
            event(
                4,
                ATOMIC,
                {"ExternalId__c": "a1", "Name": "v4"},
                {"ExternalId__c": "a2", "Name": "v5"},
            ),
            Event(UPSERT, b"{no", {"Nats-Msg-Id": "e5"}, "chaos", 5),
            event(6, EVENT, {"Message__c": "v6"}),
        ],
        sent={"e1", "e2", "e3", "e4", "e5", "e6"},
        failed=[failed(2, "refused", "written", "refused"), failed(5, "unfit")],
        contacts=[{"ExternalId__c": "k1", "LastName": "v2"}],
        leads=[{"LastName": "v3", "CreatedDate": second(1)}],
        accounts=[
            {"ExternalId__c": "a1", "Name": "v4"},
            {"ExternalId__c": "a2", "Name": "v5"},
        ],
        bus=[{"Message__c": "v6", "CreatedDate": int(NOON * 1_000)}],
        unsettled=0,
        crashes=[],
    )


def test_books_in_order_have_no_violation(books: Books) -> None:
    assert balance(books).violations == []


TWICE = [{"LastName": "v3", "CreatedDate": second(n)} for n in (1, 20)]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"sent": {"e1", "e9"}}, "e9 was confirmed and is not in the stream"),
        ({"unsettled": 2}, "waits to hear about 2 events"),
        ({"contacts": []}, "k1 is called written and is not in the org"),
        ({"contacts": [{"ExternalId__c": "k1", "LastName": "x"}]}, "by an event that was called"),
        ({"contacts": [{"ExternalId__c": "k1", "LastName": "v2"}] * 2}, "k1 is in the org twice"),
        ({"failed": [failed(2, "refused", "written", "refused")]}, "e5 is no JSON and was not"),
        (
            {"failed": [failed(5, "unfit"), failed(9, "unfit")]},
            "event 9 is kept as failed and was not published",
        ),
        ({"leads": []}, "v3 is called created and is not in the org"),
        ({"bus": []}, "v6 is called created and is not in the org"),
        ({"leads": TWICE}, "v3 is in the org 2 times"),
        ({"leads": [{"LastName": "v8", "CreatedDate": second(1)}]}, "v8 is in the org, never"),
        ({"accounts": [{"ExternalId__c": "a1", "Name": "v4"}]}, "e4 is written in part"),
    ],
)
def test_what_does_not_add_up_is_told(books: Books, changes: dict[str, Any], words: str) -> None:
    violations = balance(replace(books, **changes)).violations
    assert any(words in violation for violation in violations), violations


def test_a_create_may_be_doubled_by_a_crash_between_only(books: Books) -> None:
    for start, is_fine in ((10.0, True), (40.0, False)):
        crashes = [Crash(NOON + start, NOON + start + 1)]
        found = balance(replace(books, leads=TWICE, crashes=crashes))
        assert found.is_balanced == is_fine, found.violations


def test_what_nobody_knows_may_be_there_or_not(books: Books) -> None:
    unknown = [*books.failed, failed(3, "unknown", "unknown")]
    assert balance(replace(books, failed=unknown)).is_balanced
    assert balance(replace(books, failed=unknown, leads=[])).is_balanced


def test_one_of_two_may_give_up_a_race_that_the_other_wins(books: Books) -> None:
    """Both hold the event only after a crash; without one nobody else can have written it."""
    lost = failed(2, "refused", "written", "refused")
    lost = replace(
        lost, records=(lost.records[0], replace(lost.records[1], code="DUPLICATE_VALUE"))
    )
    contacts = [*books.contacts, {"ExternalId__c": "k2", "LastName": None}]
    books = replace(books, failed=[lost, failed(5, "unfit")], contacts=contacts)
    assert not balance(books).is_balanced
    assert balance(replace(books, crashes=[Crash(NOON, NOON + 1)])).is_balanced
