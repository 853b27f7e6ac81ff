"""What the ways in which the Pub/Sub API refuses mean for a publisher: one table for calls, one
for single events.

A refused call has a gRPC status and, where the service itself refused and not something on the
way, a dotted code in the trailer `error-code`
(https://developer.salesforce.com/docs/platform/pub-sub-api/guide/handling-errors.html, 2026-11-23).
The code decides where it is known, else the status. A refused event has a code that says nothing
(`PUBLISH`) and a message, whose words decide.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import NamedTuple

from workbench.errors import (
    AuthenticationError,
    AuthorizationError,
    RequestLimitError,
    RequestRefusedError,
    SalesforceError,
    ServerError,
    TransportError,
)
from workbench.model import Cause, Deferred, Outcome, Refused, Unknown, Unsent

__all__ = [
    "CODE_PREFIX",
    "CODE_ROWS",
    "EVENT_ROWS",
    "STATUS_ROWS",
    "CallRefused",
    "EventKind",
    "Kind",
    "event_kind",
    "event_outcome",
    "kind_of",
]

CODE_PREFIX = "sfdc.platform.eventbus.grpc."


class Kind(StrEnum):
    """What a publisher does about a refused call."""

    SESSION = "session"
    """The token is no longer good: a new one, once."""
    REOPEN = "reopen"
    """The stream was idle too long: open another; nothing of it was published."""
    NO_STREAM = "no stream"
    """Publishing by stream is not offered here: the unary call does it."""
    BUSY = "busy"
    """Too much at once: again after a wait."""
    LIMIT = "limit"
    """An allocation of the org is used up: the flow waits and probes."""
    OUTAGE = "outage"
    """The service says that it is not in service: the flow waits and probes."""
    STOP = "stop"
    """Nothing can be published until a person acts."""
    REQUEST = "request"
    """The request is wrong as every other of this flow would be."""
    UNSENT = "unsent"
    """No connection, or a stream that had ended before: it never left."""
    UNKNOWN = "unknown"
    """It left, and what became of it nobody said."""


# By the code's end. The kinds are this project's reading of the official meanings. The codes of
# subscriptions are left out: no call of a publisher can end with one.
CODE_ROWS: dict[str, Kind] = {
    "service.auth.error": Kind.SESSION,
    "service.auth.headers.invalid": Kind.STOP,
    "service.auth.refresh.invalid": Kind.SESSION,
    "service.unavailable": Kind.OUTAGE,
    "service.protection.triggered": Kind.BUSY,
    "service.protection.stream.limit.triggered": Kind.BUSY,
    "service.tenant.license": Kind.STOP,
    "concurrent.client.limit.exceeded": Kind.LIMIT,
    "topic.not.found": Kind.STOP,
    "topic.meta.permission": Kind.STOP,
    "topic.api.unavailable": Kind.OUTAGE,
    "topic.validation.empty": Kind.REQUEST,
    "schema.validation.failed": Kind.REQUEST,
    "schema.meta.permission": Kind.STOP,
    "schema.api.unavailable": Kind.OUTAGE,
    "publish.topic.validation.empty": Kind.REQUEST,
    "publish.event.count.invalid": Kind.REQUEST,
    "publish.topic.mismatch": Kind.REQUEST,
    "publish.auth.refresh.invalid": Kind.REQUEST,
    "publish.stream.sweeper.timeout": Kind.REOPEN,
}

# Where the trailer is missing or not in the table: mostly something on the way to the service.
# https://grpc.io/docs/guides/status-codes/, 2026-11-23
STATUS_ROWS: dict[str, Kind] = {
    # A proxy may end a stream so, or an answer may be cut off: nothing is proven.
    "OK": Kind.UNKNOWN,
    "CANCELLED": Kind.UNKNOWN,
    "UNKNOWN": Kind.UNKNOWN,
    "DEADLINE_EXCEEDED": Kind.UNKNOWN,
    "ABORTED": Kind.UNKNOWN,
    "INTERNAL": Kind.UNKNOWN,
    "UNAVAILABLE": Kind.UNKNOWN,
    "DATA_LOSS": Kind.UNKNOWN,
    "INVALID_ARGUMENT": Kind.REQUEST,
    "ALREADY_EXISTS": Kind.REQUEST,
    "FAILED_PRECONDITION": Kind.REQUEST,
    "OUT_OF_RANGE": Kind.REQUEST,
    "NOT_FOUND": Kind.STOP,
    "UNIMPLEMENTED": Kind.NO_STREAM,
    "RESOURCE_EXHAUSTED": Kind.BUSY,
    "UNAUTHENTICATED": Kind.SESSION,
    # Also what a revoked token was seen to be answered with.
    "PERMISSION_DENIED": Kind.SESSION,
}


def kind_of(status: str, code: str) -> Kind:
    """What to do about a call that ended with this status (by its name) and trailer."""
    known = CODE_ROWS.get(code.removeprefix(CODE_PREFIX))
    return known or STATUS_ROWS.get(status, Kind.UNKNOWN)


class CallRefused(SalesforceError):
    """A call to the Pub/Sub API that gave no answer; `code` is the trailer's without its prefix,
    or the status where there was none.

    Every kind but `UNKNOWN` proves that nothing of the call was published.
    """

    def __init__(self, message: str, *, kind: Kind, code: str = "") -> None:
        super().__init__(message, code=code)
        self.kind = kind

    @property
    def is_certain(self) -> bool:
        """Whether it is known that nothing was published."""
        return self.kind is not Kind.UNKNOWN

    def outcome(self) -> Outcome:
        """What it makes of each event of the request; a `STOP` is the caller's to act on first."""
        message = str(self)
        match self.kind:
            case Kind.UNSENT | Kind.REOPEN:
                return Unsent(message)
            case Kind.UNKNOWN:
                return Unknown(message, self.code or "NO_ANSWER")
            case Kind.BUSY:
                return Deferred(self.code, message, Cause.CONTENTION)
            case Kind.LIMIT:
                return Deferred(self.code, message, Cause.LIMIT)
            case Kind.OUTAGE | Kind.SESSION:
                return Deferred(self.code, message, Cause.OUTAGE)
            case Kind.REQUEST | Kind.NO_STREAM | Kind.STOP:
                return Refused(self.code, message, is_request_fault=True)

    def error(self) -> SalesforceError:
        """The exception for those who open or probe, and have no events in hand."""
        message, code = str(self), self.code
        match self.kind:
            case Kind.SESSION:
                return AuthenticationError(
                    f"{message}; see whether the connected app has the api scope, and whether the "
                    "org locks sessions to the address they were opened from",
                    code=code,
                )
            case Kind.STOP:
                return AuthorizationError(message, code=code)
            case Kind.BUSY | Kind.LIMIT:
                return RequestLimitError(message, code=code)
            case Kind.OUTAGE | Kind.UNKNOWN:
                return ServerError(message, code=code)
            case Kind.UNSENT | Kind.REOPEN:
                return TransportError(message, sent=False)
            case Kind.REQUEST | Kind.NO_STREAM:
                return RequestRefusedError(message, code=code)


class EventKind(StrEnum):
    """What the error of one event means."""

    LIMIT = "limit"
    """The hourly publishing allocation is used up."""
    BUSY = "busy"
    """Not now."""
    SCHEMA = "schema"
    """Encoded by a definition that is no longer good: look it up and encode again."""
    EVENT = "event"
    """Its own fault."""


class EventRow(NamedTuple):
    """Words of a message, without case, and what they mean."""

    text: str
    kind: EventKind


# The first row that fits counts. The words in capitals are the SaveResult codes of the other APIs
# (https://developer.salesforce.com/docs/atlas.en-us.264.0.platform_events.meta/platform_events/platform_events_error_status_codes.htm,
# 2026-11-23); the real messages of this API are in no source.
EVENT_ROWS = (
    EventRow(r"LIMIT_EXCEEDED|hourly .*limit|publishing limit|allocation", EventKind.LIMIT),
    EventRow(
        r"PLATFORM_EVENT_PUBLISHING_UNAVAILABLE|PLATFORM_EVENT_PUBLISH_FAILED"
        r"|temporarily|try again|\bunavailable\b|timed? ?out",
        EventKind.BUSY,
    ),
    EventRow(r"\bschema\b", EventKind.SCHEMA),
)
_EVENT_PATTERNS = [(re.compile(row.text, re.IGNORECASE), row.kind) for row in EVENT_ROWS]
_LEADING_CODE = re.compile(r"([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)\b")


def event_kind(message: str) -> EventKind:
    """What the message of one event's error means."""
    for pattern, kind in _EVENT_PATTERNS:
        if pattern.search(message):
            return kind
    return EventKind.EVENT


def event_outcome(message: str) -> Outcome:
    """What the error of one event makes of it: it is certainly not published.

    The code is the one that the message begins with, as other APIs name it, or PUBLISH_FAILED; the
    rest of it is the outcome's message.
    """
    found = _LEADING_CODE.match(message)
    code = found[1] if found else "PUBLISH_FAILED"
    words = message.removeprefix(code).lstrip(": ") or message
    match event_kind(message):
        case EventKind.LIMIT:
            return Deferred(code if found else "LIMIT_EXCEEDED", words, Cause.LIMIT)
        case EventKind.BUSY:
            return Deferred(code, words, Cause.CONTENTION)
        case EventKind.SCHEMA:
            return Deferred(code if found else "SCHEMA_CHANGED", words, Cause.CONTENTION)
        case EventKind.EVENT:
            return Refused(code, words or "Salesforce refused the event without giving a reason")
