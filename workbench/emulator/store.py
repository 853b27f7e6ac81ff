"""The rows of an org: tables with indexes, and a journal that can take writes back.

A row is a plain dict from field name to stored value; blank fields are absent, `Id` is always
there. Rows are replaced, never changed in place, so what was read stays as it was.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .ids import IdMaker
from .objects import ObjectType, Schema
from .rules import DuplicateRule

__all__ = ["Row", "Store", "Table"]

Row = dict[str, Any]

MOST_IN_BIN = 10_000
"""Deleted rows kept per object, so that memory is bounded by what is stored."""


class _Index:
    """Ids by folded key. One id, the usual case, is kept bare to save memory."""

    __slots__ = ("_ids",)

    def __init__(self) -> None:
        self._ids: dict[Any, str | tuple[str, ...]] = {}

    def find(self, key: Any) -> tuple[str, ...]:
        found = self._ids.get(key)
        if found is None:
            return ()
        return (found,) if isinstance(found, str) else found

    def add(self, key: Any, identifier: str) -> None:
        found = self._ids.get(key)
        if found is None:
            self._ids[key] = identifier
        else:
            self._ids[key] = (*self.find(key), identifier)

    def remove(self, key: Any, identifier: str) -> None:
        left = tuple(i for i in self.find(key) if i != identifier)
        if not left:
            self._ids.pop(key, None)
        else:
            self._ids[key] = left[0] if len(left) == 1 else left


class Table:
    """The rows of one object."""

    def __init__(self, kind: ObjectType) -> None:
        self.kind = kind
        self.rows: dict[str, Row] = {}
        self.bin: dict[str, Row] = {}
        self.ids = IdMaker(kind.key_prefix)
        self.serial = 0
        """The last autonumber given out."""
        self._keys = [(f, _Index()) for f in kind.key_fields]
        self._by_field = {f.name: (f, index) for f, index in self._keys}
        self._duplicates: dict[DuplicateRule, _Index] = {}
        self.follow_rules()

    def follow_rules(self) -> None:
        """Give each duplicate rule an index; to be called when the rules have changed."""
        rules = self.kind.duplicate_rules
        self._duplicates = {r: i for r, i in self._duplicates.items() if r in rules}
        for rule in rules:
            if rule not in self._duplicates:
                index = self._duplicates[rule] = _Index()
                for identifier, row in self.rows.items():
                    if (key := rule.key(row)) is not None:
                        index.add(key, identifier)

    def find(self, field_name: str, value: Any) -> tuple[str, ...]:
        """Ids of the rows whose key field `field_name` holds `value`."""
        found, index = self._by_field[field_name]
        return index.find(found.fold(value))

    def duplicates(self, rule: DuplicateRule, row: Row) -> tuple[str, ...]:
        """Ids of other rows that the rule calls duplicates of `row`."""
        key = rule.key(row)
        if key is None:
            return ()
        return tuple(i for i in self._duplicates[rule].find(key) if i != row.get("Id"))

    def put(self, identifier: str, row: Row) -> Row | None:
        """Store a row, new or instead of the one before, which is returned."""
        before = self.rows.get(identifier)
        for found, index in self._keys:
            old = None if before is None else before.get(found.name)
            new = row.get(found.name)
            if old != new:
                if old is not None:
                    index.remove(found.fold(old), identifier)
                if new is not None:
                    index.add(found.fold(new), identifier)
        if self._duplicates:
            self._reindex_duplicates(identifier, before, row)
        self.rows[identifier] = row
        return before

    def take(self, identifier: str) -> Row | None:
        """Take a row out; None when there was none."""
        row = self.rows.pop(identifier, None)
        if row is not None:
            for found, index in self._keys:
                if (value := row.get(found.name)) is not None:
                    index.remove(found.fold(value), identifier)
            self._reindex_duplicates(identifier, row, None)
        return row

    def _reindex_duplicates(self, identifier: str, before: Row | None, row: Row | None) -> None:
        for rule, index in self._duplicates.items():
            old = None if before is None else rule.key(before)
            new = None if row is None else rule.key(row)
            if old != new:
                if old is not None:
                    index.remove(old, identifier)
                if new is not None:
                    index.add(new, identifier)


class Transaction:
    """Handle of an open transaction."""

    __slots__ = ("is_rolled_back",)

    def __init__(self) -> None:
        self.is_rolled_back = False

    def roll_back(self) -> None:
        """Ask that everything written inside be taken back when the block ends."""
        self.is_rolled_back = True


class Store:
    """All tables of an org."""

    def __init__(self, schema: Schema) -> None:
        self.tables = {kind.name: Table(kind) for kind in schema.objects.values()}
        self._by_prefix = {t.kind.key_prefix: t for t in self.tables.values()}
        self._journal: list[tuple[Table, str, Row | None, bool]] | None = None

    def table_of(self, identifier: str) -> Table | None:
        """The table whose ids begin as this one does."""
        return self._by_prefix.get(identifier[:3])

    def put(self, table: Table, identifier: str, row: Row) -> None:
        """Store a row, new or changed."""
        before = table.put(identifier, row)
        if self._journal is not None:
            self._journal.append((table, identifier, before, False))

    def delete(self, table: Table, identifier: str, row_as_deleted: Row) -> None:
        """Move a row to the bin."""
        before = table.take(identifier)
        table.bin[identifier] = row_as_deleted
        if len(table.bin) > MOST_IN_BIN:
            del table.bin[next(iter(table.bin))]
        if self._journal is not None:
            self._journal.append((table, identifier, before, True))

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """What is written in the block is taken back if `roll_back` was called or it raises.

        Blocks nest; an outer one takes back what an inner one kept.
        """
        outermost = self._journal is None
        if self._journal is None:
            self._journal = []
        mark = len(self._journal)
        handle = Transaction()
        try:
            yield handle
        except BaseException:
            handle.roll_back()
            raise
        finally:
            if handle.is_rolled_back:
                self._undo(mark)
            if outermost:
                self._journal = None

    def _undo(self, mark: int) -> None:
        journal = self._journal or []
        while len(journal) > mark:
            table, identifier, before, was_deleted = journal.pop()
            if was_deleted:
                table.bin.pop(identifier, None)
            if before is None:
                table.take(identifier)
            else:
                table.put(identifier, before)
