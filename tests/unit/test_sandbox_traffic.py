"""The sample traffic: the same every time, and with every kind of trouble in it."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from workbench.sandbox.traffic import CONTACTS_SUBJECT, SAMPLE_FLOW, contacts


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


def test_the_installed_sample_flow_is_the_one_in_flows() -> None:
    original = Path(__file__).parents[2] / "flows" / SAMPLE_FLOW.name
    assert SAMPLE_FLOW.read_bytes() == original.read_bytes()
    assert f"subject: {CONTACTS_SUBJECT}\n" in original.read_text()
