"""Text to `Flow`: reading, the task graph, the templates, and binding to an environment."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from workbench.errors import FlowError, Problem
from workbench.flow.document import Document
from workbench.flow.duration import parse_duration
from workbench.flow.expression import TemplateProblem
from workbench.flow.language import COMPOSITE, FILE, KNOWN_TASKS, SUBSCRIBER
from workbench.flow.nodes import Mapping as MappingNode
from workbench.flow.nodes import Scalar, Span, format_path, quoted
from workbench.flow.overrides import apply_overrides
from workbench.flow.payload import Compiled, Leaf
from workbench.flow.reader import MISSING, Reader
from workbench.flow.shapes import FROM_EVENT, RawTask
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
    Stream,
    SubscriberTask,
    Task,
)

__all__ = ["Reading", "check", "parse", "read"]

_TASK_PATH = re.compile(r"flow\.tasks\[[0-9]+\]")
DEFAULT_BACKOFF_SECONDS = (1.0, 10.0, 60.0, 300.0)


@dataclasses.dataclass(frozen=True, slots=True)
class Reading:
    """All that one text gave: `flow` is None where there are errors; `tasks` are the sound ones."""

    document: Document
    problems: list[Problem]
    tasks: tuple[Task, ...] = ()
    flow: Flow | None = None


def parse(
    text: str | bytes, file: str = "flow.yaml", overrides: Mapping[str, str] | None = None
) -> Flow:
    """The flow that a file's text describes; pure, and not yet bound to an environment.

    `overrides` puts YAML texts in place of values: keys are paths as in problems, below `flow`, or
    below a task's name (`upsert_contacts.batch.linger`).

    Raises:
        FlowError: with every problem found, if any of them is an error.
    """
    reading = read(text, file, overrides)
    if reading.flow is None:
        raise FlowError(reading.problems)
    return reading.flow


def check(
    text: str | bytes,
    file: str = "flow.yaml",
    *,
    samples: Sequence[Any] = (),
    file_facts: Mapping[str, FileFacts] | None = None,
    overrides: Mapping[str, str] | None = None,
) -> list[Problem]:
    """Everything that is wrong or doubtful, in the file's order; never raises for the text.

    `samples` are decoded data of captured events, `file_facts` what is known of the files that
    the flow names as `credentials_path`. A task that workbench knows and does not run is a
    warning here, and an error of `Flow.bind`.
    """
    from workbench.flow.traps import find_traps

    reading = read(text, file, overrides)
    traps = find_traps(reading.document, reading.tasks, samples, file_facts or {})
    return sorted([*reading.problems, *traps], key=lambda problem: (problem.line, problem.column))


def read(text: str | bytes, file: str, overrides: Mapping[str, str] | None = None) -> Reading:
    """The whole way from a text to a flow, keeping what is sound when something is not."""
    document = Document(text, file)
    reader = Reader(document)
    apply_overrides(reader, overrides or {})
    tasks: tuple[Task, ...] = ()
    flow = None
    values = _read_file(document, reader)
    if values is not None:
        _check_templates(reader)
        graph = _read_graph(values["tasks"], reader)
        tasks = tuple(_sound_tasks(values, graph, reader))
        if not any(problem.severity == "error" for problem in reader.problems):
            flow = _build(values, tasks, document, overrides or {})
    reader.problems.sort(key=lambda problem: (problem.line, problem.column))
    return Reading(document, reader.problems, tasks, flow)


def _read_file(document: Document, reader: Reader) -> Any:
    """The values of `flow`, some of them perhaps MISSING; None where there is no `flow`."""
    root = document.root
    if document.problems:
        return None
    if root is None or (isinstance(root, Scalar) and root.value is None):
        where = Span(1, 1, 1, 1)
        reader.report("schema.empty", "the file is empty; a flow begins with 'flow:'", where, ())
        return None
    if not isinstance(root, MappingNode):
        reader.report("schema.type", f"a flow file begins with 'flow:', not {root.what}", root, ())
        return None
    flow = FILE.read(root, (), reader)["flow"]
    return flow if isinstance(flow, dict) else None


def _check_templates(reader: Reader) -> None:
    for use in reader.templates:
        try:
            Leaf(use.text, use.scope)
        except TemplateProblem as error:
            fix = quoted(error.fix) if error.fix else None
            reader.report(error.code, str(error), use.span, use.path, fix=fix)


@dataclasses.dataclass(frozen=True, slots=True)
class _Step:
    """A task's place in the graph: its name and whom it receives from."""

    name: str
    depends_on: tuple[str, ...]


def _read_graph(tasks: Any, reader: Reader) -> list[_Step]:
    """Names and inputs of all tasks, told apart and checked; tasks only look back, so no cycles."""
    steps: list[_Step] = []
    if not isinstance(tasks, list):
        return steps
    names = [_task_name(raw, index) for index, raw in enumerate(tasks)]
    first_use: dict[str, RawTask] = {}
    for index, raw in enumerate(tasks):
        name = names[index]
        if name in first_use:
            line = first_use[name].node.span.line
            reader.report(
                "graph.duplicate_name",
                f"two tasks are called '{name}'; the first stands in line {line}",
                reader.document.node((*raw.path, "name")) or raw.node,
                (*raw.path, "name"),
                fix=f"{name}_{index + 1}",
            )
        first_use.setdefault(name, raw)
        steps.append(_Step(name, _inputs(raw, index, names, reader)))
    if len(tasks) == 1 and tasks[0].type == SUBSCRIBER:
        reader.report(
            "graph.no_sink",
            "the flow receives events and does nothing with them; add a task after the source",
            tasks[0].node,
            tasks[0].path,
        )
    return steps


def _task_name(raw: RawTask, index: int) -> str:
    name = raw.values.get("name") if isinstance(raw.values, dict) else None
    return name if isinstance(name, str) else f"{raw.type or 'task'}_{index + 1}"


def _inputs(raw: RawTask, index: int, names: list[str], reader: Reader) -> tuple[str, ...]:
    given = raw.values.get("depends_on") if isinstance(raw.values, dict) else None
    if raw.type in KNOWN_TASKS and isinstance(given, list):
        given = tuple(item for item in given if isinstance(item, str))
    if not given or not isinstance(given, tuple):
        return (names[index - 1],) if index else ()
    path = (*raw.path, "depends_on")
    if index == 0:
        reader.report(
            "graph.source_depends",
            "the source can't depend on another task",
            reader.document.node(path),
            path,
        )
        return ()
    earlier = names[:index]
    for position, name in enumerate(given):
        if name in earlier and name not in given[:position]:
            continue
        place = reader.document.node((*path, position)) or reader.document.node(path)
        if name in earlier:
            message, fix = f"'{name}' is listed twice", None
        elif name == names[index]:
            message, fix = f"'{name}' can't depend on itself", None
        elif name in names:
            message, fix = f"'{name}' comes later; a task depends on tasks above it", None
        else:
            message, fix = f"there is no task '{name}' above", reader.suggest(name, earlier)
        reader.report("graph.depends_on", message, place, (*path, position), fix=fix)
    return given


def _sound_tasks(values: dict[str, Any], graph: list[_Step], reader: Reader) -> Iterator[Task]:
    """The tasks that no error is about."""
    told = (p.path for p in reader.problems if p.severity == "error")
    wrong = {match[0] for match in map(_TASK_PATH.match, told) if match}
    retry = _retry(values["retry"], Retry()) if values["retry"] is not MISSING else Retry()
    name = values["name"] if isinstance(values["name"], str) else "flow"
    for raw, step in zip(values["tasks"] if graph else (), graph, strict=True):
        if format_path(raw.path[:3]) not in wrong:
            yield _build_task(raw, step, retry, name)


def _build(
    values: dict[str, Any],
    tasks: tuple[Task, ...],
    document: Document,
    overrides: Mapping[str, str],
) -> Flow:
    import hashlib

    version = "".join((document.text, *(f"\n{k}={v}" for k, v in sorted(overrides.items()))))
    retry = _retry(values["retry"], Retry())
    failed = values["failed"] or {}
    budget = values["api_budget"]
    return Flow(
        name=values["name"],
        tasks=tasks,
        labels=values["labels"] or {},
        retry=retry,
        failed=Failed(
            **{
                **_given(failed, "stream", "replicas", "pause_after"),
                "max_age_seconds": failed.get("max_age"),
            }
        ),
        api_budget=ApiBudget(None if budget is None else budget["daily_share"]),
        api_version=values["api_version"],
        file=document.file,
        text=document.text,
        digest=hashlib.sha256(version.encode()).hexdigest(),
        document=document,
    )


def _build_task(raw: RawTask, step: _Step, retry: Retry, flow_name: str) -> Task:
    settings = raw.node.plain() or {}
    if raw.type in KNOWN_TASKS:
        return KnownTask(raw.type, step.name, step.depends_on, settings, raw.path)
    values = raw.values
    shared: dict[str, Any] = {
        "type": raw.type,
        "name": values["name"],
        "credentials_path": values["credentials_path"],
        "retry": _retry(values["retry"], retry),
        "depends_on": step.depends_on,
        "settings": settings,
        "path": raw.path,
    }
    if raw.type == SUBSCRIBER:
        return _build_subscriber(values, shared, flow_name)
    shared["batch"] = _batching(values["batch"])
    shared["templates"] = _templates(values)
    if raw.type == COMPOSITE:
        names = ("operation", "sobject_type", "external_id_field")
        flags = ("all_or_none", "allow_duplicate_save")
        return CompositeTask(
            **shared,
            **{name: values[name] for name in (*names, *flags)},
            fields=values["fields"] or (),
        )
    names = ("topic", "endpoint", "accept_duplicates")
    return PublisherTask(**shared, **{name: values[name] for name in names})


def _build_subscriber(
    values: dict[str, Any], shared: dict[str, Any], flow_name: str
) -> SubscriberTask:
    durable = values["durable_name"] or re.sub(r"[\s.*>/\\]", "_", flow_name)
    return SubscriberTask(
        **shared,
        subject=values["subject"],
        durable_name=durable,
        url=values["url"],
        stream=_stream(values["stream"], values["subject"]),
        ack_timeout_seconds=values["ack_timeout"],
        max_deliver=values["max_deliver"],
        backoff_seconds=values["backoff"] or DEFAULT_BACKOFF_SECONDS,
        max_messages=values["max_messages"],
        max_ack_pending=values["max_ack_pending"],
        delay_seconds=values["delay"],
        throttle_seconds=values["throttle"],
    )


def _stream(values: dict[str, Any] | None, subject: str) -> Stream | None:
    if values is None:
        return None
    seconds = ("max_age", "duplicate_window")
    names = {item.name for item in dataclasses.fields(Stream)}
    given = {name: value for name, value in values.items() if name in names}
    given.update({f"{name}_seconds": values[name] for name in seconds})
    given["subjects"] = values["subjects"] or (subject,)
    return Stream(**given)


def _templates(values: dict[str, Any]) -> dict[str, Any]:
    """`payload`, `ids` and `order_by` compiled, those that are there."""
    templates: dict[str, Any] = {}
    payload = values.get("payload")
    if payload is not None:
        templates["payload"] = payload if payload == FROM_EVENT else Compiled(payload, "record")
    if values.get("ids") is not None:
        templates["ids"] = Compiled(list(values["ids"]), "event")
    if values.get("order_by") is not None:
        templates["order_by"] = Compiled(values["order_by"], "record")
    return templates


def _retry(values: dict[str, Any] | None, default: Retry) -> Retry:
    if values is None:
        return default
    backoff = values["initial_backoff"]
    seconds = parse_duration(backoff) if isinstance(backoff, str) else backoff
    return Retry(values["max_attempts"], seconds)


def _batching(values: dict[str, Any] | None) -> Batching:
    if values is None:
        return Batching()
    linger = values["linger"]
    seconds = parse_duration(linger) if isinstance(linger, str) else linger
    return Batching(values["max_records"], seconds, values["max_in_flight"])


def _given(values: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: values[name] for name in names if name in values}
