"""The kinds of values that only flows have: versions, payloads, and the list of tasks."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping as MappingType
from dataclasses import dataclass
from typing import Any

from workbench.flow.declaration import Section
from workbench.flow.kinds import Free
from workbench.flow.nodes import Mapping, Node, Path, Scalar, Sequence, Span
from workbench.flow.reader import (
    MISSING,
    Kind,
    Reader,
    TemplateUse,
    is_template_mapping,
    report_duplicates,
    template_source,
)

__all__ = ["FROM_EVENT", "ApiVersion", "Payload", "RawTask", "Tasks"]

FROM_EVENT = "from_event"
"""What a payload `{from_event: true}` is read as."""

_API_VERSION = r"^v?(3[1-9]|[4-9][0-9])(\.0)?$"


@dataclass(frozen=True, slots=True)
class ApiVersion(Kind):
    """A version of Salesforce's API, as `65.0`, with or without quotes."""

    def describe(self) -> str:
        return "version, as `65.0`"

    def read(self, node: Node, path: Path, reader: Reader) -> Any:
        text = node.text if isinstance(node, Scalar) else ""
        if not re.search(_API_VERSION, text) or isinstance(node.plain(), bool):
            return reader.report(
                "schema.value", "'api_version' must be a version, as 65.0", node, path
            )
        return text.removeprefix("v").removesuffix(".0") + ".0"

    def schema(self) -> dict[str, Any]:
        number = {"type": "number", "minimum": 31, "maximum": 99, "multipleOf": 1}
        return {"anyOf": [{"type": "string", "pattern": _API_VERSION}, number]}


@dataclass(frozen=True, slots=True)
class Payload(Kind):
    """Records: from the event, one mapping, or (where `many`) a list of mappings."""

    many: bool

    def describe(self) -> str:
        many = ", or a list of mappings" if self.many else ""
        return f"`{{from_event: true}}`, or a mapping of fields{many}"

    def read(self, node: Node, path: Path, reader: Reader) -> Any:
        if isinstance(node, Mapping) and "from_event" in node.entries:
            return self._read_from_event(node, path, reader)
        if isinstance(node, Sequence) and self.many:
            if not node.items:
                return reader.report("schema.value", "'payload' has no record", node, path)
            records = [
                self._read_record(item, (*path, index), reader)
                for index, item in enumerate(node.items)
            ]
            return MISSING if any(record is MISSING for record in records) else records
        return self._read_record(node, path, reader)

    def _read_from_event(self, node: Mapping, path: Path, reader: Reader) -> Any:
        report_duplicates(node, path, reader)
        value = node.entries["from_event"]
        if not (isinstance(value, Scalar) and value.value is True):
            return reader.report(
                "schema.value",
                "'from_event' can only be true; leave it out to write the fields yourself",
                value,
                (*path, "from_event"),
                fix="true",
            )
        for key in node.entries:
            if key != "from_event":
                return reader.report(
                    "schema.value",
                    f"'from_event' stands alone; '{key}' beside it would never be sent",
                    node.keys[key],
                    (*path, key),
                )
        return FROM_EVENT

    def _read_record(self, node: Node, path: Path, reader: Reader) -> Any:
        if not isinstance(node, Mapping) or is_template_mapping(node):
            fix = template_source(node, reader.document) if is_template_mapping(node) else None
            many = " or a list of mappings" if self.many else ""
            return reader.report(
                "schema.type",
                f"'payload' must be {{from_event: true}}, a mapping{many}; not {node.what}",
                node,
                path,
                fix=fix,
            )
        if not node.entries:
            return reader.report("schema.value", "'payload' has a record with no field", node, path)
        return self._read_value(node, path, reader)

    def _read_value(self, node: Node, path: Path, reader: Reader) -> Any:
        if is_template_mapping(node):
            return reader.report(
                "schema.unquoted_template",
                "a template needs quotes, else YAML reads a mapping",
                node,
                path,
                fix=template_source(node, reader.document),
            )
        if isinstance(node, Mapping):
            report_duplicates(node, path, reader)
            for key, span in node.keys.items():
                if "{{" in key or "{%" in key:
                    reader.report(
                        "template.not_allowed", "a field's name can't be a template", span, path
                    )
            return {
                key: self._read_value(value, (*path, key), reader)
                for key, value in node.entries.items()
            }
        if isinstance(node, Sequence):
            return [
                self._read_value(item, (*path, index), reader)
                for index, item in enumerate(node.items)
            ]
        assert isinstance(node, Scalar)
        if isinstance(node.value, float) and not math.isfinite(node.value):
            return reader.report("template.value", f"JSON has no form for {node.text}", node, path)
        if isinstance(node.value, str) and ("{{" in node.value or "{%" in node.value):
            reader.templates.append(
                TemplateUse(node.value, node.span, path, "record" if self.many else "event")
            )
        return node.value

    def schema(self) -> dict[str, Any]:
        record: dict[str, Any] = {
            "type": "object",
            "minProperties": 1,
            "description": "Fields of one record; texts may hold templates.",
        }
        from_event = {
            "type": "object",
            "properties": {
                "from_event": {"const": True, "description": "The event's data is the payload."}
            },
            "required": ["from_event"],
            "additionalProperties": False,
        }
        forms = [from_event, {**record, "not": {"required": ["from_event"]}}]
        if self.many:
            forms.append({"type": "array", "minItems": 1, "items": record})
        return {"anyOf": forms}


@dataclass(frozen=True, slots=True)
class RawTask:
    """One item of `tasks` as read: `values` is MISSING where it has problems of its own.

    `type` is empty where even that is not known.
    """

    type: str
    values: Any
    node: Node
    path: Path


@dataclass(frozen=True, slots=True)
class Tasks(Kind):
    """The list of tasks: each item one key, the task's type, with its settings.

    `run` are the sections of the types that workbench runs, `known` the names of those it does
    not, `source` the one that is the source.
    """

    run: MappingType[str, Section]
    known: frozenset[str]
    source: str

    def describe(self) -> str:
        return "list of tasks"

    def read(self, node: Node, path: Path, reader: Reader) -> Any:
        if not isinstance(node, Sequence):
            return reader.report(
                "schema.type", f"'tasks' must be a list of tasks, not {node.what}", node, path
            )
        if not node.items:
            return reader.report("schema.value", "'tasks' is empty", node, path)
        return [
            self._read_task(item, (*path, index), index, reader)
            for index, item in enumerate(node.items)
        ]

    def _read_task(self, node: Node, path: Path, index: int, reader: Reader) -> RawTask:
        if not isinstance(node, Mapping):
            what = f"a task is '- <type>:' with its settings below, not {node.what}"
            reader.report("schema.type", what, node, path)
            return RawTask("", MISSING, node, path)
        report_duplicates(node, path, reader)
        if len(node.entries) != 1:
            found = ", ".join(f"'{key}'" for key in node.entries) or "none"
            reader.report(
                "schema.task",
                f"a task has one key, its type, with the settings indented below; here: {found}",
                node,
                path,
            )
            return RawTask("", MISSING, node, path)
        kind, settings = next(iter(node.entries.items()))
        return self._read_settings(kind, settings, node.keys[kind], (*path, kind), index, reader)

    def _read_settings(
        self, kind: str, settings: Node, key: Span, path: Path, index: int, reader: Reader
    ) -> RawTask:
        if kind in self.known:
            if isinstance(settings, Scalar) and settings.value is None:
                return RawTask(kind, {}, settings, path)
            return RawTask(kind, Free().read(settings, path, reader), settings, path)
        section = self.run.get(kind)
        if section is None:
            reader.report(
                "schema.unknown_task",
                f"there is no task type '{kind}'",
                key,
                path,
                fix=reader.suggest(kind, [*self.run, *sorted(self.known)]),
            )
            name = settings.entries.get("name") if isinstance(settings, Mapping) else None
            values = {"name": name.text} if isinstance(name, Scalar) else MISSING
            return RawTask("", values, settings, path)
        if index == 0 and kind != self.source:
            reader.report(
                "schema.source",
                f"the first task must be a source ({self.source}); '{kind}' needs events from one",
                key,
                path,
            )
        elif index > 0 and kind == self.source:
            reader.report(
                "schema.source", f"'{kind}' is a source and can only be the first task", key, path
            )
        return RawTask(kind, section.read(settings, path, reader), settings, path)

    def schema(self) -> dict[str, Any]:
        known = {
            name: {"type": ["object", "null"], "description": "Known, not run by workbench."}
            for name in sorted(self.known)
        }
        sinks = {n: item.schema() for n, item in self.run.items() if n != self.source}
        return {
            "type": "array",
            "minItems": 1,
            "items": [_task_schema({self.source: self.run[self.source].schema(), **known})],
            "additionalItems": _task_schema({**sinks, **known}),
        }

    def values(self) -> list[str]:
        return [*self.run, *sorted(self.known)]


def _task_schema(types: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "minProperties": 1,
        "maxProperties": 1,
        "additionalProperties": False,
        "properties": types,
    }
