"""What an sObject looks like in the org: fields, keys and limits, for checks and completion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from workbench.errors import ServerError
from workbench.salesforce.client import SalesforceClient

__all__ = ["Describer", "FieldFacts", "ObjectFacts"]


@dataclass(frozen=True, slots=True)
class FieldFacts:
    """One field as the logged-in user sees it; fields the user may not see are not listed.

    `length` is in characters and 0 where the type has none. `is_required` says that a create
    without it is refused.
    """

    name: str
    type: str
    length: int
    is_createable: bool
    is_updateable: bool
    is_required: bool
    is_external_id: bool
    is_case_sensitive: bool
    picklist: tuple[str, ...]
    is_restricted_picklist: bool
    reference_to: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ObjectFacts:
    """One sObject; `fields` by name."""

    name: str
    key_prefix: str
    is_createable: bool
    is_updateable: bool
    is_deletable: bool
    fields: dict[str, FieldFacts]


class Describer:
    """Describes sObjects, each asked for once."""

    def __init__(self, client: SalesforceClient) -> None:
        self._client = client
        self._known: dict[str, ObjectFacts] = {}

    async def describe(self, sobject: str) -> ObjectFacts:
        """The facts about an sObject.

        Raises:
            RequestRefusedError: there is none of that name, or the user may not see it.
            And as `SalesforceClient.fetch`.
        """
        known = self._known.get(sobject.lower())
        if known is None:
            value = await self._client.fetch(f"sobjects/{sobject}/describe")
            known = self._known[sobject.lower()] = _object_of(sobject, value)
        return known


def _object_of(sobject: str, value: Any) -> ObjectFacts:
    try:
        fields = {row["name"]: _field_of(row) for row in value["fields"]}
        return ObjectFacts(
            name=value["name"],
            key_prefix=value.get("keyPrefix") or "",
            is_createable=bool(value.get("createable")),
            is_updateable=bool(value.get("updateable")),
            is_deletable=bool(value.get("deletable")),
            fields=fields,
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ServerError(f"the describe of {sobject} is not as documented: {error!r}") from error


def _field_of(row: dict[str, Any]) -> FieldFacts:
    is_createable = bool(row.get("createable"))
    may_be_absent = row.get("nillable", True) or row.get("defaultedOnCreate", False)
    values = row.get("picklistValues") or ()
    return FieldFacts(
        name=row["name"],
        type=row.get("type", ""),
        length=row.get("length") or 0,
        is_createable=is_createable,
        is_updateable=bool(row.get("updateable")),
        is_required=is_createable and not may_be_absent,
        is_external_id=bool(row.get("externalId") or row.get("idLookup")),
        is_case_sensitive=bool(row.get("caseSensitive")),
        picklist=tuple(value["value"] for value in values if value.get("active", True)),
        is_restricted_picklist=bool(row.get("restrictedPicklist")),
        reference_to=tuple(row.get("referenceTo") or ()),
    )
