"""Events to preview: captured ones, ones from files, typed ones, and one made up from the flow."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from workbench import codec
from workbench.model import Event

__all__ = ["Sample", "decoded", "made_up"]

_TASK = re.compile(r"^(?=[ \t]*-[ \t]+(?:nats|salesforce)_\w+:)", re.MULTILINE)
_NAME = re.compile(r"^([ \t]+)name:[ \t]*[\"']?(\w+)", re.MULTILINE)
_DEPENDS_ON = re.compile(r"^[ \t]*depends_on:(.*(?:\n\s*-\s+[\"']?\w+[\"']?\s*$)*)", re.MULTILINE)
_READ = re.compile(r"\b(?:event\.data|record)\.([A-Za-z_]\w*)")
_FROM_EVENT = re.compile(r"\bfrom_event:\s*true")
_TOPIC = re.compile(r"^\s*topic:\s*[\"']?/event/", re.MULTILINE)
_EXTERNAL_ID = re.compile(r"^\s*external_id_field:\s*[\"']?([\w.]+)", re.MULTILINE)
_BY_NAME = re.compile(r"^\s*sobject_type:\s*[\"']?(?:Account|\w+__c)\b", re.MULTILINE)


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
    """An event with the fields that the flow needs, so that there is something to see before any
    event was captured: those of every task that receives from the source.

    Found in the text alone, which may be half written: the flow language need not be loaded yet.
    """
    value: dict[str, Any] = {}
    for task in _first_tasks(text) or [text]:
        value = {**value, **_needs(task), **value}
    return Sample("made up", "from the fields the flow reads", json.dumps(value).encode())


def _first_tasks(text: str) -> list[str]:
    """The texts of the tasks whose `event.data` is the source's: the one just behind it, and
    those that depend on it by name. What the others see is Salesforce's answer."""
    _, *tasks = _TASK.split(text)
    if not tasks:
        return []
    source, *others = tasks
    # The name that stands furthest left is the task's own, not its stream's.
    _, name = min(_NAME.findall(source), default=("", ""))
    first = []
    for place, task in enumerate(others):
        depends_on = _DEPENDS_ON.search(task)
        named = re.findall(r"\w+", depends_on[1]) if depends_on else []
        if name in named if named else place == 0:
            first.append(task)
    return first


def _needs(task: str) -> dict[str, Any]:
    """The fields that one task's templates read, or that its object cannot do without."""
    value: dict[str, Any] = {name: f"sample {name}" for name in _READ.findall(task)}
    if value and not _FROM_EVENT.search(task):
        return value
    if _TOPIC.search(task):
        return {**value, "Order_ID__c": "SO-1001", "Status__c": "Shipped"}
    key = _EXTERNAL_ID.search(task)
    named = {"Name": "Lovelace Ltd"} if _BY_NAME.search(task) else {"LastName": "Lovelace"}
    return {**value, key[1] if key else "ExternalId__c": "C-1001", **named}
