"""A flow and an environment into a flow that can run."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from workbench.errors import FlowError, Problem, RenderError
from workbench.flow import records
from workbench.flow.declaration import Section
from workbench.flow.document import Document
from workbench.flow.kinds import ListOf, Text
from workbench.flow.language import FLOW, RUN_TASKS
from workbench.flow.nodes import Path
from workbench.flow.payload import Compiled
from workbench.flow.reader import Kind
from workbench.flow.tasks import (
    CompositeTask,
    Flow,
    KnownTask,
    OrderKey,
    PublisherTask,
    SubscriberTask,
    Task,
)
from workbench.model import Event

__all__ = ["bind"]

_NO_EVENT = Event("", b"")


def bind(flow: Flow, env: Mapping[str, str]) -> Flow:
    """See `Flow.bind`."""
    binder = _Binder(flow.document, env)
    tasks = tuple(binder.task(task) for task in flow.tasks)
    failed = dataclasses.replace(
        flow.failed, **binder.fixed(flow.failed, _section(FLOW, "failed"), ("flow", "failed"))
    )
    own = binder.fixed(flow, FLOW, ("flow",))
    if binder.problems:
        raise FlowError(binder.problems)
    return dataclasses.replace(flow, tasks=tasks, failed=failed, is_bound=True, **own)


class _Binder:
    """Renders what is fixed per run, and keeps every problem."""

    def __init__(self, document: Document, env: Mapping[str, str]) -> None:
        self.document = document
        self.env = env
        self.problems: list[Problem] = []

    def task(self, task: Task) -> Task:
        if isinstance(task, KnownTask):
            self._report(
                "task.not_run",
                f"'{task.type}' is known, but not run by workbench",
                ("flow", "tasks"),
                task.name,
            )
            return task
        fixed = self.fixed(task, RUN_TASKS[task.type], task.path)
        if isinstance(task, SubscriberTask):
            if task.stream is not None:
                section = _section(RUN_TASKS[task.type], "stream")
                changes = self.fixed(task.stream, section, (*task.path, "stream"))
                fixed["stream"] = dataclasses.replace(task.stream, **changes)
            return dataclasses.replace(task, **fixed)
        self._check_variables(task)
        if isinstance(task, CompositeTask):
            return dataclasses.replace(task, **fixed, **self._composite(task))
        render = records.bind_payload(task.name, task.templates["payload"], self.env)
        return dataclasses.replace(task, **fixed, render=render, order_key=self._order_key(task))

    def _composite(self, task: CompositeTask) -> dict[str, Any]:
        templates = task.templates
        if task.operation in {"get", "delete"}:
            render = records.bind_ids(
                task.name, templates.get("ids"), templates.get("payload"), self.env
            )
        else:
            render = records.bind_payload(task.name, templates["payload"], self.env)
        return {"render": render, "order_key": self._order_key(task)}

    def _order_key(self, task: CompositeTask | PublisherTask) -> OrderKey | None:
        order_by = task.templates.get("order_by")
        return order_by and records.bind_order_key(task.name, order_by, self.env)

    def fixed(self, holder: Any, section: Section, path: Path) -> dict[str, Any]:
        """The fields of `holder` that hold `env` templates, rendered."""
        changes = {}
        for name in _env_fields(section):
            value = getattr(holder, name)
            if isinstance(value, str):
                rendered: Any = self._text(value, (*path, name))
            elif isinstance(value, tuple):
                rendered = tuple(
                    self._text(item, (*path, name, index)) for index, item in enumerate(value)
                )
            else:
                continue
            if name == "fields":
                rendered = tuple(f.strip() for item in rendered for f in item.split(",") if f)
            if rendered != value:
                changes[name] = rendered
        return changes

    def _text(self, text: str, path: Path) -> str:
        if "{{" not in text and "{%" not in text:
            return text
        compiled = Compiled(text, "env")
        if self._missing(compiled, path):
            return text
        try:
            value = compiled.bind("", "", self.env)(_NO_EVENT, None, None)
        except RenderError as error:
            self._report("env.value", f"'{path[-1]}' can't be rendered: {error.reason}", path)
            return text
        if not isinstance(value, str) or not value.strip():
            self._report("env.value", f"'{path[-1]}' is empty with this environment", path)
            return text
        return value

    def _check_variables(self, task: CompositeTask | PublisherTask) -> None:
        for field, compiled in task.templates.items():
            if isinstance(compiled, Compiled):
                self._missing(compiled, (*task.path, field))

    def _missing(self, compiled: Compiled, path: Path) -> bool:
        """Report every variable that `compiled` must have and the environment has not."""
        missing = [
            (str(lookup[1]), (*path, *below))
            for below, leaf in compiled.leaves.items()
            for lookup in leaf.required
            if lookup[0] == "env" and lookup[1] not in self.env
        ]
        for name, place in dict.fromkeys(missing):
            self._report("env.missing", f"the environment variable {name} is not set", place)
        return bool(missing)

    def _report(self, code: str, message: str, path: Path, task: str = "") -> None:
        node = self.document.node(path)
        about = f"task '{task}': {message}" if task else message
        self.problems.append(self.document.problem(code, about, node.span if node else None, path))


def _section(section: Section, name: str) -> Section:
    field = section.find(name)
    assert field is not None
    assert isinstance(field.kind, Section)
    return field.kind


def _env_fields(section: Section) -> Iterator[str]:
    for field in section.fields:
        kind: Kind = field.kind.item if isinstance(field.kind, ListOf) else field.kind
        if isinstance(kind, Text) and kind.scope == "env":
            yield field.name
