"""What a replay would send, found out by the engine's own core and sent to nobody."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from workbench.app.opening import TaskSink, sink_of, stage_spec
from workbench.app.replay_choice import Choice
from workbench.engine import Core, Gate
from workbench.model import Answer, Event, Record, Written, counted

__all__ = ["Difference", "Plan", "PlannedRequest", "Planner"]

_SHOWN_REQUESTS = 20
_SHOWN_DIFFERENCES = 200
_SOURCE = "failed batches"


@dataclass(frozen=True, slots=True)
class PlannedRequest:
    """A request as it would leave."""

    task: str
    method: str
    target: str
    body: bytes
    records: int


@dataclass(frozen=True, slots=True)
class Difference:
    """How what would be sent of an entry differs from what had failed; no lines if it does not."""

    id: str
    lines: tuple[str, ...]
    changes: tuple[Mapping[str, Any], ...]


@dataclass(slots=True)
class Plan:
    """What a replay would do.

    Attributes:
        entries, records, requests: in all.
        what: operation and object (`upsert Contact`) and how many records of each.
        shown: the first 20 requests.
        differences: of the first 200 entries.
        skipped: entries that would not be touched, and a sentence why.
        duplicates: of those, the ones that are only waiting for `accept_duplicates`.
        later: tasks that would receive the results.
        orgs: where it would be written, as user at instance; empty where it was not asked.
        api_used, api_limit: the org's daily calls, None where it was not asked.
    """

    entries: int = 0
    records: int = 0
    requests: int = 0
    what: dict[str, int] = field(default_factory=dict)
    shown: list[PlannedRequest] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    duplicates: list[str] = field(default_factory=list)
    later: list[str] = field(default_factory=list)
    orgs: list[str] = field(default_factory=list)
    api_used: int | None = None
    api_limit: int | None = None

    def sentence(self) -> str:
        """All of it in one line."""
        what = ", ".join(f"{name}: {counted(count, 'record')}" for name, count in self.what.items())
        text = (
            f"{counted(self.entries, 'entry', 'entries')}, "
            f"{counted(self.records, 'record')} in "
            f"{counted(self.requests, 'request')}" + (f" ({what})" if what else "")
        )
        if self.later:
            text += f", then {', '.join(self.later)} with the results"
        if self.orgs:
            text += f", to {' and '.join(self.orgs)}"
        if self.api_used is not None and self.api_limit is not None:
            left = self.api_limit - self.api_used
            text += (
                f"; the org has used {self.api_used:,} of {self.api_limit:,} API calls today, "
                f"{left:,} are left"
            )
        if self.skipped:
            text += f"; {counted(len(self.skipped), 'entry is', 'entries are')} left alone"
        return text


class Planner:
    """One task's part of a plan: `add` what was chosen, then `finish`."""

    def __init__(self, plan: Plan, choice: Choice) -> None:
        flow, task = choice.flow, choice.task
        self._plan = plan
        self._name = _what(choice)
        self._sink: TaskSink = sink_of(task, flow, {})
        self._records: dict[int, Sequence[Record]] = {}
        self._choices: dict[int, Choice] = {}
        self._count = 0
        spec = dataclasses.replace(
            stage_spec(flow, task, self._sink),
            upstreams=(_SOURCE,),
            render=lambda event, data: list(self._choices[event.sequence].records),
            order_key=None if task.order_key is None else self._order_key,
        )
        self._core = Core(flow.name, _SOURCE, [spec], Gate(), wall=time.time)
        later = {other.name for other in flow.after(task.name)}
        plan.later += [name for name in later if name not in plan.later]

    def add(self, choice: Choice) -> None:
        """Count an entry's records, and the requests that are full with them."""
        plan = self._plan
        plan.entries += 1
        plan.records += len(choice.records)
        plan.what[self._name] = plan.what.get(self._name, 0) + len(choice.records)
        if len(plan.differences) < _SHOWN_DIFFERENCES:
            plan.differences.append(Difference(choice.entry.id, choice.lines, choice.changes))
        self._count += 1
        self._choices[self._count] = choice
        # A number of our own: entries of several streams may share a sequence.
        event = Event(choice.event.subject, b"null", sequence=self._count)
        self._core.accept([event], 0.0)
        self._send()

    def finish(self) -> None:
        """Count the requests that the rest goes into."""
        self._core.drain(0.0)
        self._send()

    def _order_key(self, event: Event, data: Any, record: Record) -> str | None:
        choice = self._choices[event.sequence]
        assert choice.task.order_key is not None
        return choice.task.order_key(choice.event, choice.data, record)

    def _send(self) -> None:
        core, plan = self._core, self._plan
        while (sending := core.next_request(0.0)) is not None:
            plan.requests += 1
            if len(plan.shown) < _SHOWN_REQUESTS:
                request = self._sink.request_of(sending.batch)
                plan.shown.append(
                    PlannedRequest(
                        sending.stage.name,
                        request.method,
                        request.target,
                        request.body,
                        len(sending.batch),
                    )
                )
            core.answered(sending, Answer([Written("")] * len(sending.batch)), 0.0)
        for event, batches in core.outbox.failed:
            id = self._choices[event.sequence].entry.id
            plan.skipped.append((id, batches[0].reason))
        core.outbox.acks.clear()
        core.outbox.failed.clear()
        self._choices = {key: self._choices[key] for key in core.held if key in self._choices}


def _what(choice: Choice) -> str:
    operation = getattr(choice.task, "operation", "publish")
    target = getattr(choice.task, "sobject_type", "") or getattr(choice.task, "topic", "")
    return f"{operation} {target}"
