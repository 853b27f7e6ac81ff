"""Values given from outside in place of those in the file (`--set path=value`, the sandbox)."""

from __future__ import annotations

from collections.abc import Mapping as MappingType

from workbench.flow.document import Document
from workbench.flow.language import FLOW
from workbench.flow.nodes import (
    Mapping,
    Node,
    Path,
    Scalar,
    Sequence,
    Span,
    parse_path,
)
from workbench.flow.reader import Reader

__all__ = ["apply_overrides"]

_NOWHERE = Span(0, 0, 0, 0)


def apply_overrides(reader: Reader, overrides: MappingType[str, str]) -> None:
    """Put each YAML text in its place in the document's tree; the document's text stays."""
    for name, text in overrides.items():
        root = reader.document.root
        path = _full_path(name, root)
        changed = None if path is None else _with(root, path, _value(text))
        if changed is None:
            reader.report(
                "override.wrong", f"can't set {name!r}: the file has no such place", None, ()
            )
        else:
            reader.document.root = changed


def _value(text: str) -> Node:
    """The text as YAML; what is no YAML, or begins with a template, is a text as it stands."""
    parsed = Document(text, "")
    if parsed.problems or text.lstrip().startswith("{{"):
        return Scalar(_NOWHERE, text, is_plain=False)
    return parsed.root or Scalar(_NOWHERE, "", is_plain=True)


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
        return value if node is None else _placed(value, node.span)
    part = path[0]
    if isinstance(node, Mapping):
        child = node.entries.get(str(part))
        if child is None:
            _placed(value, node.span)
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


def _placed(node: Node, span: Span) -> Node:
    """The node with all that is in it where `span` says: its problems are told there."""
    node.span = span
    if isinstance(node, Mapping):
        node.keys = dict.fromkeys(node.keys, span)
    children = node.items if isinstance(node, Sequence) else ()
    for child in node.entries.values() if isinstance(node, Mapping) else children:
        _placed(child, span)
    return node
