"""What Salesforce's error codes mean for a record: one table, and how its rows become outcomes.

The codes are those of the ExceptionCode and StatusCode lists
(https://developer.salesforce.com/docs/atlas.en-us.api.meta/api/sforce_api_calls_concepts_core_data_objects.htm,
2026-11-23); the kinds are this project's reading of them. Where only the message tells two
cases apart, a row has a pattern, and stands above the row without.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any, NamedTuple

from workbench.model import Cause, Deferred, Outcome, Refused, RolledBack, Unknown, Written

__all__ = [
    "ROWS",
    "STATUS_ROWS",
    "ApiError",
    "Kind",
    "Row",
    "Situation",
    "Suspect",
    "kind_of",
    "record_outcome",
    "request_outcome",
]


class Kind(StrEnum):
    """What follows from a code. Told apart by what the engine then does."""

    CONTENTION = "contention"
    """Passes by itself: again after a short wait."""
    DEPENDENCY = "dependency"
    """What it points to is missing or held: again later, a bounded number of times."""
    LIMIT = "limit"
    """A limit of the org, or an upkeep that ends: the flow waits and probes."""
    OUTAGE = "outage"
    """Certainly not done because the org is not in service: the flow waits and probes."""
    BUSY = "busy"
    """Too busy to say; probably not done. Only harmless repetition makes it an outage."""
    UNKNOWN = "unknown"
    """Begun and cut off: it may be done."""
    ROLLED_BACK = "rolled back"
    """Not done because a neighbour failed."""
    RECORD = "record"
    """The record's own fault."""
    FIELD = "field"
    """Mostly what every record of the flow would meet, but possibly one record's own."""
    REQUEST = "request"
    """What every record of the flow would meet."""
    SPLIT = "split"
    """One record, or the size of the whole, spoils the request: smaller parts may pass."""
    SESSION = "session"
    """The token is no longer good."""
    STOP = "stop"
    """Nothing can be written until a person acts."""
    DONE = "done"
    """What was asked for is already so."""


class ApiError(NamedTuple):
    """One error as Salesforce words it, whichever of its shapes it came in."""

    code: str
    message: str
    fields: tuple[str, ...] = ()

    @classmethod
    def parse(cls, value: Any) -> ApiError | None:
        """From `{errorCode|statusCode, message, fields?}`; None for anything else."""
        if not isinstance(value, dict):
            return None
        code = value.get("statusCode") or value.get("errorCode") or value.get("error")
        if not isinstance(code, str):
            return None
        message = value.get("message") or value.get("error_description") or ""
        fields = value.get("fields") or ()
        if not isinstance(fields, list | tuple):
            fields = (fields,)
        return cls(code, str(message), tuple(str(name) for name in fields))


@dataclass(frozen=True, slots=True)
class Situation:
    """What a code is judged by besides its own words.

    `key_field` is the external id field of an upsert, else None; `attempt` counts from 1 how
    often any of the request's records may have been sent, `least_attempt` how often each of them;
    `is_atomic` says that they stand or fall together.
    """

    operation: str = "create"
    key_field: str | None = None
    is_idempotent: bool = False
    attempt: int = 1
    least_attempt: int = 1
    is_atomic: bool = False


class Suspect(Refused):
    """Refused together with its whole request: it may be the culprit, or only beside it."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Row:
    """Codes, and the kind they have where text and condition fit.

    `text` is searched in the message without case. `tries` bounds a kind that is worth repeating:
    once all of a request's records are at attempt `tries`, it is `then`.
    """

    codes: str
    kind: Kind
    text: str = ""
    when: Callable[[Situation, str], bool] | None = None
    tries: int | None = None
    then: Kind = Kind.RECORD


_RACE = re.compile(r"duplicate value found: (\w+)", re.IGNORECASE)


def _on_upsert_key(situation: Situation, message: str) -> bool:
    """Whether the value that is taken is the upsert's own key: another upsert was quicker."""
    found = _RACE.search(message)
    key = situation.key_field
    return bool(found and key and found.group(1).lower() == key.lower())


def _deleted_before(situation: Situation, message: str) -> bool:
    return situation.operation == "delete" and situation.attempt > 1


def _is_divisible(situation: Situation, message: str) -> bool:
    return not situation.is_atomic


# What a trigger's failure text shows when the cause was a lock or a governor limit.
_NESTED = (
    r"UNABLE_TO_LOCK_ROW|unable to obtain exclusive access|Record Currently Unavailable"
    r"|Apex CPU time limit exceeded|Too many (SOQL queries|DML (statements|rows))|LIMIT_EXCEEDED"
    r"|TOO_MANY_APEX_REQUESTS|SERVER_UNAVAILABLE|REQUEST_RUNNING_TOO_LONG|QUERY_TIMEOUT"
)

ROWS: tuple[Row, ...] = (
    # Locks, races, a busy org
    Row("UNABLE_TO_LOCK_ROW TOO_MANY_APEX_REQUESTS", Kind.CONTENTION),
    Row(
        "FUNCTIONALITY_TEMPORARILY_UNAVAILABLE PLATFORM_EVENT_PUBLISHING_UNAVAILABLE "
        "PLATFORM_EVENT_PUBLISH_FAILED",
        Kind.CONTENTION,
    ),
    Row("ALL_OR_NONE_OPERATION_ROLLED_BACK PROCESSING_HALTED", Kind.ROLLED_BACK),
    Row("SERVER_UNAVAILABLE API_CURRENTLY_DISABLED", Kind.BUSY),
    Row("QUERY_TIMEOUT REQUEST_RUNNING_TOO_LONG", Kind.UNKNOWN),
    Row("UNKNOWN_EXCEPTION INTERNAL_ERROR INTERNAL_SERVER_ERROR", Kind.UNKNOWN),
    # Limits: the daily one lasts hours, the others seconds; only the text tells
    Row("REQUEST_LIMIT_EXCEEDED", Kind.CONTENTION, r"Concurrent"),
    Row("REQUEST_LIMIT_EXCEEDED", Kind.LIMIT),
    Row("STORAGE_LIMIT_EXCEEDED EXCEEDED_QUOTA", Kind.LIMIT),
    Row("LIMIT_EXCEEDED TOO_MANY_JOBS LICENSE_LIMIT_EXCEEDED", Kind.LIMIT),
    Row(
        "INSERT_UPDATE_DELETE_NOT_ALLOWED_DURING_MAINTENANCE ORG_IN_MAINTENANCE "
        "INVALID_READ_ONLY_USER_DML",
        Kind.OUTAGE,
    ),
    # Sessions, rights, policies
    Row("INVALID_SESSION_ID INVALID_AUTH_HEADER INVALID_JWT_FORMAT", Kind.SESSION),
    Row(
        "ORG_LOCKED TRIAL_EXPIRED API_DISABLED_FOR_ORG CLIENT_NOT_ACCESSIBLE_FOR_USER "
        "PASSWORD_LOCKOUT INVALID_LOGIN invalid_grant invalid_client invalid_client_id "
        "TXN_SECURITY_NO_ACCESS TXN_SECURITY_END_A_SESSION TXN_SECURITY_TWO_FA_REQUIRED "
        "TXN_SECURITY_FAIL_CLOSE",
        Kind.STOP,
    ),
    Row(
        "TXN_SECURITY_METERING_ERROR TXN_SECURITY_RUNTIME_ERROR TXN_SECURITY_APEX_ERROR",
        Kind.CONTENTION,
        tries=3,
        then=Kind.STOP,
    ),
    Row(
        "INSUFFICIENT_ACCESS INSUFFICIENT_ACCESS_OR_READONLY "
        "INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY",
        Kind.RECORD,
    ),
    # What a record holds
    Row("INVALID_FIELD", Kind.DEPENDENCY, r"Foreign key external ID"),
    Row("INVALID_FIELD INVALID_FIELD_FOR_INSERT_UPDATE", Kind.FIELD),
    Row(
        "REQUIRED_FIELD_MISSING STRING_TOO_LONG NUMBER_OUTSIDE_VALID_RANGE "
        "INVALID_TYPE_ON_FIELD_IN_RECORD INVALID_EMAIL_ADDRESS "
        "TEXT_DATA_OUTSIDE_SUPPORTED_CHARSET INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST "
        "INVALID_CURRENCY_ISO TOO_MANY_ENUM_VALUE FIELD_CUSTOM_VALIDATION_EXCEPTION "
        "FIELD_FILTER_VALIDATION_EXCEPTION FIELD_INTEGRITY_EXCEPTION MALFORMED_ID "
        "INVALID_ID_FIELD MISSING_ARGUMENT",
        Kind.RECORD,
    ),
    # What the org's own automation said, which may hide a lock
    Row(
        "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY CANNOT_EXECUTE_FLOW_TRIGGER",
        Kind.CONTENTION,
        _NESTED,
    ),
    Row("CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY CANNOT_EXECUTE_FLOW_TRIGGER", Kind.RECORD),
    # Twice the same
    Row("DUPLICATE_VALUE", Kind.CONTENTION, r"Duplicate external id specified", _is_divisible),
    Row("DUPLICATE_VALUE", Kind.CONTENTION, r"duplicate value found", _on_upsert_key, tries=3),
    Row("DUPLICATE_VALUE DUPLICATE_EXTERNAL_ID DUPLICATES_DETECTED", Kind.RECORD),
    # What it points to, and what holds it
    Row("ENTITY_IS_DELETED", Kind.DONE, when=_deleted_before),
    Row("ENTITY_IS_DELETED", Kind.RECORD),
    Row("INVALID_CROSS_REFERENCE_KEY", Kind.RECORD),
    Row("ENTITY_IS_LOCKED ALREADY_IN_PROCESS RECORD_IN_USE_BY_WORKFLOW", Kind.DEPENDENCY),
    Row(
        "INACTIVE_OWNER_OR_USER CANNOT_UPDATE_CONVERTED_LEAD DELETE_FAILED "
        "CANNOT_REPARENT_RECORD MIXED_DML_OPERATION DEPENDENCY_EXISTS "
        "ENTITY_FAILED_IFLASTMODIFIED_ON_UPDATE MATCH_PRECONDITION_FAILED",
        Kind.RECORD,
    ),
    # The request as a whole
    Row(
        "NOT_FOUND INVALID_TYPE INVALID_TYPE_FOR_OPERATION METHOD_NOT_ALLOWED "
        "UNSUPPORTED_API_VERSION",
        Kind.REQUEST,
    ),
    Row("JSON_PARSER_ERROR POST_BODY_PARSE_ERROR", Kind.SPLIT),
    Row("EXCEEDED_ID_LIMIT EXCEEDED_MAX_SIZE_REQUEST", Kind.SPLIT),
    # Worded by Apex when the third partial attempt of one call failed
    Row("", Kind.CONTENTION, r"Too many batch retries in the presence of Apex triggers"),
    Row("", Kind.SPLIT, r"Cannot have more than 10 chunks in a single operation"),
)

# For answers whose code is none of the above, or that carry none (2026-11-23).
# https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/errorcodes.htm
STATUS_ROWS: dict[int, Kind] = {
    300: Kind.RECORD,  # the external id matches several rows
    301: Kind.OUTAGE,
    302: Kind.OUTAGE,
    303: Kind.OUTAGE,
    307: Kind.OUTAGE,
    308: Kind.OUTAGE,
    400: Kind.FIELD,
    401: Kind.SESSION,
    408: Kind.UNKNOWN,
    412: Kind.RECORD,
    413: Kind.SPLIT,
    414: Kind.SPLIT,
    420: Kind.OUTAGE,
    429: Kind.LIMIT,
    431: Kind.SPLIT,
    500: Kind.UNKNOWN,
    502: Kind.BUSY,
    503: Kind.BUSY,
    504: Kind.UNKNOWN,
}


@cache
def _rows_of(code: str) -> tuple[tuple[Row, re.Pattern[str]], ...]:
    rows = [row for row in ROWS if not row.codes] + [
        row for row in ROWS if code in row.codes.split()
    ]
    return tuple((row, re.compile(row.text, re.IGNORECASE)) for row in rows)


def kind_of(error: ApiError, situation: Situation) -> Kind | None:
    """The kind of an error by the table; None when no row fits."""
    for row, pattern in _rows_of(error.code[:80]):
        if not pattern.search(error.message):
            continue
        if row.when is not None and not row.when(situation, error.message):
            continue
        if row.tries is not None and situation.least_attempt >= row.tries:
            return row.then
        return row.kind
    return None


# Of several errors of one record the first of these decides: what can never pass outweighs what
# may.
_WEIGHT = (
    Kind.STOP,
    Kind.SESSION,
    Kind.REQUEST,
    Kind.FIELD,
    Kind.RECORD,
    Kind.SPLIT,
    Kind.LIMIT,
    Kind.OUTAGE,
    Kind.DEPENDENCY,
    Kind.UNKNOWN,
    Kind.BUSY,
    Kind.CONTENTION,
    Kind.ROLLED_BACK,
    Kind.DONE,
)


def record_outcome(
    errors: Sequence[ApiError], situation: Situation, record_id: str = ""
) -> Outcome:
    """What the errors of one record, in an answer about records, make of it.

    Such an answer is definite: the record is not written. So a code that would leave a whole
    request unknown only puts the record off here. A code of no row is the record's own fault:
    it is given up on, since replay exists.
    """
    judged = [(kind_of(error, situation) or Kind.RECORD, error) for error in errors]
    if not judged:
        return Refused("NO_REASON", "Salesforce refused the record without giving a reason")
    kind, first = min(judged, key=lambda pair: _WEIGHT.index(pair[0]))
    message = "; ".join(error.message for error in errors) if len(errors) > 1 else first.message
    fields = tuple(dict.fromkeys(name for error in errors for name in error.fields))
    match kind:
        case Kind.DONE:
            return Written(record_id, None, {"errors": [error._asdict() for error in errors]})
        case Kind.ROLLED_BACK:
            return RolledBack(first.code, message)
        case Kind.CONTENTION | Kind.BUSY | Kind.UNKNOWN:
            return Deferred(first.code, message, Cause.CONTENTION, fields)
        case Kind.DEPENDENCY:
            return Deferred(first.code, message, Cause.DEPENDENCY, fields)
        case Kind.LIMIT:
            return Deferred(first.code, message, Cause.LIMIT, fields)
        case Kind.OUTAGE:
            return Deferred(first.code, message, Cause.OUTAGE, fields)
        case Kind.RECORD | Kind.SPLIT:
            return Refused(first.code, message, fields)
        case Kind.FIELD | Kind.REQUEST | Kind.SESSION | Kind.STOP:
            return Refused(first.code, message, fields, is_request_fault=True)


def request_outcome(
    status: int,
    errors: Sequence[ApiError],
    situation: Situation,
    retry_after_seconds: float | None = None,
) -> Outcome:
    """What the refusal of a whole request makes of each of its records.

    A `Suspect` says that a smaller request may do better. The kinds `SESSION` and `STOP` are the
    caller's to act on first; here they are what is left when it did.
    """
    error = errors[0] if errors else ApiError(f"HTTP_{status}", f"Salesforce answered {status}")
    kind = kind_of(error, situation) or STATUS_ROWS.get(status)
    if kind is None:
        kind = Kind.UNKNOWN if status < 400 or status >= 500 else Kind.REQUEST
    if kind is Kind.BUSY:
        kind = Kind.OUTAGE if situation.is_idempotent else Kind.UNKNOWN
    code, message, fields = error
    match kind:
        case Kind.UNKNOWN:
            return Unknown(f"HTTP {status}: {message}", code)
        case Kind.ROLLED_BACK:
            return RolledBack(code, message)
        case Kind.CONTENTION | Kind.BUSY:
            return Deferred(code, message, Cause.CONTENTION, fields, retry_after_seconds)
        case Kind.DEPENDENCY:
            return Deferred(code, message, Cause.DEPENDENCY, fields, retry_after_seconds)
        case Kind.LIMIT:
            return Deferred(code, message, Cause.LIMIT, fields, retry_after_seconds)
        case Kind.OUTAGE | Kind.SESSION:
            return Deferred(code, message, Cause.OUTAGE, fields, retry_after_seconds)
        case Kind.RECORD | Kind.FIELD | Kind.SPLIT:
            return Suspect(code, message, fields, is_request_fault=kind is not Kind.RECORD)
        case Kind.REQUEST | Kind.STOP | Kind.DONE:
            return Refused(code, message, fields, is_request_fault=True)
