"""Rows as they leave the API: attributes, then fields under their declared names."""

from __future__ import annotations

from typing import Any

from .objects import ObjectType
from .refusals import ApiError
from .store import Row, Table

__all__ = ["field_names", "read_row", "read_value"]


def read_value(kind: ObjectType, row: Row, name: str) -> Any:
    """The value of one field; None when blank."""
    value = row.get(name)
    if value is not None:
        return value
    found = kind.fields[name]
    if found.type == "calculated":
        return " ".join(str(row[p]) for p in found.parts if row.get(p) is not None) or None
    if found.type == "boolean":
        return found.default
    if name == "Name" and kind.name.endswith("__c"):
        return row["Id"]
    return None


def read_row(root: str, table: Table, row: Row, names: list[str] | None = None) -> dict[str, Any]:
    """One record: every field, or `names` (and Id first, if it is among them)."""
    kind = table.kind
    record: dict[str, Any] = {
        "attributes": {"type": kind.name, "url": f"{root}/sobjects/{kind.name}/{row['Id']}"}
    }
    for name in kind.fields if names is None else names:
        record[name] = read_value(kind, row, name)
    return record


def field_names(kind: ObjectType, names: list[str]) -> list[str]:
    """The declared spelling of the names a caller asked for; Id is always among them.

    Raises:
        ApiError: a name that the object does not have (400 INVALID_FIELD for the whole call).
    """
    found = []
    for name in names:
        declared = kind.find(name)
        if declared is None:
            raise ApiError(400, "INVALID_FIELD", f"No such column '{name}' on entity '{kind.name}'")
        if declared.name not in found:
            found.append(declared.name)
    return found if "Id" in found else [*found, "Id"]
