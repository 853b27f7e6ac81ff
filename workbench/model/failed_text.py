"""The JSON text of failed batches, put together from pieces.

Where all fails, thousands of entries a second differ in little but the record: the task's settings,
the answer and what it says of a record are the same for all that one request refused, and are
written out once.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from workbench import codec
from workbench.model.failed import Attempt, FailedBatch, FailedRecord

__all__ = ["FailedText"]


class FailedText:
    """Writes one failed batch after the other; remembers the newest settings and attempt."""

    def __init__(self) -> None:
        self._settings: Mapping[str, Any] | None = None
        self._settings_text = b""
        self._attempt: Attempt | None = None
        self._attempt_text = b""

    def of(self, batch: FailedBatch) -> bytes:
        """The text of `FailedBatch.to_json`, but for the event's bytes."""
        if batch.settings is not self._settings:
            self._settings, self._settings_text = batch.settings, codec.encode(batch.settings)
        own = {
            "version": 1,
            "id": batch.id,
            "sequence": batch.sequence,
            "num_delivered": batch.num_delivered,
            "timestamp": batch.timestamp,
            "headers": batch.headers,
            "failed_at": batch.failed_at,
            "input": batch.input,
            "origin": batch.origin,
        }
        shared = _shared(
            batch.flow, batch.task, batch.kind, batch.reason, batch.subject, batch.stream,
            batch.digest,
        )  # fmt: skip
        return b'%b,%b,"settings":%b,"records":[%b],"attempts":[%b]}' % (
            codec.encode(own)[:-1],
            shared,
            self._settings_text,
            b",".join([_record(record) for record in batch.records]),
            b",".join([self._of_attempt(attempt) for attempt in batch.attempts]),
        )

    def _of_attempt(self, attempt: Attempt) -> bytes:
        if attempt is not self._attempt:
            self._attempt, self._attempt_text = attempt, codec.encode(attempt.to_json())
        return self._attempt_text


@lru_cache(maxsize=64)
def _shared(
    flow: str, task: str, kind: str, reason: str, subject: str, stream: str, digest: str
) -> bytes:
    value = {
        "flow": flow,
        "task": task,
        "kind": kind,
        "reason": reason,
        "subject": subject,
        "stream": stream,
        "digest": digest,
    }
    return codec.encode(value)[1:-1]


def _record(record: FailedRecord) -> bytes:
    verdict = _verdict(record.outcome, record.code, record.message, record.fields, record.id)
    return b'{"index":%d,"record":%b,%b' % (record.index, codec.encode(record.record), verdict)


@lru_cache(maxsize=256)
def _verdict(outcome: str, code: str, message: str, fields: tuple[str, ...], id: str) -> bytes:
    value = {"outcome": outcome, "code": code, "message": message, "fields": fields, "id": id}
    return codec.encode(value)[1:]
