"""From an event to the records a task writes: what `payload` and `ids` mean."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from workbench.errors import RenderError
from workbench.flow.payload import Compiled
from workbench.flow.shapes import FROM_EVENT
from workbench.model import Event, Record

__all__ = ["bind_ids", "bind_order_key", "bind_payload"]

Render = Callable[[Event, Any], list[Record]]


def bind_payload(task: str, payload: str | Compiled, env: Mapping[str, str]) -> Render:
    """The records of an event.

    From the event: a list of objects is the records, one object is one record, anything else is
    refused. A mapping is one record, unless it reads `record`: then it gives one record for every
    element of `event.data` (which is one element where it is no list). A list of mappings gives
    the records of the first, then those of the second, and so on.
    """
    if isinstance(payload, str):
        assert payload == FROM_EVENT
        return _from_event(task)
    many = isinstance(payload.value, list)
    values = payload.value if many else [payload.value]
    parts = []
    for index, value in enumerate(values):
        compiled = Compiled(value, "record")
        field = f"payload[{index}]" if many else "payload"
        parts.append((compiled.bind(task, field, env), compiled.uses("record")))
    if len(parts) == 1 and not parts[0][1]:
        render_one = parts[0][0]
        return lambda event, data: [render_one(event, data, None)]

    def render(event: Event, data: Any) -> list[Record]:
        records: list[Record] = []
        for render_record, is_for_each in parts:
            if is_for_each:
                elements = data if isinstance(data, list) else [data]
                records += [render_record(event, data, element) for element in elements]
            else:
                records.append(render_record(event, data, None))
        return records

    return render


def bind_ids(
    task: str, ids: Compiled | None, payload: str | Compiled | None, env: Mapping[str, str]
) -> Render:
    """The records `{"id": ...}` that `get` and `delete` work on.

    With `ids`: every entry gives an id or a list of ids. Else the payload's records give theirs,
    whichever way `id` is written; of an event's own data, plain ids count as well.
    """
    if ids is not None:
        render_ids = ids.bind(task, "ids", env)
        return lambda event, data: _id_records(task, "ids", render_ids(event, data, None))
    if payload == FROM_EVENT:
        return lambda event, data: _id_records(
            task, "event.data", data if isinstance(data, list) else [data]
        )
    assert payload is not None
    render = bind_payload(task, payload, env)
    return lambda event, data: _id_records(task, "payload", render(event, data))


def bind_order_key(
    task: str, order_by: Compiled, env: Mapping[str, str]
) -> Callable[[Event, Any, Record], str | None]:
    """What `order_by` gives for a rendered record, as text; null means no order."""
    render = order_by.bind(task, "order_by", env)

    def order_key(event: Event, data: Any, record: Record) -> str | None:
        value = render(event, data, record)
        return value if value is None or type(value) is str else str(value)

    return order_key


_OBJECTS = frozenset((dict,))


def _from_event(task: str) -> Render:
    def render(event: Event, data: Any) -> list[Record]:
        if type(data) is dict:
            return [data]
        if type(data) is list:
            if not _OBJECTS.issuperset(map(type, data)):
                index, item = next((i, v) for i, v in enumerate(data) if type(v) is not dict)
                reason = f"a record must be an object, not {_name(item)}"
                raise RenderError(task, f"event.data[{index}]", reason)
            return data
        raise RenderError(
            task, "event.data", f"it must be an object or a list of objects, not {_name(data)}"
        )

    return render


def _id_records(task: str, field: str, values: Any) -> list[Record]:
    records: list[Record] = []
    for value in values if isinstance(values, list) else [values]:
        for item in value if isinstance(value, list) else [value]:
            found = item
            if isinstance(item, dict):
                found = next((v for key, v in item.items() if key.lower() == "id"), None)
            if not isinstance(found, str) or not found:
                raise RenderError(task, field, f"a record id must be a text, not {_name(found)}")
            records.append({"id": found})
    return records


def _name(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, str):
        return "a text" if value else "an empty text"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, (int, float)):
        return "a number"
    return "a list" if isinstance(value, list) else "an object"
