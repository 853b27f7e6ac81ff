"""The requests that an event would cause, found out by the engine itself and sent to nobody."""

from __future__ import annotations

import time
from dataclasses import dataclass

from workbench.app.opening import TaskSink, sink_of, stage_spec
from workbench.engine import Core, Gate, StageSpec
from workbench.flow import Flow
from workbench.model import Answer, Event, Written
from workbench.salesforce import Request

__all__ = ["Preview", "PreviewedRequest", "preview"]


@dataclass(frozen=True, slots=True)
class PreviewedRequest:
    """A request that would leave, and how many records it carries."""

    task: str
    request: Request
    records: int


@dataclass(frozen=True, slots=True)
class Preview:
    """What would become of an event.

    `requests` are in the order in which they would leave; `problems` say why the event would be
    kept as a failed batch in place of being sent; `later` names tasks whose requests depend on
    Salesforce's answers and can't be known.
    """

    requests: tuple[PreviewedRequest, ...]
    problems: tuple[str, ...]
    later: tuple[str, ...]


def preview(flow: Flow, event: Event) -> Preview:
    """Render, split and group an event as a run of the flow would, with no network at all.

    The requests name the newest API version where the flow names none; a run asks the org.
    """
    sinks: dict[str, TaskSink] = {}
    specs: list[StageSpec] = []
    later = []
    for task in flow.sinks:
        if flow.source.name not in task.depends_on:
            later.append(task.name)
            continue
        sinks[task.name] = sink_of(task, flow, {})
        specs.append(stage_spec(flow, task, sinks[task.name]))
    core = Core(flow.name, flow.source.name, specs, Gate(), wall=time.time)
    core.accept([event], 0.0)
    core.drain(0.0)  # nothing waits for more to come
    requests = []
    while (sending := core.next_request(0.0)) is not None:
        request = sinks[sending.stage.name].request_of(sending.batch)
        requests.append(PreviewedRequest(sending.stage.name, request, len(sending.batch)))
        # As if all had gone well, so that records that wait for another of their key come too.
        core.answered(sending, Answer([Written("")] * len(sending.batch)), 0.0)
    problems = [batch.reason for _, batches in core.outbox.failed for batch in batches]
    return Preview(tuple(requests), tuple(problems), tuple(later))
