"""What a query answers when asked for `columns=true`: its columns instead of its rows.

The Salesforce CLI asks so to lay out its table. The names are those in the types of two clients,
the Salesforce CLI and Jetstream; Salesforce's own documents do not have them.
"""

from __future__ import annotations

from typing import Any

from .fields import Field
from .objects import ObjectType
from .soql import Count

__all__ = ["columns"]

_APEX_TYPES = {
    "boolean": "Boolean",
    "currency": "Double",
    "date": "Date",
    "datetime": "Datetime",
    "id": "Id",
    "integer": "Integer",
    "lookup": "Id",
    "number": "Double",
    "percent": "Double",
}


def columns(
    kind: ObjectType, selected: list[tuple[list[str], Field]], counts: list[Count]
) -> dict[str, Any]:
    """The columns of a query on `kind` that selects these paths, each with the field it ends at,
    or that counts."""
    found = [
        _column(c.name, f"count({c.path})", "Integer", writeable=False) | {"aggregate": True}
        for c in counts
    ]
    for parts, field in selected:
        level = found
        for part in parts[:-1]:
            parent = next((c for c in level if c["columnName"] == part), None)
            if parent is None:
                parent = _column(part, part, "Id", writeable=False)
                level.append(parent)
            level = parent["joinColumns"]
        apex_type = _APEX_TYPES.get(field.type, "String")
        level.append(_column(parts[-1], field.label, apex_type, writeable=not field.read_only))
    return {
        "columnMetadata": found,
        "entityName": kind.name,
        "groupBy": False,
        "idSelected": any(parts == ["Id"] for parts, _ in selected),
        "keyPrefix": kind.key_prefix,
    }


def _column(name: str, label: str, apex_type: str, *, writeable: bool) -> dict[str, Any]:
    return {
        "aggregate": False,
        "apexType": apex_type,
        "booleanType": apex_type == "Boolean",
        "columnName": name,
        "custom": name.endswith(("__c", "__r")),
        "displayName": label,
        "foreignKeyName": None,
        "insertable": writeable,
        "joinColumns": [],
        "numberType": apex_type in ("Double", "Integer"),
        "textType": apex_type == "String",
        "updatable": writeable,
    }
