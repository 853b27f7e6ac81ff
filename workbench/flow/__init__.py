"""The flow language: a YAML file into a checked, bound, renderable `Flow`."""

from workbench.flow.document import Document
from workbench.flow.parser import parse
from workbench.flow.tasks import (
    ApiBudget,
    Batching,
    CompositeTask,
    Failed,
    Flow,
    KnownTask,
    PublisherTask,
    Retry,
    SinkTask,
    Stream,
    SubscriberTask,
    Task,
)

__all__ = [
    "ApiBudget",
    "Batching",
    "CompositeTask",
    "Document",
    "Failed",
    "Flow",
    "KnownTask",
    "PublisherTask",
    "Retry",
    "SinkTask",
    "Stream",
    "SubscriberTask",
    "Task",
    "parse",
]
