"""Which rows of an object were changed or deleted between two moments.

https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/resources_getupdated.htm
https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/resources_getdeleted.htm
(2026-11-28)
"""

from __future__ import annotations

from datetime import datetime

from .api import Answer, Call
from .fields import datetime_text
from .refusals import ApiError

__all__ = ["deleted", "updated"]


def updated(call: Call) -> Answer:
    """GET sobjects/X/updated?start=...&end=..."""
    start, end = _span(call)
    rows = call.table(call.segments[1]).rows
    ids = [identifier for identifier, row in rows.items() if start <= row["SystemModstamp"] <= end]
    return Answer(200, {"ids": ids, "latestDateCovered": end}, rows=len(ids))


def deleted(call: Call) -> Answer:
    """GET sobjects/X/deleted?start=...&end=..., as far back as the bin goes."""
    start, end = _span(call)
    bin_ = call.table(call.segments[1]).bin
    found = [
        {"deletedDate": row["SystemModstamp"], "id": identifier}
        for identifier, row in bin_.items()
        if start <= row["SystemModstamp"] <= end
    ]
    oldest = min((row["SystemModstamp"] for row in bin_.values()), default=start)
    body = {
        "deletedRecords": found,
        "earliestDateAvailable": oldest,
        "latestDateCovered": end,
    }
    return Answer(200, body, rows=len(found))


def _span(call: Call) -> tuple[str, str]:
    """Start and end in the form in which rows hold moments, so that texts can be compared."""
    start, end = (_moment(call, name) for name in ("start", "end"))
    if end <= start:
        raise ApiError(400, "INVALID_REPLICATION_DATE", "startDate must be before endDate")
    return start, end


def _moment(call: Call, name: str) -> str:
    text = call.query.get(name, "").replace(" ", "+")  # a plus that was not encoded
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            raise ValueError
    except ValueError:
        raise ApiError(
            400, "INVALID_REPLICATION_DATE", f"{name} is no date and time with a zone: {text}"
        ) from None
    return datetime_text(moment)
