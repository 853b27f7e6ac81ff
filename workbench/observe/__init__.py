"""Telling what happens: notices, who hears them, and how things stand.

Ready-made observers (log, metrics) are modules of their own that only `app` imports.
"""

from workbench.observe.counters import Counters
from workbench.observe.notices import (
    BatchAnswered,
    BatchSent,
    ConnectionChanged,
    EventsReceived,
    EventsSettled,
    FlowPaused,
    FlowResumed,
    FlowStarted,
    FlowStopped,
    Notice,
    Observer,
    Observers,
    Part,
    StoreFailed,
    StreamInDanger,
    StreamSeen,
)
from workbench.observe.snapshot import Snapshot, StageSnapshot

__all__ = [
    "BatchAnswered",
    "BatchSent",
    "ConnectionChanged",
    "Counters",
    "EventsReceived",
    "EventsSettled",
    "FlowPaused",
    "FlowResumed",
    "FlowStarted",
    "FlowStopped",
    "Notice",
    "Observer",
    "Observers",
    "Part",
    "Snapshot",
    "StageSnapshot",
    "StoreFailed",
    "StreamInDanger",
    "StreamSeen",
]
