"""The engine: one flow from its stream into Salesforce, nothing lost, nothing called written that
was not.

`Engine` runs; `Core` decides and is pure; the ports say what the world must offer.
"""

from workbench.engine.clock import SystemClock
from workbench.engine.core import Core, Outbox, Sending
from workbench.engine.engine import Engine
from workbench.engine.gate import Gate, Pause, PauseCause
from workbench.engine.policy import RetryPolicy
from workbench.engine.ports import Clock, DeadLetters, Sink, Source
from workbench.engine.stage import StageSpec

__all__ = [
    "Clock",
    "Core",
    "DeadLetters",
    "Engine",
    "Gate",
    "Outbox",
    "Pause",
    "PauseCause",
    "RetryPolicy",
    "Sending",
    "Sink",
    "Source",
    "StageSpec",
    "SystemClock",
]
