"""What an org says about itself: versions, resources, limits, descriptions of its objects."""

from __future__ import annotations

from typing import Any

from .api import NEWEST, OLDEST, Answer, Call
from .fields import Field
from .objects import EventType, ObjectType
from .org import EVENT_PREFIX

__all__ = ["basic", "describe", "limits", "resources", "sobjects", "versions"]

_NEWEST_YEAR = 27
"""v68.0 is Winter '27; three releases a year, so every other label follows from it."""
_SEASONS = ("Winter", "Spring", "Summer")


def versions() -> list[dict[str, str]]:
    """The body of GET /services/data, oldest first."""
    return [
        {"label": _label(v), "url": f"/services/data/v{v}.0", "version": f"{v}.0"}
        for v in range(OLDEST, NEWEST + 1)
    ]


def _label(version: int) -> str:
    years, season = divmod(version - NEWEST, len(_SEASONS))
    return f"{_SEASONS[season]} '{_NEWEST_YEAR + years:02d}"


def resources(call: Call) -> Answer:
    """GET /services/data/vNN.0."""
    names = {
        "sobjects": "sobjects",
        "query": "query",
        "queryAll": "queryAll",
        "limits": "limits",
        "composite": "composite",
    }
    body = {name: f"{call.root}/{path}" for name, path in names.items()}
    body["identity"] = f"{call.base_url}/id/{call.org.id}/{call.user.id}"
    return Answer(200, body)


def composite_resources(call: Call) -> Answer:
    """GET /services/data/vNN.0/composite."""
    names = ("tree", "batch", "sobjects", "graph")
    return Answer(200, {name: f"{call.root}/composite/{name}" for name in names})


def limits(call: Call) -> Answer:
    """GET limits: daily calls and hourly events are counted, the rest stands still."""
    usage = call.org.usage
    left = max(0, usage.limit - usage.used)

    def fixed(number: int) -> dict[str, int]:
        return {"Max": number, "Remaining": number}

    return Answer(
        200,
        {
            "DailyApiRequests": {"Max": usage.limit, "Remaining": left},
            "DailyBulkApiBatches": fixed(15_000),
            "DailyStandardVolumePlatformEvents": fixed(10_000),
            "DataStorageMB": fixed(1_024),
            "FileStorageMB": fixed(1_024),
            "HourlyPublishedPlatformEvents": {
                "Max": call.org.bus.hourly_allocation,
                "Remaining": call.org.bus.remaining_allocation(),
            },
            "HourlyPublishedStandardVolumePlatformEvents": fixed(1_000),
            "MonthlyPlatformEvents": fixed(300_000),
            "SingleEmail": fixed(5_000),
        },
    )


def sobjects(call: Call) -> Answer:
    """GET sobjects."""
    schema = call.org.schema
    kinds = [*schema.objects.values(), *map(_event_kind, schema.events.values())]
    return Answer(
        200,
        {
            "encoding": "UTF-8",
            "maxBatchSize": 200,
            "sobjects": [_summary(call, kind) for kind in kinds],
        },
    )


def basic(call: Call) -> Answer:
    """GET sobjects/X."""
    event = call.org.find_event(call.segments[1])
    if event is not None:
        summary = _summary(call, _event_kind(event))
        return Answer(200, {"objectDescribe": summary, "recentItems": []})
    table = call.table(call.segments[1])
    recent = [
        {
            "attributes": {
                "type": table.kind.name,
                "url": f"{call.root}/sobjects/{table.kind.name}/{identifier}",
            },
            "Id": identifier,
        }
        for identifier in list(table.rows)[-10:]
    ]
    return Answer(200, {"objectDescribe": _summary(call, table.kind), "recentItems": recent})


def describe(call: Call) -> Answer:
    """GET sobjects/X/describe."""
    event = call.org.find_event(call.segments[1])
    kind = call.table(call.segments[1]).kind if event is None else _event_kind(event)
    children: list[dict[str, Any]] = [
        {
            "cascadeDelete": False,
            "childSObject": other.name,
            "deprecatedAndHidden": False,
            "field": found.name,
            "junctionIdListNames": [],
            "junctionReferenceTo": [],
            "relationshipName": found.child_relationship,
            "restrictedDelete": False,
        }
        for other in call.org.schema.objects.values()
        for found in other.fields.values()
        if kind.name in found.reference_to
    ]
    return Answer(
        200,
        {
            **_summary(call, kind),
            "childRelationships": children,
            "fields": [found.describe() for found in kind.fields.values()],
            "recordTypeInfos": [],
            "supportedScopes": [],
        },
    )


def _event_kind(event: EventType) -> ObjectType:
    """A platform event as describe shows it: an object whose rows are only ever created.

    https://developer.salesforce.com/docs/atlas.en-us.platform_events.meta/platform_events/platform_events_define_ui.htm
    (2026-11-28) names the fields that every event has.
    """
    fields = [
        Field("ReplayId", "text", "Replay ID", length=1_000, read_only=True),
        Field("CreatedDate", "datetime", read_only=True),
        Field("CreatedById", "lookup", "Created By ID", reference_to=("User",), read_only=True),
        Field("EventUuid", "text", "Event UUID", length=36, read_only=True),
        *event.fields,
    ]
    return ObjectType(event.name, event.label, EVENT_PREFIX, {f.name: f for f in fields})


def _summary(call: Call, kind: ObjectType) -> dict[str, Any]:
    is_event = kind.name.endswith("__e")
    root = f"{call.root}/sobjects/{kind.name}"
    return {
        "name": kind.name,
        "label": kind.label,
        "labelPlural": f"{kind.label}s",
        "keyPrefix": kind.key_prefix,
        "custom": kind.name.endswith(("__c", "__e")),
        "customSetting": False,
        "activateable": False,
        "createable": kind.writeable,
        "updateable": kind.writeable and not is_event,
        "deletable": kind.writeable and not is_event,
        "undeletable": False,
        "deprecatedAndHidden": False,
        "feedEnabled": False,
        "layoutable": not is_event,
        "mergeable": False,
        "mruEnabled": not is_event,
        "queryable": not is_event,
        "replicateable": not is_event,
        "retrieveable": not is_event,
        "searchable": not is_event,
        "triggerable": True,
        "urls": {
            "sobject": root,
            "describe": f"{root}/describe",
            "rowTemplate": f"{root}/{{ID}}",
        },
    }
