"""The failed batch: everything needed to explain one event's failure and to write it again."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from workbench.model.record import Record

__all__ = ["Attempt", "FailedBatch", "FailedRecord", "failed_id", "rival_id", "safe_name"]


@lru_cache(maxsize=1024)
def safe_name(name: str) -> str:
    """A name as one token that NATS subjects, file names and shells like: letters, digits, - and _.

    What had to be replaced is told apart by a digest, so that different names stay different.

    >>> safe_name("crm-contacts_1")
    'crm-contacts_1'
    >>> safe_name("crm contacts")
    'crm_contacts-8bf9'
    """
    safe = "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "_" for c in name)
    if safe == name and name:
        return name
    return f"{safe}-{hashlib.sha256(name.encode()).hexdigest()[:4]}"


def failed_id(stream: str, sequence: int, flow: str, task: str, branch: str = "") -> str:
    """The id of what failed of one event in one task: the same failure always has the same id.

    `stream.sequence.flow.task`, each made safe by `safe_name`; `branch`, the fifth part, names the
    upstream task where a task with several inputs sees an event more than once.
    """
    id = f"{safe_name(stream)}.{sequence}.{safe_name(flow)}.{safe_name(task)}"
    return f"{id}.{safe_name(branch)}" if branch else id


def rival_id(batch: FailedBatch) -> str:
    """The id of a failure whose own is taken by an event of another time: a stream that was
    deleted and made again counts its sequences from 1 once more."""
    return f"{batch.id}.{''.join(filter(str.isdigit, batch.timestamp))}"


# Not frozen, as `Event` is not and for the same reason: where all fails, one of each is made for
# every record. Treat them as read-only all the same.


@dataclass(slots=True)
class FailedRecord:
    """One record of the event in this task and what became of it.

    `index` counts from 0 within the event's rendered records. `outcome` is one of written,
    refused, rolled_back, deferred, unsent, unknown; written ones are listed too, so that nobody
    has to guess.
    """

    index: int
    record: Record | None
    outcome: str
    code: str = ""
    message: str = ""
    fields: tuple[str, ...] = ()
    id: str = ""

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return {
            "index": self.index,
            "record": self.record,
            "outcome": self.outcome,
            "code": self.code,
            "message": self.message,
            "fields": self.fields,
            "id": self.id,
        }


@dataclass(slots=True)
class Attempt:
    """One try at writing it: when (ISO 8601, UTC), what was asked and what came back.

    `request_line` is method and path; `status` the HTTP or gRPC status or None; `results` the
    part of the answer that is about these records, `error` the sentence when no answer came.
    """

    time: str
    request_line: str
    status: int | None
    results: Sequence[Any] = ()
    error: str | None = None
    by: str = "engine"
    changes: Sequence[Mapping[str, Any]] = ()

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return {
            "time": self.time,
            "request_line": self.request_line,
            "status": self.status,
            "results": self.results,
            "error": self.error,
            "by": self.by,
            "changes": self.changes,
        }


@dataclass(slots=True)
class FailedBatch:
    """What failed of one event in one task, kept until it is replayed or discarded.

    `kind` is `refused` (Salesforce said no), `unfit` (the event does not fit the flow),
    `exhausted` (its tries are used up), `unknown` (it may have been written), or `undecided`
    (the deliveries ran out without a decision, as after crashes).
    `settings` are the task's settings with credentials paths but no secret; `digest` identifies
    that version of the flow. `input` is the `event.data` this task saw where it was not the
    event's own (a later task of a chain), else None.
    """

    id: str
    flow: str
    task: str
    kind: str
    reason: str
    subject: str
    stream: str
    sequence: int
    num_delivered: int
    timestamp: str
    headers: Mapping[str, str]
    data: bytes
    digest: str
    settings: Mapping[str, Any]
    records: tuple[FailedRecord, ...]
    attempts: tuple[Attempt, ...]
    failed_at: str
    input: Any = None
    origin: Mapping[str, Any] = field(default_factory=dict)

    @property
    def failures(self) -> tuple[FailedRecord, ...]:
        """The records that are not written."""
        return tuple(record for record in self.records if record.outcome != "written")

    def to_json(self) -> dict[str, Any]:
        """A JSON object; the event's bytes as base64 under `data_base64`."""
        return {
            "version": 1,
            "id": self.id,
            "flow": self.flow,
            "task": self.task,
            "kind": self.kind,
            "reason": self.reason,
            "subject": self.subject,
            "stream": self.stream,
            "sequence": self.sequence,
            "num_delivered": self.num_delivered,
            "timestamp": self.timestamp,
            "headers": self.headers,
            "digest": self.digest,
            "failed_at": self.failed_at,
            "input": self.input,
            "origin": self.origin,
            "settings": self.settings,
            "records": [record.to_json() for record in self.records],
            "attempts": [attempt.to_json() for attempt in self.attempts],
            "data_base64": base64.b64encode(self.data).decode(),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any], data: bytes | None = None) -> FailedBatch:
        """The inverse of `to_json`; `data` are the event's bytes where they are kept apart.

        Raises:
            ValueError: a key is missing or wrong, or the version is not ours.
        """
        given = dict(value)
        if given.pop("version", 1) != 1:
            raise ValueError("this failed batch was written by a newer workbench")
        try:
            given["data"] = base64.b64decode(given.pop("data_base64")) if data is None else data
            given["records"] = tuple(
                FailedRecord(**{**record, "fields": tuple(record.get("fields", ()))})
                for record in given["records"]
            )
            given["attempts"] = tuple(
                Attempt(
                    **{
                        **attempt,
                        "results": tuple(attempt.get("results", ())),
                        "changes": tuple(attempt.get("changes", ())),
                    }
                )
                for attempt in given["attempts"]
            )
            return cls(**given)
        except (KeyError, TypeError) as error:
            raise ValueError(f"not a failed batch: {error}") from error
