"""Flow files as a command was told to read them: with overrides, on the sandbox or not."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from workbench.app.settings import Settings, read_flow_file
from workbench.errors import Problem, SettingsError
from workbench.flow import (
    Flow,
    KnownTask,
    PublisherTask,
    SubscriberTask,
    Task,
    check,
    parse,
)

__all__ = ["check_flow", "load_flow"]


def load_flow(path: Path, settings: Settings) -> Flow:
    """The flow of a file, bound to the settings and ready to be opened.

    Raises:
        SettingsError: the file can't be read, or an override leads nowhere.
        FlowError: it has errors, or asks for a variable that is not set.
    """
    flow = parse(read_flow_file(path), str(path), overrides=dict(settings.overrides))
    if settings.is_sandbox:
        tasks = tuple(_on_sandbox(task, settings) for task in flow.tasks)
        flow = dataclasses.replace(flow, tasks=tasks)
    return flow.bind(settings.variables)


def _on_sandbox(task: Task, settings: Settings) -> Task:
    """The task pointed at the sandbox; what that does not have (NATS, perhaps) stays as it is."""
    if isinstance(task, KnownTask):
        return task
    given = settings.sandbox
    if isinstance(task, SubscriberTask):
        url = given.get("NATS_URL", task.url)
        path = given.get("NATS_CREDENTIALS", task.credentials_path)
        return dataclasses.replace(task, url=url, credentials_path=path)
    login = given["SF_CREDENTIALS"]
    if isinstance(task, PublisherTask):
        endpoint = given.get("PUBSUB_ADDR", task.endpoint)
        return dataclasses.replace(task, credentials_path=login, endpoint=endpoint)
    return dataclasses.replace(task, credentials_path=login)


def check_flow(path: Path, settings: Settings) -> list[Problem]:
    """Every problem of a flow file, in its order; what its credentials files tell included.

    A credentials file that is not on this machine is no problem: flows are checked where they are
    written, and run elsewhere.

    Raises:
        SettingsError: the flow file can't be read, or an override leads nowhere.
    """
    text = read_flow_file(path)
    problems = list(check(text, str(path), overrides=dict(settings.overrides)))
    if not any(problem.severity == "error" for problem in problems):
        problems += _credential_problems(parse(text, str(path)))
    return sorted(problems, key=lambda problem: (problem.line, problem.column))


def _credential_problems(flow: Flow) -> list[Problem]:
    from workbench.salesforce.credentials import describe

    problems = []
    for task in flow.sinks:
        if not Path(task.credentials_path).is_file():
            continue
        try:
            sentences = describe(task.credentials_path).warnings
        except SettingsError as error:
            sentences = (str(error),)
        place = (*task.path, "credentials_path")
        node = flow.document.node(place)
        problems += [
            flow.document.problem(
                "credentials", sentence, node.span if node else None, place, severity="warning"
            )
            for sentence in sentences
        ]
    return problems
