"""Writing one row: checks in Salesforce's order, then the store. The only way into the store.

Codes and texts are those that Salesforce documents or users have posted; assumptions.py says which
are which, and where neither was found.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .fields import Field
from .ids import long_id, short_id
from .objects import ObjectType
from .refusals import RowError
from .store import Row, Table

if TYPE_CHECKING:
    from .org import Org
    from .sessions import User

__all__ = ["Writer", "wanted_id"]


class Writer:
    """Writes the rows of one API call, all stamped with the same moment and user."""

    def __init__(
        self, org: Org, user: User, *, allow_duplicates: bool = False, path: str = ""
    ) -> None:
        self._store = org.store
        self._faults = org.faults
        self._user_id = user.id
        self._allow_duplicates = allow_duplicates
        self._path = path
        self._now = org.now_text()
        self._has_faults = org.faults.any("lock", "lock-nested", "row", "race")

    def create(self, table: Table, values: Mapping[str, Any]) -> str:
        """Insert a row; its id.

        Raises:
            RowError: the row is refused; nothing of it was stored.
            ApiError: a value that breaks the parser of the whole call.
        """
        kind = table.kind
        _check_writeable(kind)
        changes = self._changes(kind, values)
        for name, value in kind.defaults.items():
            changes.setdefault(name, value)
        missing = [name for name in kind.required if changes.get(name) is None]
        if missing:
            raise _required(missing)
        row = {name: value for name, value in changes.items() if value is not None}
        row.setdefault("OwnerId", self._user_id)
        identifier = table.ids.next()
        return self._save(table, identifier, row, None)

    def update(self, table: Table, identifier: str, values: Mapping[str, Any]) -> None:
        """Change the row with this 18-character id.

        Raises:
            RowError: the row is refused, or there is none.
            ApiError: a value that breaks the parser of the whole call.
        """
        before = self.existing(table, identifier)
        self._change(table, identifier, before, values)

    def upsert(
        self, table: Table, key: Field, value: Any, values: Mapping[str, Any]
    ) -> tuple[str, bool]:
        """Change the row whose `key` holds `value`, or insert one; its id, and True if inserted.

        Raises:
            RowError: refused, or more than one row has the key (code DUPLICATE_EXTERNAL_ID).
        """
        found = table.find(key.name, value)
        if len(found) > 1:
            raise RowError(
                "DUPLICATE_EXTERNAL_ID",
                f"{key.name}: more than one record found for external id field: "
                f"[{', '.join(map(short_id, found))}]",
                [key.name],
            )
        if found:
            self._change(table, found[0], table.rows[found[0]], values)
            return found[0], False
        if self._has_faults:
            self._meet_race(table, key)
        return self.create(table, values), True

    def delete(self, table: Table, identifier: str) -> None:
        """Move the row with this id to the bin.

        Raises:
            RowError: there is none, or it is refused.
        """
        _check_writeable(table.kind)
        row = self.existing(table, identifier)
        if self._has_faults:
            self._meet_faults(table, identifier)
        deleted = row | {"IsDeleted": True, "SystemModstamp": self._now}
        self._store.delete(table, identifier, deleted)

    def existing(self, table: Table, identifier: str) -> Row:
        """The row with this id.

        Raises:
            RowError: deleted, or never there.
        """
        row = table.rows.get(identifier)
        if row is not None:
            return row
        if identifier in table.bin:
            raise RowError("ENTITY_IS_DELETED", "entity is deleted", single_status=404)
        raise RowError("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id")

    def _change(
        self, table: Table, identifier: str, before: Row, values: Mapping[str, Any]
    ) -> None:
        kind = table.kind
        _check_writeable(kind)
        changes = self._changes(kind, values)
        blanked = [name for name in kind.required if name in changes and changes[name] is None]
        if blanked:
            raise _required(blanked)
        row = before | changes
        if None in changes.values():
            row = {name: value for name, value in row.items() if value is not None}
        self._save(table, identifier, row, before)

    def _save(self, table: Table, identifier: str, row: Row, before: Row | None) -> str:
        kind = table.kind
        row["Id"] = identifier
        if self._has_faults:
            self._meet_faults(table, identifier)
        if kind.validation_rules:
            _check_rules(kind, row, before)
        if kind.duplicate_rules:
            self._check_duplicates(table, row)
        _check_unique(table, identifier, row)
        now = self._now
        if before is None:
            row["CreatedDate"] = now
            row["CreatedById"] = self._user_id
            for found in kind.autonumbers:
                table.serial += 1
                row[found.name] = f"{found.prefix}{table.serial:08d}"
        row["LastModifiedDate"] = row["SystemModstamp"] = now
        row["LastModifiedById"] = self._user_id
        self._store.put(table, identifier, row)
        return identifier

    def _changes(self, kind: ObjectType, values: Mapping[str, Any]) -> Row:
        """Checked values by field name; None for what is to become blank."""
        plain = kind.plain
        changes: Row = {}
        for name, value in values.items():
            check = plain.get(name)
            if check is not None:
                changes[name] = None if value is None else check(value)
            elif name != "attributes":
                self._add_unusual(kind, name, value, changes)
        return changes

    def _add_unusual(self, kind: ObjectType, name: str, value: Any, changes: Row) -> None:
        """A lookup, a parent named by external id, another case of letters, or a mistake."""
        found = kind.find(name)
        if found is not None:
            if found.read_only:
                raise RowError(
                    "INVALID_FIELD_FOR_INSERT_UPDATE",
                    f"Unable to create/update fields: {found.name}. Please check the security "
                    "settings of this field and verify that it is read/write for your profile or "
                    "permission set.",
                    [found.name],
                )
            if value is None:
                changes[found.name] = None
            elif found.reference_to:
                changes[found.name] = self._referred(found, value)
            else:
                changes[found.name] = kind.plain[found.name](value)
            return
        lookup = kind.find_relationship(name)
        if lookup is None or lookup.read_only:
            raise RowError(
                "INVALID_FIELD", f"No such column '{name}' on sobject of type {kind.name}"
            )
        if value is not None:
            changes[lookup.name] = self._parent(lookup, value)

    def _referred(self, found: Field, value: Any) -> str | None:
        identifier = found.checker()(value)
        if identifier is None:
            return None
        table = self._store.table_of(identifier)
        if table is None or table.kind.name not in found.reference_to:
            raise RowError(
                "MALFORMED_ID",
                f"{found.label}: id value of incorrect type: {value}",
                [found.name],
            )
        if identifier not in table.rows:
            raise RowError(
                "INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id", [found.name]
            )
        return str(identifier)

    def _parent(self, lookup: Field, value: Any) -> str:
        """The id of the parent that `{"Ext__c": "X"}` names."""
        if not isinstance(value, Mapping):
            raise RowError(
                "INVALID_FIELD",
                f"{lookup.relationship_name}: a related record is named by an object that holds "
                "one external id",
            )
        target = (value.get("attributes") or {}).get("type") or lookup.reference_to[0]
        named = [(k, v) for k, v in value.items() if k not in ("attributes", "type")]
        table = self._store.tables.get(target)
        if table is None or target not in lookup.reference_to:
            raise RowError("INVALID_FIELD", f"sObject type '{target}' is not supported here.")
        key = table.kind.find(named[0][0]) if len(named) == 1 else None
        if key is None or not key.external_id:
            names = ", ".join(k for k, _ in named) or "nothing"
            raise RowError(
                "INVALID_FIELD",
                f"The external foreign key reference does not reference a valid entity: "
                f"{lookup.relationship_name} ({names})",
            )
        text = named[0][1]
        found = table.find(key.name, text) if text is not None else ()
        if not found:
            raise RowError(
                "INVALID_FIELD",
                f"Foreign key external ID: {text} not found for field {key.name} "
                f"in entity {table.kind.name}",
            )
        if len(found) > 1:
            raise RowError(
                "DUPLICATE_EXTERNAL_ID",
                f"Foreign key external ID: {text} is used by more than one {table.kind.name}",
            )
        return found[0]

    def _check_duplicates(self, table: Table, row: Row) -> None:
        for rule in table.kind.duplicate_rules:
            if rule.allow_save and self._allow_duplicates:
                continue
            found = table.duplicates(rule, row)
            if found:
                raise RowError(
                    "DUPLICATES_DETECTED",
                    rule.message,
                    detail=_duplicate_result(table.kind.name, rule.name, rule.allow_save, found),
                )

    def _meet_race(self, table: Table, key: Field) -> None:
        if self._faults.draw("race", path=self._path, object=table.kind.name):
            raise _taken(key, table.ids.next())

    def _meet_faults(self, table: Table, identifier: str) -> None:
        name = table.kind.name
        lock = (
            f"unable to obtain exclusive access to this record or 1 records: {short_id(identifier)}"
        )
        if self._faults.draw("lock", path=self._path, object=name):
            raise RowError("UNABLE_TO_LOCK_ROW", lock)
        if self._faults.draw("lock-nested", path=self._path, object=name):
            raise RowError(
                "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY",
                f"{name}RollUp: execution of AfterUpdate\n\ncaused by: System.DmlException: Update "
                f"failed. First exception on row 0 with id {identifier}; first error: "
                f"UNABLE_TO_LOCK_ROW, {lock}: []\n\nTrigger.{name}RollUp: line 12, column 1",
            )
        if fault := self._faults.draw("row", path=self._path, object=name):
            raise RowError(fault.value, f"{fault.value} (by a fault of the emulator)")


def _check_writeable(kind: ObjectType) -> None:
    if not kind.writeable:
        raise RowError(
            "INVALID_TYPE_FOR_OPERATION",
            f"entity type {kind.name} does not support this operation",
        )


def _required(names: list[str]) -> RowError:
    return RowError(
        "REQUIRED_FIELD_MISSING", f"Required fields are missing: [{', '.join(names)}]", names
    )


def _check_rules(kind: ObjectType, row: Row, before: Row | None) -> None:
    broken = [rule for rule in kind.validation_rules if rule.refuses(row, before)]
    if broken:
        code = "FIELD_CUSTOM_VALIDATION_EXCEPTION"
        entries = [
            {"statusCode": code, "message": r.message, "fields": [r.field] if r.field else []}
            for r in broken
        ]
        first = entries[0]
        raise RowError(code, broken[0].message, first["fields"], more=entries[1:])  # type: ignore[arg-type]


def _check_unique(table: Table, identifier: str, row: Row) -> None:
    for found in table.kind.unique:
        value = row.get(found.name)
        if value is None:
            continue
        for other in table.find(found.name, value):
            if other != identifier:
                raise _taken(found, other)


def _taken(key: Field, other: str) -> RowError:
    return RowError(
        "DUPLICATE_VALUE",
        f"duplicate value found: {key.name} duplicates value on record with id: {short_id(other)}",
        [key.name],
    )


def _duplicate_result(
    object_name: str, rule: str, allow_save: bool, found: tuple[str, ...]
) -> dict[str, Any]:
    """What a single-row call adds to its DUPLICATES_DETECTED."""
    return {
        "duplicateResult": {
            "allowSave": allow_save,
            "duplicateRule": rule,
            "duplicateRuleEntityType": object_name,
            "errorMessage": "Use one of these records?",
            "matchResults": [
                {
                    "entityType": object_name,
                    "errors": [],
                    "matchEngine": "ExactMatchEngine",
                    "matchRecords": [
                        {
                            "additionalInformation": [],
                            "fieldDiffs": [],
                            "matchConfidence": 100.0,
                            "record": {
                                "attributes": {
                                    "type": object_name,
                                    "url": f"/services/data/v68.0/sobjects/{object_name}/{other}",
                                },
                                "Id": other,
                            },
                        }
                        for other in found
                    ],
                    "rule": rule,
                    "size": len(found),
                    "success": True,
                }
            ],
        }
    }


def wanted_id(kind: ObjectType, value: Any) -> str:
    """The 18-character form of the id of a row of `kind`.

    Raises:
        RowError: it is no id, or one of another object; collections report that per row.
    """
    identifier = long_id(value)
    if identifier is None or not identifier.startswith(kind.key_prefix):
        raise RowError(
            "MALFORMED_ID", f"{kind.label} ID: id value of incorrect type: {value}", ["Id"]
        )
    return identifier
