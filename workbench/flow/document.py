"""YAML text into a document that knows where everything stands.

The text is read event by event with libyaml where PyYAML has it, never through PyYAML's
constructors: nodes keep their place, aliases are counted instead of copied, and plain scalars mean
what YAML 1.2 says (`yes`, `on` and `12:30` are texts, `0123` too), as in the other engines that
read these files. Keys are always texts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from workbench.errors import Problem

__all__ = ["Document", "Mapping", "Node", "Path", "Scalar", "Sequence", "Span", "format_path"]

MAX_TEXT_BYTES = 1024 * 1024
"""A flow file is written by people; above this it is some other file."""
MAX_DEPTH = 64
MAX_NODES = 50_000
"""Nodes of a file with every alias written out: what bounds a file that doubles itself."""

Path = tuple[str | int, ...]

_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*\Z")
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
_TAGS = {"tag:yaml.org,2002:str", "tag:yaml.org,2002:int", "tag:yaml.org,2002:float"} | {
    f"tag:yaml.org,2002:{name}" for name in ("bool", "null", "map", "seq")
}
_STR_TAG = "tag:yaml.org,2002:str"
_PATH_PART = re.compile(r"""\.?([A-Za-z_][\w-]*)|\[(\d+)\]|\[("(?:[^"\\]|\\.)*")\]""")


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


class Document:
    """One parsed file: its text, its tree, and the way from a path to a place.

    `root` is None where the text is no YAML; `problems` then holds the one reason.
    """

    __slots__ = ("file", "problems", "root", "text")

    def __init__(self, text: str | bytes, file: str) -> None:
        self.file = file
        self.problems: list[Problem] = []
        self.root: Node | None = None
        self.text = self._decode(text)
        if not self.problems:
            self._compose()

    def locate(self, path: str | Path) -> tuple[int, int, int, int] | None:
        """Line, column, end line and end column of the value at `path`, None if there is none."""
        node = self.node(path)
        return None if node is None else (*node.span,)

    def node(self, path: str | Path) -> Node | None:
        """The node at `path`, None if there is none."""
        node: Node | None = self.root
        for part in parse_path(path) if isinstance(path, str) else path:
            if isinstance(node, Mapping):
                node = node.entries.get(str(part))
            elif isinstance(node, Sequence) and isinstance(part, int) and part < len(node.items):
                node = node.items[part]
            else:
                return None
        return node

    def path_at(self, line: int, column: int) -> str:
        """The path of the innermost value or key that holds this place; '' outside all."""
        path: Path = ()
        node = self.root
        while node is not None:
            for part, key, child in _children(node):
                if _holds(child.span, line, column) or (key and _holds(key, line, column)):
                    path, node = (*path, part), child
                    break
            else:
                break
        return format_path(path)

    def problem(
        self, code: str, message: str, span: Span | None = None, path: Path = (), **more: Any
    ) -> Problem:
        """A problem of this file; `more` may set `severity` (default error) and `fix`."""
        line, column = (span.line, span.column) if span else (0, 0)
        severity = more.pop("severity", "error")
        return Problem(self.file, line, column, format_path(path), severity, code, message, **more)

    def replaced(self, path: str | Path, text: str) -> str:
        """The whole text with the value at `path` written as `text`; the rest keeps every byte.

        Raises:
            KeyError: there is no value at `path`.
        """
        node = self.node(path)
        if node is None:
            raise KeyError(path)
        lines = self.text.splitlines(keepends=True)
        starts = [0]
        for line in lines:
            starts.append(starts[-1] + len(line))
        begin = starts[node.span.line - 1] + node.span.column - 1
        end = starts[node.span.end_line - 1] + node.span.end_column - 1
        return self.text[:begin] + text + self.text[end:]

    def _fail(self, code: str, message: str, span: Span | None = None, **more: Any) -> None:
        self.problems.append(self.problem(code, message, span or Span(1, 1, 1, 1), **more))

    def _decode(self, given: str | bytes) -> str:
        if len(given) > MAX_TEXT_BYTES:
            self._fail(
                "yaml.too_large",
                f"the file is {len(given):,} bytes; a flow file has at most {MAX_TEXT_BYTES:,}",
            )
            return ""
        text = given if isinstance(given, str) else self._from_utf8(given)
        text = text.removeprefix("\ufeff")
        bad = re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]", text)
        if bad:
            line = text.count("\n", 0, bad.start()) + 1
            column = bad.start() - text.rfind("\n", 0, bad.start())
            self._fail(
                "yaml.encoding",
                f"the file is not text: character U+{ord(bad[0]):04X} can't stand in YAML",
                Span(line, column, line, column),
            )
            return ""
        return text

    def _from_utf8(self, given: bytes) -> str:
        if given.startswith((b"\xff\xfe", b"\xfe\xff")):
            self._fail("yaml.encoding", "the file is UTF-16; save it as UTF-8")
            return ""
        try:
            return given.decode("utf-8")
        except UnicodeDecodeError as error:
            line = given.count(b"\n", 0, error.start) + 1
            self._fail(
                "yaml.encoding",
                "the file is not UTF-8 text; save it as UTF-8",
                Span(line, 1, line, 1),
            )
            return ""

    def _compose(self) -> None:
        import yaml

        try:
            self.root = _Composer(self).compose()
        except yaml.MarkedYAMLError as error:
            self._syntax_problem(error)
        except yaml.YAMLError as error:
            self._fail("yaml.syntax", f"this is not YAML: {error}")
        except _Refused as error:
            self._fail(error.code, error.message, error.span)

    def _syntax_problem(self, error: Any) -> None:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        span = Span(line, column, line, column)
        lines = self.text.splitlines()
        shown = lines[line - 1] if line <= len(lines) else ""
        for number in (line, line - 1):
            if 0 < number <= len(lines) and (quoted := _quoted_template(lines[number - 1])):
                self._fail(
                    "yaml.unquoted_template",
                    "a value that begins with '{{' needs quotes, else YAML reads a mapping",
                    Span(number, lines[number - 1].index("{{") + 1, number, 1),
                    fix=quoted,
                )
                return
        if "\t" in shown[: max(column, len(shown) - len(shown.lstrip()))]:
            where = shown.index("\t") + 1
            self._fail(
                "yaml.tab",
                "a tab stands where YAML wants spaces; indent with spaces",
                Span(line, where, line, where + 1),
            )
            return
        said = error.problem or "it can't be read"
        context = f" {error.context}" if error.context else ""
        self._fail("yaml.syntax", f"this is not YAML:{context}: {said}".replace(":  ", ": "), span)


class _Refused(Exception):
    """YAML that is well-formed and still not for us."""

    def __init__(self, code: str, message: str, span: Span) -> None:
        self.code, self.message, self.span = code, message, span
        super().__init__(message)


class _Composer:
    """Events into nodes, with a stack of its own so that depth is a count and not a crash."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.anchors: dict[str, Node] = {}
        self.open_anchors: set[str] = set()

    def compose(self) -> Node | None:
        import yaml

        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        root: Node | None = None
        documents = 0
        stack: list[_Open] = []
        for event in yaml.parse(self.document.text, Loader=loader):
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise _Refused(
                        "yaml.documents",
                        "the file holds several YAML documents ('---'); a file is one flow",
                        _span(event),
                    )
            elif isinstance(event, yaml.CollectionStartEvent):
                self._open(event, stack)
            elif isinstance(event, yaml.CollectionEndEvent):
                node = self._close(event, stack)
                root = self._place(node, stack, root)
            elif isinstance(event, yaml.ScalarEvent):
                root = self._place(self._scalar(event), stack, root)
            elif isinstance(event, yaml.AliasEvent):
                root = self._place(self._alias(event), stack, root)
        return root

    def _open(self, event: Any, stack: list[_Open]) -> None:
        import yaml

        span = _span(event)
        if len(stack) >= MAX_DEPTH:
            raise _Refused("yaml.depth", f"the file is nested deeper than {MAX_DEPTH} levels", span)
        self._check_tag(event)
        if event.anchor:
            self.open_anchors.add(event.anchor)
            self.anchors.pop(event.anchor, None)
        is_mapping = isinstance(event, yaml.MappingStartEvent)
        stack.append(_Open(span, is_mapping, bool(event.flow_style), event.anchor))

    def _close(self, event: Any, stack: list[_Open]) -> Node:
        top = stack.pop()
        end = _span(event)
        span = Span(top.span.line, top.span.column, end.end_line, end.end_column)
        if not top.is_flow_style and top.items:
            last = top.items[-1].span
            begin = (top.span.line, top.span.column)
            if (last.end_line, last.end_column) >= begin:
                span = Span(*begin, last.end_line, last.end_column)
        node: Node
        if top.is_mapping:
            node = mapping = Mapping(span, top.is_flow_style)
            merges: list[Node] = []
            for key, value in zip(top.items[::2], top.items[1::2], strict=True):
                if isinstance(key, Scalar) and key.is_plain and key.text == "<<":
                    merges.append(value)
                else:
                    mapping.add(key, value)
            for value in merges:
                if not mapping.merge(value):
                    raise _Refused(
                        "yaml.merge", "'<<' merges a mapping or a list of mappings", value.span
                    )
        else:
            node = Sequence(span, top.items)
        if top.anchor:
            self.open_anchors.discard(top.anchor)
            self.anchors[top.anchor] = node
        if node.size > MAX_NODES:
            raise _Refused(
                "yaml.expansion",
                f"with its aliases written out the file has more than {MAX_NODES:,} values",
                span,
            )
        return node

    def _scalar(self, event: Any) -> Node:
        self._check_tag(event)
        is_plain = not event.style and event.tag != "!"
        node = Scalar(_span(event), event.value, is_plain, event.tag == _STR_TAG)
        if event.anchor:
            self.anchors[event.anchor] = node
        return node

    def _alias(self, event: Any) -> Node:
        node = self.anchors.get(event.anchor)
        if node is not None:
            return node
        message = (
            f"'*{event.anchor}' stands inside the value it names"
            if event.anchor in self.open_anchors
            else f"'*{event.anchor}' names an anchor that is not defined above"
        )
        raise _Refused("yaml.alias", message, _span(event))

    def _place(self, node: Node, stack: list[_Open], root: Node | None) -> Node | None:
        if not stack:
            return node
        stack[-1].items.append(node)
        return root

    def _check_tag(self, event: Any) -> None:
        if event.tag and event.tag != "!" and event.tag not in _TAGS:
            raise _Refused(
                "yaml.tag", f"the tag '{event.tag}' means nothing in a flow file", _span(event)
            )


class _Open:
    """A collection whose end has not come yet."""

    __slots__ = ("anchor", "is_flow_style", "is_mapping", "items", "span")

    def __init__(
        self, span: Span, is_mapping: bool, is_flow_style: bool, anchor: str | None
    ) -> None:
        self.span = span
        self.is_mapping = is_mapping
        self.is_flow_style = is_flow_style
        self.anchor = anchor
        self.items: list[Node] = []


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


def _span(event: Any) -> Span:
    start, end = event.start_mark, event.end_mark
    return Span(start.line + 1, start.column + 1, end.line + 1, end.column + 1)


def _holds(span: Span, line: int, column: int) -> bool:
    return (span.line, span.column) <= (line, column) <= (span.end_line, span.end_column)


def _children(node: Node) -> Iterator[tuple[str | int, Span | None, Node]]:
    if isinstance(node, Mapping):
        for key, child in node.entries.items():
            yield key, node.keys[key], child
    elif isinstance(node, Sequence):
        for index, child in enumerate(node.items):
            yield index, None, child


def _quoted_template(line: str) -> str | None:
    """`key: {{ x }}/y` gives `"{{ x }}/y"`; None when the line holds no such value."""
    match = re.match(r"\s*(?:-\s+)?(?:[^\s:'\"#][^:'\"]*:\s+|-\s+)?(\{\{.*?)\s*(?:\s#.*)?$", line)
    if match is None or "}}" not in match[1]:
        return None
    return json.dumps(match[1], ensure_ascii=False) if '"' not in match[1] else f"'{match[1]}'"
