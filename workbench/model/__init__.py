"""Frozen values that every layer speaks: events, records, batches, outcomes, failed batches."""

from workbench.model.event import Ack, Event, Nak, Settlement, Term
from workbench.model.failed import Attempt, FailedBatch, FailedRecord, failed_id
from workbench.model.record import (
    AllWritten,
    Answer,
    Batch,
    Cause,
    Deferred,
    Exchange,
    Group,
    Limits,
    Outcome,
    Record,
    Refused,
    RolledBack,
    Unknown,
    Unsent,
    Written,
)

__all__ = [
    "Ack",
    "AllWritten",
    "Answer",
    "Attempt",
    "Batch",
    "Cause",
    "Deferred",
    "Event",
    "Exchange",
    "FailedBatch",
    "FailedRecord",
    "Group",
    "Limits",
    "Nak",
    "Outcome",
    "Record",
    "Refused",
    "RolledBack",
    "Settlement",
    "Term",
    "Unknown",
    "Unsent",
    "Written",
    "failed_id",
]
