"""The values of a YAML document, each with its place, and the paths that lead to them."""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

__all__ = [
    "Mapping",
    "Node",
    "Path",
    "Scalar",
    "Sequence",
    "Span",
    "format_path",
    "parse_path",
    "quoted",
]

Path = tuple[str | int, ...]

_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*\Z")
_PATH_PART = re.compile(r"""\.?([A-Za-z_][\w-]*)|\[(\d+)\]|\[("(?:[^"\\]|\\.)*")\]""")
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]{0,30})\Z")
_HEX_OR_OCTAL = re.compile(r"0x[0-9a-fA-F]{1,16}\Z|0o[0-7]{1,21}\Z")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z")
_WORDS: dict[str, Any] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}


class Span(NamedTuple):
    """Where something stands; lines and columns count from 1, the end is just past it."""

    line: int
    column: int
    end_line: int
    end_column: int


class Node:
    """One value of the document; `size` counts its nodes with aliases written out."""

    __slots__ = ("size", "span")
    what = "a value"

    def __init__(self, span: Span, size: int = 1) -> None:
        self.span = span
        self.size = size

    def plain(self) -> Any:
        """The value as Python's own: str, int, float, bool, None, list, dict."""
        raise NotImplementedError


class Scalar(Node):
    """A single value; `text` is what was written, `is_plain` says that it had no quotes."""

    __slots__ = ("is_plain", "text", "value")

    def __init__(self, span: Span, text: str, is_plain: bool, is_text: bool = False) -> None:
        super().__init__(span)
        self.text = text
        self.is_plain = is_plain
        self.value: Any = _resolve(text) if is_plain and not is_text else text

    @property
    def what(self) -> str:  # type: ignore[override]
        """What it is, as a word for people."""
        if self.value is None:
            return "nothing"
        names = {str: "a text", bool: "true or false", int: "a whole number", float: "a number"}
        return names[type(self.value)]

    def plain(self) -> Any:
        return self.value


class Sequence(Node):
    """A list."""

    __slots__ = ("items",)
    what = "a list"

    def __init__(self, span: Span, items: list[Node]) -> None:
        super().__init__(span, 1 + sum(item.size for item in items))
        self.items = items

    def plain(self) -> list[Any]:
        return [item.plain() for item in self.items]


class Mapping(Node):
    """Keys and values; `keys` holds where each key stands, `duplicates` what came twice."""

    __slots__ = ("duplicates", "entries", "is_flow_style", "keys", "odd_keys")
    what = "a mapping"

    def __init__(self, span: Span, is_flow_style: bool) -> None:
        super().__init__(span)
        self.is_flow_style = is_flow_style
        self.entries: dict[str, Node] = {}
        self.keys: dict[str, Span] = {}
        self.duplicates: list[tuple[str, Span]] = []
        self.odd_keys: list[Node] = []

    def add(self, key: Node, value: Node) -> None:
        self.size += key.size + value.size
        if not isinstance(key, Scalar):
            self.odd_keys.append(key)
        elif key.text in self.entries:
            self.duplicates.append((key.text, key.span))
        else:
            self.entries[key.text] = value
            self.keys[key.text] = key.span

    def merge(self, other: Node) -> bool:
        """Take over what `<<` brings and is not there yet; False when it is no mapping."""
        if isinstance(other, Sequence):
            return all(isinstance(item, Mapping) and self.merge(item) for item in other.items)
        if not isinstance(other, Mapping):
            return False
        for key, value in other.entries.items():
            if key not in self.entries:
                self.entries[key] = value
                self.keys[key] = other.keys[key]
                self.size += 1 + value.size
        return True

    def plain(self) -> dict[str, Any]:
        return {key: value.plain() for key, value in self.entries.items()}


def format_path(path: Path) -> str:
    """`("flow", "tasks", 1)` as `flow.tasks[1]`; a key that is no plain word as `["a b"]`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif _PLAIN_KEY.match(part):
            text += f".{part}" if text else part
        else:
            text += f"[{json.dumps(part)}]"
    return text


def parse_path(text: str) -> Path:
    """The inverse of `format_path`.

    Raises:
        ValueError: `text` is no path.
    """
    parts: list[str | int] = []
    position = 0
    while position < len(text):
        match = _PATH_PART.match(text, position)
        if match is None:
            raise ValueError(f"not a path: {text!r} at character {position + 1}")
        name, index, quoted = match.groups()
        parts.append(name if name else int(index) if index else json.loads(quoted))
        position = match.end()
    return tuple(parts)


def quoted(text: str) -> str:
    """A text with a template as a YAML scalar."""
    if '"' in text and "'" not in text and text.isprintable():
        return f"'{text}'"
    return json.dumps(text, ensure_ascii=False)


def _resolve(text: str) -> Any:
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.match(text):
        return int(text)
    if _HEX_OR_OCTAL.match(text):
        return int(text, 0)
    if _FLOAT.match(text):
        return float(text)
    return text
