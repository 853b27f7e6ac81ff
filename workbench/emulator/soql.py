"""SOQL, just enough to look: what the grammar below says and nothing more.

SELECT path [, path] | COUNT() | COUNT(path) [name] [, ...] | FIELDS(ALL) FROM object [alias]
    [WHERE condition] [ORDER BY path [ASC|DESC] [NULLS FIRST|LAST] [, ...]]
    [LIMIT n] [OFFSET n]
condition: path = != <> < <= > >= LIKE literal | path [NOT] IN (literal, ...)
           | NOT condition | condition AND condition | condition OR condition | (condition)
path:      Name | Account.Name | Account.Parent.Name
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .refusals import ApiError

__all__ = ["Comparison", "Condition", "Count", "Junction", "Order", "Select", "parse"]

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<text>'(?:[^'\\]|\\.)*')
      | (?P<moment>\d{4}-\d{2}-\d{2}(?:T[\d:.]+(?:Z|[+-]\d{2}:?\d{2}))?)
      | (?P<number>[+-]?\d+(?:\.\d+)?)
      | (?P<word>[A-Za-z_][\w.]*)
      | (?P<sign><=|>=|!=|<>|[=<>(),])
    )""",
    re.VERBOSE,
)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}
_SIGNS = {"=", "!=", "<>", "<", "<=", ">", ">="}
_CLAUSES = {
    "", "WHERE", "ORDER", "LIMIT", "OFFSET", "FOR", "GROUP", "HAVING", "WITH", "USING", "ALL",
}  # fmt: skip
"""What may follow the object without being its alias; some of them are not understood."""
MOST_DEPTH = 50
"""Parentheses within parentheses, so that a query cannot exhaust the stack."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """`path operator value`; `value` is a list for IN and NOT IN."""

    path: str
    operator: str
    value: Any


@dataclass(frozen=True, slots=True)
class Junction:
    """Conditions joined by `AND` or `OR`, or the single one that `NOT` turns round."""

    operator: str
    conditions: tuple[Condition, ...]


Condition = Comparison | Junction


@dataclass(frozen=True, slots=True)
class Order:
    """One path of ORDER BY. Blank values come first unless `nulls_last`."""

    path: str
    is_descending: bool
    nulls_last: bool


@dataclass(frozen=True, slots=True)
class Count:
    """COUNT(path): how many rows are not blank there; `name` is how the answer calls it."""

    path: str
    name: str


@dataclass(slots=True)
class Select:
    """A query that was understood. `paths` is empty for counts and `None` for FIELDS(ALL)."""

    object: str
    paths: list[str] | None
    counts: list[Count]
    """Empty for COUNT()."""
    alias: str
    """The name before the dot that means the object itself; the object's own name without one."""
    where: Condition | None = None
    order: tuple[Order, ...] = ()
    limit: int | None = None
    offset: int = 0


def parse(text: str) -> Select:
    """Read a query.

    Raises:
        ApiError: 400 MALFORMED_QUERY, with the place.
    """
    return _Parser(text).select()


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens: list[tuple[str, str, int]] = []
        self.place = 0
        self.depth = 0
        at = 0
        stripped = text.rstrip()
        while at < len(stripped):
            match = _TOKEN.match(stripped, at)
            if match is None or match.lastgroup is None:
                raise self.error("unexpected character", at)
            self.tokens.append(
                (match.lastgroup, match[match.lastgroup], match.start(match.lastgroup))
            )
            at = match.end()

    def error(self, problem: str, at: int | None = None) -> ApiError:
        if at is None:
            left = self.tokens[self.place : self.place + 1]
            at = left[0][2] if left else len(self.text)
        near = self.text[at : at + 20] or "<EOF>"
        return ApiError(400, "MALFORMED_QUERY", f"{problem} at column {at + 1}: '{near}'")

    def peek(self) -> str:
        """The next token in upper case; empty at the end."""
        return self.tokens[self.place][1].upper() if self.place < len(self.tokens) else ""

    def ahead(self, count: int) -> list[str]:
        """The next tokens in upper case; fewer at the end."""
        return [t[1].upper() for t in self.tokens[self.place : self.place + count]]

    def take(self, *words: str) -> bool:
        """Step over the words if they come next."""
        if self.ahead(len(words)) == list(words):
            self.place += len(words)
            return True
        return False

    def need(self, *words: str) -> None:
        if not self.take(*words):
            raise self.error(f"expected {' '.join(words)}")

    def word(self) -> str:
        if self.place < len(self.tokens) and self.tokens[self.place][0] == "word":
            self.place += 1
            return self.tokens[self.place - 1][1]
        raise self.error("expected a name")

    def number(self) -> int:
        if self.place < len(self.tokens) and self.tokens[self.place][1].isdigit():
            self.place += 1
            return int(self.tokens[self.place - 1][1])
        raise self.error("expected a number")

    def select(self) -> Select:
        self.need("SELECT")
        paths: list[str] | None = []
        counts: list[Count] = []
        if self.take("COUNT", "(", ")"):
            pass
        elif self.ahead(2) == ["COUNT", "("]:
            counts = self.counts()
        elif self.take("FIELDS", "(", "ALL", ")") or self.take("FIELDS", "(", "STANDARD", ")"):
            paths = None
        else:
            paths = self.list_of(self.word)
        self.need("FROM")
        name = self.word()
        alias = name if self.peek() in _CLAUSES else self.word()
        query = Select(name, paths, counts, alias)
        if self.take("WHERE"):
            query.where = self.condition()
        if self.take("ORDER", "BY"):
            query.order = tuple(self.list_of(self.order))
        if self.take("LIMIT"):
            query.limit = self.number()
        if self.take("OFFSET"):
            query.offset = self.number()
        if self.place < len(self.tokens):
            raise self.error("unexpected token")
        return query

    def list_of(self, item: Callable[[], Any]) -> list[Any]:
        items = [item()]
        while self.take(","):
            items.append(item())
        return items

    def counts(self) -> list[Count]:
        counts: list[Count] = []
        while not counts or self.take(","):
            self.need("COUNT", "(")
            path = self.word()
            self.need(")")
            named = self.peek() not in ("FROM", ",", "")
            counts.append(Count(path, self.word() if named else f"expr{len(counts)}"))
        return counts

    def order(self) -> Order:
        path = self.word()
        is_descending = self.take("DESC")
        if not is_descending:
            self.take("ASC")
        nulls_last = self.take("NULLS", "LAST")
        if not nulls_last:
            self.take("NULLS", "FIRST")
        return Order(path, is_descending, nulls_last)

    def condition(self) -> Condition:
        parts = [self.conjunction()]
        while self.take("OR"):
            parts.append(self.conjunction())
        return parts[0] if len(parts) == 1 else Junction("OR", tuple(parts))

    def conjunction(self) -> Condition:
        parts = [self.single()]
        while self.take("AND"):
            parts.append(self.single())
        return parts[0] if len(parts) == 1 else Junction("AND", tuple(parts))

    def single(self) -> Condition:
        self.depth += 1
        if self.depth > MOST_DEPTH:
            raise self.error("nested too deeply")
        try:
            if self.take("NOT"):
                return Junction("NOT", (self.single(),))
            if self.take("("):
                inner = self.condition()
                self.need(")")
                return inner
            return self.comparison()
        finally:
            self.depth -= 1

    def comparison(self) -> Comparison:
        path = self.word()
        sign = self.peek()
        if sign in _SIGNS or sign == "LIKE":
            self.place += 1
            return Comparison(path, "!=" if sign == "<>" else sign, self.literal())
        negated = self.take("NOT")
        self.need("IN")
        self.need("(")
        values = self.list_of(self.literal)
        self.need(")")
        return Comparison(path, "NOT IN" if negated else "IN", values)

    def literal(self) -> Any:
        if self.place >= len(self.tokens):
            raise self.error("expected a value")
        kind, text, _ = self.tokens[self.place]
        self.place += 1
        if kind == "text":
            return re.sub(r"\\(.)", lambda m: _ESCAPES.get(m[1], m[1]), text[1:-1])
        if kind == "moment":
            return text
        if kind == "number":
            return float(text) if "." in text else int(text)
        words = {"TRUE": True, "FALSE": False, "NULL": None}
        if kind == "word" and text.upper() in words:
            return words[text.upper()]
        self.place -= 1
        raise self.error("expected a value")
