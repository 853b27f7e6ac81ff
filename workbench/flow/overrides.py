"""`--set path=value`: single settings of a file replaced before it is read.

The replaced tree is checked like any other, so a wrong value is a problem at its path; it has no
line, since it does not stand in the file.
"""

from __future__ import annotations

from collections.abc import Sequence as SequenceType

from workbench.errors import SettingsError
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

__all__ = ["override"]

_NOWHERE = Span(0, 0, 0, 0)


def override(document: Document, pairs: SequenceType[tuple[str, str]]) -> None:
    """Replace settings of the document; its text stays.

    A path begins with `flow`, or with a task's name: `flow.retry.max_attempts`,
    `upsert_contacts.batch.max_in_flight`. A value is read as YAML; what is no YAML is a text.

    Raises:
        SettingsError: a path leads nowhere.
    """
    if document.root is None:
        return  # no YAML at all: its problems say so
    for path, text in pairs:
        document.root = _replaced(document.root, _resolve(document, path), _value(text), path)


def _resolve(document: Document, path: str) -> Path:
    """The path from the document's root."""
    try:
        head, *rest = parse_path(path)
    except ValueError as error:
        raise SettingsError(f"--set {path}: {error}") from error
    if head == "flow":
        return (head, *rest)
    tasks = document.node(("flow", "tasks"))
    names = []
    for index, item in enumerate(tasks.items if isinstance(tasks, Sequence) else ()):
        for kind, settings in item.entries.items() if isinstance(item, Mapping) else ():
            name = settings.entries.get("name") if isinstance(settings, Mapping) else None
            if isinstance(name, Scalar):
                names.append(name.text)
                if name.text == head:
                    return ("flow", "tasks", index, kind, *rest)
    raise SettingsError(
        f"--set {path}: {head!r} is neither 'flow' nor a task of {document.file}; "
        f"its tasks are {', '.join(map(repr, names)) or 'none'}"
    )


def _value(text: str) -> Node:
    parsed = Document(text, "--set")
    if parsed.problems or parsed.root is None:
        return Scalar(_NOWHERE, text, is_plain=False)
    return _misplaced(parsed.root)


def _misplaced(node: Node) -> Node:
    """The node with no place in any file."""
    node.span = _NOWHERE
    if isinstance(node, Sequence):
        for item in node.items:
            _misplaced(item)
    elif isinstance(node, Mapping):
        node.keys = dict.fromkeys(node.keys, _NOWHERE)
        for child in node.entries.values():
            _misplaced(child)
    return node


def _replaced(node: Node | None, path: Path, value: Node, whole: str) -> Node:
    """A tree with `value` at `path`; what is not on the way is shared with the old tree, what is
    on the way is copied, since an alias may lead there too."""
    if not path:
        return value
    head, rest = path[0], path[1:]
    if isinstance(node, Sequence) and isinstance(head, int) and head < len(node.items):
        items = list(node.items)
        items[head] = _replaced(items[head], rest, value, whole)
        return Sequence(node.span, items)
    if isinstance(head, str) and (node is None or isinstance(node, Mapping)):
        copy = Mapping(node.span if node else _NOWHERE, is_flow_style=False)
        if isinstance(node, Mapping):
            copy.entries, copy.keys = dict(node.entries), dict(node.keys)
            copy.duplicates, copy.odd_keys = node.duplicates, node.odd_keys
        copy.entries[head] = _replaced(copy.entries.get(head), rest, value, whole)
        copy.keys.setdefault(head, _NOWHERE)
        copy.size = 1 + sum(1 + child.size for child in copy.entries.values())
        return copy
    raise SettingsError(f"--set {whole}: the file has no place for {head!r} there")
