"""JSON in and out: the one place that chooses the JSON library.

orjson, because decoding and encoding are most of what an event costs the engine.
"""

from __future__ import annotations

from typing import Any

import orjson

__all__ = ["decode", "encode", "encode_pretty"]


def decode(data: bytes | str) -> Any:
    """The value of a JSON text.

    Raises:
        ValueError: not JSON or not UTF-8; the message is one sentence with line and column.
    """
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        if not data:
            raise ValueError("it is empty, not JSON") from error
        raise ValueError(
            f"it is not JSON: {error.msg} at line {error.lineno}, column {error.colno}"
        ) from error


def encode(value: Any) -> bytes:
    """Compact UTF-8 JSON; keys keep their order.

    Raises:
        TypeError: a value JSON has no form for (NaN and infinities become null).
    """
    return orjson.dumps(value)


def encode_pretty(value: Any) -> str:
    """JSON for people: two spaces of indent, keys in their order."""
    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
