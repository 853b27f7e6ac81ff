"""The Avro schema of one platform event: which fields there are, and a record as their datum."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from workbench import codec
from workbench.errors import ServerError
from workbench.model import Record
from workbench.salesforce.pubsub_fields import Misfit, Write, varint, writer_of

__all__ = ["EventSchema", "Fault", "Stamp", "parse_schema"]

CREATED_DATE = "CreatedDate"
CREATED_BY = "CreatedById"
_STAMPED = (CREATED_DATE, CREATED_BY)


class Fault(NamedTuple):
    """What is wrong with one field of one record."""

    field: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Column:
    """One field. `token` is the Salesforce type of its doc, `absent` what is sent without a value
    (None: there has to be one)."""

    name: str
    kind: str
    token: str
    is_nullable: bool
    write: Write
    absent: bytes | None


class Stamp(NamedTuple):
    """CreatedDate and CreatedById, encoded: each by its name, and both in the schema's order."""

    fields: Mapping[str, bytes]
    both: bytes


class EventSchema:
    """One version of an event's definition, named by its `id`.

    The system fields CreatedDate and CreatedById are taken from a stamp (`stamp`) where a record
    does not hold them.
    """

    def __init__(self, id: str, event: str, columns: list[Column]) -> None:
        self.id = id
        self.event = event
        self.columns = columns
        self._plan = [(c.name, c.write, None if c.name in _STAMPED else c.absent) for c in columns]
        names = [c.name for c in columns]
        self._names = set(names)
        # Every custom event's definition begins with the system fields.
        self._own_plan = self._plan[2:] if tuple(names[:2]) == _STAMPED else None

    def stamp(self, created_ms: int, user_id: str) -> Stamp:
        """The system fields of everything that is published in one request."""
        values: dict[str, object] = {CREATED_DATE: created_ms, CREATED_BY: user_id}
        fields = {c.name: c.write(values[c.name]) for c in self.columns if c.name in values}
        return Stamp(fields, b"".join(fields.values()))

    def encode(self, record: Record, stamp: Stamp) -> bytes | None:
        """The datum of a record, bare; None when something is wrong, which `faults` then tells."""
        plan, parts = self._own_plan, [stamp.both]
        if plan is None or CREATED_DATE in record or CREATED_BY in record:
            plan, parts = self._plan, []
        taken = 0
        try:
            for name, write, absent in plan:
                if name in record:
                    parts.append(write(record[name]))
                    taken += 1
                else:
                    parts.append(stamp.fields[name] if absent is None else absent)
        except (Misfit, KeyError):
            return None
        return b"".join(parts) if taken == len(record) else None

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
    token = _token(field.get("doc", ""))
    null = varint(branches.index("null")) if "null" in branches else None
    branch = varint(branches.index(others[0])) if isinstance(given, list) and others else b""
    write = writer_of(kind, token, name, branch, null) if isinstance(kind, str) else None
    if write is None:
        return _foreign(event, name, token, null, kind)
    absent = null
    if field.get("default") is not None:
        absent = write(field["default"])
    return Column(name, str(kind), token, null is not None, write, absent)


def _token(doc: str) -> str:
    """The Salesforce type of a doc: `Data:DateTime:00N...` is a DateTime; "" where it tells none.

    The form is `role:type[:field id]`, read from captured schemas.
    """
    parts = doc.split(":")
    return parts[1] if len(parts) > 1 else ""


def _foreign(event: str, name: str, token: str, null: bytes | None, kind: object) -> Column:
    """A field of a type that platform events do not have: it can be left out, if it may be null."""
    if null is None:
        raise ValueError(f"{event}.{name} has the type {kind!r}, which workbench can't fill")

    def write(value: object) -> bytes:
        if value is None and null is not None:
            return null
        raise Misfit(
            "INVALID_TYPE_ON_FIELD_IN_RECORD", f"it has the type {kind!r}, which can't be filled"
        )

    return Column(name, str(kind), token, True, write, null)
