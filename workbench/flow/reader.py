"""Reading a document by declared kinds: what a kind is, and where its problems go."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from workbench.errors import Problem
from workbench.flow.document import Document
from workbench.flow.nodes import Mapping, Node, Path, Scalar, Span, quoted

__all__ = [
    "MISSING",
    "Kind",
    "Reader",
    "Scope",
    "TemplateUse",
    "is_absent",
    "is_template_mapping",
    "last",
    "nearest",
    "report_duplicates",
    "template_source",
    "wrong",
]

MISSING: Any = object()
"""What reading gives back for a value that is wrong: the problem has been told."""

MAX_SUGGESTIONS = 200
"""Suggestions in one file; each takes up to a millisecond."""

Scope = Literal["none", "env", "event", "record"]
"""Which names a template in this place may use; `record` is `event` plus `record`."""


@dataclass(frozen=True, slots=True)
class TemplateUse:
    """A text with a template in it, for the template check that follows reading."""

    text: str
    span: Span
    path: Path
    scope: Scope


class Reader:
    """What reading one document has found so far."""

    def __init__(self, source: Document) -> None:
        self.document = source
        self.problems: list[Problem] = list(source.problems)
        self.templates: list[TemplateUse] = []
        self.suggestions_left = MAX_SUGGESTIONS

    def report(
        self, code: str, message: str, place: Node | Span | None, path: Path, **more: Any
    ) -> Any:
        """Note a problem and give `MISSING` back, so that a kind can return it."""
        span = place.span if isinstance(place, Node) else place
        self.problems.append(self.document.problem(code, message, span, path, **more))
        return MISSING

    def suggest(self, word: str, known: list[str]) -> str | None:
        """The known word that was probably meant; None after many, since looking takes a while."""
        self.suggestions_left -= 1
        return nearest(word, known) if self.suggestions_left >= 0 else None


class Kind:
    """What a value may be."""

    label: ClassVar[str] = "anything"

    def read(self, node: Node, path: Path, reader: Reader) -> Any:
        """The value, or MISSING after reporting why not."""
        raise NotImplementedError

    def schema(self) -> dict[str, Any]:
        """The same rule as JSON Schema (draft 7)."""
        raise NotImplementedError

    def describe(self) -> str:
        """The kind in a few words, for the reference page and for editors."""
        return self.label

    def values(self) -> list[str]:
        """What can be offered while typing."""
        return []


def wrong(node: Node, wanted: str, path: Path, reader: Reader, fix: str | None = None) -> Any:
    if is_template_mapping(node):
        source = template_source(node, reader.document)
        return reader.report(
            "schema.unquoted_template",
            "a template needs quotes, else YAML reads a mapping",
            node,
            path,
            fix=source,
        )
    return reader.report(
        "schema.type", f"'{last(path)}' must be {wanted}, not {node.what}", node, path, fix=fix
    )


def report_duplicates(node: Mapping, path: Path, reader: Reader) -> None:
    """Report keys that come twice, and keys that are no text."""
    for key, span in node.duplicates:
        reader.report(
            "yaml.duplicate_key",
            f"'{key}' stands twice here; it is first set in line {node.keys[key].line}",
            span,
            (*path, key),
        )
    for odd in node.odd_keys:
        reader.report("yaml.key", f"a key must be a text, not {odd.what}", odd, path)


def is_template_mapping(node: Node) -> bool:
    """Whether this is `{{ x }}` without quotes, which YAML reads as a mapping in a mapping."""
    return (
        isinstance(node, Mapping)
        and node.is_flow_style
        and any(isinstance(key, Mapping) for key in node.odd_keys)
    )


def template_source(node: Node, source: Document) -> str:
    """The text of such a mapping, quoted."""
    line = source.lines[node.span.line - 1][node.span.column - 1 :]
    if node.span.end_line == node.span.line:
        line = line[: node.span.end_column - node.span.column]
    return quoted(line)


def nearest(word: str, known: list[str]) -> str | None:
    """The known word that was probably meant."""
    import difflib

    found = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    if found:
        return found[0]
    bare = word.lower().replace("-", "_")
    return next((item for item in known if item.lower() == bare), None)


def is_absent(node: Node | None) -> bool:
    return node is None or (isinstance(node, Scalar) and node.value is None)


def last(path: Path) -> str:
    names = [part for part in path if isinstance(part, str)]
    if not path:
        return ""
    return f"{names[-1]}[{path[-1]}]" if isinstance(path[-1], int) and names else str(path[-1])
