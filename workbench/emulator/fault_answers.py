"""What a call is answered with when a fault refuses it, in the words of a real org.

The limits differ by nothing but their texts, which are those that users have posted; codes:
https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/errorcodes.htm
(2026-11-23).
"""

from __future__ import annotations

from .faults import Fault
from .refusals import ApiError

__all__ = [
    "daily_limit_refusal",
    "limit_refusal",
    "own_failure",
    "policy_refusal",
    "status_refusal",
]

_LIMIT_TEXTS = {
    "daily": "TotalRequests Limit exceeded.",
    "concurrent": "ConcurrentRequests (Concurrent API Requests) Limit exceeded.",
    "apex": "ConcurrentPerOrgLongTxn Limit exceeded.",
}
_STATUS_BODIES = {
    500: (
        "UNKNOWN_EXCEPTION",
        "An unexpected error occurred. Please include this ErrorId if you "
        "contact support: 1234567890-12345 (-1234567890)",
    ),
    503: ("SERVER_UNAVAILABLE", "Server too busy"),
}


def daily_limit_refusal() -> ApiError:
    """The answer once the day's calls are used up."""
    return ApiError(403, "REQUEST_LIMIT_EXCEEDED", _LIMIT_TEXTS["daily"])


def limit_refusal(fault: Fault) -> ApiError:
    """What a `limit` fault answers."""
    text = _LIMIT_TEXTS[fault.value]
    return ApiError(403, "REQUEST_LIMIT_EXCEEDED", text, headers=_retry_after(fault))


def own_failure() -> ApiError:
    """The answer when the emulator itself has failed."""
    return ApiError(500, *_STATUS_BODIES[500])


def status_refusal(fault: Fault) -> ApiError:
    """What a `status` fault answers."""
    code, message = _STATUS_BODIES.get(fault.value, ("UNKNOWN_EXCEPTION", "An error occurred"))
    headers = _retry_after(fault)
    if fault.body == "json":
        return ApiError(fault.value, code, message, headers=headers)
    headers["Content-Type"] = f"text/{'html' if fault.body == 'html' else 'plain'};charset=UTF-8"
    bodies = {
        "html": f"<html><head><title>{fault.value}</title></head>"
        f"<body><h1>{message}</h1></body></html>",
        "text": message,
        "empty": "",
    }
    return ApiError(fault.value, body=bodies[fault.body].encode(), headers=headers)


def policy_refusal(fault: Fault) -> ApiError:
    """What a `policy` fault answers; the first two as a bare object, as jsforce has seen it."""
    match fault.value:
        case "rest":
            text, code = "This session is not valid for use with the REST API", "INVALID_SESSION_ID"
            return ApiError(401, body={"message": text, "errorCode": code})
        case "agent":
            text, code = "Connected app is not attached to Agent", "INVALID_SESSION_ID"
            return ApiError(401, body={"message": text, "errorCode": code})
        case "api-disabled":
            return ApiError(
                403, "API_DISABLED_FOR_ORG", "API is not enabled for this Organization or Partner"
            )
        case _:
            return ApiError(
                403, "CLIENT_NOT_ACCESSIBLE_FOR_USER", "The client is not accessible for this user"
            )


def _retry_after(fault: Fault) -> dict[str, str]:
    return {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
