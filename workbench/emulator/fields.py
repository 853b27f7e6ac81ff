"""Fields: what one may hold, in which words a wrong value is refused, how describe shows it.

A value is checked once, when it is written; what is stored is what a later GET shows.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from .ids import long_id
from .refusals import ApiError, RowError

__all__ = ["FIELD_TYPES", "Field", "date_text", "datetime_text"]


@dataclass(frozen=True, slots=True)
class _Kind:
    """What describe calls a type, and how long its text may be when the declaration is silent."""

    describe_type: str
    soap_type: str
    length: int = 0


FIELD_TYPES: dict[str, _Kind] = {
    "id": _Kind("id", "tns:ID", 18),
    "text": _Kind("string", "xsd:string", 255),
    "textarea": _Kind("textarea", "xsd:string", 32_000),
    "email": _Kind("email", "xsd:string", 80),
    "phone": _Kind("phone", "xsd:string", 40),
    "url": _Kind("url", "xsd:string", 255),
    "picklist": _Kind("picklist", "xsd:string", 255),
    "autonumber": _Kind("string", "xsd:string", 30),
    "calculated": _Kind("string", "xsd:string", 255),
    "lookup": _Kind("reference", "tns:ID", 18),
    "number": _Kind("double", "xsd:double"),
    "currency": _Kind("currency", "xsd:double"),
    "percent": _Kind("percent", "xsd:double"),
    "integer": _Kind("int", "xsd:int"),
    "boolean": _Kind("boolean", "xsd:boolean"),
    "date": _Kind("date", "xsd:date"),
    "datetime": _Kind("datetime", "xsd:dateTime"),
}
"""Every type that a declaration may name."""

_EMAIL = re.compile(r"[^\s@,;<>()\"\[\]]+@[^\s@,;<>()\"\[\]]+\.[^\s@,;<>()\"\[\].]{2,}")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_DATETIME = re.compile(r"(\d{4}-\d{2}-\d{2})T(\d{2}:\d{2}:\d{2})(\.\d{1,9})?(Z|[+-]\d{2}:?\d{2})")
_INT_RANGE = 2**31


@dataclass(slots=True)
class Field:
    """One field of an object or of a platform event."""

    name: str
    type: str
    label: str = ""
    length: int = 0
    precision: int = 18
    scale: int = 0
    required: bool = False
    unique: bool = False
    external_id: bool = False
    case_sensitive: bool = False
    restricted: bool = False
    values: tuple[str, ...] = ()
    reference_to: tuple[str, ...] = ()
    relationship_name: str | None = None
    child_relationship: str | None = None
    default: Any = None
    read_only: bool = False
    parts: tuple[str, ...] = ()
    """Fields whose texts, with a blank between, make a calculated one."""
    prefix: str = ""
    """What stands before the number of an autonumber."""

    def __post_init__(self) -> None:
        kind = FIELD_TYPES[self.type]
        self.label = self.label or _label(self.name)
        self.length = self.length or kind.length
        if self.type in ("autonumber", "calculated", "id"):
            self.read_only = True
        if self.type == "boolean" and self.default is None:
            self.default = False

    @property
    def is_key(self) -> bool:
        """True where rows are found by this field, so that it needs an index."""
        return self.unique or self.external_id

    def fold(self, value: Any) -> Any:
        """The form in which keys are compared: without case, unless declared otherwise."""
        if isinstance(value, str):
            return value if self.case_sensitive else value.casefold()
        return value

    def checker(self) -> Callable[[Any], Any]:
        """A function from a JSON value (never null) to the stored one; None means blank.

        The function raises RowError for a value of the wrong kind, and ApiError for a date
        that cannot be read: that one breaks Salesforce's parser, so the whole call.
        """
        return _CHECKERS.get(self.type, _text_checker)(self)

    def describe(self) -> dict[str, Any]:
        """The field's entry in a describe answer."""
        kind = FIELD_TYPES[self.type]
        calculated = self.type == "calculated"
        auto = self.type == "autonumber"
        numeric = self.type in ("number", "currency", "percent")
        writeable = not self.read_only
        return {
            "name": self.name,
            "label": self.label,
            "type": kind.describe_type,
            "soapType": kind.soap_type,
            "length": self.length,
            "byteLength": self.length * 3,
            "precision": self.precision if numeric else 0,
            "scale": self.scale if numeric else 0,
            "digits": 10 if self.type == "integer" else 0,
            "nillable": not self.required and self.type not in ("id", "boolean"),
            "defaultedOnCreate": self.default is not None or self.read_only,
            "defaultValue": self.default,
            "createable": writeable,
            "updateable": writeable,
            "externalId": self.external_id,
            "idLookup": self.external_id or self.type == "id",
            "unique": self.unique,
            "caseSensitive": self.case_sensitive,
            "calculated": calculated,
            "calculatedFormula": None,
            "autoNumber": auto,
            "compoundFieldName": None,
            "custom": self.name.endswith("__c"),
            "nameField": self.name == "Name",
            "filterable": not calculated,
            "sortable": True,
            "groupable": False,
            "permissionable": writeable,
            "deprecatedAndHidden": False,
            "encrypted": False,
            "htmlFormatted": False,
            "inlineHelpText": None,
            "picklistValues": [
                {
                    "active": True,
                    "defaultValue": value == self.default,
                    "label": value,
                    "validFor": None,
                    "value": value,
                }
                for value in self.values
            ],
            "restrictedPicklist": self.restricted,
            "referenceTo": list(self.reference_to),
            "relationshipName": self.relationship_name,
        }


def datetime_text(moment: datetime) -> str:
    """The form in which date-times leave Salesforce: `2026-01-01T00:00:00.000+0000`."""
    utc = moment.astimezone(UTC)
    return f"{utc:%Y-%m-%dT%H:%M:%S}.{utc.microsecond // 1000:03d}+0000"


def date_text(value: Any) -> str:
    """A date of the form `yyyy-MM-dd`; ValueError otherwise. A date-time is cut to its day."""
    if isinstance(value, str):
        if _DATE.fullmatch(value):
            return date.fromisoformat(value).isoformat()
        if _DATETIME.fullmatch(value):
            return date.fromisoformat(value[:10]).isoformat()
    raise ValueError("not a date")


def _label(name: str) -> str:
    words = name.removesuffix("__c").replace("_", " ")
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", words)


def _wrong_type(field: Field, value: Any) -> RowError:
    return RowError(
        "INVALID_TYPE_ON_FIELD_IN_RECORD",
        f"{field.label}: value not of required type: {value}",
        [field.name],
    )


def _as_text(field: Field, value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(value)
    raise _wrong_type(field, value)


def _text_checker(field: Field) -> Callable[[Any], Any]:
    length, label, name = field.length, field.label, field.name

    def check(value: Any) -> Any:
        text = value if type(value) is str else _as_text(field, value)
        if len(text) > length:
            raise RowError(
                "STRING_TOO_LONG",
                f"{label}: data value too large: {text} (max length={length})",
                [name],
            )
        return text or None

    return check


def _email_checker(field: Field) -> Callable[[Any], Any]:
    text_of = _text_checker(field)
    matches = _EMAIL.fullmatch

    def check(value: Any) -> Any:
        text = text_of(value)
        if text is not None and not matches(text):
            raise RowError(
                "INVALID_EMAIL_ADDRESS",
                f"{field.label}: invalid email address: {text}",
                [field.name],
            )
        return text

    return check


def _picklist_checker(field: Field) -> Callable[[Any], Any]:
    text_of = _text_checker(field)
    allowed = {value.casefold(): value for value in field.values}

    def check(value: Any) -> Any:
        text = text_of(value)
        if text is None:
            return None
        known = allowed.get(text.casefold())
        if known is None and field.restricted:
            raise RowError(
                "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST",
                f"{field.label}: bad value for restricted picklist field: {text}",
                [field.name],
            )
        return known or text

    return check


def _number_checker(field: Field) -> Callable[[Any], Any]:
    limit = 10.0 ** (field.precision - field.scale)

    def check(value: Any) -> Any:
        if value == "":
            return None
        number = _number(field, value)
        if not math.isfinite(number) or abs(number) >= limit:
            raise RowError(
                "NUMBER_OUTSIDE_VALID_RANGE",
                f"{field.label}: value outside of valid range on numeric field: {value}",
                [field.name],
            )
        rounded = round(number, field.scale)
        return rounded if field.scale else float(rounded)

    return check


def _integer_checker(field: Field) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        if value == "":
            return None
        number = _number(field, value)
        if not -_INT_RANGE <= number < _INT_RANGE:
            raise RowError(
                "NUMBER_OUTSIDE_VALID_RANGE",
                f"{field.label}: value outside of valid range on numeric field: {value}",
                [field.name],
            )
        if number != int(number):
            raise _wrong_type(field, value)
        return int(number)

    return check


def _number(field: Field, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise _wrong_type(field, value)
    try:
        return float(value)
    except ValueError:
        raise _wrong_type(field, value) from None
    except OverflowError:
        return math.inf


def _boolean_checker(field: Field) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        if isinstance(value, bool):
            return value
        if isinstance(value, str) and value.lower() in ("true", "false"):
            return value.lower() == "true"
        raise _wrong_type(field, value)

    return check


def _unreadable(field: Field, value: Any) -> ApiError:
    return ApiError(
        400,
        "JSON_PARSER_ERROR",
        f"Cannot deserialize instance of {field.type} from VALUE_STRING value {value} or request "
        f"may be missing a required field at [field: {field.name}]",
    )


def _date_checker(field: Field) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        if value == "":
            return None
        try:
            return date_text(value)
        except ValueError:
            raise _unreadable(field, value) from None

    return check


def _datetime_checker(field: Field) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        if value == "":
            return None
        match = _DATETIME.fullmatch(value) if isinstance(value, str) else None
        if match is None:
            raise _unreadable(field, value)
        day, clock, fraction, zone = match.groups()
        zone = "+00:00" if zone == "Z" else zone
        try:
            moment = datetime.fromisoformat(
                f"{day}T{clock}{(fraction or '')[:4]:0<4}{zone}"
                if fraction
                else f"{day}T{clock}{zone}"
            )
            return datetime_text(moment)
        except (ValueError, OverflowError):
            raise _unreadable(field, value) from None

    return check


def _lookup_checker(field: Field) -> Callable[[Any], Any]:
    """The form of the id only; whether the row exists is for the store to say."""

    def check(value: Any) -> Any:
        if value == "":
            return None
        identifier = long_id(value)
        if identifier is None:
            raise RowError(
                "MALFORMED_ID",
                f"{field.label}: id value of incorrect type: {value}",
                [field.name],
            )
        return identifier

    return check


_CHECKERS: dict[str, Callable[[Field], Callable[[Any], Any]]] = {
    "email": _email_checker,
    "picklist": _picklist_checker,
    "number": _number_checker,
    "currency": _number_checker,
    "percent": _number_checker,
    "integer": _integer_checker,
    "boolean": _boolean_checker,
    "date": _date_checker,
    "datetime": _datetime_checker,
    "lookup": _lookup_checker,
}
