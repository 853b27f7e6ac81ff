"""Failed batches of the sample flow, as the engine would have stored them."""

from __future__ import annotations

from collections.abc import Sequence

from workbench import codec
from workbench.model import Attempt, FailedBatch, FailedRecord, Record, failed_id

__all__ = ["batch", "refused", "unfit", "unknown", "written"]

_RULE = ("FIELD_CUSTOM_VALIDATION_EXCEPTION", "A contact needs a title.", ("Title",))
_TIME = "2026-11-23T09:{minute:02}:07.211+00:00"


def record(number: int, name: str) -> Record:
    return {"ExternalId__c": f"C-{number}", "LastName": name}


def written(index: int, number: int, name: str = "ada") -> FailedRecord:
    return FailedRecord(index, record(number, name), "written", id=f"003{number:012}AAA")


def refused(
    index: int,
    number: int,
    name: str = "refuse",
    code: str = _RULE[0],
    message: str = _RULE[1],
    fields: tuple[str, ...] = _RULE[2],
) -> FailedRecord:
    return FailedRecord(index, record(number, name), "refused", code, message, fields)


def unknown(index: int, number: int, name: str = "ada") -> FailedRecord:
    return FailedRecord(
        index, record(number, name), "unknown", "NO_ANSWER", "no answer within 30 s"
    )


def batch(
    sequence: int,
    records: Sequence[FailedRecord],
    *,
    kind: str = "refused",
    reason: str = "1 record was refused",
    data: bytes | None = None,
    subject: str = "crm.contacts.upsert",
    operation: str = "upsert",
    flow: str = "contacts",
) -> FailedBatch:
    """One event's failure; its data are what makes these records, unless given."""
    rows = [
        {"id": r.record["ExternalId__c"], "name": r.record["LastName"]}
        for r in records
        if r.record is not None
    ]
    event = rows[0] if len(rows) == 1 else rows
    results = [
        {"id": r.id, "success": True}
        if r.outcome == "written"
        else {"success": False, "errors": [{"statusCode": r.code, "fields": list(r.fields)}]}
        for r in records
    ]
    at = _TIME.format(minute=sequence % 60)
    line = "PATCH /services/data/v65.0/composite/sobjects/Contact/ExternalId__c"
    return FailedBatch(
        id=failed_id("crm", sequence, flow, "upsert"),
        flow=flow,
        task="upsert",
        kind=kind,
        reason=reason,
        subject=subject,
        stream="crm",
        sequence=sequence,
        num_delivered=1,
        timestamp=at,
        headers={"Nats-Msg-Id": f"e-{sequence}"},
        data=codec.encode(event) if data is None else data,
        digest="5e21" * 16,
        settings={"operation": operation, "sobject_type": "Contact"},
        records=tuple(records),
        attempts=(Attempt(at, line, 200, tuple(results)),) if records else (),
        failed_at=at,
    )


def unfit(sequence: int) -> FailedBatch:
    """An event that makes no record."""
    reason = "task upsert, payload.LastName: event.data has no 'name'"
    return batch(sequence, [], kind="unfit", reason=reason, data=b'{"id": "C-9"}')
