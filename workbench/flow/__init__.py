"""The flow language: a YAML file into a checked, bound, renderable `Flow`."""

from workbench.flow.completion import (
    Entry,
    complete_keys,
    complete_template,
    complete_values,
    describe,
)
from workbench.flow.document import Document
from workbench.flow.duration import format_duration, parse_duration
from workbench.flow.parser import Reading, check, parse, read
from workbench.flow.schema import schema
from workbench.flow.tasks import (
    ApiBudget,
    Batching,
    CompositeTask,
    Failed,
    FileFacts,
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
    "Entry",
    "Failed",
    "FileFacts",
    "Flow",
    "KnownTask",
    "PublisherTask",
    "Reading",
    "Retry",
    "SinkTask",
    "Stream",
    "SubscriberTask",
    "Task",
    "check",
    "complete_keys",
    "complete_template",
    "complete_values",
    "describe",
    "format_duration",
    "parse",
    "parse_duration",
    "read",
    "schema",
]
