"""The forms in which the language is declared: fields and the sections that hold them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from workbench.flow.nodes import Mapping, Node, Path, Scalar, Span
from workbench.flow.reader import Kind, Reader, is_absent, last, report_duplicates, wrong

__all__ = ["Field", "Requirement", "Section"]


@dataclass(frozen=True, slots=True)
class Field:
    """One key of a section: everything that is ever said about it.

    `default` is what a reader of the file may assume; `is_ours` marks what other engines ignore,
    `is_ignored` what they use and workbench accepts without using it. `is_named_after_file` offers
    the file's own name in place of `example`, where two files must not have the same value.
    """

    name: str
    kind: Kind
    description: str
    is_required: bool = False
    default: Any = None
    example: str = ""
    is_ours: bool = False
    is_ignored: bool = False
    is_named_after_file: bool = False


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
        if not isinstance(node, Mapping):
            return wrong(node, "a mapping", path, reader)
        report_duplicates(node, path, reader)
        for key in node.entries:
            if self.find(key) is None:
                fix = reader.suggest(key, [item.name for item in self.fields])
                reader.report(
                    "schema.unknown_key",
                    f"'{last(path)}' has no key '{key}'" if path else f"no key '{key}' here",
                    node.keys[key],
                    (*path, key),
                    fix=fix,
                )
        values = {item.name: self._field(item, node, path, reader) for item in self.fields}
        self._check_requirements(node, path, reader)
        return values

    def _field(self, item: Field, node: Mapping, path: Path, reader: Reader) -> Any:
        child = node.entries.get(item.name)
        if is_absent(child):
            if item.is_required:
                value = item.example
                if item.is_named_after_file:
                    value = reader.document.stem or value
                example = f", as {item.name}: {value}" if value else ""
                reader.report(
                    "schema.required",
                    f"'{last(path) or self.name}' needs '{item.name}'{example}",
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

    def _check_requirements(self, node: Mapping, path: Path, reader: Reader) -> None:
        for rule in self.requirements:
            value = node.entries.get(rule.field)
            if not isinstance(value, Scalar) or value.value not in rule.values:
                continue
            if all(is_absent(node.entries.get(name)) for name in rule.one_of):
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
