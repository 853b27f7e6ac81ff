"""The flow as frozen values: what the engine, the adapters and the screens read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from workbench.errors import UsageError
from workbench.flow.document import Document
from workbench.flow.nodes import Path
from workbench.model import Event, Record

__all__ = [
    "ApiBudget",
    "Batching",
    "CompositeTask",
    "Failed",
    "FileFacts",
    "Flow",
    "KnownTask",
    "PublisherTask",
    "Retry",
    "SinkTask",
    "Stream",
    "SubscriberTask",
    "Task",
]

Render = Callable[[Event, Any], list[Record]]
OrderKey = Callable[[Event, Any, Record], str | None]


def _unbound(event: Event, data: Any) -> list[Record]:
    raise UsageError("Flow.bind gives a task its render function; this flow was never bound")


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What the outside found out about a credentials file; `flow` itself opens none.

    `login` is `username_password`, `client_credentials`, `jwt_bearer`, or None where it is no
    Salesforce login or not known.
    """

    exists: bool = True
    is_readable_by_others: bool = False
    login: str | None = None


@dataclass(frozen=True, slots=True)
class Retry:
    """Short retries within one delivery; `max_attempts` counts the first try."""

    max_attempts: int = 4
    initial_backoff_seconds: float = 0.5


@dataclass(frozen=True, slots=True)
class Failed:
    """Where failed batches are kept (`max_age_seconds` None: for ever)."""

    stream: str = "workbench_failed"
    max_age_seconds: float | None = None
    replicas: int = 1
    pause_after: int = 20


@dataclass(frozen=True, slots=True)
class ApiBudget:
    """The share (0 to 1) of the org's daily calls at which the flow pauses; None: no share."""

    daily_share: float | None = None


@dataclass(frozen=True, slots=True)
class Batching:
    """How records are gathered into requests."""

    max_records: int = 200
    linger_seconds: float = 0.02
    max_in_flight: int = 8


@dataclass(frozen=True, slots=True)
class Stream:
    """A JetStream stream as the file wants it; None means that the file does not say."""

    name: str
    subjects: tuple[str, ...] = ()
    create_or_update: bool = False
    max_age_seconds: float | None = None
    max_bytes: int | None = None
    max_messages: int | None = None
    max_messages_per_subject: int | None = None
    max_message_size: int | None = None
    retention: str | None = None
    discard: str | None = None
    duplicate_window_seconds: float | None = None
    description: str | None = None
    replicas: int | None = None
    storage: str | None = None


@dataclass(frozen=True, slots=True)
class SubscriberTask:
    """The source. `backoff_seconds` is never empty; `settings` is what the file says, unrendered.

    `ack_timeout_seconds`, `max_messages` and `max_ack_pending` are None where the file is silent.
    """

    type: str
    name: str
    subject: str
    durable_name: str
    url: str
    credentials_path: str | None
    stream: Stream | None
    ack_timeout_seconds: float | None
    max_deliver: int
    backoff_seconds: tuple[float, ...]
    max_messages: int | None
    max_ack_pending: int | None
    delay_seconds: float | None
    throttle_seconds: float | None
    retry: Retry
    settings: Mapping[str, Any] = field(repr=False)
    depends_on: tuple[str, ...] = ()
    path: Path = field(default=(), repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class CompositeTask:
    """Records over the sObject collections.

    `render(event, data)` gives the records of one event and raises RenderError;
    `order_key(event, data, record)` is None where the file has no `order_by`. `fields` are only
    set for `get`. `depends_on` always names the tasks it receives from.
    """

    type: str
    name: str
    operation: str
    credentials_path: str
    sobject_type: str
    external_id_field: str | None
    all_or_none: bool
    allow_duplicate_save: bool
    fields: tuple[str, ...]
    batch: Batching
    retry: Retry
    depends_on: tuple[str, ...]
    settings: Mapping[str, Any] = field(repr=False)
    path: Path = field(default=(), repr=False, compare=False)
    templates: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)
    render: Render = field(default=_unbound, repr=False, compare=False)
    order_key: OrderKey | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class PublisherTask:
    """Platform events over the Pub/Sub API; `render` and `depends_on` as in CompositeTask."""

    type: str
    name: str
    credentials_path: str
    topic: str
    endpoint: str
    accept_duplicates: bool
    batch: Batching
    retry: Retry
    depends_on: tuple[str, ...]
    settings: Mapping[str, Any] = field(repr=False)
    path: Path = field(default=(), repr=False, compare=False)
    templates: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)
    render: Render = field(default=_unbound, repr=False, compare=False)
    order_key: OrderKey | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class KnownTask:
    """A task of the connve/flowgen family that workbench knows by name and does not run."""

    type: str
    name: str
    depends_on: tuple[str, ...]
    settings: Mapping[str, Any] = field(repr=False)
    path: Path = field(default=(), repr=False, compare=False)


SinkTask = CompositeTask | PublisherTask
Task = SubscriberTask | CompositeTask | PublisherTask | KnownTask


@dataclass(frozen=True, slots=True)
class Flow:
    """One flow file. `digest` is the SHA-256 of its text, `is_bound` says whether it can run."""

    name: str
    tasks: tuple[Task, ...]
    labels: Mapping[str, Any]
    retry: Retry
    failed: Failed
    api_budget: ApiBudget
    api_version: str | None
    file: str
    text: str = field(repr=False)
    digest: str
    document: Document = field(repr=False, compare=False)
    is_bound: bool = False

    def bind(self, env: Mapping[str, str]) -> Flow:
        """This flow ready to run: texts fixed per run rendered from `env`, tasks able to render.

        Raises:
            FlowError: a variable is missing, or a task is one that workbench does not run.
        """
        from workbench.flow.binding import bind

        return bind(self, env)

    @property
    def source(self) -> SubscriberTask:
        """The first task.

        Raises:
            UsageError: it is one that workbench does not run; `bind` would have refused the flow.
        """
        first = self.tasks[0]
        if not isinstance(first, SubscriberTask):
            raise UsageError(f"the source {first.name!r} is not run by workbench")
        return first

    @property
    def sinks(self) -> tuple[SinkTask, ...]:
        """The tasks that write, in the file's order."""
        return tuple(t for t in self.tasks if isinstance(t, (CompositeTask, PublisherTask)))

    @property
    def leaves(self) -> tuple[str, ...]:
        """Names of the tasks whose results nobody receives."""
        used = {name for task in self.tasks for name in task.depends_on}
        return tuple(task.name for task in self.tasks if task.name not in used)

    def task(self, name: str) -> Task:
        """The task of that name.

        Raises:
            KeyError: there is none.
        """
        for task in self.tasks:
            if task.name == name:
                return task
        raise KeyError(name)

    def after(self, name: str) -> tuple[Task, ...]:
        """The tasks that receive the result of `name`, in the file's order."""
        return tuple(task for task in self.tasks if name in task.depends_on)
