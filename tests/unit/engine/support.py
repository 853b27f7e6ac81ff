"""Small flows for the engine's tests."""

from __future__ import annotations

from typing import Any

from workbench.codec import encode
from workbench.engine import RetryPolicy, StageSpec
from workbench.errors import RenderError
from workbench.model import Event, Record
from workbench.testing import MemorySink


def records_of(event: Event, data: Any) -> list[Record]:
    """`payload: {from_event: true}`."""
    if isinstance(data, dict):
        return [data]
    if isinstance(data, list) and all(isinstance(item, dict) for item in data):
        return data
    raise RenderError("upsert", "", "not a record or a list of records")


def spec(sink: Any = None, **changes: Any) -> StageSpec:
    settings: dict[str, Any] = {
        "name": "upsert",
        "upstreams": ("source",),
        "render": records_of,
        "sink": sink or MemorySink(),
        "policy": RetryPolicy(),
        "linger_seconds": 0.02,
        "digest": "d1",
    }
    return StageSpec(**{**settings, **changes})


def event(sequence: int, *keys: str, num_delivered: int = 1, **fields: Any) -> Event:
    """An event with a record for each key; one record is an object, several are an array."""
    rows = [{"ExternalId__c": key, "n": sequence, **fields} for key in keys]
    data = encode(rows[0] if len(rows) == 1 else rows)
    return Event("crm.x", data, None, "events", sequence, num_delivered, 10**18)
