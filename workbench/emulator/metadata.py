"""What an org says about itself: versions, resources, limits, descriptions of its objects."""

from __future__ import annotations

from typing import Any

from .api import NEWEST, OLDEST, Answer, Call
from .objects import ObjectType

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
    kinds = call.org.schema.objects.values()
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
    kind = call.table(call.segments[1]).kind
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


def _summary(call: Call, kind: ObjectType) -> dict[str, Any]:
    root = f"{call.root}/sobjects/{kind.name}"
    return {
        "name": kind.name,
        "label": kind.label,
        "labelPlural": f"{kind.label}s",
        "keyPrefix": kind.key_prefix,
        "custom": kind.name.endswith("__c"),
        "customSetting": False,
        "activateable": False,
        "createable": kind.writeable,
        "updateable": kind.writeable,
        "deletable": kind.writeable,
        "undeletable": False,
        "deprecatedAndHidden": False,
        "feedEnabled": False,
        "layoutable": True,
        "mergeable": False,
        "mruEnabled": True,
        "queryable": True,
        "replicateable": True,
        "retrieveable": True,
        "searchable": True,
        "triggerable": True,
        "urls": {
            "sobject": root,
            "describe": f"{root}/describe",
            "rowTemplate": f"{root}/{{ID}}",
        },
    }
