"""Rules of an org that refuse rows: validation rules and duplicate rules.

A validation rule, as YAML or as the JSON that the control endpoint takes:

    name: phone_needed            # optional
    when: {field: Phone, is: blank}            # or a list of conditions that must all hold
    message: A contact needs a phone number.
    field: Phone                  # optional: where the error is shown

`is` is one of blank, not_blank, equal, not_equal, less, greater, longer, matches, not_matches,
changed; all but blank, not_blank and changed compare with `value`. Texts compare without case.

A duplicate rule:

    name: same_email              # optional
    match: [Email]                # all of them equal, without case, and none blank
    message: Use one of these records?         # optional
    allow_save: true              # false: the header cannot overrule it
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .fields import Field

__all__ = ["DuplicateRule", "ValidationRule"]

FindField = Callable[[str], "Field | None"]
_WITHOUT_VALUE = {"blank", "not_blank", "changed"}
_OPERATORS = _WITHOUT_VALUE | {
    "equal", "not_equal", "less", "greater", "longer", "matches", "not_matches",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Condition:
    field: str
    operator: str
    value: Any = None

    def holds(self, row: Mapping[str, Any], before: Mapping[str, Any] | None) -> bool:
        value = row.get(self.field)
        match self.operator:
            case "blank":
                return value is None
            case "not_blank":
                return value is not None
            case "changed":
                return before is not None and before.get(self.field) != value
            case "equal":
                return bool(_fold(value) == _fold(self.value))
            case "not_equal":
                return bool(_fold(value) != _fold(self.value))
            case "matches":
                return value is not None and bool(re.fullmatch(self.value, str(value)))
            case "not_matches":
                return value is not None and not re.fullmatch(self.value, str(value))
            case "longer":
                return isinstance(value, str) and len(value) > self.value
            case "less":
                return _comparable(value, self.value) and bool(value < self.value)
            case _:
                return _comparable(value, self.value) and bool(value > self.value)


@dataclass(frozen=True, slots=True)
class ValidationRule:
    """A row for which every condition holds is refused with `message`."""

    name: str
    conditions: tuple[_Condition, ...]
    message: str
    field: str | None

    @classmethod
    def parse(cls, settings: Any, find: FindField) -> ValidationRule:
        """The rule that a declaration describes; ValueError says what is wrong with it."""
        given = _mapping(settings, {"name", "when", "message", "field"})
        when = given.get("when")
        clauses = when if isinstance(when, list) else [when]
        conditions = tuple(_condition(clause, find) for clause in clauses)
        shown = given.get("field")
        return cls(
            str(given.get("name") or "rule"),
            conditions,
            str(given.get("message") or "Validation rule not met."),
            None if shown is None else _field_name(shown, find),
        )

    def refuses(self, row: Mapping[str, Any], before: Mapping[str, Any] | None) -> bool:
        """True for a row, as it would be stored, that the rule forbids."""
        return all(condition.holds(row, before) for condition in self.conditions)

    def as_json(self) -> dict[str, Any]:
        """The rule in the form that `parse` reads."""
        when = [
            {"field": c.field, "is": c.operator}
            | ({} if c.operator in _WITHOUT_VALUE else {"value": c.value})
            for c in self.conditions
        ]
        return {"name": self.name, "when": when, "message": self.message, "field": self.field}


@dataclass(frozen=True, slots=True)
class DuplicateRule:
    """A row that equals another in all of `match` is refused unless the caller overrules it."""

    name: str
    match: tuple[str, ...]
    message: str
    allow_save: bool

    @classmethod
    def parse(cls, settings: Any, find: FindField) -> DuplicateRule:
        """The rule that a declaration describes; ValueError says what is wrong with it."""
        given = _mapping(settings, {"name", "match", "message", "allow_save"})
        names = given.get("match")
        names = [names] if isinstance(names, str) else names
        if not isinstance(names, list) or not names:
            raise ValueError("match must name at least one field")
        return cls(
            str(given.get("name") or "duplicates"),
            tuple(_field_name(name, find) for name in names),
            str(given.get("message") or "Use one of these records?"),
            bool(given.get("allow_save", True)),
        )

    def key(self, row: Mapping[str, Any]) -> tuple[Any, ...] | None:
        """What two duplicates have in common; None where a field is blank."""
        key = tuple(_fold(row.get(name)) for name in self.match)
        return None if None in key else key

    def as_json(self) -> dict[str, Any]:
        """The rule in the form that `parse` reads."""
        return {
            "name": self.name,
            "match": list(self.match),
            "message": self.message,
            "allow_save": self.allow_save,
        }


def _mapping(settings: Any, allowed: set[str]) -> Mapping[str, Any]:
    if not isinstance(settings, Mapping):
        raise ValueError("a rule must be a mapping")
    for key in settings:
        if key not in allowed:
            raise ValueError(f"unknown key {key!r}; known are {sorted(allowed)}")
    return settings


def _field_name(name: Any, find: FindField) -> str:
    found = find(str(name))
    if found is None:
        raise ValueError(f"there is no field {name!r}")
    return found.name


def _condition(settings: Any, find: FindField) -> _Condition:
    given = _mapping(settings, {"field", "is", "value"})
    operator = given.get("is")
    if operator not in _OPERATORS:
        raise ValueError(f"`is` must be one of {sorted(_OPERATORS)}, not {operator!r}")
    if operator not in _WITHOUT_VALUE and "value" not in given:
        raise ValueError(f"`is: {operator}` needs a value")
    value = given.get("value")
    if operator in ("matches", "not_matches"):
        try:
            re.compile(str(value))
        except re.error as error:
            raise ValueError(f"{value!r} is not a regular expression: {error}") from error
        value = str(value)
    if operator == "longer" and type(value) is not int:
        raise ValueError("`is: longer` needs a whole number")
    return _Condition(_field_name(given.get("field"), find), operator, value)


def _fold(value: Any) -> Any:
    return value.casefold() if isinstance(value, str) else value


def _comparable(one: Any, other: Any) -> bool:
    numbers = (int, float)
    return (isinstance(one, str) and isinstance(other, str)) or (
        isinstance(one, numbers) and isinstance(other, numbers)
    )
