"""Running a query, and handing out its result page by page."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from . import soql
from .api import Answer, Call
from .columns import columns
from .fields import Field, datetime_text
from .ids import long_id
from .objects import ObjectType
from .readings import read_value
from .refusals import ApiError
from .store import Row, Table

if TYPE_CHECKING:
    from .org import Org

__all__ = ["more", "query", "query_all"]

PAGE_ROWS = 2_000
SMALLEST_PAGE = 200
"""Rows a page, and the least that Sforce-Query-Options may ask for."""
MOST_CURSORS = 100
MOST_OFFSET = 2_000
_LOCATOR = re.compile(r"(01g\w{15})-(\d{1,9})")

Getter = Callable[[Row], Any]


def query(call: Call) -> Answer:
    """GET query?q=..."""
    return _run(call, with_deleted=False)


def query_all(call: Call) -> Answer:
    """GET queryAll?q=..., rows in the bin included."""
    return _run(call, with_deleted=True)


def more(call: Call) -> Answer:
    """GET query/locator: the next page."""
    match = _LOCATOR.fullmatch(call.segments[1])
    result = call.org.cursors.get(match[1]) if match else None
    if match is None or result is None:
        raise ApiError(400, "INVALID_QUERY_LOCATOR", "invalid query locator")
    return _page(call, result, match[1], int(match[2]))


class _Result:
    """Rows that fit, and how each is shown."""

    def __init__(self, table: Table, rows: list[Row], show: Callable[[str, Row], dict[str, Any]]):
        self.table = table
        self.rows = rows
        self.show = show


def _run(call: Call, *, with_deleted: bool) -> Answer:
    text = call.query.get("q", "")
    if not text.strip():
        raise ApiError(400, "MALFORMED_QUERY", "the query is empty")
    select = soql.parse(text)
    kind = call.org.schema.find(select.object)
    if kind is None:
        raise ApiError(400, "INVALID_TYPE", f"sObject type '{select.object}' is not supported.")
    table = call.org.store.tables[kind.name]
    reader = _Reader(call.org, table, select.alias)
    if call.query.get("columns", "").lower() == "true":
        return Answer(200, columns(kind, reader.selected(select.paths), select.counts))
    rows: Iterable[Row] = _candidates(table, select.where)
    if with_deleted:
        rows = [*rows, *table.bin.values()]
    if select.where is not None:
        test = reader.condition(select.where)
        rows = (row for row in rows if test(row))
    found = list(rows)
    for order in reversed(select.order):
        _sort(found, reader.getter(order.path), order)
    if select.offset > MOST_OFFSET:
        raise ApiError(
            400, "NUMBER_OUTSIDE_VALID_RANGE", f"Maximum SOQL offset allowed is {MOST_OFFSET}"
        )
    end = None if select.limit is None else select.offset + select.limit
    found = found[select.offset : end]
    if select.counts:
        return Answer(200, _counts(reader, select.counts, found), rows=1)
    if select.paths == []:
        body = {"totalSize": len(found), "done": True, "records": []}
        return Answer(200, body, rows=len(found))
    result = _Result(table, found, reader.shower(select.paths))
    return _page(call, result, None, 0)


def _counts(reader: _Reader, counts: list[soql.Count], rows: list[Row]) -> dict[str, Any]:
    record: dict[str, Any] = {"attributes": {"type": "AggregateResult"}}
    for count in counts:
        get = reader.getter(count.path)
        record[count.name] = sum(get(row) is not None for row in rows)
    return {"totalSize": 1, "done": True, "records": [record]}


def _page(call: Call, result: _Result, locator: str | None, start: int) -> Answer:
    match = re.search(r"batchSize\s*=\s*(\d+)", call.headers.get("sforce-query-options", ""), re.I)
    size = min(PAGE_ROWS, max(SMALLEST_PAGE, int(match[1]))) if match else PAGE_ROWS
    end = start + size
    shown = [result.show(call.root, row) for row in result.rows[start:end]]
    body: dict[str, Any] = {"totalSize": len(result.rows), "done": end >= len(result.rows)}
    if not body["done"]:
        if locator is None:
            locator = call.org.new_cursor(result, MOST_CURSORS)
        body["nextRecordsUrl"] = f"{call.root}/query/{locator}-{end}"
    body["records"] = shown
    return Answer(200, body, rows=len(shown))


def _candidates(table: Table, where: soql.Condition | None) -> list[Row]:
    """The rows that may fit: by index where the condition asks for one key, else all."""
    for condition in _conjuncts(where):
        if not isinstance(condition, soql.Comparison) or condition.operator not in ("=", "IN"):
            continue
        values = condition.value if condition.operator == "IN" else [condition.value]
        found = table.kind.find(condition.path)
        if found is None or None in values:
            continue
        if found.name == "Id":
            ids = [long_id(v) or "" for v in values]
        elif found.is_key and found.type == "text" and not found.case_sensitive:
            ids = [i for v in values for i in table.find(found.name, str(v))]
        else:
            continue
        return [table.rows[i] for i in dict.fromkeys(ids) if i in table.rows]
    return list(table.rows.values())


def _conjuncts(where: soql.Condition | None) -> tuple[soql.Condition, ...]:
    if where is None:
        return ()
    if isinstance(where, soql.Junction):
        return where.conditions if where.operator == "AND" else ()
    return (where,)


def _sort(rows: list[Row], get: Getter, order: soql.Order) -> None:
    """Sort in place, stably; blank values stand together at one end."""
    blank = [row for row in rows if get(row) is None]
    full = [row for row in rows if get(row) is not None]
    full.sort(key=lambda row: _fold(get(row)), reverse=order.is_descending)
    rows[:] = full + blank if order.nulls_last else blank + full


class _Reader:
    """Turns the paths and conditions of a query on one table into functions of a row."""

    def __init__(self, org: Org, table: Table, alias: str) -> None:
        self.org = org
        self.table = table
        self.own_names = {table.kind.name.lower(), alias.lower()}

    def getter(self, path: str) -> Getter:
        """A function to the value at `path`."""
        return self._find(path)[0]

    def selected(self, paths: list[str] | None) -> list[tuple[list[str], Field]]:
        """The parts of each path as declared, and the field that it ends at; None is all fields."""
        return [
            (self._spelled(path), self._find(path)[1])
            for path in (self.table.kind.fields if paths is None else paths)
        ]

    def shower(self, paths: list[str] | None) -> Callable[[str, Row], dict[str, Any]]:
        """A function from (root, row) to the record as it is answered."""
        kind = self.table.kind
        if paths is None:
            paths = list(kind.fields)
        plans = [(self._spelled(path), self.getter(path)) for path in paths]

        def show(root: str, row: Row) -> dict[str, Any]:
            record = _head(root, kind, row)
            for parts, get in plans:
                self._place(root, record, kind, row, parts, get(row))
            return record

        return show

    def condition(self, condition: soql.Condition) -> Callable[[Row], bool]:
        """A function that tells whether a row fits."""
        if isinstance(condition, soql.Comparison):
            return self._comparison(condition)
        tests = [self.condition(c) for c in condition.conditions]
        if condition.operator == "AND":
            return lambda row: all(test(row) for test in tests)
        if condition.operator == "OR":
            return lambda row: any(test(row) for test in tests)
        return lambda row: not tests[0](row)

    def _comparison(self, condition: soql.Comparison) -> Callable[[Row], bool]:
        get, found = self._find(condition.path)
        operator = condition.operator
        if operator in ("IN", "NOT IN"):
            wanted = {_fold(_literal(found, v)) for v in condition.value}
            return lambda row: (_fold(get(row)) in wanted) == (operator == "IN")
        value = _literal(found, condition.value)
        if operator == "LIKE":
            pattern = re.compile(_like(str(value)), re.I | re.S)
            return lambda row: get(row) is not None and bool(pattern.fullmatch(str(get(row))))
        folded = _fold(value)
        if operator in ("=", "!="):
            return lambda row: (_fold(get(row)) == folded) == (operator == "=")
        return lambda row: _is_ordered(_fold(get(row)), folded, operator)

    def _find(self, path: str) -> tuple[Getter, Field]:
        return self._walk(self.table.kind, self._parts(path), path)

    def _parts(self, path: str) -> list[str]:
        """The parts of a path, without the object's own name or its alias before them."""
        parts = path.split(".")
        is_own = len(parts) > 1 and parts[0].lower() in self.own_names
        return parts[1:] if is_own and not self.table.kind.find_relationship(parts[0]) else parts

    def _walk(self, kind: ObjectType, parts: list[str], path: str) -> tuple[Getter, Field]:
        if len(parts) > 1:
            lookup = kind.find_relationship(parts[0])
            if lookup is None:
                raise ApiError(
                    400,
                    "INVALID_FIELD",
                    f"Didn't understand relationship '{parts[0]}' in field path {path}.",
                )
            parent = self.org.store.tables[lookup.reference_to[0]]
            get, found = self._walk(parent.kind, parts[1:], path)
            return _parent_getter(lookup.name, parent, get), found
        declared = kind.find(parts[0])
        if declared is None:
            raise ApiError(
                400, "INVALID_FIELD", f"No such column '{parts[0]}' on entity '{kind.name}'"
            )
        name = declared.name
        return (lambda row: read_value(kind, row, name)), declared

    def _spelled(self, path: str) -> list[str]:
        """The parts of a path as declared."""
        spelled: list[str] = []
        kind = self.table.kind
        parts = self._parts(path)
        for place, part in enumerate(parts):
            if place == len(parts) - 1:
                found = kind.find(part)
                spelled.append(found.name if found else part)
            elif (lookup := kind.find_relationship(part)) is not None:
                spelled.append(lookup.relationship_name or part)
                kind = self.org.store.tables[lookup.reference_to[0]].kind
        return spelled

    def _place(
        self,
        root: str,
        record: dict[str, Any],
        kind: ObjectType,
        row: Row,
        parts: list[str],
        value: Any,
    ) -> None:
        """Put a value where its path leads, making the parent records on the way."""
        for part in parts[:-1]:
            lookup = kind.relationships[part]
            parent = self.org.store.tables[lookup.reference_to[0]]
            parent_row = parent.rows.get(row.get(lookup.name, ""))
            if parent_row is None:
                record[part] = None
                return
            record = record.setdefault(part, _head(root, parent.kind, parent_row))
            kind, row = parent.kind, parent_row
        record[parts[-1]] = value


def _parent_getter(name: str, parent: Table, get: Getter) -> Getter:
    def value(row: Row) -> Any:
        found = parent.rows.get(row.get(name, ""))
        return None if found is None else get(found)

    return value


def _head(root: str, kind: ObjectType, row: Row) -> dict[str, Any]:
    url = f"{root}/sobjects/{kind.name}/{row['Id']}"
    return {"attributes": {"type": kind.name, "url": url}}


def _literal(found: Field, value: Any) -> Any:
    """A literal in the form in which the field's values are stored."""
    if value is None:
        return None
    if found.type in ("id", "lookup"):
        return long_id(value) or value
    if found.type == "datetime" and isinstance(value, str):
        from datetime import datetime

        try:
            return datetime_text(datetime.fromisoformat(value.replace("Z", "+00:00")))
        except ValueError:
            return value
    is_text = found.type not in ("number", "currency", "percent", "integer", "boolean", "date")
    if is_text and not isinstance(value, str):
        raise ApiError(
            400,
            "INVALID_FIELD",
            f"value of filter criterion for field '{found.name}' must be of type string and "
            "should be enclosed in quotes",
        )
    return value


def _like(pattern: str) -> str:
    signs = {"%": ".*", "_": "."}
    return "".join(signs.get(c, re.escape(c)) for c in pattern)


def _fold(value: Any) -> Any:
    return value.casefold() if isinstance(value, str) else value


def _is_ordered(value: Any, other: Any, operator: str) -> bool:
    if value is None or other is None or isinstance(value, str) != isinstance(other, str):
        return False
    return bool(
        {
            "<": value < other,
            "<=": value <= other,
            ">": value > other,
            ">=": value >= other,
        }[operator]
    )
