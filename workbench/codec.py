"""JSON in and out: the one place that chooses the JSON library.

orjson, because decoding and encoding are most of what an event costs the engine.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

__all__ = ["decode", "encode", "encode_pretty", "loads"]


loads: Callable[[bytes], Any] = orjson.loads
"""`decode` in the library's own words, for the hot path: it raises a ValueError as well, and who
has to tell why asks `decode` again."""


def decode(data: bytes | str) -> Any:
    """The value of a JSON text.

    Raises:
        ValueError: not JSON or not UTF-8; the message is one sentence with line and column.
    """
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise ValueError(_why(data, error)) from error


def _why(data: bytes | str, error: orjson.JSONDecodeError) -> str:
    if not data:
        return "it is empty, not JSON"
    if isinstance(data, bytes):
        try:
            data.decode()
        except UnicodeDecodeError as bad:
            return f"it is not UTF-8, so not JSON: byte 0x{data[bad.start]:02x} at {bad.start:,}"
    return f"it is not JSON: {error.msg} at line {error.lineno}, column {error.colno}"


def encode(value: Any) -> bytes:
    """Compact UTF-8 JSON; keys keep their order.

    Raises:
        TypeError: a value JSON has no form for (NaN and infinities become null).
    """
    return orjson.dumps(value)


def encode_pretty(value: Any) -> str:
    """JSON for people: two spaces of indent, keys in their order."""
    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
