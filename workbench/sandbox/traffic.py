"""Sample events for the sample flows: mostly good, with every kind of trouble among them.

The same seed always gives the same events, byte for byte, so that what came out of a run can be
compared with what went in. Nothing here is published; that is the caller's.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = [
    "CONTACTS_SUBJECT",
    "SAMPLE_FLOW",
    "SAMPLE_FLOWS",
    "SampleEvent",
    "contacts",
    "everyday",
]

SAMPLE_FLOWS = Path(__file__).parent / "flows"
"""The flows that these events are for: copies of those in `flows/` that are installed with us."""

SAMPLE_FLOW = SAMPLE_FLOWS / "salesforce_composite_upsert_contact.yaml"
"""The one that takes `contacts`."""

CONTACTS_SUBJECT = "crm.contacts.upsert"
"""What the sample flow `salesforce_composite_upsert_contact` listens to."""
_ACCOUNTS_SUBJECT = "crm.accounts.upsert"
_ORDERS_SUBJECT = "salesforce.platform_events.order_status"

Record = dict[str, Any]

_FIRST = (
    "Ada", "Amara", "Bjørn", "Chidi", "Dagny", "Elif", "Farid", "Grace", "Hana", "Ingrid",
    "João", "Kenji", "Lucía", "Mei", "Nils", "Oluwaseun", "Priya", "Quentin", "Rania", "Søren",
)  # fmt: skip
_LAST = (
    "Almeida", "Berg", "Castro", "Dahl", "Eriksen", "Fujita", "Garcia", "Haddad", "Iversen",
    "Jansen", "Kowalski", "Larsen", "Müller", "Nakamura", "O'Brien", "Petrov", "Quist",
    "Rossi", "Strand", "Tanaka",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class SampleEvent:
    """One event to publish.

    `kind` says what it was made to be (`single`, `several`, `large`, `repeat`, or the trouble it
    holds); `records` is what its data decodes to, empty where it is no list of records; `id` is
    unique within a seed and meant as the `Nats-Msg-Id`.
    """

    id: str
    subject: str
    data: bytes
    kind: str
    records: tuple[Record, ...] = field(default=(), repr=False)


# How many of a hundred events are of each kind. `large` is written in several collections of 200,
# `too_many` cannot be held by one atomic request (1,000 records).
_MIX: dict[str, int] = {
    "single": 62,
    "several": 14,
    "repeat": 12,
    "large": 2,
    "no_last_name": 3,
    "last_name_too_long": 2,
    "bad_email": 2,
    "not_json": 1,
    "wrong_shape": 1,
    "too_many": 1,
}


def contacts(count: int, seed: int = 1) -> Iterator[SampleEvent]:
    """`count` events of Contact records, keyed by `ExternalId__c`.

    Every kind comes at least once from the twentieth event on, so that a short demonstration
    shows all of them. A repeated key names a contact of an earlier event and changes it.
    """
    return _Contacts(seed).events(count)


def everyday(seed: int = 1) -> Iterator[SampleEvent]:
    """Events without end for all sample flows: contacts mostly, accounts and orders between."""
    source = random.Random(seed)
    for number, contact in enumerate(contacts(sys.maxsize, seed), 1):
        yield contact
        if number % 5 == 0:
            yield _account(seed, number, source)
        if number % 3 == 0:
            yield _order(seed, number, source)


def _account(seed: int, number: int, source: random.Random) -> SampleEvent:
    record = {
        "ExternalId__c": f"A-{seed}-{source.randint(1, 200):04}",
        "Name": f"{source.choice(_LAST)} AS",
        "Phone": f"+47{source.randint(20_000_000, 99_999_999)}",
    }
    data = json.dumps([record], ensure_ascii=False).encode()
    return SampleEvent(f"account-{seed}-{number}", _ACCOUNTS_SUBJECT, data, "account", (record,))


def _order(seed: int, number: int, source: random.Random) -> SampleEvent:
    """One in twenty has a time that is none, which the event's schema refuses."""
    order = {
        "order_id": f"O-{number:06}",
        "status": source.choice(("placed", "packed", "shipped", "delivered")),
        "updated_at": "yesterday" if source.random() < 0.05 else "2026-11-23T10:00:00Z",
    }
    return SampleEvent(
        f"order-{seed}-{number}", _ORDERS_SUBJECT, json.dumps(order).encode(), "order", (order,)
    )


class _Contacts:
    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._random = random.Random(seed)
        self._made = 0
        self._builders: dict[str, Callable[[], list[Record]]] = {
            "single": lambda: [self._contact()],
            "several": lambda: self._some(self._random.randint(2, 30)),
            "large": lambda: self._some(self._random.randint(401, 600)),
            "too_many": lambda: self._some(1_001),
            "repeat": lambda: [self._changed()],
            "no_last_name": lambda: self._spoiled("LastName", None),
            "last_name_too_long": lambda: self._spoiled("LastName", "Lang" * 25),
            "bad_email": lambda: self._spoiled("Email", "not an address"),
        }

    def events(self, count: int) -> Iterator[SampleEvent]:
        deck: list[str] = []
        # One of each first, behind a few good ones, then the mix.
        opening = ["single"] * 10 + list(_MIX)
        for number in range(1, count + 1):
            if not deck:
                deck = opening or [kind for kind, share in _MIX.items() for _ in range(share)]
                if not opening:
                    self._random.shuffle(deck)
                opening = []
            yield self._event(number, deck.pop(0))

    def _event(self, number: int, kind: str) -> SampleEvent:
        name = f"sample-{self._seed}-{number}"
        if kind == "not_json":
            return SampleEvent(name, CONTACTS_SUBJECT, b'{"LastName": "Cut off', kind)
        if kind == "wrong_shape":
            return SampleEvent(name, CONTACTS_SUBJECT, b'["only", "texts"]', kind)
        records = self._builders[kind]()
        # One record travels as an object or as a list of one: both are allowed.
        value: Any = records[0] if len(records) == 1 and number % 2 else records
        data = json.dumps(value, ensure_ascii=False).encode()
        return SampleEvent(name, CONTACTS_SUBJECT, data, kind, tuple(records))

    def _contact(self) -> Record:
        self._made += 1
        return self._person(f"C-{self._seed}-{self._made:06}")

    def _changed(self) -> Record:
        return self._person(f"C-{self._seed}-{self._random.randint(1, max(1, self._made)):06}")

    def _person(self, key: str) -> Record:
        first, last = self._random.choice(_FIRST), self._random.choice(_LAST)
        return {
            "ExternalId__c": key,
            "FirstName": first,
            "LastName": last,
            "Email": f"{key.lower()}@example.com",
            "Phone": f"+47{self._random.randint(20_000_000, 99_999_999)}",
            "Title": None if self._random.random() < 0.1 else "Engineer",
        }

    def _some(self, count: int) -> list[Record]:
        return [self._contact() for _ in range(count)]

    def _spoiled(self, name: str, value: str | None) -> list[Record]:
        """One to three contacts of which one has `name` set to `value`, or left out for None."""
        records = self._some(self._random.randint(1, 3))
        culprit = self._random.choice(records)
        if value is None:
            del culprit[name]
        else:
            culprit[name] = value
        return records
