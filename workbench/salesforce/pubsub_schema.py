"""The Avro schema of one platform event: which fields there are, and a record as their datum."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from workbench import codec
from workbench.errors import ServerError
from workbench.model import Record
from workbench.salesforce.pubsub_encoder import Column, encoder_of
from workbench.salesforce.pubsub_fields import Misfit, Write, in_union, varint, writer_of

__all__ = ["EventSchema", "Fault", "parse_schema"]

CREATED_DATE = "CreatedDate"
CREATED_BY = "CreatedById"
_STAMPED = (CREATED_DATE, CREATED_BY)


class Fault(NamedTuple):
    """What is wrong with one field of one record."""

    field: str
    code: str
    message: str


class EventSchema:
    """One version of an event's definition, named by its `id`.

    The system fields CreatedDate and CreatedById are taken from a stamp (`stamp`) where a record
    does not hold them.
    """

    def __init__(self, id: str, event: str, columns: list[Column]) -> None:
        self.id = id
        self.event = event
        self.columns = columns
        self._names = {column.name for column in columns}
        self._encode = encoder_of(columns, _STAMPED)

    def stamp(self, created_ms: int, user_id: str) -> Mapping[str, bytes]:
        """The system fields of everything that is published in one request, encoded."""
        values: dict[str, object] = {CREATED_DATE: created_ms, CREATED_BY: user_id}
        return {c.name: c.write(values[c.name]) for c in self.columns if c.name in values}

    def encode(self, records: Sequence[Record], stamp: Mapping[str, bytes]) -> list[bytes | None]:
        """The datum of each record, bare; None where something is wrong with it, which `faults`
        then tells."""
        return self._encode(records, stamp)

    def faults(self, record: Record) -> list[Fault]:
        """Everything that is wrong with a record: the unknown fields, then the others in the
        schema's order."""
        found = [self._unknown(name) for name in record if name not in self._names]
        for column in self.columns:
            if column.name in record:
                try:
                    column.write(record[column.name])
                except Misfit as misfit:
                    found.append(Fault(column.name, misfit.code, f"{column.name}: {misfit}"))
            elif column.absent is None and column.name not in _STAMPED:
                message = f"{column.name}: {self.event} needs a value for it"
                found.append(Fault(column.name, "REQUIRED_FIELD_MISSING", message))
        return found

    def _unknown(self, name: str) -> Fault:
        message = f"{self.event} has no field {name!r}"
        folded = {known.casefold(): known for known in self._names}
        near = difflib.get_close_matches(name.casefold(), folded, n=1)
        if near:
            message += f"; did you mean {folded[near[0]]!r}?"
        return Fault(name, "INVALID_FIELD", message)


def parse_schema(schema_json: str, schema_id: str) -> EventSchema:
    """The schema that GetSchema gave.

    Raises:
        ServerError: it is no Avro record, or needs a field of a type that no platform event has.
    """
    try:
        definition = codec.decode(schema_json)
        event = definition["name"]
        columns = [_column(event, field) for field in definition["fields"]]
    except (ValueError, KeyError, TypeError) as error:
        raise ServerError(f"schema {schema_id!r} is no Avro record: {error}") from error
    return EventSchema(schema_id, event, columns)


def _column(event: str, field: Mapping[str, Any]) -> Column:
    name, given = field["name"], field["type"]
    branches = given if isinstance(given, list) else [given]
    others = [branch for branch in branches if branch != "null"]
    kind = others[0] if len(others) == 1 else others
    if isinstance(kind, dict) and "logicalType" not in kind:
        kind = kind.get("type")
    null = varint(branches.index("null")) if "null" in branches else None
    branch = varint(branches.index(others[0])) if isinstance(given, list) and others else b""
    inner = writer_of(kind, _token(field.get("doc", "")), name) if isinstance(kind, str) else None
    absent = null
    if inner is None:
        inner = _foreign(event, name, null, kind)
    elif field.get("default") is not None:
        absent = in_union(inner, branch, null)(field["default"])
    return Column(name, in_union(inner, branch, null), inner, branch, absent)


def _token(doc: str) -> str:
    """The Salesforce type of a doc: `Data:DateTime:00N...` is a DateTime; "" where it tells none.

    The form is `role:type[:field id]`, read from captured schemas.
    """
    parts = doc.split(":")
    return parts[1] if len(parts) > 1 else ""


def _foreign(event: str, name: str, null: bytes | None, kind: object) -> Write:
    """The writer of a field of a type that platform events do not have: it can be left out, if it
    may be null."""
    if null is None:
        raise ValueError(f"{event}.{name} has the type {kind!r}, which workbench can't fill")

    def write(value: object) -> bytes:
        raise Misfit(
            "INVALID_TYPE_ON_FIELD_IN_RECORD", f"it has the type {kind!r}, which can't be filled"
        )

    return write
