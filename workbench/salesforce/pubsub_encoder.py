"""Many records as Avro datums, by one Python function that is made for the event's definition.

The function goes through the fields in a straight line and encodes the usual value of each on the
spot; any other goes through the field's own writer, which is where the rules are. That is several
times as fast as a call for each field, which used to be most of what publishing an event cost.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, lru_cache
from typing import Any, NamedTuple

from workbench.model import Record
from workbench.salesforce.pubsub_fields import (
    Misfit,
    Write,
    unsigned_varint,
    varint,
    write_boolean,
    write_double,
    write_instant,
    write_long,
    write_text,
)

__all__ = ["Column", "Encode", "encoder_of"]

Encode = Callable[[Sequence[Record], Mapping[str, bytes]], list[bytes | None]]
"""The datums of records, None for each that does not fit. The mapping holds system fields, encoded,
for those records that do not give them."""


class Column(NamedTuple):
    """One field of an event: how its values are written; its union's `branch` for values that are
    not null, and the writer `inner` of those; and what is sent where a record does not hold it
    (`absent`, None: there has to be a value)."""

    name: str
    write: Write
    inner: Write
    branch: bytes
    absent: bytes | None


# By the writer of a field: what its usual value looks like, and its bytes. Nothing passes the test
# that the writer would refuse or encode in another way.
_WHOLE = "type(v) is int and 0x2000 <= v < 1 << 62"
_VARINT = "lows{n}[v & 0x1FFF] + high(v >> 13)"
_USUAL: dict[Write, tuple[str, str]] = {
    write_text: (
        "type(v) is str and len(v) < 512 and v.isascii()",
        "heads{n}[len(v)] + v.encode()",
    ),
    write_double: ("type(v) is float and v - v == 0.0", "branch{n} + double(v)"),
    write_boolean: ("v is True or v is False", "flags{n}[v]"),
    write_long: (_WHOLE, _VARINT),
    write_instant: (_WHOLE, _VARINT),
}


def encoder_of(columns: Sequence[Column], stamped: Iterable[str]) -> Encode:
    """The function that encodes records of these columns; `stamped` are the system fields."""
    names: dict[str, Any] = {
        "Misfit": Misfit,
        "join": b"".join,
        "double": struct.Struct("<d").pack,
        "high": _high_bytes,
    }
    body: list[str] = []
    for n, column in enumerate(columns):
        names[f"write{n}"] = column.write
        names[f"absent{n}"] = column.absent
        names[f"branch{n}"] = column.branch
        names[f"heads{n}"] = _text_heads(column.branch)
        names[f"lows{n}"] = _low_bytes(column.branch)
        names[f"flags{n}"] = (column.branch + b"\x00", column.branch + b"\x01")
        body += _field_source(n, column, column.name in stamped)
    values = "".join(f"value{n}, " for n in range(len(columns)))
    # A record holds an unknown field where it holds more than the columns that were found in it.
    lines = [
        "def encode(records, stamp):",
        " encoded = []",
        *(f" stamp{n} = stamp[{c.name!r}]" for n, c in enumerate(columns) if c.name in stamped),
        " for record in records:",
        f"  count = {sum(c.name not in stamped for c in columns)}",
        "  try:",
        *(f"   {line}" for line in body),
        "  except Misfit:",
        "   encoded.append(None)",
        "  else:",
        f"   encoded.append(join(({values})) if len(record) == count else None)",
        " return encoded",
    ]
    # The source holds nothing of the definition but reprs of its names.
    exec("\n".join(lines), names)
    encode: Encode = names["encode"]
    return encode


def _field_source(n: int, column: Column, is_stamped: bool) -> list[str]:
    """The lines that take one field of `record` and leave its bytes in `value{n}`."""
    name, write = repr(column.name), f"write{n}(v)"
    if column.inner in _USUAL:
        test, usual = _USUAL[column.inner]
        write = f"{usual.format(n=n)} if {test} else {write}"
    if is_stamped:
        otherwise = f"value{n} = stamp{n}"
    elif column.absent is None:
        otherwise = f"raise Misfit('REQUIRED_FIELD_MISSING', {name})"
    else:
        otherwise = f"value{n} = absent{n}; count -= 1"
    return [
        f"if {name} in record:",
        f" v = record[{name}]" + ("; count += 1" if is_stamped else ""),
        f" value{n} = {write}",
        "else:",
        f" {otherwise}",
    ]


@cache
def _text_heads(branch: bytes) -> list[bytes]:
    """What stands before a text of so many bytes."""
    return [branch + varint(size) for size in range(512)]


@cache
def _low_bytes(branch: bytes) -> list[bytes]:
    """The first two bytes of the zig-zag varint of a number by its last 13 bits, where more bytes
    follow."""
    return [branch + bytes((low << 1 & 0x7F | 0x80, low >> 6 | 0x80)) for low in range(0x2000)]


@lru_cache(4096)  # the same for all moments of the same eight seconds
def _high_bytes(high: int) -> bytes:
    return unsigned_varint(high)
