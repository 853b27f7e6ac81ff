"""Durations as people write them: `500ms`, `10s`, `1m`, `1h 30m`."""

from __future__ import annotations

import re

__all__ = ["PATTERN", "POSITIVE_PATTERN", "format_duration", "parse_duration"]

_SECONDS = {
    **dict.fromkeys(("ns", "nsec", "nanos"), 1e-9),
    **dict.fromkeys(("us", "usec", "micros"), 1e-6),
    **dict.fromkeys(("ms", "msec", "millis"), 1e-3),
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1.0),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), 3600.0),
    **dict.fromkeys(("d", "day", "days"), 86400.0),
    **dict.fromkeys(("w", "week", "weeks"), 604800.0),
}
_UNITS = "|".join(sorted(_SECONDS, key=len, reverse=True))
_PARTS = f"([0-9]{{1,12}} ?({_UNITS}) ?)+"

PATTERN = f"^{_PARTS}$"
"""What a duration looks like; also in the JSON Schema, so it keeps to what both dialects know."""
POSITIVE_PATTERN = f"^(?=.*[1-9]){_PARTS}$"


def parse_duration(text: str) -> float:
    """Seconds of a text that matches `PATTERN`.

    >>> parse_duration("1h 30m")
    5400.0
    """
    parts = re.findall(f"([0-9]+) ?({_UNITS})", text)
    return float(sum(int(number) * _SECONDS[unit] for number, unit in parts))


def format_duration(seconds: float) -> str:
    """The shortest way to write it, down to milliseconds.

    >>> format_duration(5400.0), format_duration(0.5)
    ('1h 30m', '500ms')
    """
    rest = round(seconds * 1000)
    parts = []
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)):
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}{unit}")
    return " ".join(parts) or "0s"
