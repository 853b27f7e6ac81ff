"""Flow files as a command was told to read them: with overrides, on the sandbox or not."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

from workbench.app.settings import Settings, read_flow_file
from workbench.errors import Problem, SettingsError
from workbench.flow import (
    FileFacts,
    Flow,
    KnownTask,
    PublisherTask,
    SinkTask,
    SubscriberTask,
    Task,
    check,
    parse,
    read,
)

__all__ = ["check_flow", "check_text", "flow_of", "load_flow"]


def load_flow(path: Path, settings: Settings) -> Flow:
    """The flow of a file, bound to the settings and ready to be opened.

    Raises:
        SettingsError: the file can't be read.
        FlowError: it has errors, or asks for a variable that is not set.
    """
    return flow_of(read_flow_file(path), path, settings)


def flow_of(text: bytes | str, path: Path, settings: Settings) -> Flow:
    """The flow of a text, as `load_flow` would give it if the file at `path` held that text.

    Raises:
        FlowError: it has errors, or asks for a variable that is not set.
    """
    flow = parse(text, str(path), overrides=dict(settings.overrides))
    if settings.is_sandbox:
        tasks = tuple(_on_sandbox(task, settings) for task in flow.tasks)
        flow = dataclasses.replace(flow, tasks=tasks)
    return flow.bind(settings.variables)


def _on_sandbox(task: Task, settings: Settings) -> Task:
    """The task pointed at the sandbox; what that does not have (NATS, perhaps) stays as it is, and
    so does what an override has set."""
    if isinstance(task, KnownTask):
        return task

    def given(field: str, key: str, otherwise: str) -> str:
        is_set = any(path == f"{task.name}.{field}" for path, _ in settings.overrides)
        return otherwise if is_set else settings.sandbox.get(key, otherwise)

    if isinstance(task, SubscriberTask):
        url = given("url", "NATS_URL", task.url)
        path = given("credentials_path", "NATS_CREDENTIALS", task.credentials_path or "") or None
        return dataclasses.replace(task, url=url, credentials_path=path)
    path = given("credentials_path", "SF_CREDENTIALS", task.credentials_path)
    if isinstance(task, PublisherTask):
        endpoint = given("endpoint", "PUBSUB_ADDR", task.endpoint)
        return dataclasses.replace(task, credentials_path=path, endpoint=endpoint)
    return dataclasses.replace(task, credentials_path=path)


def check_flow(path: Path, settings: Settings) -> list[Problem]:
    """Every problem of a flow file, in its order; what its credentials files tell included.

    Raises:
        SettingsError: the flow file can't be read.
    """
    return check_text(read_flow_file(path), path, settings)


def check_text(text: bytes | str, path: Path, settings: Settings) -> list[Problem]:
    """The problems of a text, as `check_flow` would tell them if the file at `path` held it.

    A credentials file that is not on this machine is no problem: flows are checked where they are
    written, and run elsewhere.
    """
    name, overrides = str(path), dict(settings.overrides)
    facts = {}
    if not settings.is_sandbox:  # which brings its own credentials
        for task in read(text, name, overrides).tasks:
            if not isinstance(task, KnownTask) and task.credentials_path:
                facts[task.credentials_path] = _facts(task, Path(task.credentials_path))
    known = {credentials: fact for credentials, fact in facts.items() if fact is not None}
    return check(text, name, file_facts=known, overrides=overrides)


def _facts(task: SubscriberTask | SinkTask, path: Path) -> FileFacts | None:
    """What can be said of a credentials file; None where it is not on this machine."""
    try:
        is_open = os.name == "posix" and bool(path.stat().st_mode & 0o044)
    except OSError:
        return None
    if isinstance(task, SubscriberTask):
        return FileFacts(is_readable_by_others=is_open)
    from workbench.salesforce.credentials import Grant, describe
    from workbench.salesforce.hosts import HostKind

    try:
        facts = describe(path)
    except SettingsError:
        return FileFacts(is_readable_by_others=is_open)  # a run will say what is wrong with it
    is_password = facts.grant is Grant.PASSWORD and facts.host is not HostKind.LOOPBACK
    return FileFacts(
        is_readable_by_others=is_open, login="username_password" if is_password else None
    )
