"""Frozen values that every layer speaks: events, records, batches, outcomes, failed batches."""

from workbench.model.counting import counted
from workbench.model.entry import Claim, Deed, Entry
from workbench.model.entry_list import (
    EntryCounts,
    EntryFilter,
    EntryGroup,
    EntryPage,
    EntrySummary,
)
from workbench.model.event import Ack, Event, Nak, Settlement, Term
from workbench.model.failed import (
    Attempt,
    FailedBatch,
    FailedRecord,
    failed_id,
    rival_id,
    safe_name,
)
from workbench.model.failed_text import FailedText
from workbench.model.record import (
    AllWritten,
    Answer,
    Batch,
    Cause,
    Deferred,
    Exchange,
    Group,
    Limits,
    Origin,
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
    "Claim",
    "Deed",
    "Deferred",
    "Entry",
    "EntryCounts",
    "EntryFilter",
    "EntryGroup",
    "EntryPage",
    "EntrySummary",
    "Event",
    "Exchange",
    "FailedBatch",
    "FailedRecord",
    "FailedText",
    "Group",
    "Limits",
    "Nak",
    "Origin",
    "Outcome",
    "Record",
    "Refused",
    "RolledBack",
    "Settlement",
    "Term",
    "Unknown",
    "Unsent",
    "Written",
    "counted",
    "failed_id",
    "rival_id",
    "safe_name",
]
