"""Where in a flow file the cursor stands: found from indentation alone, so that it works in the
middle of typing, when the text is no YAML yet."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

__all__ = ["Place", "Places", "indent_after", "place_of"]

Path = tuple[str | int, ...]

_KEY = re.compile(r"""(["']?)([A-Za-z_][\w.-]*)\1[ \t]*:(?=\s|$)""")
_TEMPLATE = re.compile(r"\{\{[-+]?(?P<inside>(?:(?!\}\}).)*)$")
_WORD = re.compile(r"[\w.]*$")
_VALUE = re.compile(r"""[^\s\[\],"']*$""")


@dataclass(frozen=True, slots=True)
class Place:
    """What is being typed at the cursor.

    Attributes:
        kind: a key of the mapping at `path`, the value of the key at `path`, or a name in a
            template inside that value.
        prefix: what of it stands before the cursor.
        scope: which names a template may use here.
        is_first: whether the key begins a list item (`- `).
    """

    kind: Literal["key", "value", "template"]
    path: Path
    prefix: str
    scope: Literal["env", "event", "record"] = "env"
    is_first: bool = False


def place_of(lines: Sequence[str], row: int, column: int) -> Place:
    """The place at a cursor, row and column from 0.

    >>> place_of(["flow:", "  tasks:", "    - salesforce_restapi_composite:", "        ope"], 3, 11)
    ... # doctest: +NORMALIZE_WHITESPACE
    Place(kind='key', path=('flow', 'tasks', 0, 'salesforce_restapi_composite'), prefix='ope',
          scope='env', is_first=False)
    """
    return Places().place_of(lines, row, column)


class Places:
    """`place_of` for one document that is asked again and again: what the lines above say is
    remembered, so that a key costs no walk through thousands of them."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._stacks: list[tuple[tuple[int, str | int], ...]] = [()]
        """Before each of the lines, and after the last."""

    def place_of(self, lines: Sequence[str], row: int, column: int) -> Place:
        """As the function `place_of`."""
        return _place(list(self._above(lines, row)), lines, row, column)

    def _above(self, lines: Sequence[str], row: int) -> tuple[tuple[int, str | int], ...]:
        """What is open before a row."""
        above = list(lines[:row])
        known = min(len(above), len(self._lines))
        if above[:known] != self._lines[:known]:
            known = next(i for i in range(known) if above[i] != self._lines[i])
        if known < len(above):
            del self._lines[known:], self._stacks[known + 1 :]
            stack = list(self._stacks[known])
            for line in above[known:]:
                _walk(stack, line)
                self._lines.append(line)
                self._stacks.append(tuple(stack))
        return self._stacks[len(above)]


def _place(
    stack: list[tuple[int, str | int]], lines: Sequence[str], row: int, column: int
) -> Place:
    before = lines[row][:column] if row < len(lines) else ""
    _, rest, is_first = _open(stack, before, column)
    match = _KEY.match(rest)
    if match is None:
        path = _path(stack)
        template = _TEMPLATE.search(before)
        if template is not None:
            return _in_template(path, template["inside"])
        return Place("key", path, rest.strip().strip("\"'"), is_first=is_first)
    path = (*_path(stack), match[2])
    inside = _TEMPLATE.search(rest)
    if inside is not None:
        return _in_template(path, inside["inside"])
    return Place("value", path, _match(_VALUE, rest[match.end() :]))


def _in_template(path: Path, inside: str) -> Place:
    names = {"payload", "order_by", "ids"}
    if not names & {str(part) for part in path}:
        scope: Literal["env", "event", "record"] = "env"
    else:
        scope = "event" if "salesforce_pubsubapi_publisher" in path else "record"
    return Place("template", path, _match(_WORD, inside), scope)


def _match(pattern: re.Pattern[str], text: str) -> str:
    found = pattern.search(text)
    return found.group() if found else ""


def _walk(stack: list[tuple[int, str | int]], line: str) -> None:
    """Take one line above the cursor into account."""
    if not line.strip() or line.lstrip().startswith("#"):
        return
    indent, rest, _ = _open(stack, line, len(line))
    match = _KEY.match(rest)
    if match is not None:
        stack.append((indent, match[2]))


def _open(stack: list[tuple[int, str | int]], line: str, column: int) -> tuple[int, str, bool]:
    """Close what ends at this line's indentation and open its list items; its own indentation,
    the rest of it, and whether it begins an item."""
    rest = line.lstrip(" ")
    indent = len(line) - len(rest) if rest else column
    is_first = False
    while rest == "-" or rest.startswith("- "):
        while stack and stack[-1][0] > indent:
            stack.pop()
        if stack and stack[-1][0] == indent and isinstance(stack[-1][1], int):
            stack[-1] = (indent, stack[-1][1] + 1)
        else:
            stack.append((indent, 0))
        inner = rest[1:].lstrip(" ")
        indent += len(rest) - len(inner) if inner else 2
        rest, is_first = inner, True
    if not is_first:
        while stack and stack[-1][0] >= indent:
            stack.pop()
    return indent, rest, is_first


def _path(stack: list[tuple[int, str | int]]) -> Path:
    return tuple(part for _, part in stack)


def indent_after(line: str) -> int:
    """How far a line after this one begins, when Enter is pressed at its end.

    >>> indent_after("    - name:"), indent_after("  a: 1"), indent_after("    - x: 1")
    (8, 2, 6)
    """
    rest = line.lstrip(" ")
    indent = len(line) - len(rest)
    while rest == "-" or rest.startswith("- "):
        inner = rest[1:].lstrip(" ")
        indent += len(rest) - len(inner) if inner else 2
        rest = inner
    return indent + 2 if rest.rstrip().endswith(":") and not rest.startswith("#") else indent
