"""The six operations of the composite resources, one row each, and the limits they keep.

https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/resources_composite_sobjects_collections.htm,
…/resources_composite_sobject_tree.htm and …/resources_composite_composite_post.htm, 2026-11-23.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from workbench.errors import SettingsError
from workbench.model import Limits, Record

__all__ = [
    "MAX_COLLECTIONS",
    "MAX_RECORDS",
    "MAX_RETRIEVED",
    "OPERATIONS",
    "Body",
    "CompositeSettings",
    "Operation",
    "field_of",
]

MAX_RECORDS = 200
"""Records in one collection, and in all trees of one request, children included."""

MAX_RETRIEVED = 2_000
"""Ids in one retrieve by POST."""

MAX_COLLECTIONS = 5
"""Collections among the subrequests of one composite request."""


class Body(Enum):
    """Where the records go in the request."""

    RECORDS = auto()
    """`{"allOrNone": …, "records": […]}`"""
    TREE = auto()
    """`{"records": […]}` with a reference id on every record, children nested"""
    IDS_IN_QUERY = auto()
    """`?ids=…&allOrNone=…`, no body"""
    IDS_IN_BODY = auto()
    """`{"ids": […], "fields": […]}`"""


@dataclass(frozen=True, slots=True)
class Operation:
    """What makes one operation differ from the others.

    `path` is relative to `/services/data/vNN.0/`, with `{sobject}` and `{key}` to fill in.
    `is_idempotent` says that sending the same record twice leaves the same rows.
    """

    name: str
    method: str
    path: str
    body: Body
    is_idempotent: bool
    max_records: int = MAX_RECORDS
    max_groups: int = MAX_COLLECTIONS


OPERATIONS: dict[str, Operation] = {
    row.name: row
    for row in (
        Operation("create", "POST", "composite/sobjects", Body.RECORDS, is_idempotent=False),
        Operation(
            "get",
            "POST",
            "composite/sobjects/{sobject}",
            Body.IDS_IN_BODY,
            is_idempotent=True,
            max_records=MAX_RETRIEVED,
            max_groups=1,
        ),
        Operation("update", "PATCH", "composite/sobjects", Body.RECORDS, is_idempotent=True),
        Operation(
            "upsert",
            "PATCH",
            "composite/sobjects/{sobject}/{key}",
            Body.RECORDS,
            is_idempotent=True,
        ),
        Operation("delete", "DELETE", "composite/sobjects", Body.IDS_IN_QUERY, is_idempotent=True),
        Operation(
            "tree",
            "POST",
            "composite/tree/{sobject}",
            Body.TREE,
            is_idempotent=False,
            max_groups=1,
        ),
    )
}


@dataclass(frozen=True, slots=True)
class CompositeSettings:
    """What a composite task asks for, in the terms of the flow file.

    `fields` are those that `get` retrieves. `gzip_min_bytes` is the size from which a body is
    compressed: below it the body leaves in the first flight of a TCP connection (ten segments)
    anyway, and compressing gains nothing.
    """

    operation: str
    sobject_type: str
    external_id_field: str | None = None
    allow_duplicate_save: bool = False
    fields: tuple[str, ...] = ()
    max_records: int = MAX_RECORDS
    gzip_min_bytes: int = 14_600

    def __post_init__(self) -> None:
        if self.operation not in OPERATIONS:
            raise SettingsError(
                f"there is no operation {self.operation!r}; choose {', '.join(OPERATIONS)}"
            )
        if self.operation == "upsert" and not self.external_id_field:
            raise SettingsError("upsert needs external_id_field: it is how a row is recognised")
        if self.operation not in ("create", "update", "delete") and not self.sobject_type:
            raise SettingsError(f"{self.operation} needs sobject_type")

    @property
    def row(self) -> Operation:
        """The operation's row of the table."""
        return OPERATIONS[self.operation]

    @property
    def limits(self) -> Limits:
        """What one request can hold."""
        row = self.row
        max_records = max(1, min(self.max_records, row.max_records))
        return Limits(
            max_records=max_records,
            max_groups=row.max_groups,
            max_atomic_records=row.max_groups * row.max_records,
            is_idempotent=row.is_idempotent,
            is_one_event=row.body is Body.TREE,
        )


def field_of(record: Record, name: str) -> object:
    """A field's value by its name, which Salesforce compares without case; None where absent."""
    if name in record:
        return record[name]
    lowered = name.lower()
    for key, value in record.items():
        if key.lower() == lowered:
            return value
    return None
