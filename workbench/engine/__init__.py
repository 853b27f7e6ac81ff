"""The engine: one flow from its stream into Salesforce, nothing lost, nothing called written that
was not.

`Engine` runs; `Core` decides and is pure; the ports say what the world must offer.
"""

from workbench.engine.clock import SystemClock
from workbench.engine.core import Core, Sending
from workbench.engine.engine import MAX_HELD_EVENTS, Engine
from workbench.engine.gate import Gate, Pause, PauseCause
from workbench.engine.ledger import Outbox
from workbench.engine.pace import Pace
from workbench.engine.policy import RetryPolicy
from workbench.engine.ports import Clock, DeadLetters, Sink, Source
from workbench.engine.stage import StageSpec

__all__ = [
    "MAX_HELD_EVENTS",
    "Clock",
    "Core",
    "DeadLetters",
    "Engine",
    "Gate",
    "Outbox",
    "Pace",
    "Pause",
    "PauseCause",
    "RetryPolicy",
    "Sending",
    "Sink",
    "Source",
    "StageSpec",
    "SystemClock",
]
