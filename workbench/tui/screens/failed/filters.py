"""The filter of failed batches: `code:REQUIRED field:Title subject:crm.> flow:contacts text`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from workbench.model import EntrySummary
from workbench.model.entry_list import is_subject_match

__all__ = ["EntryTest", "parse_filter"]

Test = Callable[[EntrySummary], bool]


@dataclass(frozen=True, slots=True)
class EntryTest:
    """Words that must all hold; `unknown` are names before a colon that mean nothing here."""

    text: str = ""
    tests: tuple[Test, ...] = ()
    unknown: tuple[str, ...] = ()

    def __call__(self, entry: EntrySummary) -> bool:
        return all(test(entry) for test in self.tests)


def parse_filter(text: str) -> EntryTest:
    """What was typed, as a test; one that lets everything pass where nothing was. Never raises.

    Words are compared without case, anywhere within the value; a subject with `*` or `>` as NATS
    does. A `-` before a word turns it around. A word without a name is looked for in ids, reasons,
    subjects, codes and fields.
    """
    tests: list[Test] = []
    unknown: list[str] = []
    for word in text.split():
        is_not = word.startswith("-") and len(word) > 1
        asked = word[1:] if is_not else word
        name, colon, value = asked.partition(":")
        values_of = _NAMED.get(name.lower()) if colon else None
        if colon and values_of is None and name.isalpha():
            unknown.append(name)
        if values_of is not None and not value:
            continue  # still being typed
        if name.lower() == "subject" and colon and ("*" in value or ">" in value):
            test = _pattern(value)
        else:
            test = _within(values_of or _anywhere, (value if values_of else asked).lower())
        tests.append(_negated(test) if is_not else test)
    return EntryTest(text.strip(), tuple(tests), tuple(unknown))


def _within(values_of: Callable[[EntrySummary], tuple[str, ...]], wanted: str) -> Test:
    return lambda entry: any(wanted in value.lower() for value in values_of(entry))


def _pattern(pattern: str) -> Test:
    return lambda entry: is_subject_match(pattern, entry.subject)


def _negated(test: Test) -> Test:
    return lambda entry: not test(entry)


def _codes(entry: EntrySummary) -> tuple[str, ...]:
    return tuple(group.code for group in entry.groups)


def _fields(entry: EntrySummary) -> tuple[str, ...]:
    return tuple(group.field for group in entry.groups)


def _anywhere(entry: EntrySummary) -> tuple[str, ...]:
    return (entry.id, entry.reason, entry.subject, *_codes(entry), *_fields(entry))


_NAMED: dict[str, Callable[[EntrySummary], tuple[str, ...]]] = {
    "code": _codes,
    "field": _fields,
    "subject": lambda entry: (entry.subject,),
    "flow": lambda entry: (entry.flow,),
    "task": lambda entry: (entry.task,),
    "kind": lambda entry: (entry.kind,),
    "seq": lambda entry: (str(entry.sequence),),
    "by": lambda entry: (entry.claimed_by,),
}
