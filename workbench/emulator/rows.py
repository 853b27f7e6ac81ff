"""Single rows: sobjects/X, sobjects/X/id, sobjects/X/field/value."""

from __future__ import annotations

from typing import Any

from .api import Answer, Call, not_found
from .ids import long_id
from .readings import field_names, read_row
from .refusals import ApiError, RowError
from .sobject_collections import external_id_field
from .store import Row, Table

__all__ = ["create", "delete", "delete_by_key", "get", "get_by_key", "update", "upsert"]

UPSERT_ANSWERS_BODY_SINCE = 46
"""Before this version an upsert that changes a row answers 204.
https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/dome_upsert.htm
(2026-11-23)"""


def create(call: Call) -> Answer:
    """POST sobjects/X."""
    event = call.org.find_event(call.segments[1])
    if event is not None:
        from .events import create as publish

        return publish(call, event)
    table = call.table(call.segments[1])
    values = call.object_body()
    if "Id" in values or "id" in values:
        raise ApiError(
            400,
            "INVALID_FIELD_FOR_INSERT_UPDATE",
            "cannot specify Id in an insert call",
            ["Id"],
        )
    try:
        identifier = call.writer().create(table, values)
    except RowError as error:
        raise error.as_api_error() from error
    location = f"{call.root}/sobjects/{table.kind.name}/{identifier}"
    body = {"id": identifier, "success": True, "errors": []}
    return Answer(201, body, {"Location": location}, rows=1)


def get(call: Call) -> Answer:
    """GET sobjects/X/id."""
    table, identifier = _by_id(call)
    return _read(call, table, _existing(table, identifier))


def update(call: Call) -> Answer:
    """PATCH sobjects/X/id."""
    table, identifier = _by_id(call)
    _existing(table, identifier)
    values = call.object_body()
    if "Id" in values or "id" in values:
        raise ApiError(
            400,
            "INVALID_FIELD",
            "The Id field should not be specified in the sobject data.",
            ["Id"],
        )
    try:
        call.writer().update(table, identifier, values)
    except RowError as error:
        raise error.as_api_error() from error
    return Answer(204, rows=1)


def delete(call: Call) -> Answer:
    """DELETE sobjects/X/id."""
    table, identifier = _by_id(call)
    _existing(table, identifier)
    return _delete(call, table, identifier)


def get_by_key(call: Call) -> Answer:
    """GET sobjects/X/field/value."""
    table, identifier = _by_key(call)
    return _read(call, table, table.rows[identifier])


def upsert(call: Call) -> Answer:
    """PATCH sobjects/X/field/value."""
    table = call.table(call.segments[1])
    key = external_id_field(table, call.segments[2])
    value = _key_value(call)
    values = dict(call.object_body())
    if any(name.lower() == key.name.lower() for name in values):
        raise ApiError(
            400,
            "INVALID_FIELD",
            f"The {key.name} field should not be specified in the sobject data.",
            [key.name],
        )
    _only_one(call, table, table.find(key.name, value))
    values[key.name] = value
    try:
        identifier, created = call.writer().upsert(table, key, value, values)
    except RowError as error:
        raise error.as_api_error() from error
    if not created and call.number < UPSERT_ANSWERS_BODY_SINCE:
        return Answer(204, rows=1)
    body = {"id": identifier, "success": True, "errors": [], "created": created}
    location = {"Location": f"{call.root}/sobjects/{table.kind.name}/{identifier}"}
    return Answer(201 if created else 200, body, location if created else {}, rows=1)


def delete_by_key(call: Call) -> Answer:
    """DELETE sobjects/X/field/value."""
    table, identifier = _by_key(call)
    return _delete(call, table, identifier)


def _by_id(call: Call) -> tuple[Table, str]:
    table = call.table(call.segments[1])
    text = call.segments[2]
    identifier = long_id(text)
    if identifier is None or not identifier.startswith(table.kind.key_prefix):
        raise ApiError(
            404,
            "NOT_FOUND",
            f"Provided external ID field does not exist or is not accessible: {text}",
        )
    return table, identifier


def _existing(table: Table, identifier: str) -> Row:
    row = table.rows.get(identifier)
    if row is not None:
        return row
    if identifier in table.bin:
        raise ApiError(404, "ENTITY_IS_DELETED", "entity is deleted", [])
    raise not_found()


def _by_key(call: Call) -> tuple[Table, str]:
    table = call.table(call.segments[1])
    key = external_id_field(table, call.segments[2])
    found = table.find(key.name, _key_value(call))
    _only_one(call, table, found)
    if not found:
        raise not_found()
    return table, found[0]


def _key_value(call: Call) -> Any:
    """The value in the path. Clients that do not encode a slash in it are understood."""
    table = call.table(call.segments[1])
    key = table.kind.find(call.segments[2])
    text = "/".join(call.segments[3:])
    if key is not None and key.type in ("number", "integer"):
        try:
            return key.checker()(text)
        except RowError as error:
            raise error.as_api_error() from error
    return text


def _only_one(call: Call, table: Table, found: tuple[str, ...]) -> None:
    if len(found) > 1:
        urls = [f"{call.root}/sobjects/{table.kind.name}/{identifier}" for identifier in found]
        raise ApiError(300, body=urls)


def _read(call: Call, table: Table, row: Row) -> Answer:
    asked = [f.strip() for f in call.query.get("fields", "").split(",") if f.strip()]
    names = field_names(table.kind, asked) if asked else None
    return Answer(200, read_row(call.root, table, row, names), rows=1)


def _delete(call: Call, table: Table, identifier: str) -> Answer:
    try:
        call.writer().delete(table, identifier)
    except RowError as error:
        raise error.as_api_error() from error
    return Answer(204, rows=1)
