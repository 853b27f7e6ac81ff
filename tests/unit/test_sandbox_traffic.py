"""The sample traffic: the same every time, and with every kind of trouble in it."""

from __future__ import annotations

import json
from collections import Counter
from itertools import islice
from pathlib import Path

import pytest

from workbench.flow import parse
from workbench.sandbox.traffic import CONTACTS_SUBJECT, SAMPLE_FLOWS, contacts, everyday


def test_the_same_seed_gives_the_same_bytes() -> None:
    assert list(contacts(300, seed=7)) == list(contacts(300, seed=7))
    assert list(contacts(50, seed=7)) != list(contacts(50, seed=8))


def test_a_shorter_run_is_the_beginning_of_a_longer_one() -> None:
    assert list(contacts(25)) == list(contacts(200))[:25]


def test_twenty_events_hold_every_kind() -> None:
    assert set(Counter(event.kind for event in contacts(20))) == {
        "single",
        "several",
        "repeat",
        "large",
        "no_last_name",
        "last_name_too_long",
        "bad_email",
        "not_json",
        "wrong_shape",
        "too_many",
    }


def test_records_are_what_the_data_decodes_to() -> None:
    for event in contacts(150):
        if not event.records:
            assert event.kind in ("not_json", "wrong_shape")
            continue
        value = json.loads(event.data)
        assert (value if isinstance(value, list) else [value]) == list(event.records)


def test_a_repeated_key_was_seen_before_and_ids_are_unique() -> None:
    seen: set[str] = set()
    ids: list[str] = []
    for event in contacts(500):
        ids.append(event.id)
        keys = [record["ExternalId__c"] for record in event.records]
        if event.kind == "repeat":
            assert set(keys) <= seen
        else:
            assert not set(keys) & seen, "a new contact has a new key"
        seen.update(keys)
    assert len(set(ids)) == 500


@pytest.mark.parametrize("installed", sorted(SAMPLE_FLOWS.iterdir()), ids=lambda path: path.stem)
def test_the_installed_sample_flows_are_those_in_flows(installed: Path) -> None:
    original = Path(__file__).parents[2] / "flows" / installed.name
    assert installed.read_bytes() == original.read_bytes()


def test_everyday_events_are_for_the_sample_flows() -> None:
    subjects = {
        parse(flow.read_bytes(), flow.name).source.subject for flow in SAMPLE_FLOWS.iterdir()
    }
    events = list(islice(everyday(), 100))
    assert {event.subject for event in events} == subjects
    assert len({event.id for event in events}) == 100
    assert CONTACTS_SUBJECT in subjects
