"""Every error an operator can cause or meet, and what the engine does about it.

```
WorkbenchError                      what an operator can cause or meet         reaction
  FlowError(problems)               the flow file cannot run                   refuse to start
  RenderError                       one event does not fit the flow            failed batch
  SalesforceError                   Salesforce said no, or nothing             see the classes
    AuthenticationError             credentials refused                        stop the flow
    AuthorizationError              the user lacks a right, or a policy says no  stop the flow
    RequestLimitError               org or rate limit                          pause, probe
    RequestRefusedError             the whole request refused (4xx)            failed batch
    ServerError                     5xx                                        retry
    TransportError                  no usable answer; `sent` tells which kind  Unsent or Unknown
  StreamError                       NATS or JetStream
    ConnectionLost                  no server reachable, or not as asked       refuse to start
    ConsumerMismatch                durable and file cannot be reconciled      refuse to start
    PublishError                    a publish was not confirmed                tell the caller
  DeadLetterError                   could not store or read a failed batch     nak
    DeadLetterRefused               the store said no, and will again          the other store
    ClaimedError                    somebody else has it in hand               tell, go on
    NotKeptError                    there is no such failed batch              tell
  SettingsError                     a file, option or variable is wrong        refuse to start
UsageError(RuntimeError)            our own bug: settled twice, used after close
```

What befalls one record is an `Outcome` (see `workbench.model`), not an exception.
Facts are attributes; the message is built from them and never holds a secret.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

__all__ = [
    "AuthenticationError",
    "AuthorizationError",
    "ClaimedError",
    "ConnectionLost",
    "ConsumerMismatch",
    "DeadLetterError",
    "DeadLetterRefused",
    "FlowError",
    "NotKeptError",
    "Problem",
    "PublishError",
    "RenderError",
    "RequestLimitError",
    "RequestRefusedError",
    "SalesforceError",
    "ServerError",
    "SettingsError",
    "StreamError",
    "TransportError",
    "UsageError",
    "WorkbenchError",
]


class WorkbenchError(Exception):
    """Root of everything that is told to an operator as one sentence."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, or doubtful, in a flow file.

    `line` and `column` count from 1 and are 0 when no place is known; `path` is the dotted way
    to the value (`flow.tasks[1].salesforce_restapi_composite.operation`); `fix` is the text that
    would mend it where one exists (the nearest key, say), for editors to apply.
    """

    file: str
    line: int
    column: int
    path: str
    severity: Literal["error", "warning", "info"]
    code: str
    message: str
    fix: str | None = None

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        mend = f" (did you mean {self.fix!r}?)" if self.fix else ""
        return f"{place}: {self.severity}: {self.message}{mend}"


class FlowError(WorkbenchError):
    """The flow file cannot run; `problems` holds everything that was found, errors and warnings."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class RenderError(WorkbenchError):
    """One event does not fit the flow: that event's own fault, kept as a failed batch.

    `field` is the dotted place in the task's payload, empty when the event as a whole is wrong.
    """

    def __init__(self, task: str, field: str, message: str) -> None:
        self.task = task
        self.field = field
        self.reason = message
        place = f"task {task!r}" + (f", field {field}" if field else "")
        super().__init__(f"{place}: {message}")


class SalesforceError(WorkbenchError):
    """Salesforce refused or did not answer.

    `code` is Salesforce's errorCode, or the OAuth `error`, empty when there was none; `status`
    the HTTP status, or None where no HTTP answer came (gRPC, no connection).
    """

    def __init__(self, message: str, *, code: str = "", status: int | None = None) -> None:
        self.code = code
        self.status = status
        super().__init__(message)


class AuthenticationError(SalesforceError):
    """Credentials refused: nothing can be written until a person changes them."""


class AuthorizationError(SalesforceError):
    """Logged in, but the user lacks a right or a policy of the org forbids the call."""


class RequestLimitError(SalesforceError):
    """An org or rate limit was reached; `retry_after_seconds` is what the server asked for."""

    def __init__(
        self,
        message: str,
        *,
        code: str = "",
        status: int | None = None,
        retry_after_seconds: float | None = None,
    ) -> None:
        super().__init__(message, code=code, status=status)
        self.retry_after_seconds = retry_after_seconds


class RequestRefusedError(SalesforceError):
    """The whole request was refused (4xx) for what it says, not for when it came."""


class ServerError(SalesforceError):
    """Salesforce answered 5xx."""


class TransportError(SalesforceError):
    """No usable answer. `sent` is False only when certainly no byte of the request left."""

    def __init__(self, message: str, *, sent: bool) -> None:
        super().__init__(message)
        self.sent = sent


class StreamError(WorkbenchError):
    """NATS or JetStream refused, or is not what the flow file says."""


class ConnectionLost(StreamError):
    """No NATS server could be reached, or the one reached refused us or our TLS."""


class ConsumerMismatch(StreamError):
    """The durable or stream on the server cannot be brought in line with the flow file."""


class PublishError(StreamError):
    """A publish was not confirmed by JetStream."""


class DeadLetterError(WorkbenchError):
    """A failed batch could not be stored or read; the event it came from stays in the stream."""


class DeadLetterRefused(DeadLetterError):
    """The store was reached and refused: no right, no room, too large. Trying again won't help."""


class ClaimedError(DeadLetterError):
    """Somebody else replays the failed batch, or has resolved or discarded it.

    `by` is their name, `since` when (ISO 8601, UTC); empty where that is not known.
    """

    def __init__(self, id: str, by: str, since: str, message: str) -> None:
        self.id = id
        self.by = by
        self.since = since
        super().__init__(message)


class NotKeptError(DeadLetterError):
    """There is no failed batch of that id, or no longer all of it."""


class SettingsError(WorkbenchError):
    """A file, command-line option or environment variable is missing or wrong."""


class UsageError(RuntimeError):
    """Our own bug: an event settled twice, an object used after it was closed."""
