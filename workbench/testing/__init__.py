"""Fakes of the engine's ports, held to the same promises as the real adapters."""

from workbench.testing.failed_store import MemoryFailedStore
from workbench.testing.fakes import (
    FakeClock,
    MemoryDeadLetters,
    MemorySink,
    MemorySource,
    RecordingObserver,
)

__all__ = [
    "FakeClock",
    "MemoryDeadLetters",
    "MemoryFailedStore",
    "MemorySink",
    "MemorySource",
    "RecordingObserver",
]
