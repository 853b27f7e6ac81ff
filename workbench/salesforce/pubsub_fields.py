"""Values of event fields as bytes, strictly: whatever would lose something is a misfit.

A bare Avro encoder for what platform events are made of (text, numbers, checkboxes, dates). Stock
encoders drop unknown fields, cut fractions off and know nothing of dates; here checking and
encoding are one step.

Avro 1.12: long and int are zig-zag varints, double and float little-endian, a string its length
and UTF-8, a union its branch's index and the value.
https://avro.apache.org/docs/1.12.0/specification/, 2026-11-23
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta

__all__ = [
    "Misfit",
    "Write",
    "in_union",
    "unsigned_varint",
    "varint",
    "write_boolean",
    "write_double",
    "write_instant",
    "write_long",
    "write_text",
    "writer_of",
]

Write = Callable[[object], bytes]
"""Encodes one JSON value; raises `Misfit`."""

DAY_MS = 86_400_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_MILLISECOND = timedelta(milliseconds=1)

# Earlier than this (March 1973) the creation of an event is certainly a time in seconds, a known
# mistake of published samples.
_EARLIEST_CREATION_MS = 100_000_000_000

# A user's record id; any other text is accepted by Salesforce and then no flow or trigger runs.
_USER_ID = re.compile(r"005[A-Za-z0-9]{12}(?:[A-Za-z0-9]{3})?")

_INT = (-(2**31), 2**31 - 1)
_LONG = (-(2**63), 2**63 - 1)


class Misfit(ValueError):
    """A value that does not fit its field; `code` is the word Salesforce has for it elsewhere."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def varint(number: int) -> bytes:
    """A zig-zag varint of an integer that fits 64 bits."""
    return unsigned_varint(number << 1 if number >= 0 else ((-number) << 1) - 1)


def unsigned_varint(rest: int) -> bytes:
    """A varint of what is not negative, seven bits a byte, the lowest first."""
    encoded = bytearray()
    while rest > 0x7F:
        encoded.append(rest & 0x7F | 0x80)
        rest >>= 7
    encoded.append(rest)
    return bytes(encoded)


def in_union(write: Write, branch: bytes, null: bytes | None) -> Write:
    """The writer of a value in a union: `branch` is its branch there, `null` the other one, encoded
    (None: there is none)."""

    def write_branch(value: object) -> bytes:
        if value is None and null is not None:
            return null
        return branch + write(value)

    return write_branch


def writer_of(kind: str, token: str, name: str) -> Write | None:
    """The encoder of a field by its Avro type, its doc token and its name; None for no such type.

    The token is the only thing that tells Date, Date/Time and Time from a plain number.
    """
    if kind == "long" and name == "CreatedDate":
        return _write_creation
    if kind == "string" and name == "CreatedById":
        return _write_user
    if kind == "long" and token in _TIMES:
        return _TIMES[token]
    return _PLAIN.get(kind)


def _shown(value: object) -> str:
    """What was given, for a sentence, without its length."""
    names = {type(None): "null", bool: "true or false", list: "a list", dict: "an object"}
    if type(value) in names:
        return names[type(value)] if not isinstance(value, bool) else str(value).lower()
    text = repr(value)
    kind = "the text" if isinstance(value, str) else "the number"
    return f"{kind} {text if len(text) <= 60 else text[:57] + '...'}"


def _wrong_type(wanted: str, value: object) -> Misfit:
    return Misfit(
        "INVALID_TYPE_ON_FIELD_IN_RECORD", f"{wanted} is wanted here, not {_shown(value)}"
    )


def _out_of_range(message: str) -> Misfit:
    return Misfit("NUMBER_OUTSIDE_VALID_RANGE", message)


def write_text(value: object) -> bytes:
    if not isinstance(value, str):
        raise _wrong_type("a text", value)
    try:
        data = value.encode()
    except UnicodeEncodeError as error:
        raise Misfit(
            "TEXT_DATA_OUTSIDE_SUPPORTED_CHARSET",
            f"character {error.start + 1} is half of a surrogate pair, which UTF-8 can't hold",
        ) from error
    return varint(len(data)) + data


def _write_user(value: object) -> bytes:
    if isinstance(value, str) and not _USER_ID.fullmatch(value):
        raise Misfit(
            "MALFORMED_ID",
            f"{_shown(value)} is no user's id (005...); Salesforce would accept the event and run "
            "nothing on it",
        )
    return write_text(value)


def _whole(value: object, limits: tuple[int, int]) -> int:
    if type(value) is not int:
        raise _wrong_type("a whole number", value)
    if not limits[0] <= value <= limits[1]:
        raise _out_of_range(f"{_shown(value)} is not between {limits[0]} and {limits[1]}")
    return value


def write_long(value: object) -> bytes:
    return varint(_whole(value, _LONG))


def _write_int(value: object) -> bytes:
    return varint(_whole(value, _INT))


def _real(value: object) -> float:
    if type(value) is float:
        if not math.isfinite(value):
            raise _out_of_range(f"{value} is no number that a field can hold")
        return value
    if type(value) is not int:
        raise _wrong_type("a number", value)
    try:
        number = float(value)
    except OverflowError as error:
        raise _out_of_range(f"{_shown(value)} is too large for a double") from error
    if int(number) != value:
        raise _out_of_range(f"{_shown(value)} has more digits than a double can hold")
    return number


def write_double(value: object) -> bytes:
    return _DOUBLE(_real(value))


def _write_float(value: object) -> bytes:
    try:
        packed = _FLOAT(_real(value))
    except OverflowError as error:
        raise _out_of_range(f"{_shown(value)} is too large for a float") from error
    if type(value) is int and struct.unpack("<f", packed)[0] != value:
        raise _out_of_range(f"{_shown(value)} has more digits than a float can hold")
    return packed


_DOUBLE = struct.Struct("<d").pack
_FLOAT = struct.Struct("<f").pack


def write_boolean(value: object) -> bytes:
    if value is True:
        return b"\x01"
    if value is False:
        return b"\x00"
    raise _wrong_type("true or false", value)


def write_instant(value: object) -> bytes:
    """Milliseconds since 1970; or ISO 8601 with a zone, finer than milliseconds cut off."""
    if type(value) is int and _LONG[0] <= value <= _LONG[1]:
        return varint(value)
    return varint(_instant_ms(value))


def _instant_ms(value: object) -> int:
    if not isinstance(value, str):
        return _whole(value, _LONG)
    try:
        moment = datetime.fromisoformat(value)
    except ValueError as error:
        raise _wrong_type("a date and time such as 2026-11-23T09:30:00Z", value) from error
    if moment.tzinfo is None:
        raise _wrong_type("a date and time with its zone, such as 2026-11-23T09:30:00Z", value)
    return (moment - _EPOCH) // _MILLISECOND


def _write_creation(value: object) -> bytes:
    moment = _instant_ms(value)
    if moment < _EARLIEST_CREATION_MS:
        raise _out_of_range(f"{moment} is no time in milliseconds; is it in seconds?")
    return varint(moment)


def _write_day(value: object) -> bytes:
    """Milliseconds since 1970 of a midnight UTC; or a date, ISO 8601."""
    if not isinstance(value, str):
        moment = _whole(value, _LONG)
        if moment % DAY_MS:
            raise _out_of_range(f"{_shown(value)} is not the midnight (UTC) that a date is sent as")
        return varint(moment)
    try:
        day = date.fromisoformat(value)
    except ValueError as error:
        raise _wrong_type("a date such as 2026-11-23", value) from error
    return varint((day.toordinal() - _EPOCH_DAY) * DAY_MS)


def _write_clock(value: object) -> bytes:
    """Milliseconds since midnight; or a time, ISO 8601, without a zone or with Z."""
    if not isinstance(value, str):
        moment = _whole(value, _LONG)
        if not 0 <= moment < DAY_MS:
            raise _out_of_range(f"{_shown(value)} is no time of day in milliseconds")
        return varint(moment)
    try:
        clock = time.fromisoformat(value)
    except ValueError as error:
        raise _wrong_type("a time such as 09:30:00", value) from error
    if clock.utcoffset():
        raise _wrong_type("a time without a zone, or with Z,", value)
    seconds = (clock.hour * 60 + clock.minute) * 60 + clock.second
    return varint(seconds * 1000 + clock.microsecond // 1000)


_PLAIN: dict[str, Write] = {
    "string": write_text,
    "long": write_long,
    "int": _write_int,
    "double": write_double,
    "float": _write_float,
    "boolean": write_boolean,
}
_TIMES: dict[str, Write] = {
    "DateTime": write_instant,
    "DateOnly": _write_day,
    "TimeOnly": _write_clock,
}
