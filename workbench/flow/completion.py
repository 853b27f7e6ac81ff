"""What can stand at a place of a flow file: for editors that complete and explain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from workbench.flow.declaration import Field, Section
from workbench.flow.expression import EVENT_NAMES, SCOPE_NAMES
from workbench.flow.kinds import ListOf
from workbench.flow.language import FILE, KNOWN_TASKS, RUN_TASKS
from workbench.flow.nodes import Path, parse_path
from workbench.flow.reader import Kind
from workbench.flow.shapes import Payload, Tasks

__all__ = ["Entry", "complete_keys", "complete_template", "complete_values", "describe"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One key or task type, with what an editor shows about it.

    `kind` is the value's kind in words, `values` what can be offered for it.
    """

    name: str
    description: str
    kind: str
    is_required: bool = False
    default: Any = None
    example: str = ""
    values: tuple[str, ...] = ()
    is_ours: bool = False


def describe(path: str | Path) -> Entry | None:
    """What the key at the end of `path` means; None where the language says nothing about it."""
    parts = parse_path(path) if isinstance(path, str) else path
    if not parts:
        return None
    field = _field_at(parts)
    if field is not None:
        return _entry(field)
    name = parts[-1]
    if isinstance(name, str) and isinstance(_kind_at(parts[:-2]), Tasks):
        return next((entry for entry in _task_types() if entry.name == name), None)
    return None


def complete_keys(path: str | Path) -> list[Entry]:
    """The keys that can stand in the mapping at `path`: fields, or the task types in `tasks`."""
    parts = parse_path(path) if isinstance(path, str) else path
    kind = _kind_at(parts)
    if isinstance(kind, Section):
        return [_entry(field) for field in kind.fields if not field.is_ignored]
    if isinstance(kind, Tasks):
        return _task_types()
    if parts and isinstance(_kind_at(parts[:-1]), Tasks):
        return _task_types()
    if isinstance(kind, Payload):
        text = "The event's data is the payload."
        return [Entry("from_event", text, "true", values=("true",))]
    return []


def complete_values(path: str | Path) -> list[str]:
    """The values that can be offered for the key at `path`."""
    kind = _kind_at(parse_path(path) if isinstance(path, str) else path)
    return [] if kind is None or isinstance(kind, Tasks) else kind.values()


def complete_template(scope: str = "record") -> list[Entry]:
    """Names and filters that a template of `scope` (`env`, `event`, `record`) can use."""
    from workbench.flow.sandbox import Sandbox

    entries = []
    for root in SCOPE_NAMES[scope]:
        if root == "event":
            entries += [
                Entry(f"event.{name}", text.capitalize() + ".", "name")
                for name, text in EVENT_NAMES.items()
            ]
        else:
            text = {"env": "Variables of the environment.", "record": "The element at hand."}[root]
            entries.append(Entry(root, text, "name"))
    filters = sorted(name for name in Sandbox().filters if not name.startswith("wb_"))
    return [*entries, *(Entry(f"| {name}", "", "filter") for name in filters)]


def _entry(field: Field) -> Entry:
    return Entry(
        field.name,
        field.description,
        field.kind.describe(),
        field.is_required,
        field.default,
        field.example,
        tuple(field.kind.values()) if not isinstance(field.kind, Tasks) else (),
        field.is_ours,
    )


def _task_types() -> list[Entry]:
    run = [Entry(name, section.description, "task") for name, section in RUN_TASKS.items()]
    known = [Entry(name, "Known, not run by workbench.", "task") for name in sorted(KNOWN_TASKS)]
    return run + known


def _kind_at(path: Path) -> Kind | None:
    kind: Kind | None = FILE
    for part in path:
        kind = _below(kind, part)
    return kind


def _below(kind: Kind | None, part: str | int) -> Kind | None:
    if isinstance(kind, Section):
        field = kind.find(str(part))
        return field.kind if field else None
    if isinstance(kind, ListOf):
        return kind.item
    if isinstance(kind, Tasks):
        return _TASK if isinstance(part, int) else None
    return RUN_TASKS.get(str(part)) if kind is _TASK else None


class _TaskItem(Kind):
    """Stands for an item of `tasks` while walking a path."""


_TASK = _TaskItem()


def _field_at(path: Path) -> Field | None:
    parent = _kind_at(path[:-1])
    return parent.find(str(path[-1])) if isinstance(parent, Section) else None
