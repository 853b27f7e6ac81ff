"""The forms in which the language is declared: fields, sections, and the kinds of values.

A kind knows how to read a node of the document and how to say the same in JSON Schema; the two
stand side by side here so that neither can learn something the other does not know. Problems that
the schema sees too have codes that begin with `schema.`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping as MappingType
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from workbench.errors import Problem
from workbench.flow import document, duration
from workbench.flow.document import Document, Node, Path, Scalar, Span

__all__ = [
    "MISSING",
    "Choice",
    "DurationOf",
    "Field",
    "Flag",
    "Free",
    "Integer",
    "Kind",
    "ListOf",
    "Number",
    "Reader",
    "Requirement",
    "Section",
    "Text",
    "is_template_mapping",
    "nearest",
    "quoted",
    "report_duplicates",
    "template_source",
]

MISSING: Any = object()
"""What reading gives back for a value that is wrong: the problem has been told."""

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

    def report(
        self, code: str, message: str, place: Node | Span | None, path: Path, **more: Any
    ) -> Any:
        """Note a problem and give `MISSING` back, so that a kind can return it."""
        span = place.span if isinstance(place, Node) else place
        self.problems.append(self.document.problem(code, message, span, path, **more))
        return MISSING


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


def _wrong(node: Node, wanted: str, path: Path, reader: Reader, fix: str | None = None) -> Any:
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
        "schema.type", f"'{_last(path)}' must be {wanted}, not {node.what}", node, path, fix=fix
    )


@dataclass(frozen=True, slots=True)
class Text(Kind):
    """A text that is not empty; `hint` says in words what `pattern` asks for."""

    pattern: str = ""
    hint: str = ""
    scope: Scope = "none"

    def describe(self) -> str:
        return "text"

    def read(self, node: Node, path: Path, reader: Reader) -> Any:
        if not isinstance(node, Scalar) or not isinstance(node.value, str):
            fix = json.dumps(node.text) if isinstance(node, Scalar) and node.text else None
            return _wrong(node, "a text", path, reader, fix)
        text: str = node.value
        if not text:
            return reader.report("schema.value", f"'{_last(path)}' is empty", node, path)
        if "{{" in text or "{%" in text:
            if self.scope == "none":
                return reader.report(
                    "template.not_allowed",
                    f"'{_last(path)}' can't hold a template",
                    node,
                    path,
                )
            reader.templates.append(TemplateUse(text, node.span, path, self.scope))
            return text
        if self.pattern and not re.search(self.pattern, text):
            return reader.report(
                "schema.value", f"'{_last(path)}' {self.hint}, not {text!r}", node, path
            )
        return text

    def schema(self) -> dict[str, Any]:
        rule: dict[str, Any] = {"type": "string", "minLength": 1}
        if self.pattern:
            rule["anyOf"] = [{"pattern": self.pattern}, {"pattern": r"\{[{%]"}]
        return rule


@dataclass(frozen=True, slots=True)
class Flag(Kind):
    """true or false."""

    def describe(self) -> str:
        return "true or false"

    def read(self, node: Node, path: Path, reader: Reader) -> Any:
        if isinstance(node, Scalar) and isinstance(node.value, bool):
            return node.value
        words = {"yes": "true", "on": "true", "y": "true", "true": "true", "1": "true"}
        words |= {"no": "false", "off": "false", "n": "false", "false": "false", "0": "false"}
        fix = words.get(node.text.lower()) if isinstance(node, Scalar) else None
        return _wrong(node, "true or false", path, reader, fix)

    def schema(self) -> dict[str, Any]:
        return {"type": "boolean"}

    def values(self) -> list[str]:
        return ["true", "false"]


@dataclass(frozen=True, slots=True)
class Integer(Kind):
    """A whole number from `minimum` to `maximum`, or the one value `also`."""

    minimum: int = 0
    maximum: int = 2**63 - 1
    also: int | None = None

    def describe(self) -> str:
        top = "" if self.maximum >= 2**31 - 1 else f" to {self.maximum}"
        other = "" if self.also is None else f", or {self.also}"
        return f"whole number, {self.minimum}{top or ' or more'}{other}"

    def read(self, node: Node, path: Path, reader: Reader) -> Any:
        value = node.value if isinstance(node, Scalar) else None
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            text = node.text if isinstance(node, Scalar) else ""
            fix = text if re.fullmatch(r"-?[0-9]+", text) else None
            return _wrong(node, f"a {self.describe()}", path, reader, fix)
        if value != self.also and not self.minimum <= value <= self.maximum:
            return reader.report(
                "schema.value",
                f"'{_last(path)}' must be a {self.describe()}, not {value}",
                node,
                path,
            )
        return value

    def schema(self) -> dict[str, Any]:
        rule: dict[str, Any] = {
            "type": "integer",
            "minimum": self.minimum,
            "maximum": self.maximum,
        }
        if self.also is None:
            return rule
        return {"anyOf": [rule, {"const": self.also}]}


@dataclass(frozen=True, slots=True)
class Number(Kind):
    """A number above `above`, up to `maximum`."""

    above: float
    maximum: float

    def describe(self) -> str:
        return f"number above {self.above:g}, up to {self.maximum:g}"

    def read(self, node: Node, path: Path, reader: Reader) -> Any:
        value = node.value if isinstance(node, Scalar) else None
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return _wrong(node, f"a {self.describe()}", path, reader)
        if not self.above < value <= self.maximum:
            return reader.report(
                "schema.value",
                f"'{_last(path)}' must be a {self.describe()}, not {value:g}",
                node,
                path,
            )
        return float(value)

    def schema(self) -> dict[str, Any]:
        return {"type": "number", "exclusiveMinimum": self.above, "maximum": self.maximum}


@dataclass(frozen=True, slots=True)
class DurationOf(Kind):
    """A duration; read as seconds."""

    is_positive: bool = True

    def describe(self) -> str:
        return "duration, as `500ms`, `10s`, `1h 30m`"

    def read(self, node: Node, path: Path, reader: Reader) -> Any:
        value = node.value if isinstance(node, Scalar) else None
        wanted = "a duration such as 500ms, 10s or '1h 30m'"
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return reader.report(
                "schema.type",
                f"'{_last(path)}' needs a unit: {wanted}",
                node,
                path,
                fix=_with_unit(value),
            )
        if not isinstance(value, str):
            return _wrong(node, wanted, path, reader)
        pattern = duration.POSITIVE_PATTERN if self.is_positive else duration.PATTERN
        if not re.search(pattern, value):
            more = " above zero" if self.is_positive and re.search(duration.PATTERN, value) else ""
            return reader.report(
                "schema.value",
                f"'{_last(path)}' must be {wanted}{more}, not {value!r}",
                node,
                path,
            )
        return duration.parse_duration(value)

    def schema(self) -> dict[str, Any]:
        return {
            "type": "string",
            "pattern": duration.POSITIVE_PATTERN if self.is_positive else duration.PATTERN,
        }

    def values(self) -> list[str]:
        return ["500ms", "10s", "1m", "1h"]


@dataclass(frozen=True, slots=True)
class Choice(Kind):
    """One of `allowed`; a key of `aliases` is read as the value beside it."""

    allowed: tuple[str, ...]
    aliases: MappingType[str, str] = field(default_factory=dict)

    def describe(self) -> str:
        return "one of " + ", ".join(f"`{value}`" for value in self.values())

    def read(self, node: Node, path: Path, reader: Reader) -> Any:
        value = node.value if isinstance(node, Scalar) else None
        if isinstance(value, str):
            value = self.aliases.get(value, value)
            if value in self.allowed:
                return value
            if "{{" in value:
                return reader.report(
                    "schema.value", f"'{_last(path)}' can't hold a template", node, path
                )
            return reader.report(
                "schema.value",
                f"'{_last(path)}' must be one of {', '.join(self.allowed)}, not {value!r}",
                node,
                path,
                fix=nearest(value, self.values()),
            )
        return _wrong(node, f"one of {', '.join(self.allowed)}", path, reader)

    def schema(self) -> dict[str, Any]:
        return {"enum": self.values()}

    def values(self) -> list[str]:
        return [*self.allowed, *self.aliases]


@dataclass(frozen=True, slots=True)
class ListOf(Kind):
    """A list; with `or_one` a single value stands for a list of it."""

    item: Kind
    minimum: int = 1
    or_one: bool = False

    def describe(self) -> str:
        one = f"{self.item.describe()}, or a " if self.or_one else ""
        return f"{one}list of {self.item.describe()}"

    def read(self, node: Node, path: Path, reader: Reader) -> Any:
        if self.or_one and isinstance(node, Scalar):
            value = self.item.read(node, path, reader)
            return value if value is MISSING else (value,)
        if not isinstance(node, document.Sequence):
            return _wrong(node, "a list", path, reader, _as_list(node))
        if len(node.items) < self.minimum:
            return reader.report(
                "schema.value", f"'{_last(path)}' needs at least {self.minimum} item", node, path
            )
        values = [
            self.item.read(item, (*path, index), reader) for index, item in enumerate(node.items)
        ]
        return MISSING if any(value is MISSING for value in values) else tuple(values)

    def schema(self) -> dict[str, Any]:
        many = {"type": "array", "items": self.item.schema(), "minItems": self.minimum}
        return {"anyOf": [self.item.schema(), many]} if self.or_one else many

    def values(self) -> list[str]:
        return self.item.values()


@dataclass(frozen=True, slots=True)
class Free(Kind):
    """A mapping of the author's own, kept as it is."""

    def describe(self) -> str:
        return "mapping"

    def read(self, node: Node, path: Path, reader: Reader) -> Any:
        if not isinstance(node, document.Mapping):
            return _wrong(node, "a mapping", path, reader)
        report_duplicates(node, path, reader)
        return node.plain()

    def schema(self) -> dict[str, Any]:
        return {"type": "object"}


@dataclass(frozen=True, slots=True)
class Field:
    """One key of a section: everything that is ever said about it.

    `default` is what a reader of the file may assume; `is_ours` marks what other engines ignore,
    `is_ignored` what they use and workbench accepts without using it.
    """

    name: str
    kind: Kind
    description: str
    is_required: bool = False
    default: Any = None
    example: str = ""
    is_ours: bool = False
    is_ignored: bool = False


@dataclass(frozen=True, slots=True)
class Requirement:
    """When `field` is one of `values`, at least one of `one_of` must be there."""

    field: str
    values: tuple[str, ...]
    one_of: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Section(Kind):
    """A mapping with known keys; read as a dict with every field, absent ones at their default.

    A field that is wrong is MISSING in the dict, so that later checks can use the others.
    """

    name: str
    description: str
    fields: tuple[Field, ...]
    requirements: tuple[Requirement, ...] = ()

    def describe(self) -> str:
        return "section"

    def find(self, name: str) -> Field | None:
        """The field of that name."""
        return next((item for item in self.fields if item.name == name), None)

    def read(self, node: Node, path: Path, reader: Reader) -> Any:
        if not isinstance(node, document.Mapping):
            return _wrong(node, "a mapping", path, reader)
        report_duplicates(node, path, reader)
        for key in node.entries:
            if self.find(key) is None:
                fix = nearest(key, [item.name for item in self.fields])
                reader.report(
                    "schema.unknown_key",
                    f"'{_last(path)}' has no key '{key}'" if path else f"no key '{key}' here",
                    node.keys[key],
                    (*path, key),
                    fix=fix,
                )
        values = {item.name: self._field(item, node, path, reader) for item in self.fields}
        self._check_requirements(node, path, reader)
        return values

    def _field(self, item: Field, node: document.Mapping, path: Path, reader: Reader) -> Any:
        child = node.entries.get(item.name)
        if _is_absent(child):
            if item.is_required:
                example = f", as {item.name}: {item.example}" if item.example else ""
                reader.report(
                    "schema.required",
                    f"'{_last(path) or self.name}' needs '{item.name}'{example}",
                    child or Span(node.span.line, node.span.column, *node.span[:2]),
                    (*path, item.name) if child else path,
                )
            return item.default
        assert child is not None
        if item.is_ignored:
            reader.report(
                "field.ignored",
                f"'{item.name}' is for other engines; workbench does not use it",
                node.keys[item.name],
                (*path, item.name),
                severity="info",
            )
        return item.kind.read(child, (*path, item.name), reader)

    def _check_requirements(self, node: document.Mapping, path: Path, reader: Reader) -> None:
        for rule in self.requirements:
            value = node.entries.get(rule.field)
            if not isinstance(value, Scalar) or value.value not in rule.values:
                continue
            if all(_is_absent(node.entries.get(name)) for name in rule.one_of):
                reader.report(
                    "schema.required",
                    f"{rule.field} '{value.value}' needs "
                    + " or ".join(f"'{name}'" for name in rule.one_of),
                    value,
                    (*path, rule.field),
                )

    def schema(self) -> dict[str, Any]:
        rule: dict[str, Any] = {
            "type": "object",
            "description": self.description,
            "additionalProperties": False,
            "properties": {item.name: field_schema(item) for item in self.fields},
        }
        if required := [item.name for item in self.fields if item.is_required]:
            rule["required"] = required
        if self.requirements:
            rule["allOf"] = [_requirement_schema(item) for item in self.requirements]
        return rule


def field_schema(item: Field) -> dict[str, Any]:
    """The schema of a field's value with its description; `null` is absence where it may be."""
    rule = item.kind.schema()
    if not item.is_required:
        rule = {"anyOf": [rule, {"type": "null"}]}
    rule["description"] = item.description
    if item.default is not None and isinstance(item.default, (str, int, float, bool)):
        rule["default"] = item.default
    return rule


def _requirement_schema(rule: Requirement) -> dict[str, Any]:
    condition = {"properties": {rule.field: {"enum": list(rule.values)}}, "required": [rule.field]}
    present: dict[str, Any] = {"not": {"type": "null"}}
    options = [{"required": [n], "properties": {n: present}} for n in rule.one_of]
    return {"if": condition, "then": options[0] if len(options) == 1 else {"anyOf": options}}


def report_duplicates(node: document.Mapping, path: Path, reader: Reader) -> None:
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
        isinstance(node, document.Mapping)
        and node.is_flow_style
        and any(isinstance(key, document.Mapping) for key in node.odd_keys)
    )


def template_source(node: Node, source: Document) -> str:
    """The text of such a mapping, quoted."""
    line = source.text.splitlines()[node.span.line - 1][node.span.column - 1 :]
    if node.span.end_line == node.span.line:
        line = line[: node.span.end_column - node.span.column]
    return quoted(line)


def quoted(text: str) -> str:
    """A text with a template as a YAML scalar."""
    if '"' in text and "'" not in text and text.isprintable():
        return f"'{text}'"
    return json.dumps(text, ensure_ascii=False)


def nearest(word: str, known: list[str]) -> str | None:
    """The known word that was probably meant."""
    import difflib

    found = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    if found:
        return found[0]
    bare = word.lower().replace("-", "_")
    return next((item for item in known if item.lower() == bare), None)


def _is_absent(node: Node | None) -> bool:
    return node is None or (isinstance(node, Scalar) and node.value is None)


def _with_unit(number: float) -> str | None:
    """The duration that was probably meant by a bare number: seconds."""
    if not 0 < number < 1e9:
        return None
    return f"{number:.0f}s" if number == int(number) else f"{number * 1000:.0f}ms"


def _as_list(node: Node) -> str | None:
    return f"[{node.text}]" if isinstance(node, Scalar) and node.value is not None else None


def _last(path: Path) -> str:
    names = [part for part in path if isinstance(part, str)]
    if not path:
        return ""
    return f"{names[-1]}[{path[-1]}]" if isinstance(path[-1], int) and names else str(path[-1])
