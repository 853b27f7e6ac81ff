"""sObject Tree: new rows with their children in one call, all or none."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from .api import Answer, Call
from .refusals import ApiError, RowError
from .store import Table
from .writes import Writer

__all__ = ["post"]

MOST_RECORDS = 200
MOST_TYPES = 5
MOST_LEVELS = 5
"""https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/requests_composite_sobject_tree.htm
(2026-11-23)"""


@dataclass(slots=True)
class _Node:
    table: Table
    reference_id: str
    values: dict[str, Any]
    parent: _Node | None
    lookup: str | None
    """The field that holds the parent's id."""
    id: str = ""


def post(call: Call) -> Answer:
    """POST composite/tree/X."""
    root = call.table(call.segments[2])
    levels = _levels(call, root)
    nodes = [node for level in levels for node in level]
    _check_limits(levels, nodes)
    repeated = [r for r, n in Counter(n.reference_id for n in nodes).items() if n > 1]
    if repeated:
        error = {
            "statusCode": "INVALID_INPUT",
            "message": "Duplicate ReferenceId provided in the request",
            "fields": [],
        }
        return _refused([(n.reference_id, [error]) for n in nodes if n.reference_id in repeated])
    failures: list[tuple[str, list[dict[str, Any]]]] = []
    writer = call.writer()
    with call.org.store.transaction() as transaction:
        for level in levels:
            for node in level:
                try:
                    _write(writer, node)
                except RowError as error:
                    failures.append((node.reference_id, error.errors))
            if failures:
                transaction.roll_back()
                break
    if failures:
        return _refused(failures)
    results = [{"referenceId": n.reference_id, "id": n.id} for n in nodes]
    return Answer(201, {"hasErrors": False, "results": results}, rows=len(nodes))


def _write(writer: Writer, node: _Node) -> None:
    values = node.values
    if node.parent is not None and node.lookup is not None:
        values = {**values, node.lookup: node.parent.id}
    node.id = writer.create(node.table, values)


def _refused(failures: list[tuple[str, list[dict[str, Any]]]]) -> Answer:
    results = [{"referenceId": name, "errors": errors} for name, errors in failures]
    body = {"hasErrors": True, "results": results}
    return Answer(400, body, failed_rows=len(results))


def _levels(call: Call, root: Table) -> list[list[_Node]]:
    """The nodes level by level: all roots, then all their children, and so on."""
    level = _nodes(call, root, call.object_body("records").get("records"), None, None)
    levels = []
    while level:
        levels.append(level)
        if len(levels) > MOST_LEVELS:
            raise _invalid(f"a tree may have {MOST_LEVELS} levels")
        level = [child for node in level for child in _children(call, node)]
    return levels


def _children(call: Call, node: _Node) -> list[_Node]:
    """Take the children out of a node's values."""
    found = []
    name = node.table.kind.name
    for key in [k for k, v in node.values.items() if isinstance(v, dict) and "records" in v]:
        for kind in call.org.schema.objects.values():
            for field in kind.fields.values():
                if field.child_relationship == key and name in field.reference_to:
                    records = node.values.pop(key)["records"]
                    table = call.org.store.tables[kind.name]
                    found += _nodes(call, table, records, node, field.name)
                    break
            if key not in node.values:
                break
        else:
            raise ApiError(
                400, "INVALID_FIELD", f"No such column '{key}' on sobject of type {name}"
            )
    return found


def _nodes(
    call: Call, table: Table, records: Any, parent: _Node | None, lookup: str | None
) -> list[_Node]:
    if not isinstance(records, list) or not all(isinstance(r, dict) for r in records):
        raise ApiError(400, "JSON_PARSER_ERROR", "records must be a list of objects")
    nodes = []
    for record in records:
        attributes = record.get("attributes")
        attributes = attributes if isinstance(attributes, dict) else {}
        kind, name = attributes.get("type"), attributes.get("referenceId")
        if not isinstance(name, str) or not name:
            raise ApiError(403, "INVALID_INPUT", "Include a referenceId for each record")
        if not isinstance(kind, str) or kind.lower() != table.kind.name.lower():
            raise _invalid(f"{name}: its type must be {table.kind.name} here, not {kind}")
        values = {k: v for k, v in record.items() if k != "attributes"}
        nodes.append(_Node(table, name, values, parent, lookup))
    return nodes


def _check_limits(levels: list[list[_Node]], nodes: list[_Node]) -> None:
    if not nodes:
        raise _invalid("records is empty")
    if len(nodes) > MOST_RECORDS:
        raise _invalid(f"a call may have {MOST_RECORDS} records over all trees")
    if len({n.table.kind.name for n in nodes}) > MOST_TYPES:
        raise _invalid(f"a call may have {MOST_TYPES} different types")


def _invalid(message: str) -> ApiError:
    return ApiError(400, "INVALID_INPUT", message)
