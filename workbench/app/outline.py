"""What a flow does, in a line for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.flow import CompositeTask

if TYPE_CHECKING:
    from workbench.flow import Flow, SinkTask

__all__ = ["deed", "outline"]


def deed(task: SinkTask) -> str:
    """What a task does: `upsert Contact by ExternalId__c`, `publish /event/CRM_Event__e`."""
    if not isinstance(task, CompositeTask):
        return f"publish {task.topic}"
    by = f" by {task.external_id_field}" if task.external_id_field else ""
    return f"{task.operation} {task.sobject_type or 'records'}{by}"


def outline(flow: Flow) -> str:
    """From the subject to the last tasks, an arrow between each and what receives from it; those
    that receive from the same stand side by side: `crm.> → upsert Account by Id__c → publish ...`.
    """
    depth = {flow.source.name: 0}
    levels: list[list[str]] = []
    for task in flow.sinks:
        place = max((depth.get(name, 0) for name in task.depends_on), default=0)
        depth[task.name] = place + 1
        if place == len(levels):
            levels.append([])
        levels[place].append(deed(task))
    return " → ".join([flow.source.subject, *(" + ".join(level) for level in levels)])
