"""Events to preview: captured ones, ones from files, typed ones, and one made up from the flow."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from workbench import codec
from workbench.model import Event

__all__ = ["Sample", "decoded", "made_up"]

_READ = re.compile(r"\b(?:event\.data|record)\.([A-Za-z_]\w*)")
_EXTERNAL_ID = re.compile(r"^\s*external_id_field:\s*[\"']?([\w.]+)", re.MULTILINE)
_TOPIC = re.compile(r"^\s*topic:\s*[\"']?/event/", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Sample:
    """An event with where it came from: captured, file, typed, run, failed, or made up.

    `event` is None for data without coordinates; the flow's own subject is used then.
    """

    origin: str
    label: str
    data: bytes
    event: Event | None = None

    @classmethod
    def captured(cls, event: Event, origin: str = "captured") -> Sample:
        return cls(origin, f"{event.subject} {event.stream}:{event.sequence}", event.data, event)


def decoded(data: bytes) -> Any:
    """The data's value; None where it is no JSON."""
    try:
        return codec.decode(data)
    except ValueError:
        return None


def made_up(text: str) -> Sample:
    """An event with the fields that the flow's templates read, so that there is something to see
    before any event was captured."""
    names = list(dict.fromkeys(_READ.findall(text)))
    if names:
        value: dict[str, Any] = {name: f"sample {name}" for name in names}
    elif _TOPIC.search(text):
        value = {"Order_ID__c": "SO-1001", "Status__c": "Shipped"}
    else:
        key = _EXTERNAL_ID.search(text)
        value = {key[1] if key else "ExternalId__c": "C-1001", "LastName": "Lovelace"}
    return Sample("made up", "from the fields the flow reads", json.dumps(value).encode())
