"""The kinds of values in a flow file.

A kind knows how to read a node of the document and how to say the same in JSON Schema; the two
stand side by side here so that neither can learn something the other does not know. Problems that
the schema sees too have codes that begin with `schema.`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping as MappingType
from dataclasses import dataclass, field
from typing import Any

from workbench.flow import duration
from workbench.flow.nodes import Mapping, Node, Path, Scalar, Sequence
from workbench.flow.reader import (
    MISSING,
    Kind,
    Reader,
    Scope,
    TemplateUse,
    last,
    report_duplicates,
    wrong,
)

__all__ = [
    "Choice",
    "DurationOf",
    "Flag",
    "Free",
    "Integer",
    "ListOf",
    "Number",
    "Text",
]


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
            return wrong(node, "a text", path, reader, fix)
        text: str = node.value
        if not text:
            return reader.report("schema.value", f"'{last(path)}' is empty", node, path)
        if "{{" in text or "{%" in text:
            if self.scope == "none":
                return reader.report(
                    "template.not_allowed",
                    f"'{last(path)}' can't hold a template",
                    node,
                    path,
                )
            reader.templates.append(TemplateUse(text, node.span, path, self.scope))
            return text
        if self.pattern and not re.search(self.pattern, text):
            return reader.report(
                "schema.value", f"'{last(path)}' {self.hint}, not {text!r}", node, path
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
        return wrong(node, "true or false", path, reader, fix)

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
        if isinstance(value, float) and isinstance(node, Scalar):
            said = f"'{last(path)}' must be a {self.describe()}, not {node.text}"
            return reader.report("schema.type", said, node, path)
        if isinstance(value, bool) or not isinstance(value, int):
            text = value if isinstance(value, str) else ""
            fix = text if re.fullmatch(r"-?[0-9]{1,19}", text) else None
            return wrong(node, f"a {self.describe()}", path, reader, fix)
        if value != self.also and not self.minimum <= value <= self.maximum:
            return reader.report(
                "schema.value",
                f"'{last(path)}' must be a {self.describe()}, not {value}",
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
            return wrong(node, f"a {self.describe()}", path, reader)
        if not self.above < value <= self.maximum:
            return reader.report(
                "schema.value",
                f"'{last(path)}' must be a {self.describe()}, not {value:g}",
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
                f"'{last(path)}' needs a unit: {wanted}",
                node,
                path,
                fix=_with_unit(value),
            )
        if not isinstance(value, str):
            return wrong(node, wanted, path, reader)
        pattern = duration.POSITIVE_PATTERN if self.is_positive else duration.PATTERN
        if not re.search(pattern, value):
            more = " above zero" if self.is_positive and re.search(duration.PATTERN, value) else ""
            return reader.report(
                "schema.value",
                f"'{last(path)}' must be {wanted}{more}, not {value!r}",
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
                    "schema.value", f"'{last(path)}' can't hold a template", node, path
                )
            return reader.report(
                "schema.value",
                f"'{last(path)}' must be one of {', '.join(self.allowed)}, not {value!r}",
                node,
                path,
                fix=reader.suggest(value, self.values()),
            )
        return wrong(node, f"one of {', '.join(self.allowed)}", path, reader)

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
        if not isinstance(node, Sequence):
            return wrong(node, "a list", path, reader, _as_list(node))
        if len(node.items) < self.minimum:
            return reader.report(
                "schema.value", f"'{last(path)}' needs at least {self.minimum} item", node, path
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
        if not isinstance(node, Mapping):
            return wrong(node, "a mapping", path, reader)
        report_duplicates(node, path, reader)
        return node.plain()

    def schema(self) -> dict[str, Any]:
        return {"type": "object"}


def _as_list(node: Node) -> str | None:
    return f"[{node.text}]" if isinstance(node, Scalar) and node.value is not None else None


def _with_unit(number: float) -> str | None:
    """The duration that was probably meant by a bare number: seconds."""
    if not 0 < number < 1e9:
        return None
    return f"{number:.0f}s" if number == int(number) else f"{number * 1000:.0f}ms"
