"""What stands between `{{` and `}}` when it is nothing but a path: `event.data.lines[0].sku`.

Most templates are that. They need no Jinja: each becomes the Python expression that a person
would write, `data["lines"][0]["sku"]`. Keys are only ever keys: `event.data.items` is never the
method of a dict.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from workbench.model import Event

__all__ = [
    "EVENT_NAMES",
    "SCOPE_NAMES",
    "Lookup",
    "MissingValueError",
    "PathError",
    "Roots",
    "TemplateProblem",
    "check_lookup",
    "event_timestamp",
    "format_lookup",
    "look_up",
    "meta",
    "parse_lookup",
    "source",
    "split_template",
    "text_of",
]

EVENT_NAMES: Mapping[str, str] = {
    "data": "the event's data, decoded from JSON; in a later task, the result of the one before",
    "meta": "a mapping of stream, subject, sequence, num_delivered, timestamp, id and headers",
    "subject": "the NATS subject it was published to",
    "id": "the publisher's Nats-Msg-Id, else `stream:sequence`",
    "headers": "the NATS headers",
    "sequence": "its sequence in the stream",
    "num_delivered": "how often it was delivered, from 1",
    "timestamp": "when the stream stored it, as `2026-11-23T10:00:00.000000Z`",
}
SCOPE_NAMES: Mapping[str, tuple[str, ...]] = {
    "env": ("env",),
    "event": ("event", "env"),
    "record": ("event", "env", "record"),
}

Lookup = tuple[str | int, ...]
"""A path as its parts, the root name first: `("event", "data", "lines", 0, "sku")`."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_STEP = re.compile(
    r"""\.([A-Za-z_][A-Za-z0-9_]*)|\[\s*(-?[0-9]{1,9})\s*\]|\[\s*'([^'\\]*)'\s*\]"""
    r"""|\[\s*"([^"\\]*)"\s*\]"""
)
_OUTPUT = re.compile(r"\{\{((?:(?!\{\{|\}\}).)*?)\}\}", re.DOTALL)


class PathError(ValueError):
    """A path that can't mean anything: `where` is the part that is wrong, `fix` a better one."""

    def __init__(self, message: str, fix: str | None = None) -> None:
        super().__init__(message)
        self.fix = fix


class MissingValueError(LookupError):
    """A path leads nowhere in this event; the message says at which step."""


class TemplateProblem(ValueError):
    """A template that can't be compiled; `code` as in `Problem`."""

    def __init__(self, code: str, message: str, fix: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.fix = fix


@dataclass(frozen=True, slots=True)
class Roots:
    """What the root names stand for while one event is rendered."""

    event: Event
    data: Any
    record: Any
    env: Mapping[str, str]


def split_template(text: str) -> list[str | Lookup] | None:
    """The literal texts and pure paths that a template consists of; None where it needs Jinja.

    >>> split_template("{{ event.data.id }}")
    [('event', 'data', 'id')]
    >>> split_template("no {{ event.data.id }}!")
    ['no ', ('event', 'data', 'id'), '!']
    """
    if "{%" in text or "{#" in text or "{{-" in text or "-}}" in text:
        return None
    parts: list[str | Lookup] = []
    position = 0
    for match in _OUTPUT.finditer(text):
        lookup = parse_lookup(match[1].strip())
        if lookup is None:
            return None
        if match.start() > position:
            parts.append(text[position : match.start()])
        parts.append(lookup)
        position = match.end()
    rest = text[position:]
    if "{{" in rest or "}}" in rest:
        return None
    return [*parts, rest] if rest else parts


def parse_lookup(text: str) -> Lookup | None:
    """`event.data['a b'][0]` as its parts; None where it is more than a path."""
    match = _NAME.match(text)
    if match is None or match[0] in {"true", "false", "none", "True", "False", "None", "not"}:
        return None
    parts: list[str | int] = [match[0]]
    position = match.end()
    while position < len(text):
        step = _STEP.match(text, position)
        if step is None:
            return None
        name, index, single, double = step.groups()
        if index is not None:
            parts.append(int(index))
        else:
            parts.append(next(part for part in (name, single, double) if part is not None))
        position = step.end()
    return tuple(parts)


def format_lookup(lookup: Lookup) -> str:
    """The path as a person writes it."""
    text = str(lookup[0])
    for part in lookup[1:]:
        if isinstance(part, str) and _NAME.fullmatch(part):
            text += f".{part}"
        else:
            text += f"[{part!r}]"
    return text


def check_lookup(lookup: Lookup, scope: str) -> None:
    """Whether the path begins with something there is.

    Raises:
        PathError: an unknown name; `fix` is the whole path with the nearest known one.
    """
    roots = SCOPE_NAMES[scope]
    root = str(lookup[0])
    if root not in roots:
        known = " and ".join(repr(name) for name in roots)
        if root in SCOPE_NAMES["record"]:
            raise PathError(f"'{root}' can't be used here, only {known}")
        fix = _nearest(root, roots)
        raise PathError(
            f"there is no '{root}', only {known}",
            format_lookup((fix, *lookup[1:])) if fix else None,
        )
    if root == "event" and len(lookup) == 1:
        raise PathError("'event' needs a part: event.data, event.subject ...", "event.data")
    if root == "event" and lookup[1] not in EVENT_NAMES:
        fix = _nearest(str(lookup[1]), EVENT_NAMES)
        raise PathError(
            f"an event has no '{lookup[1]}', only {', '.join(EVENT_NAMES)}",
            format_lookup(("event", fix, *lookup[2:])) if fix else None,
        )
    if root == "env" and (len(lookup) != 2 or not isinstance(lookup[1], str)):
        raise PathError("'env' is used as env.NAME")


def source(lookup: Lookup) -> str:
    """The path as Python, over the names `event`, `data`, `record`, `env`, `meta`, `timestamp`.

    Only identifiers of ours and `repr`s of strings and integers go into it.
    """
    if lookup[0] == "event":
        attribute = str(lookup[1])
        head = {"data": "data", "meta": "meta(event)", "timestamp": "timestamp(event)"}.get(
            attribute, f"event.{attribute}"
        )
        rest = lookup[2:]
    else:
        head, rest = str(lookup[0]), lookup[1:]
    return head + "".join(f"[{part!r}]" for part in rest)


def look_up(lookup: Lookup, roots: Roots) -> Any:
    """The value at the path, step by step, so that a missing one can be told exactly.

    Raises:
        MissingValueError: a step leads nowhere.
    """
    value, done = _root_value(lookup, roots)
    for position in range(done, len(lookup)):
        part = lookup[position]
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError) as error:
            raise MissingValueError(_why(value, lookup, position)) from error
    return value


def text_of(value: Any) -> str:
    """A value inside a longer text: texts and numbers as they are, true and false as in JSON.

    Raises:
        ValueError: null, a list or a mapping, which have no place inside a text.
    """
    if isinstance(value, str):
        return value
    if value is True or value is False:
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(value)
    if value is None:
        raise ValueError("is null and can't stand inside a text; use '| default(\"...\", true)'")
    raise ValueError("is a list or an object and can't stand inside a text; use '| tojson'")


def event_timestamp(event: Event) -> str:
    """When the stream stored it, ISO 8601 in UTC with microseconds."""
    seconds, rest = divmod(event.timestamp_ns, 1_000_000_000)
    moment = datetime.fromtimestamp(seconds, tz=UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{rest // 1000:06d}Z"


def meta(event: Event) -> dict[str, Any]:
    """What `event.meta` holds."""
    return {
        "stream": event.stream,
        "subject": event.subject,
        "sequence": event.sequence,
        "num_delivered": event.num_delivered,
        "timestamp": event_timestamp(event),
        "id": event.id,
        "headers": event.headers,
    }


def _root_value(lookup: Lookup, roots: Roots) -> tuple[Any, int]:
    root = lookup[0]
    if root == "record":
        return roots.record, 1
    if root == "env":
        return roots.env, 1
    name = lookup[1]
    if name == "data":
        return roots.data, 2
    if name == "meta":
        return meta(roots.event), 2
    if name == "timestamp":
        return event_timestamp(roots.event), 2
    return getattr(roots.event, str(name)), 2


def _why(value: Any, lookup: Lookup, position: int) -> str:
    wanted, holder = format_lookup(lookup[: position + 1]), format_lookup(lookup[:position])
    part = lookup[position]
    if value is None:
        return f"{wanted} is not there: {holder} is null"
    if isinstance(value, Mapping) and isinstance(part, str):
        near = _nearest(part, [key for key in value if isinstance(key, str)][:500])
        return f"{wanted} is not there" + (f"; did you mean {near!r}?" if near else "")
    if isinstance(value, list) and isinstance(part, int):
        return f"{wanted} is not there: {holder} has {len(value)} elements"
    if isinstance(value, list):
        each = "; 'record' stands for each of its elements" if holder == "event.data" else ""
        return f"{wanted} is not there: {holder} is a list of {len(value)}{each}"
    kind = {str: "a text", bool: "true or false", int: "a number", float: "a number"}
    return f"{wanted} is not there: {holder} is {kind.get(type(value), 'an object')}"


def _nearest(word: str, known: Iterable[str]) -> str | None:
    import difflib

    found = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return found[0] if found else None
