"""The filter of the list of events: `code:LOCK subject:crm. key:42 -state:ok text`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from workbench.tui.rows import EventRow
from workbench.tui.store import Store

__all__ = ["Filter", "parse_filter"]

_NAMES = ("code", "subject", "key", "state", "seq", "stream")

Test = Callable[[EventRow, Store], bool]


@dataclass(frozen=True, slots=True)
class Filter:
    """Words that must all hold; `unknown` lists names before a colon that mean nothing here."""

    text: str
    tests: tuple[Test, ...]
    unknown: tuple[str, ...] = ()

    def matches(self, row: EventRow, store: Store) -> bool:
        for test in self.tests:  # noqa: SIM110  (all() takes twice as long, on 20,000 rows a key)
            if not test(row, store):
                return False
        return True


def parse_filter(text: str) -> Filter | None:
    """What was typed, as a filter; None where it asks for nothing. Never raises.

    Words are compared without case, anywhere within the value; a `-` before a word turns it
    around. A word without a name is looked for in subject, state, codes, and the event's data.
    """
    tests: list[Test] = []
    unknown: list[str] = []
    for word in text.split():
        is_not = word.startswith("-") and len(word) > 1
        name, colon, value = (
            word.removeprefix("-").partition(":") if is_not else word.partition(":")
        )
        if colon and name.lower() not in _NAMES and name.isalpha():
            unknown.append(name)
        if colon and name.lower() in _NAMES:
            if not value:
                continue  # still being typed
            test = _named(name.lower(), value.lower())
        else:
            test = _anywhere(word.removeprefix("-") if is_not else word)
        tests.append(_negated(test) if is_not else test)
    return Filter(text, tuple(tests), tuple(unknown)) if tests else None


def _negated(test: Test) -> Test:
    return lambda row, store: not test(row, store)


def _named(name: str, value: str) -> Test:
    if name == "code":
        return lambda row, store: any(value in code.lower() for code in row.codes)
    if name == "subject":
        return lambda row, store: value in row.subject.lower()
    if name == "state":
        return lambda row, store: value in row.state.lower()
    if name == "seq":
        return lambda row, store: value == str(row.sequence)
    if name == "stream":
        return lambda row, store: value in row.stream.lower()
    return lambda row, store: _has_key(row, store, value)


def _has_key(row: EventRow, store: Store, value: str) -> bool:
    return any(
        value in store.key_of(call.task, record).lower()
        for call, first, count in row.calls
        if call.batch is not None
        for record in call.batch.records[first : first + count]
    )


def _anywhere(word: str) -> Test:
    lower, raw = word.lower(), word.encode("utf-8", "replace")

    def test(row: EventRow, store: Store) -> bool:
        if row.event is not None and raw in row.event.data:
            return True
        if lower in row.subject.lower() or lower in row.state.lower():
            return True
        return bool(row.codes) and any(lower in code.lower() for code in row.codes)

    return test
