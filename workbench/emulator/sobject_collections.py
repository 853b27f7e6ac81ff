"""sObject Collections: many rows of a kind in one call, each with its own result, in order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from .api import Answer, Call
from .fields import Field
from .ids import long_id
from .readings import field_names, read_row
from .refusals import ApiError, RowError
from .store import Table
from .writes import wanted_id

__all__ = ["create", "delete", "retrieve_get", "retrieve_post", "update", "upsert"]

MOST_RECORDS = 200
"""Rows per writing call.
https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/resources_composite_sobjects_collections.htm
(2026-11-23)"""
MOST_RETRIEVED = 2_000
"""Ids in a POST that retrieves; same page."""
MOST_CHUNKS = 10
"""Runs of one type in a call of mixed types;
https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/resources_composite_sobjects_collections_create.htm
(2026-11-23)"""

ROLLED_BACK = {
    "statusCode": "ALL_OR_NONE_OPERATION_ROLLED_BACK",
    "message": "Record rolled back because not all records were valid and the request was using "
    "AllOrNone header",
    "fields": [],
}

Result = dict[str, Any]


def create(call: Call) -> Answer:
    """POST composite/sobjects."""
    records, all_or_none = _records(call)
    tables = _tables(call, records)
    writer = call.writer()

    def write(place: int, record: dict[str, Any]) -> Result:
        table = tables[place]
        for name in ("Id", "id"):
            if name in record:
                raise _id_given(name)
        return {"id": writer.create(table, record), "success": True, "errors": []}

    return _run(call, records, all_or_none, write)


def update(call: Call) -> Answer:
    """PATCH composite/sobjects."""
    records, all_or_none = _records(call)
    tables = _tables(call, records)
    writer = call.writer()

    def write(place: int, record: dict[str, Any]) -> Result:
        table = tables[place]
        values = dict(record)
        named = next((n for n in ("id", "Id", "ID") if n in values), None)
        if named is None or not (given := values.pop(named)):
            raise RowError("MISSING_ARGUMENT", "Id not specified in an update call", ["Id"])
        identifier = wanted_id(table.kind, given)
        writer.update(table, identifier, values)
        return {"id": identifier, "success": True, "errors": []}

    def rolled_back(result: Result) -> Result:
        return {"id": result["id"], "success": False, "errors": [ROLLED_BACK]}

    return _run(call, records, all_or_none, write, rolled_back)


def upsert(call: Call) -> Answer:
    """PATCH composite/sobjects/{SObject}/{external id field}."""
    table = call.table(call.segments[2])
    key = external_id_field(table, call.segments[3])
    records, all_or_none = _records(call)
    writer = call.writer()
    check = key.checker()
    values = [_take_key(key, check, record) for record in records]
    counts = Counter(key.fold(value) for value in values if value is not None)
    repeated = {value for value, count in counts.items() if count > 1}
    kind_name = table.kind.name.lower()

    def write(place: int, record: dict[str, Any]) -> Result:
        given = _type_of(record)
        if given is not None and given.lower() != kind_name:
            raise RowError(
                "INVALID_TYPE", f"{given} does not match the type in the path, {table.kind.name}"
            )
        value = values[place]
        if value is None:
            raise RowError("MISSING_ARGUMENT", f"{key.name} not specified", [key.name])
        if repeated and key.fold(value) in repeated:
            raise RowError(
                "DUPLICATE_VALUE",
                f"Duplicate external id specified: {key.fold(value)}",
                [key.name],
            )
        if "Id" in record or "id" in record:
            raise _id_given("Id" if "Id" in record else "id")
        identifier, created = writer.upsert(table, key, value, record)
        return {"id": identifier, "success": True, "errors": [], "created": created}

    def rolled_back(result: Result) -> Result:
        row = {"success": False, "errors": [ROLLED_BACK], "created": True}
        return {"id": result["id"], **row}

    answer = _run(call, records, all_or_none, write, rolled_back)
    if all_or_none and answer.failed_rows:
        for result in answer.body:
            result["created"] = True
    return answer


def delete(call: Call) -> Answer:
    """DELETE composite/sobjects?ids=..."""
    ids = [i.strip() for i in call.query.get("ids", "").split(",") if i.strip()]
    if not ids:
        raise ApiError(400, "MISSING_ARGUMENT", "The ids parameter is required")
    _check_count(len(ids), MOST_RECORDS)
    all_or_none = call.query.get("allOrNone", "false").lower() == "true"
    writer = call.writer()

    def write(place: int, identifier: str) -> Result:
        full = long_id(identifier)
        table = None if full is None else call.org.store.table_of(full)
        if full is None or table is None:
            raise RowError("MALFORMED_ID", f"malformed id {identifier}")
        writer.delete(table, full)
        return {"id": full, "success": True, "errors": []}

    def rolled_back(result: Result) -> Result:
        return {"id": result["id"], "success": False, "errors": [ROLLED_BACK]}

    return _run(call, ids, all_or_none, write, rolled_back)


def retrieve_get(call: Call) -> Answer:
    """GET composite/sobjects/{SObject}?ids=...&fields=..."""
    ids = [i.strip() for i in call.query.get("ids", "").split(",")]
    fields = [f.strip() for f in call.query.get("fields", "").split(",") if f.strip()]
    return _retrieve(call, ids, fields)


def retrieve_post(call: Call) -> Answer:
    """POST composite/sobjects/{SObject} with ids and fields in the body."""
    body = call.object_body("ids", "fields")
    ids, fields = body.get("ids"), body.get("fields")
    if not isinstance(ids, list) or not isinstance(fields, list):
        raise ApiError(400, "MISSING_ARGUMENT", "ids and fields must be lists")
    return _retrieve(call, ids, [str(f) for f in fields])


def external_id_field(table: Table, name: str) -> Field:
    """The external id field that a path names.

    Raises:
        ApiError: 404, it is none; Id is none either.
    """
    found = table.kind.find(name)
    if found is None or not found.external_id:
        raise ApiError(
            404,
            "NOT_FOUND",
            f"Provided external ID field does not exist or is not accessible: {name}",
        )
    return found


def _run(
    call: Call,
    records: list[Any],
    all_or_none: bool,
    write: Callable[[int, Any], Result],
    rolled_back: Callable[[Result], Result] | None = None,
) -> Answer:
    """Write row by row; with `all_or_none` and a failure take all back and say so in each row."""
    results: list[Result] = []
    failed = 0
    with call.org.store.transaction() as transaction:
        for place, record in enumerate(records):
            try:
                results.append(write(place, record))
            except RowError as error:
                failed += 1
                results.append({"success": False, "errors": error.errors})
        if all_or_none and failed:
            transaction.roll_back()
    if all_or_none and failed:
        bystander = rolled_back or (lambda _: {"success": False, "errors": [ROLLED_BACK]})
        results = [bystander(r) if r["success"] else r for r in results]
        failed = len(results)
    return Answer(200, results, rows=len(results), failed_rows=failed)


def _records(call: Call) -> tuple[list[dict[str, Any]], bool]:
    body = call.object_body("allOrNone", "records")
    records = body.get("records")
    if not isinstance(records, list) or not all(isinstance(r, dict) for r in records):
        raise ApiError(400, "JSON_PARSER_ERROR", "records must be a list of objects")
    _check_count(len(records), MOST_RECORDS)
    all_or_none = body.get("allOrNone")
    if all_or_none not in (None, True, False, "true", "false"):
        raise ApiError(
            400,
            "JSON_PARSER_ERROR",
            f"Cannot deserialize instance of boolean from value {all_or_none}",
        )
    return records, all_or_none in (True, "true")


def _check_count(count: int, most: int) -> None:
    if count > most:
        raise ApiError(
            400,
            "EXCEEDED_ID_LIMIT",
            f"record limit reached. cannot submit more than {most} records into this call",
        )


def _type_of(record: dict[str, Any]) -> str | None:
    attributes = record.get("attributes")
    kind = attributes.get("type") if isinstance(attributes, dict) else None
    return kind if isinstance(kind, str) and kind else None


def _tables(call: Call, records: list[dict[str, Any]]) -> list[Table]:
    """The table of each record; a record without a known type refuses the whole call."""
    tables: list[Table] = []
    chunks = 0
    by_name: dict[str, Table] = {}
    for record in records:
        name = _type_of(record)
        if name is None:
            raise ApiError(
                400, "INVALID_TYPE", 'Each record needs its type in attributes: {"type": "..."}'
            )
        table = by_name.get(name)
        if table is None:
            kind = call.org.schema.find(name)
            if kind is None:
                raise ApiError(400, "INVALID_TYPE", f"sObject type '{name}' is not supported.")
            table = by_name[name] = call.org.store.tables[kind.name]
        if not tables or tables[-1] is not table:
            chunks += 1
        tables.append(table)
    if chunks > MOST_CHUNKS:
        raise ApiError(
            400,
            "LIMIT_EXCEEDED",
            f"Cannot have more than {MOST_CHUNKS} chunks in a single operation. Please rearrange "
            "the data to reduce chunking.",
        )
    return tables


def _take_key(key: Field, check: Callable[[Any], Any], record: dict[str, Any]) -> Any:
    """The key's value as it would be stored; None where there is none, or none that can be."""
    value = record.get(key.name)
    if value is None:
        lower = key.name.lower()
        value = next((v for k, v in record.items() if k.lower() == lower), None)
    if value is None:
        return None
    try:
        return check(value)
    except RowError:
        return None


def _id_given(name: str) -> RowError:
    return RowError(
        "INVALID_FIELD_FOR_INSERT_UPDATE",
        f"cannot specify {name} in an insert call",
        ["Id"],
    )


def _retrieve(call: Call, ids: list[Any], fields: list[str]) -> Answer:
    table = call.table(call.segments[2])
    if not fields or not ids:
        raise ApiError(400, "MISSING_ARGUMENT", "ids and fields are required")
    _check_count(len(ids), MOST_RETRIEVED)
    names = field_names(table.kind, fields)
    rows = [table.rows.get(long_id(i) or "") for i in ids]
    body = [None if row is None else read_row(call.root, table, row, names) for row in rows]
    return Answer(200, body, rows=len(body))
