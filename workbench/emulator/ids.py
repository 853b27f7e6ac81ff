"""Record ids: 15 case-sensitive characters, or 18 with a checksum that survives lower-casing.

The checksum is checked in the tests against documented pairs of both forms.
"""

from __future__ import annotations

__all__ = ["IdMaker", "checksum", "long_id", "short_id"]

_CHECK = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
_UPPER = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_BASE = len(_DIGITS)
_SERIAL_LENGTH = 9
"""What is left of 15 characters after the 3 of the prefix and the 3 of the pod."""


def checksum(short: str) -> str:
    """The three characters that make the 15-character id `short` an 18-character one.

    Each block of five gives one character: bit k is set where character k is upper case.
    """
    end = ""
    for start in (0, 5, 10):
        bits = 0
        for place in range(5):
            if short[start + place] in _UPPER:
                bits |= 1 << place
        end += _CHECK[bits]
    return end


def long_id(text: object) -> str | None:
    """The 18-character form of an id of 15 or 18 characters; None when it is not an id.

    An 18-character id whose checksum is wrong is no id: real ones were damaged on the way.
    """
    if not isinstance(text, str) or not text.isalnum() or not text.isascii():
        return None
    if len(text) == 15:
        return text + checksum(text)
    if len(text) == 18 and checksum(text[:15]) == text[15:]:
        return text
    return None


def short_id(identifier: str) -> str:
    """The first 15 characters, the form that error messages and access tokens use."""
    return identifier[:15]


class IdMaker:
    """Gives out the ids of one object, in order: prefix, pod, serial number in base 62."""

    __slots__ = ("_head", "_serial")

    def __init__(self, prefix: str, pod: str = "WB0") -> None:
        self._head = prefix + pod
        self._serial = 0

    def next(self) -> str:
        """The next 18-character id; an id is never given out twice."""
        self._serial += 1
        rest, text = self._serial, ""
        for _ in range(_SERIAL_LENGTH):
            rest, digit = divmod(rest, _BASE)
            text = _DIGITS[digit] + text
        short = self._head + text
        return short + checksum(short)
