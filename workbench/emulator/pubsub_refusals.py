"""How the Pub/Sub API ends a call: gRPC status, dotted code, sentence.

Codes: https://developer.salesforce.com/docs/platform/pub-sub-api/guide/handling-errors.html
(checked 2026-11-23). The status beside a code is the one seen in a live log or named by the
documents; "assumed" marks those that no source names.
"""

from __future__ import annotations

from enum import Enum

import grpc

__all__ = ["CODE_PREFIX", "Cause", "Refusal"]

CODE_PREFIX = "sfdc.platform.eventbus.grpc."

_S = grpc.StatusCode


class Cause(Enum):
    """(code without its prefix, gRPC status, sentence with its gaps)."""

    AUTH = (
        "service.auth.error",
        _S.UNAUTHENTICATED,
        "An authentication exception occurred. Provide valid authentication to the request.",
    )
    # Assumed: UNAUTHENTICATED.
    HEADERS = ("service.auth.headers.invalid", _S.UNAUTHENTICATED, "{}")
    # Assumed: INVALID_ARGUMENT.
    AUTH_REFRESH = (
        "publish.auth.refresh.invalid",
        _S.INVALID_ARGUMENT,
        "auth_refresh is reserved for internal use and can't be set",
    )
    UNAVAILABLE = ("service.unavailable", _S.UNAVAILABLE, "The service is unavailable.")
    PROTECTION = (
        "service.protection.triggered",
        _S.RESOURCE_EXHAUSTED,
        "The service received too many connections or requests. Try again later.",
    )
    # The proxy in front answers this, without an error-code. A request above 4 MB gets it:
    # https://developer.salesforce.com/docs/platform/pub-sub-api/guide/allocations.html
    UPSTREAM_RESET = (
        "",
        _S.UNAVAILABLE,
        "upstream connect error or disconnect/reset before headers. reset reason: remote reset",
    )
    RST_STREAM = ("", _S.UNAVAILABLE, "RST_STREAM closed stream. HTTP/2 error code: NO_ERROR")
    TOPIC_NOT_FOUND = ("topic.not.found", _S.NOT_FOUND, "The topic {} can't be found.")
    # Seen for a name that is no topic name at all.
    TOPIC_PERMISSION = (
        "topic.meta.permission",
        _S.PERMISSION_DENIED,
        "You don't have permission to access the topic {}, or its name isn't valid.",
    )
    # Assumed: INVALID_ARGUMENT for both.
    TOPIC_EMPTY = ("topic.validation.empty", _S.INVALID_ARGUMENT, "topic name can't be blank")
    PUBLISH_TOPIC_EMPTY = (
        "publish.topic.validation.empty",
        _S.INVALID_ARGUMENT,
        "topic name can't be blank",
    )
    SCHEMA_EMPTY = (
        "schema.validation.failed",
        _S.INVALID_ARGUMENT,
        "schema ID can't be blank",
    )
    # Assumed: the code of a malformed id, and NOT_FOUND.
    SCHEMA_UNKNOWN = ("schema.validation.failed", _S.NOT_FOUND, "schema ID {} can't be found")
    # Assumed: INVALID_ARGUMENT.
    EVENT_COUNT = (
        "publish.event.count.invalid",
        _S.INVALID_ARGUMENT,
        "A publish request must hold at least one event.",
    )
    PUBLISH_MISMATCH = (
        "publish.topic.mismatch",
        _S.INVALID_ARGUMENT,
        "The topic of a publish stream can't change from {} to {}.",
    )
    SWEEPER = (
        "publish.stream.sweeper.timeout",
        _S.CANCELLED,
        "The stream got no valid event within the timeout period of {:,.0f} seconds.",
    )
    REPLAY_CORRUPTED = (
        "subscription.fetch.replayid.corrupted",
        _S.INVALID_ARGUMENT,
        "The Replay ID validation failed. Ensure that the Replay ID is valid: {}",
    )
    REPLAY_MISSING = (
        "subscription.fetch.replayid.validation.failed",
        _S.INVALID_ARGUMENT,
        "A CUSTOM replay preset needs a Replay ID.",
    )
    FETCH_COUNT = (
        "subscription.fetch.requested.events.invalid",
        _S.INVALID_ARGUMENT,
        "The number of requested events must be greater than zero, not {}.",
    )
    FETCH_MISMATCH = (
        "subscription.fetch.topic.mismatch",
        _S.INVALID_ARGUMENT,
        "The topic of a subscription can't change from {} to {}.",
    )
    # Assumed: PERMISSION_DENIED.
    CANNOT_SUBSCRIBE = (
        "subscription.topic.cannot.subscribe",
        _S.PERMISSION_DENIED,
        "You can't subscribe to the topic {}.",
    )
    MANAGED_ACTIVE = (
        "managed.subscription.already.active",
        _S.ALREADY_EXISTS,
        "The managed subscription {} is already active.",
    )
    # Seen with this status; its code is in no source.
    MANAGED_NO_COMMIT = (
        "",
        _S.DEADLINE_EXCEEDED,
        "The managed subscription {} got no commit within {:,.0f} seconds.",
    )
    # Assumed: the statuses of the rest.
    MANAGED_STOPPED = (
        "managed.subscription.config.stopped",
        _S.FAILED_PRECONDITION,
        "The managed subscription {} is stopped.",
    )
    MANAGED_NAME_UNKNOWN = (
        "managed.subscription.developer.name.not.found",
        _S.NOT_FOUND,
        "There is no managed subscription named {}.",
    )
    MANAGED_ID_UNKNOWN = (
        "managed.subscription.subscription.id.not.found",
        _S.NOT_FOUND,
        "There is no managed subscription with the id {}.",
    )
    MANAGED_NAMELESS = (
        "managed.subscription.id.or.developer.name.empty",
        _S.INVALID_ARGUMENT,
        "Give exactly one of subscription_id and developer_name.",
    )
    MANAGED_COUNT = (
        "managed.subscription.fetch.request.requested.events.invalid",
        _S.INVALID_ARGUMENT,
        "The number of requested events can't be negative, and must be greater than zero at first.",
    )
    MANAGED_EARLY_COMMIT = (
        "managed.subscription.fetch.request.commit.invalid",
        _S.INVALID_ARGUMENT,
        "The first request can't commit.",
    )


class Refusal(Exception):
    """The call ends with this status; `code` is the full dotted code, or empty."""

    def __init__(self, status: grpc.StatusCode, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status
        self.code = code
        self.sentence = sentence

    @classmethod
    def of(cls, cause: Cause, *gaps: object) -> Refusal:
        code, status, sentence = cause.value
        return cls(status, CODE_PREFIX + code if code else "", sentence.format(*gaps))

    def trailers(self, rpc_id: str) -> tuple[tuple[str, str], ...]:
        """The key of the rpc id's trailer is assumed; the documents only say that there is one."""
        if not self.code:
            return ()
        return (("error-code", self.code), ("rpc-id", rpc_id))

    def details(self, rpc_id: str) -> str:
        return f"{self.sentence} rpcId: {rpc_id}" if self.code else self.sentence
