"""Values given from outside in place of those in the file (`--set path=value`, the sandbox)."""

from __future__ import annotations

from collections.abc import Mapping as MappingType

from workbench.flow.declaration import Reader
from workbench.flow.document import (
    Document,
    Mapping,
    Node,
    Path,
    Scalar,
    Sequence,
    Span,
    parse_path,
)
from workbench.flow.language import FLOW

__all__ = ["apply_overrides"]


def apply_overrides(reader: Reader, overrides: MappingType[str, str]) -> None:
    """Put each YAML text in its place in the document's tree; the document's text stays."""
    for name, text in overrides.items():
        root = reader.document.root
        path = _full_path(name, root)
        value = Document(text, reader.document.file)
        if path is None or value.problems:
            why = value.problems[0].message if value.problems else "there is no such place"
            reader.report("override.wrong", f"can't set {name!r}: {why}", None, ())
            continue
        given = value.root or Scalar(Span(1, 1, 1, 1), "", is_plain=True)
        changed = _with(root, path, given)
        if changed is None:
            reader.report("override.wrong", f"can't set {name!r}: no such place", None, ())
        else:
            reader.document.root = changed


def _full_path(name: str, root: Node | None) -> Path | None:
    """`flow...`, or a field of `flow`, or `<task name>.<field>`, as a path from the top."""
    try:
        path = parse_path(name)
    except ValueError:
        path = tuple(name.split("."))
    if not path or path[0] == "flow":
        return path or None
    flow = root.entries.get("flow") if isinstance(root, Mapping) else None
    tasks = flow.entries.get("tasks") if isinstance(flow, Mapping) else None
    for index, item in enumerate(tasks.items if isinstance(tasks, Sequence) else ()):
        for kind, settings in item.entries.items() if isinstance(item, Mapping) else ():
            own = settings.entries.get("name") if isinstance(settings, Mapping) else None
            if isinstance(own, Scalar) and own.text == path[0]:
                return ("flow", "tasks", index, kind, *path[1:])
    return ("flow", *path) if FLOW.find(str(path[0])) else None


def _with(node: Node | None, path: Path, value: Node) -> Node | None:
    """`node` with `value` at `path`, copied along the way since an alias may share it."""
    if not path:
        if node is not None:
            value.span = node.span
        return value
    part = path[0]
    if isinstance(node, Mapping):
        child = node.entries.get(str(part))
        if child is None:
            value.span = node.span
            child = Mapping(node.span, is_flow_style=False) if len(path) > 1 else None
        changed = _with(child, path[1:], value)
        if changed is None:
            return None
        copy = Mapping(node.span, node.is_flow_style)
        copy.size, copy.keys = node.size, {str(part): node.span, **node.keys}
        copy.duplicates, copy.odd_keys = node.duplicates, node.odd_keys
        copy.entries = {**node.entries, str(part): changed}
        return copy
    if isinstance(node, Sequence) and isinstance(part, int) and part < len(node.items):
        changed = _with(node.items[part], path[1:], value)
        if changed is not None:
            items = [*node.items]
            items[part] = changed
            return Sequence(node.span, items)
    return None
