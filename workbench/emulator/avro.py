"""Avro schemas of platform events, and their payloads: bare binary datums.

Shapes, doc tokens and the schema id follow live captures (`com.sforce.eventbus` records of
apache/camel, FrendsPlatform/Frends.Salesforce, meyc-v1/wolverinefxcontrib-salesforcepubsub and the
WSO2 connector's log, read 2026-11-23).
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from typing import Any

import fastavro
from fastavro.read import SchemaResolutionError
from fastavro.schema import to_parsing_canonical_form

NAMESPACE = "com.sforce.eventbus"

# Field type, as fields.py calls it -> (doc token, Avro type of the non-null branch). Date,
# Date/Time and Time are all `long` in milliseconds without a logicalType: only the token tells
# them apart.
_TYPES = {
    "text": ("Text", "string"),
    "textarea": ("StringPlusClob", "string"),
    "number": ("Double", "double"),
    "boolean": ("Boolean", "boolean"),
    "datetime": ("DateTime", "long"),
    "date": ("DateOnly", "long"),
    "time": ("TimeOnly", "long"),
}


class AvroError(ValueError):
    """A payload that is no datum of its schema, or a value that does not fit its field."""


@dataclass(frozen=True)
class EventSchema:
    """One version of one event's schema.

    `id` is the base64url text, without padding, of the MD5 of the Avro parsing canonical form
    (22 characters), so docs and defaults do not change it; names, types and order do.
    """

    event: str
    definition: Mapping[str, Any]

    @cached_property
    def id(self) -> str:
        canonical = to_parsing_canonical_form(dict(self.definition))
        digest = hashlib.md5(canonical.encode(), usedforsecurity=False).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()

    @cached_property
    def json(self) -> str:
        return json.dumps(self.definition, separators=(",", ":"))

    @cached_property
    def _parsed(self) -> Any:
        return fastavro.parse_schema(dict(self.definition))

    def decode(self, payload: bytes) -> dict[str, Any]:
        """The values of a payload; AvroError unless it is exactly one datum, to the last byte."""
        stream = BytesIO(payload)
        try:
            values = fastavro.schemaless_reader(stream, self._parsed, None)
        except (EOFError, IndexError, OverflowError, ValueError) as error:
            reason = str(error) or "it is too short"
            raise AvroError(f"payload is no {self.event} datum: {reason}") from error
        if stream.tell() != len(payload):
            spare = len(payload) - stream.tell()
            raise AvroError(f"payload is no {self.event} datum: {spare} bytes left over")
        assert isinstance(values, dict)
        return values

    def encode(self, values: Mapping[str, Any]) -> bytes:
        """The payload of `values`; AvroError for unknown, missing or misfitting fields."""
        stream = BytesIO()
        try:
            fastavro.schemaless_writer(
                stream, self._parsed, dict(values), strict_allow_default=True
            )
        except (ValueError, TypeError, OverflowError) as error:
            raise AvroError(f"not a {self.event}: {error}") from error
        return stream.getvalue()

    def with_field(self, name: str, kind: str) -> EventSchema:
        """This schema with one more optional field at its end; ValueError if it has that one."""
        columns = self.definition["fields"]
        if any(column["name"] == name for column in columns):
            raise ValueError(f"{self.event} already has a field {name}")
        column = _column(self.event, name, kind)
        return EventSchema(self.event, {**self.definition, "fields": [*columns, column]})

    def resolves(self, payload: bytes, reader: EventSchema) -> bool:
        """Whether Avro's rules let a reader of `reader` read a payload of this schema."""
        try:
            fastavro.schemaless_reader(BytesIO(payload), self._parsed, reader._parsed)
        except SchemaResolutionError:
            return False
        return True


def event_schema(event: str, fields: Iterable[tuple[str, str]]) -> EventSchema:
    """The schema of a custom event with these (name, type) fields, in this order."""
    columns: list[dict[str, Any]] = [
        {"name": "CreatedDate", "type": "long", "doc": "CreatedDate:DateTime"},
        {"name": "CreatedById", "type": "string", "doc": "CreatedBy:EntityId"},
    ]
    columns.extend(_column(event, name, kind) for name, kind in fields)
    return EventSchema(
        event, {"type": "record", "name": event, "namespace": NAMESPACE, "fields": columns}
    )


def _column(event: str, name: str, kind: str) -> dict[str, Any]:
    if kind not in _TYPES:
        raise ValueError(f"{event}.{name}: no event field type {kind!r}; use one of {list(_TYPES)}")
    token, avro = _TYPES[kind]
    return {"name": name, "type": ["null", avro], "doc": f"Data:{token}", "default": None}
