"""JSON Patch (RFC 6902): what was changed before a replay, and changing many records alike.

https://datatracker.ietf.org/doc/html/rfc6902 (2026-11-23). `diff` writes add, remove and replace
only; `apply` reads all six operations.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from workbench.errors import SettingsError

__all__ = ["Operation", "apply", "check", "diff", "lines"]

Operation = Mapping[str, Any]

_NEEDS = {
    "add": ("path", "value"),
    "remove": ("path",),
    "replace": ("path", "value"),
    "move": ("path", "from"),
    "copy": ("path", "from"),
    "test": ("path", "value"),
}


def check(patch: Any) -> list[dict[str, Any]]:
    """The patch, if it is one.

    Raises:
        SettingsError: it is not; the sentence names the operation.
    """
    if not isinstance(patch, list):
        raise SettingsError("a JSON Patch is a list of operations (RFC 6902)")
    for number, operation in enumerate(patch, 1):
        needs = _NEEDS.get(str(operation.get("op"))) if isinstance(operation, dict) else None
        if needs is None:
            raise SettingsError(f"operation {number} of the patch has no op of {', '.join(_NEEDS)}")
        for key in needs:
            if key not in operation:
                raise SettingsError(
                    f"operation {number} of the patch ({operation['op']}): no {key}"
                )
        for key in ("path", "from"):
            pointer = operation.get(key, "")
            if not isinstance(pointer, str) or (pointer and not pointer.startswith("/")):
                raise SettingsError(f"operation {number} of the patch: {key} must be like /Phone")
    return patch


def apply(patch: Sequence[Operation], document: Any) -> Any:
    """The document changed; the given one stays as it is.

    Raises:
        SettingsError: an operation does not fit the document.
    """
    result = copy.deepcopy(document)
    for operation in patch:
        try:
            result = _apply(operation, result)
        except (KeyError, IndexError, ValueError, TypeError) as error:
            raise SettingsError(
                f"the patch does not fit: {operation['op']} {operation['path']}: {error}"
            ) from error
    return result


def _apply(operation: Operation, document: Any) -> Any:
    op, path = operation["op"], _tokens(operation["path"])
    match op:
        case "add":
            return _put(document, path, operation["value"], is_new=True)
        case "replace":
            return _put(document, path, operation["value"], is_new=False)
        case "remove":
            return _take(document, path)
        case "test":
            if _find(document, path) != operation["value"]:
                raise ValueError("the value is another")
            return document
        case _:
            source = _tokens(operation["from"])
            value = copy.deepcopy(_find(document, source))
            if op == "move":
                document = _take(document, source)
            return _put(document, path, value, is_new=True)


def _tokens(pointer: str) -> list[str]:
    """`/a~1b/0` as `["a/b", "0"]`, by RFC 6901."""
    return [token.replace("~1", "/").replace("~0", "~") for token in pointer.split("/")[1:]]


def _pointer(tokens: Sequence[str]) -> str:
    return "".join("/" + token.replace("~", "~0").replace("/", "~1") for token in tokens)


def _index(holder: list[Any], token: str, *, is_new: bool) -> int:
    if not token.isdecimal() and not (token == "-" and is_new):
        raise ValueError(f"{token} is no place in a list")
    index = int(token) if token.isdecimal() else len(holder)
    if not 0 <= index < len(holder) + is_new:
        raise IndexError(f"there is no element {token}")
    return index


def _find(document: Any, path: Sequence[str]) -> Any:
    for token in path:
        if isinstance(document, list):
            document = document[_index(document, token, is_new=False)]
        elif isinstance(document, dict):
            if token not in document:
                raise ValueError(f"there is no {token}")
            document = document[token]
        else:
            raise ValueError(f"{token} is below a plain value")
    return document


def _put(document: Any, path: Sequence[str], value: Any, *, is_new: bool) -> Any:
    if not path:
        return value
    holder, token = _find(document, path[:-1]), path[-1]
    if isinstance(holder, list):
        index = _index(holder, token, is_new=is_new)
        if is_new:
            holder.insert(index, value)
        else:
            holder[index] = value
    elif isinstance(holder, dict):
        if not is_new and token not in holder:
            raise ValueError(f"there is no {token}")
        holder[token] = value
    else:
        raise ValueError(f"{token} is below a plain value")
    return document


def _take(document: Any, path: Sequence[str]) -> Any:
    if not path:
        return None
    holder, token = _find(document, path[:-1]), path[-1]
    if isinstance(holder, list):
        del holder[_index(holder, token, is_new=False)]
    else:
        _find(holder, [token])
        del holder[token]
    return document


def diff(before: Any, after: Any) -> list[dict[str, Any]]:
    """The operations that make `after` of `before`; empty when they are equal."""
    return list(_diff(before, after, []))


def _diff(before: Any, after: Any, path: list[str]) -> Iterator[dict[str, Any]]:
    if isinstance(before, dict) and isinstance(after, dict):
        for key in before:
            if key in after:
                yield from _diff(before[key], after[key], [*path, key])
            else:
                yield {"op": "remove", "path": _pointer([*path, key])}
        for key in after:
            if key not in before:
                yield {"op": "add", "path": _pointer([*path, key]), "value": after[key]}
    elif isinstance(before, list) and isinstance(after, list):
        common = min(len(before), len(after))
        for index in range(common):
            yield from _diff(before[index], after[index], [*path, str(index)])
        for index in range(len(before) - 1, common - 1, -1):
            yield {"op": "remove", "path": _pointer([*path, str(index)])}
        for value in after[common:]:
            yield {"op": "add", "path": _pointer([*path, "-"]), "value": value}
    elif type(before) is not type(after) or before != after:
        yield {"op": "replace", "path": _pointer(path), "value": after}


def lines(before: Any, patch: Sequence[Operation]) -> list[str]:
    """The operations of a `diff` for people: what was there, and what takes its place."""
    from workbench.codec import encode

    told = []
    for operation in patch:
        path, op = operation["path"], operation["op"]
        if op in ("remove", "replace"):
            told.append(f"- {path}: {encode(_find(before, _tokens(path))).decode()}")
        if op in ("add", "replace"):
            told.append(f"+ {path}: {encode(operation['value']).decode()}")
    return told
