"""The tables of refusals, row by row; beside each row what must become of the events."""

from __future__ import annotations

import re

import pytest

from workbench.emulator.pubsub_refusals import Cause as ServerCause
from workbench.errors import (
    AuthenticationError,
    AuthorizationError,
    RequestLimitError,
    RequestRefusedError,
    ServerError,
    TransportError,
)
from workbench.model import Cause, Deferred, Refused, Unknown, Unsent
from workbench.salesforce.pubsub_codes import (
    CODE_PREFIX,
    CODE_ROWS,
    STATUS_ROWS,
    CallRefused,
    Kind,
    event_outcome,
    kind_of,
)

CODES = {
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
STATUSES = {
    "OK": Kind.UNKNOWN,
    "CANCELLED": Kind.UNKNOWN,
    "UNKNOWN": Kind.UNKNOWN,
    "INVALID_ARGUMENT": Kind.REQUEST,
    "DEADLINE_EXCEEDED": Kind.UNKNOWN,
    "NOT_FOUND": Kind.STOP,
    "ALREADY_EXISTS": Kind.REQUEST,
    "PERMISSION_DENIED": Kind.SESSION,
    "RESOURCE_EXHAUSTED": Kind.BUSY,
    "FAILED_PRECONDITION": Kind.REQUEST,
    "ABORTED": Kind.UNKNOWN,
    "OUT_OF_RANGE": Kind.REQUEST,
    "UNIMPLEMENTED": Kind.NO_STREAM,
    "INTERNAL": Kind.UNKNOWN,
    "UNAVAILABLE": Kind.UNKNOWN,
    "DATA_LOSS": Kind.UNKNOWN,
    "UNAUTHENTICATED": Kind.SESSION,
}


@pytest.mark.parametrize("code", CODE_ROWS)
def test_each_code_goes_before_the_status(code: str) -> None:
    for status in ("UNAVAILABLE", "INTERNAL", "INVALID_ARGUMENT"):
        assert kind_of(status, CODE_PREFIX + code) is CODES[code]


@pytest.mark.parametrize("status", STATUS_ROWS)
def test_each_status_counts_where_no_known_code_is(status: str) -> None:
    assert kind_of(status, "") is STATUSES[status]
    assert kind_of(status, CODE_PREFIX + "something.new") is STATUSES[status]


def test_the_tables_are_whole() -> None:
    import grpc

    assert {status.name for status in grpc.StatusCode} == STATUS_ROWS.keys()
    assert CODE_ROWS.keys() == CODES.keys()
    told = {cause.value[0] for cause in ServerCause}
    ours = {code for code in told if not re.match(r"subscription|managed|$", code)}
    assert ours <= CODE_ROWS.keys()


OUTCOMES = {
    Kind.SESSION: Deferred("c", "m", Cause.OUTAGE),
    Kind.REOPEN: Unsent("m"),
    Kind.NO_STREAM: Refused("c", "m", is_request_fault=True),
    Kind.BUSY: Deferred("c", "m", Cause.CONTENTION),
    Kind.LIMIT: Deferred("c", "m", Cause.LIMIT),
    Kind.OUTAGE: Deferred("c", "m", Cause.OUTAGE),
    Kind.STOP: Refused("c", "m", is_request_fault=True),
    Kind.REQUEST: Refused("c", "m", is_request_fault=True),
    Kind.UNSENT: Unsent("m"),
    Kind.UNKNOWN: Unknown("m", "c"),
}
ERRORS = {
    Kind.SESSION: AuthenticationError,
    Kind.REOPEN: TransportError,
    Kind.NO_STREAM: RequestRefusedError,
    Kind.BUSY: RequestLimitError,
    Kind.LIMIT: RequestLimitError,
    Kind.OUTAGE: ServerError,
    Kind.STOP: AuthorizationError,
    Kind.REQUEST: RequestRefusedError,
    Kind.UNSENT: TransportError,
    Kind.UNKNOWN: ServerError,
}


@pytest.mark.parametrize("kind", Kind)
def test_each_kind_has_one_outcome_and_one_error(kind: Kind) -> None:
    refused = CallRefused("m", kind=kind, code="c")
    assert refused.outcome() == OUTCOMES[kind]
    assert type(refused.error()) is ERRORS[kind]
    assert refused.is_certain == (kind is not Kind.UNKNOWN)


@pytest.mark.parametrize(
    ("message", "outcome"),
    [
        (
            "LIMIT_EXCEEDED: used up",
            Deferred("LIMIT_EXCEEDED", "used up", Cause.LIMIT),
        ),
        (
            "You have exceeded the hourly event publishing limit",
            Deferred(
                "LIMIT_EXCEEDED",
                "You have exceeded the hourly event publishing limit",
                Cause.LIMIT,
            ),
        ),
        (
            "PLATFORM_EVENT_PUBLISHING_UNAVAILABLE: x",
            Deferred("PLATFORM_EVENT_PUBLISHING_UNAVAILABLE", "x"),
        ),
        (
            "PLATFORM_EVENT_PUBLISH_FAILED",
            Deferred("PLATFORM_EVENT_PUBLISH_FAILED", "PLATFORM_EVENT_PUBLISH_FAILED"),
        ),
        ("Try again later", Deferred("PUBLISH_FAILED", "Try again later")),
        ("schema id 'x' is unknown", Deferred("SCHEMA_CHANGED", "schema id 'x' is unknown")),
        (
            "PLATFORM_EVENT_ENCRYPTION_ERROR: no key",
            Refused("PLATFORM_EVENT_ENCRYPTION_ERROR", "no key"),
        ),
        ("the event has 2000000 bytes", Refused("PUBLISH_FAILED", "the event has 2000000 bytes")),
    ],
)
def test_each_event_error_by_its_words(message: str, outcome: Deferred | Refused) -> None:
    assert event_outcome(message) == outcome


def test_an_event_error_without_words_still_says_something() -> None:
    found = event_outcome("")
    assert isinstance(found, Refused)
    assert (found.code, bool(found.message)) == ("PUBLISH_FAILED", True)
