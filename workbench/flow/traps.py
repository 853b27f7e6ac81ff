"""What is allowed and still goes wrong: the field's traps, told before they are met.

Every trap is a warning or an info, never an error. What JetStream's server does with `backoff`
and limits: https://docs.nats.io/nats-concepts/jetstream/consumers, 2026-11-23.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from workbench.errors import Problem
from workbench.flow import expression
from workbench.flow.document import Document
from workbench.flow.duration import format_duration
from workbench.flow.expression import Lookup, MissingValueError, Roots, format_lookup
from workbench.flow.nodes import Path, quoted
from workbench.flow.payload import Compiled, Leaf
from workbench.flow.reader import nearest
from workbench.flow.shapes import FROM_EVENT
from workbench.flow.tasks import (
    CompositeTask,
    FileFacts,
    KnownTask,
    PublisherTask,
    SinkTask,
    SubscriberTask,
    Task,
)
from workbench.model import Event

__all__ = ["find_traps"]

# Limits of https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/, 2026-11-23.
MAX_COLLECTION = 200
"""Page resources_composite_sobjects_collections_create.htm."""
MAX_ATOMIC = 1_000
"""Five collections in one request, page resources_composite_composite_post.htm."""
DEFAULT_ACK_WAIT_SECONDS = 30.0

Found = Iterator[tuple[str, str, Path, dict[str, Any]]]
"""Code, sentence, path below the task, and what differs from a plain warning."""


def find_traps(
    document: Document,
    tasks: Sequence[Task],
    samples: Sequence[Any],
    file_facts: Mapping[str, FileFacts],
) -> list[Problem]:
    """Warnings and infos about tasks that are right by the language's rules."""
    problems = []
    for task in tasks:
        for code, message, path, more in _traps_of(task, tasks, samples, file_facts):
            full = (*task.path, *path)
            node = document.node(full) or document.node(task.path)
            more.setdefault("severity", "warning")
            span = node.span if node else None
            problems.append(document.problem(code, message, span, full, **more))
    return problems


def _traps_of(
    task: Task, tasks: Sequence[Task], samples: Sequence[Any], facts: Mapping[str, FileFacts]
) -> Found:
    if isinstance(task, KnownTask):
        yield "task.not_run", f"'{task.type}' is known, but not run by workbench", (), {}
        return
    yield from _credentials(task, facts)
    if isinstance(task, SubscriberTask):
        yield from _redelivery(task)
        yield from _stream(task)
        yield from _room(task, tasks)
        return
    yield from _linger(task, tasks)
    if isinstance(task, CompositeTask):
        yield from _idempotency(task)
        yield from _atomicity(task, samples)
        yield from _unused(task)
        yield from _keys(task)
    else:
        yield (
            "trap.events_not_idempotent",
            "an event delivered again after a crash publishes its platform event again",
            (),
            {"severity": "info"},
        )
    if tasks and task.depends_on == (tasks[0].name,):
        yield from _unseen_fields(task, samples)


def _redelivery(task: SubscriberTask) -> Found:
    steps = len(task.backoff_seconds) if "backoff" in task.settings else 0
    waits = task.max_deliver - 1
    if steps and 0 <= waits < steps:
        unreached = "the last step is" if steps - waits == 1 else f"the last {steps - waits} are"
        yield (
            "trap.backoff_unreached",
            f"max_deliver {task.max_deliver} has room for {waits} waits, backoff lists {steps}; "
            f"{unreached} never reached",
            ("backoff",),
            {},
        )
        server = "any server" if steps > task.max_deliver else "servers before 2.11"
        yield (
            "trap.backoff_refused",
            f"other engines hand backoff to the server, and {server} refuses {steps} steps with "
            f"max_deliver {task.max_deliver}",
            ("backoff",),
            {"severity": "info"},
        )
    ack_timeout = task.ack_timeout_seconds
    if steps and ack_timeout and task.backoff_seconds[0] != ack_timeout:
        yield (
            "trap.backoff_overrides_ack_timeout",
            f"other engines let the first backoff step ({format_duration(task.backoff_seconds[0])})"
            f" replace ack_timeout ({format_duration(ack_timeout)}); workbench keeps both",
            ("backoff",),
            {"severity": "info"},
        )
    max_age = task.stream.max_age_seconds if task.stream else None
    if max_age is not None and task.max_deliver > 0:
        schedule = _schedule_seconds(task)
        if max_age < schedule:
            yield (
                "trap.max_age",
                f"the stream drops events after {format_duration(max_age)}, but their deliveries "
                f"may take {format_duration(schedule)}: retries would be lost",
                ("stream", "max_age"),
                {},
            )


def _schedule_seconds(task: SubscriberTask) -> float:
    """From the first delivery to the end of the last: every wait and every attempt in full."""
    steps = task.backoff_seconds
    waits = [steps[min(index, len(steps) - 1)] for index in range(min(task.max_deliver - 1, 1000))]
    attempt = task.ack_timeout_seconds or DEFAULT_ACK_WAIT_SECONDS
    return sum(waits) + task.max_deliver * attempt


def _stream(task: SubscriberTask) -> Found:
    stream = task.stream
    if stream is None:
        return
    fixed = "{{" not in task.subject + "".join(stream.subjects)
    if fixed and not any(subject_covers(subject, task.subject) for subject in stream.subjects):
        yield (
            "trap.subject_outside_stream",
            f"subject '{task.subject}' is not among the stream's subjects: nothing would arrive",
            ("subject",),
            {},
        )
    window = stream.duplicate_window_seconds
    if window and stream.max_age_seconds and window > stream.max_age_seconds:
        yield (
            "trap.duplicate_window",
            "duplicate_window is longer than max_age, which the server refuses",
            ("stream", "duplicate_window"),
            {},
        )


def _room(task: SubscriberTask, tasks: Sequence[Task]) -> Found:
    room = task.max_ack_pending
    if room is None or room < 0:
        return
    if task.max_messages is not None and task.max_messages > room:
        yield (
            "trap.max_ack_pending",
            f"max_messages {task.max_messages} can't be filled while max_ack_pending is {room}",
            ("max_ack_pending",),
            {},
        )
        return
    for sink in tasks:
        if isinstance(sink, (CompositeTask, PublisherTask)) and room < sink.batch.max_records:
            yield (
                "trap.max_ack_pending",
                f"max_ack_pending {room} keeps the requests of '{sink.name}' below their "
                f"{sink.batch.max_records} records where events hold one each",
                ("max_ack_pending",),
                {},
            )


def _linger(task: SinkTask, tasks: Sequence[Task]) -> Found:
    source = tasks[0]
    if not isinstance(source, SubscriberTask):
        return
    limit = source.ack_timeout_seconds or DEFAULT_ACK_WAIT_SECONDS
    if task.batch.linger_seconds >= limit:
        yield (
            "trap.linger",
            f"linger uses up ack_timeout ({format_duration(limit)}) before anything is sent",
            ("batch", "linger"),
            {},
        )


def _idempotency(task: CompositeTask) -> Found:
    if task.operation in {"create", "tree"}:
        yield (
            "trap.create_not_idempotent",
            f"'{task.operation}' is not idempotent: an event delivered again after a crash or a "
            "lost answer creates its records twice; upsert by an external id is safe",
            ("operation",),
            {},
        )
    if (task.external_id_field or "").lower() == "id" and task.operation == "upsert":
        yield (
            "trap.upsert_by_id",
            "collections upsert by external id fields only; use 'update' for records with an Id",
            ("external_id_field",),
            {},
        )


def _atomicity(task: CompositeTask, samples: Sequence[Any]) -> Found:
    if not task.all_or_none:
        return
    if task.operation in {"get", "tree"}:
        why = "a tree is always all or none" if task.operation == "tree" else "'get' writes nothing"
        yield "trap.unused_setting", f"all_or_none: {why}", ("all_or_none",), {"severity": "info"}
        return
    limit = min(task.batch.max_records, MAX_COLLECTION)
    largest = max((len(sample) for sample in samples if isinstance(sample, list)), default=0)
    payload = task.templates.get("payload")
    if isinstance(payload, Compiled) and not payload.uses("record"):
        largest = len(payload.value) if isinstance(payload.value, list) else 1
    if largest > MAX_ATOMIC:
        yield (
            "trap.all_or_none_requests",
            f"a captured event has {largest:,} records; all_or_none holds {MAX_ATOMIC:,} at most, "
            "so it would become a failed batch",
            ("all_or_none",),
            {},
        )
    elif largest > limit:
        yield (
            "trap.all_or_none_requests",
            f"events of up to {largest} records take more than one collection of {limit}; they "
            "are bound together in one composite request",
            ("all_or_none",),
            {},
        )
    elif payload == FROM_EVENT and not samples:
        yield (
            "trap.all_or_none_requests",
            f"an event of more than {limit} records takes several collections in one composite "
            f"request; one of more than {min(5 * limit, MAX_ATOMIC):,} becomes a failed batch",
            ("all_or_none",),
            {"severity": "info"},
        )


_USED_BY = {
    "external_id_field": {"upsert"},
    "allow_duplicate_save": {"create", "update", "upsert", "tree"},
    "ids": {"get", "delete"},
    "fields": {"get"},
    "order_by": {"create", "update", "upsert", "delete", "tree"},
}


def _unused(task: CompositeTask) -> Found:
    for name, operations in _USED_BY.items():
        if task.settings.get(name) and task.operation not in operations:
            yield (
                "trap.unused_setting",
                f"'{task.operation}' does not use '{name}'",
                (name,),
                {},
            )
    if {"payload", "ids"} <= set(task.templates) and task.operation in _USED_BY["ids"]:
        yield "trap.unused_setting", "'ids' is used; 'payload' is not", ("payload",), {}


def _keys(task: CompositeTask) -> Found:
    wanted = {"upsert": task.external_id_field, "update": "id"}.get(task.operation)
    payload = task.templates.get("payload")
    if wanted is None or "{{" in wanted or not isinstance(payload, Compiled):
        return
    many = isinstance(payload.value, list)
    for index, record in enumerate(payload.value if many else [payload.value]):
        keys = {key.lower(): key for key in record}
        path: Path = ("payload", index) if many else ("payload",)
        if wanted.lower() not in keys:
            yield (
                "trap.key_missing",
                f"'{task.operation}' finds its row by '{wanted}', which the payload never sets",
                path,
                {},
            )
        if task.operation == "upsert" and "id" in keys and wanted.lower() != "id":
            yield (
                "trap.id_in_upsert",
                f"Salesforce refuses a record id in an upsert by '{wanted}'",
                (*path, keys["id"]),
                {},
            )


def _credentials(task: SubscriberTask | SinkTask, file_facts: Mapping[str, FileFacts]) -> Found:
    if isinstance(task, SubscriberTask) and re.search(r"//[^/@{]*:[^/@{]+@", task.url):
        yield (
            "trap.secret_in_file",
            "the url holds a password; keep it in credentials_path or in the environment",
            ("url",),
            {},
        )
    facts = file_facts.get(task.credentials_path or "")
    if facts is None:
        return
    path: Path = ("credentials_path",)
    if not facts.exists:
        yield "trap.credentials_missing", f"there is no file {task.credentials_path}", path, {}
    if facts.is_readable_by_others:
        yield (
            "trap.credentials_readable",
            f"{task.credentials_path} can be read by other users of this machine; "
            f"run: chmod 600 {task.credentials_path}",
            path,
            {},
        )
    if facts.login == "username_password":
        yield (
            "trap.username_password_login",
            "username-password login is switched off in orgs made since Summer '23 and is being "
            "retired; use client credentials or JWT bearer",
            path,
            {},
        )


def _unseen_fields(task: SinkTask, samples: Sequence[Any]) -> Found:
    for field, compiled in task.templates.items():
        if not isinstance(compiled, Compiled) or field == "order_by":
            continue
        for path, leaf in compiled.leaves.items():
            for lookup in leaf.required:
                values = _sampled(lookup, samples)
                if values and not any(_has(lookup, value) for value in values):
                    yield _unseen((field, *path), leaf, lookup, values)


def _sampled(lookup: Lookup, samples: Sequence[Any]) -> list[Any]:
    """What the path's root stands for in the samples; nothing for paths that are not about data."""
    if lookup[:2] == ("event", "data"):
        return list(samples)
    if lookup[0] == "record":
        return [
            item for data in samples for item in (data if isinstance(data, list) else [data])[:1000]
        ]
    return []


def _has(lookup: Lookup, value: Any) -> bool:
    try:
        expression.look_up(lookup, Roots(_NO_EVENT, value, value, {}))
    except MissingValueError:
        return False
    return True


_NO_EVENT = Event("", b"")


def _unseen(
    path: Path, leaf: Leaf, lookup: Lookup, values: Sequence[Any]
) -> tuple[str, str, Path, dict[str, Any]]:
    known = {str(key) for value in values if isinstance(value, dict) for key in value}
    start = 2 if lookup[0] == "event" else 1
    near = nearest(str(lookup[start]), sorted(known)) if len(lookup) == start + 1 else None
    fix = None
    if near is not None:
        meant = format_lookup((*lookup[:start], near))
        fix = quoted(leaf.text.replace(format_lookup(lookup), meant))
    message = f"no captured event has {format_lookup(lookup)} ({len(values)} looked at)"
    return "trap.field_unseen", message, path, {"fix": fix}


def subject_covers(pattern: str, subject: str) -> bool:
    """Whether every subject that `subject` can mean is one that `pattern` collects."""
    wanted, given = pattern.split("."), subject.split(".")
    for index, token in enumerate(wanted):
        if token == ">":
            return len(given) > index
        if index >= len(given) or given[index] == ">":
            return False
        if token != "*" and token != given[index]:
            return False
    return len(wanted) == len(given)
