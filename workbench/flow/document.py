"""A flow file's text as a document that knows where everything stands.

Plain scalars mean what YAML 1.2 says (`yes`, `on` and `12:30` are texts, `0123` too), as in the
other engines that read these files; keys are always texts. What is no YAML, or no text at all,
gives one problem.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePath
from typing import Any

from workbench.errors import Problem
from workbench.flow.composer import Refused, compose
from workbench.flow.nodes import (
    Mapping,
    Node,
    Path,
    Sequence,
    Span,
    format_path,
    parse_path,
    quoted,
)

__all__ = ["Document"]

MAX_MESSAGE = 500
"""Characters of what is said of one problem; a value that is quoted in it may be longer."""
MAX_TEXT_BYTES = 1024 * 1024
"""A flow file is written by people; above this it is some other file."""


class Document:
    """One parsed file: its text, its tree, and the way from a path to a place.

    `root` is None where the text is no YAML; `problems` then holds the one reason.
    """

    __slots__ = ("_lines", "file", "problems", "root", "text")

    def __init__(self, text: str | bytes, file: str) -> None:
        self.file = file
        self.problems: list[Problem] = []
        self.root: Node | None = None
        self.text = self._decode(text)
        self._lines: list[str] = []
        if not self.problems:
            self._compose()

    @property
    def stem(self) -> str:
        """The file's name without folders and ending; empty where the text is of no file."""
        return PurePath(self.file).stem if self.file.endswith((".yaml", ".yml")) else ""

    @property
    def lines(self) -> list[str]:
        """The text's lines without their ends; line 1 is the first."""
        if not self._lines:
            self._lines = self.text.splitlines()
        return self._lines

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
        """A problem of this file; `more` may set `severity` (default error) and `fix`.

        What the message quotes from the file can't do anything to a terminal.
        """
        if not message.isprintable():
            message = "".join(c if c.isprintable() else repr(c)[1:-1] for c in message)
        line, column = (span.line, span.column) if span else (0, 0)
        severity = more.pop("severity", "error")
        where = format_path(path)
        return Problem(self.file, line, column, where, severity, code, _shown(message), **more)

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
                f"the file is too large; a flow file has at most {MAX_TEXT_BYTES:,} bytes",
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
            self.root = compose(self.text)
        except yaml.MarkedYAMLError as error:
            self._syntax_problem(error)
        except yaml.YAMLError as error:
            self._fail("yaml.syntax", f"this is not YAML: {error}")
        except Refused as error:
            self._fail(error.code, error.message, error.span)

    def _syntax_problem(self, error: Any) -> None:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        span = Span(line, column, line, column)
        lines = self.lines
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
        said = [error.context, error.problem or "it can't be read"]
        self._fail("yaml.syntax", ": ".join(filter(None, ["this is not YAML", *said])), span)


def _shown(message: str) -> str:
    """A message in a bounded length, with nothing in it that a terminal obeys: it quotes the file.

    >>> _shown("no key '\x1b]0;'")
    "no key '\\\\x1b]0;'"
    """
    if len(message) > MAX_MESSAGE:
        message = f"{message[: MAX_MESSAGE // 2]}...{message[-MAX_MESSAGE // 2 :]}"
    return message if message.isprintable() else "".join(map(_printable, message))


def _printable(character: str) -> str:
    return character if character.isprintable() else ascii(character)[1:-1]


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
    if len(line) > 1_000:  # no one's template, and slow to search
        return None
    match = re.match(r"\s*(?:-\s+)?(?:[^\s:'\"#][^:'\"]*:\s+|-\s+)?(\{\{.*?)\s*(?:\s#.*)?$", line)
    if match is None or "}}" not in match[1]:
        return None
    return quoted(match[1])
