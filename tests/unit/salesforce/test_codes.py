"""The table of codes, row by row."""

from __future__ import annotations

import pytest

from workbench.model import Cause, Deferred, Outcome, Refused, RolledBack, Unknown, Written
from workbench.salesforce.codes import (
    ROWS,
    STATUS_ROWS,
    ApiError,
    Kind,
    Situation,
    Suspect,
    kind_of,
    record_outcome,
    request_outcome,
)

UPSERT = Situation("upsert", "ExternalId__c", is_idempotent=True)
CREATE = Situation("create")

T, D, L, M, B, U = (
    Kind.CONTENTION,
    Kind.DEPENDENCY,
    Kind.LIMIT,
    Kind.OUTAGE,
    Kind.BUSY,
    Kind.UNKNOWN,
)
R, F, Q, S, A, X = (
    Kind.RECORD,
    Kind.FIELD,
    Kind.REQUEST,
    Kind.STOP,
    Kind.SESSION,
    Kind.SPLIT,
)
RB = Kind.ROLLED_BACK

# (code, message, kind): the texts are those that clients have seen.
CASES: list[tuple[str, str, Kind]] = [
    ("UNABLE_TO_LOCK_ROW", "unable to obtain exclusive access to this record", T),
    ("TOO_MANY_APEX_REQUESTS", "", T),
    ("FUNCTIONALITY_TEMPORARILY_UNAVAILABLE", "", T),
    ("PLATFORM_EVENT_PUBLISHING_UNAVAILABLE", "", T),
    ("PLATFORM_EVENT_PUBLISH_FAILED", "", T),
    ("ALL_OR_NONE_OPERATION_ROLLED_BACK", "Record rolled back because not all records", RB),
    ("PROCESSING_HALTED", "The transaction was rolled back since another", RB),
    ("SERVER_UNAVAILABLE", "Server too busy", B),
    ("API_CURRENTLY_DISABLED", "", B),
    ("QUERY_TIMEOUT", "", U),
    ("REQUEST_RUNNING_TOO_LONG", "", U),
    ("UNKNOWN_EXCEPTION", "An unexpected error occurred. Please include this ErrorId", U),
    ("INTERNAL_ERROR", "", U),
    ("INTERNAL_SERVER_ERROR", "", U),
    ("REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.", L),
    (
        "REQUEST_LIMIT_EXCEEDED",
        "ConcurrentRequests (Concurrent API Requests) Limit exceeded.",
        T,
    ),
    ("REQUEST_LIMIT_EXCEEDED", "ConcurrentPerOrgLongTxn Limit exceeded.", T),
    ("REQUEST_LIMIT_EXCEEDED", "", L),
    ("STORAGE_LIMIT_EXCEEDED", "storage limit exceeded", L),
    ("EXCEEDED_QUOTA", "", L),
    ("LIMIT_EXCEEDED", "", L),
    ("TOO_MANY_JOBS", "", L),
    ("LICENSE_LIMIT_EXCEEDED", "", L),
    ("INSERT_UPDATE_DELETE_NOT_ALLOWED_DURING_MAINTENANCE", "", M),
    ("ORG_IN_MAINTENANCE", "", M),
    ("INVALID_READ_ONLY_USER_DML", "", M),
    ("INVALID_SESSION_ID", "Session expired or invalid", A),
    ("INVALID_AUTH_HEADER", "", A),
    ("INVALID_JWT_FORMAT", "", A),
    ("ORG_LOCKED", "", S),
    ("TRIAL_EXPIRED", "", S),
    ("API_DISABLED_FOR_ORG", "", S),
    ("CLIENT_NOT_ACCESSIBLE_FOR_USER", "", S),
    ("PASSWORD_LOCKOUT", "", S),
    ("INVALID_LOGIN", "", S),
    ("invalid_grant", "", S),
    ("invalid_client", "", S),
    ("invalid_client_id", "", S),
    ("TXN_SECURITY_NO_ACCESS", "", S),
    ("TXN_SECURITY_END_A_SESSION", "", S),
    ("TXN_SECURITY_TWO_FA_REQUIRED", "", S),
    ("TXN_SECURITY_FAIL_CLOSE", "", S),
    ("TXN_SECURITY_METERING_ERROR", "", T),
    ("TXN_SECURITY_RUNTIME_ERROR", "", T),
    ("TXN_SECURITY_APEX_ERROR", "", T),
    ("INSUFFICIENT_ACCESS", "", R),
    ("INSUFFICIENT_ACCESS_OR_READONLY", "", R),
    ("INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY", "", R),
    (
        "INVALID_FIELD",
        "Foreign key external ID: x not found for field AcctExt__c in entity Account",
        D,
    ),
    ("INVALID_FIELD", "No such column 'Foo__c' on sobject of type Contact", F),
    ("INVALID_FIELD_FOR_INSERT_UPDATE", "Unable to create/update fields: CreatedDate", F),
    ("REQUIRED_FIELD_MISSING", "Required fields are missing: [LastName]", R),
    ("STRING_TOO_LONG", "", R),
    ("NUMBER_OUTSIDE_VALID_RANGE", "", R),
    ("INVALID_TYPE_ON_FIELD_IN_RECORD", "", R),
    ("INVALID_EMAIL_ADDRESS", "", R),
    ("TEXT_DATA_OUTSIDE_SUPPORTED_CHARSET", "", R),
    ("INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", "", R),
    ("INVALID_CURRENCY_ISO", "", R),
    ("TOO_MANY_ENUM_VALUE", "", R),
    ("FIELD_CUSTOM_VALIDATION_EXCEPTION", "say it as the rule says it", R),
    ("FIELD_FILTER_VALIDATION_EXCEPTION", "", R),
    ("FIELD_INTEGRITY_EXCEPTION", "", R),
    ("MALFORMED_ID", "", R),
    ("INVALID_ID_FIELD", "", R),
    ("MISSING_ARGUMENT", "Id not specified in an update call", R),
    ("CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", "T: execution of AfterUpdate failed", R),
    ("CANNOT_EXECUTE_FLOW_TRIGGER", "The flow failed", R),
    (
        "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY",
        "T: execution of AfterUpdate caused by: System.DmlException: Update failed. first error: "
        "UNABLE_TO_LOCK_ROW, unable to obtain exclusive access to this record: []",
        T,
    ),
    ("CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", "Apex CPU time limit exceeded", T),
    ("CANNOT_EXECUTE_FLOW_TRIGGER", "System.LimitException: Too many SOQL queries: 101", T),
    ("DUPLICATE_VALUE", "Duplicate external id specified: a-1", T),
    (
        "DUPLICATE_VALUE",
        "duplicate value found: ExternalId__c duplicates value on record with id: 003",
        T,
    ),
    ("DUPLICATE_VALUE", "duplicate value found: Email duplicates value on record with id: 003", R),
    ("DUPLICATE_VALUE", "", R),
    ("DUPLICATE_EXTERNAL_ID", "", R),
    ("DUPLICATES_DETECTED", "Use one of these records?", R),
    ("ENTITY_IS_DELETED", "entity is deleted", R),
    ("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id", R),
    ("ENTITY_IS_LOCKED", "", D),
    ("ALREADY_IN_PROCESS", "", D),
    ("RECORD_IN_USE_BY_WORKFLOW", "", D),
    ("INACTIVE_OWNER_OR_USER", "", R),
    ("CANNOT_UPDATE_CONVERTED_LEAD", "", R),
    ("DELETE_FAILED", "", R),
    ("CANNOT_REPARENT_RECORD", "", R),
    ("MIXED_DML_OPERATION", "", R),
    ("DEPENDENCY_EXISTS", "", R),
    ("ENTITY_FAILED_IFLASTMODIFIED_ON_UPDATE", "", R),
    ("MATCH_PRECONDITION_FAILED", "", R),
    ("NOT_FOUND", "Provided external ID field does not exist or is not accessible: X__c", Q),
    ("INVALID_TYPE", "", Q),
    ("INVALID_TYPE_FOR_OPERATION", "", Q),
    ("METHOD_NOT_ALLOWED", "", Q),
    ("UNSUPPORTED_API_VERSION", "", Q),
    ("JSON_PARSER_ERROR", "Unexpected character ('a' (code 97))", X),
    ("POST_BODY_PARSE_ERROR", "", X),
    ("EXCEEDED_ID_LIMIT", "record limit reached. cannot submit more than 200 records", X),
    ("EXCEEDED_MAX_SIZE_REQUEST", "", X),
    ("LIMIT_EXCEEDED", "Cannot have more than 10 chunks in a single operation.", X),
    ("UNKNOWN_EXCEPTION", "Too many batch retries in the presence of Apex triggers and", T),
]


@pytest.mark.parametrize(("code", "message", "kind"), CASES)
def test_code_has_its_kind(code: str, message: str, kind: Kind) -> None:
    assert kind_of(ApiError(code, message), UPSERT) is kind


def test_every_code_of_the_table_is_tried_here() -> None:
    tried = {code for code, _, _ in CASES}
    assert {code for row in ROWS for code in row.codes.split()} <= tried


def test_no_row_is_hidden_by_one_above_it() -> None:
    for index, row in enumerate(ROWS):
        for code in row.codes.split():
            above = [other for other in ROWS[:index] if code in other.codes.split()]
            assert all(other.text or other.when for other in above), code


def test_a_code_of_no_row_is_the_records_own_fault_and_not_retried() -> None:
    assert kind_of(ApiError("SOMETHING_NEW", "x"), UPSERT) is None
    outcome = record_outcome([ApiError("SOMETHING_NEW", "x", ("F",))], UPSERT)
    assert outcome == Refused("SOMETHING_NEW", "x", ("F",))


class TestConditions:
    race = ApiError("DUPLICATE_VALUE", "duplicate value found: externalid__C duplicates value on")

    def test_a_race_for_the_upsert_key_is_tried_twice_more(self) -> None:
        kinds = [
            kind_of(self.race, Situation("upsert", "ExternalId__c", True, least_attempt=attempt))
            for attempt in (1, 2, 3, 4)
        ]
        assert kinds == [T, T, R, R]

    def test_a_newcomer_to_a_race_is_not_judged_by_the_veterans_beside_it(self) -> None:
        situation = Situation("upsert", "ExternalId__c", True, attempt=5, least_attempt=1)
        assert kind_of(self.race, situation) is T

    def test_the_same_text_is_a_conflict_when_it_is_not_about_the_key(self) -> None:
        assert kind_of(self.race, CREATE) is R
        assert kind_of(self.race, Situation("upsert", "Other__c", True)) is R

    def test_twice_the_same_key_in_one_call_can_be_parted_unless_it_is_atomic(self) -> None:
        error = ApiError("DUPLICATE_VALUE", "Duplicate external id specified: a")
        assert kind_of(error, UPSERT) is T
        assert kind_of(error, Situation("upsert", "E__c", True, is_atomic=True)) is R

    def test_a_deleted_row_is_done_for_a_repeated_delete_only(self) -> None:
        error = ApiError("ENTITY_IS_DELETED", "entity is deleted")
        assert kind_of(error, Situation("delete", attempt=1)) is R
        assert kind_of(error, Situation("delete", attempt=2)) is Kind.DONE
        assert kind_of(error, Situation("update", attempt=2)) is R

    def test_security_hiccups_become_a_policy_after_a_few_tries(self) -> None:
        error = ApiError("TXN_SECURITY_METERING_ERROR", "")
        assert kind_of(error, Situation(least_attempt=2)) is T
        assert kind_of(error, Situation(least_attempt=3)) is S


# kind -> what it makes of a record in an answer about records, by code
RECORD_OUTCOMES: list[tuple[str, Outcome]] = [
    ("UNABLE_TO_LOCK_ROW", Deferred("UNABLE_TO_LOCK_ROW", "m", Cause.CONTENTION)),
    ("ENTITY_IS_LOCKED", Deferred("ENTITY_IS_LOCKED", "m", Cause.DEPENDENCY)),
    ("STORAGE_LIMIT_EXCEEDED", Deferred("STORAGE_LIMIT_EXCEEDED", "m", Cause.LIMIT)),
    ("ORG_IN_MAINTENANCE", Deferred("ORG_IN_MAINTENANCE", "m", Cause.OUTAGE)),
    ("SERVER_UNAVAILABLE", Deferred("SERVER_UNAVAILABLE", "m", Cause.CONTENTION)),
    ("UNKNOWN_EXCEPTION", Deferred("UNKNOWN_EXCEPTION", "m", Cause.CONTENTION)),
    ("PROCESSING_HALTED", RolledBack("PROCESSING_HALTED", "m")),
    ("STRING_TOO_LONG", Refused("STRING_TOO_LONG", "m")),
    ("JSON_PARSER_ERROR", Refused("JSON_PARSER_ERROR", "m")),
    ("INVALID_FIELD", Refused("INVALID_FIELD", "m", is_request_fault=True)),
    ("NOT_FOUND", Refused("NOT_FOUND", "m", is_request_fault=True)),
    ("INVALID_SESSION_ID", Refused("INVALID_SESSION_ID", "m", is_request_fault=True)),
    ("ORG_LOCKED", Refused("ORG_LOCKED", "m", is_request_fault=True)),
]


@pytest.mark.parametrize(("code", "outcome"), RECORD_OUTCOMES)
def test_what_a_code_makes_of_a_record(code: str, outcome: Outcome) -> None:
    assert record_outcome([ApiError(code, "m")], UPSERT) == outcome


def test_of_several_errors_the_one_that_cannot_pass_decides() -> None:
    errors = [
        ApiError("UNABLE_TO_LOCK_ROW", "locked", ("Id",)),
        ApiError("STRING_TOO_LONG", "too long", ("Name",)),
    ]
    outcome = record_outcome(errors, UPSERT)
    assert outcome == Refused("STRING_TOO_LONG", "locked; too long", ("Id", "Name"))


def test_a_repeated_delete_is_written_under_its_id() -> None:
    outcome = record_outcome(
        [ApiError("ENTITY_IS_DELETED", "m")], Situation("delete", attempt=2), "003"
    )
    assert isinstance(outcome, Written)
    assert outcome.id == "003"


# status, code ("" for none), what an upsert and what a create make of it
REQUEST_OUTCOMES: list[tuple[int, str, type, type]] = [
    (300, "", Suspect, Suspect),
    (302, "", Deferred, Deferred),
    (400, "SOMETHING_NEW", Suspect, Suspect),
    (400, "JSON_PARSER_ERROR", Suspect, Suspect),
    (400, "INVALID_FIELD", Suspect, Suspect),
    (401, "", Deferred, Deferred),
    (403, "REQUEST_LIMIT_EXCEEDED", Deferred, Deferred),
    (403, "SOMETHING_NEW", Refused, Refused),
    (404, "NOT_FOUND", Refused, Refused),
    (405, "", Refused, Refused),
    (408, "", Unknown, Unknown),
    (410, "", Refused, Refused),
    (413, "", Suspect, Suspect),
    (414, "", Suspect, Suspect),
    (415, "", Refused, Refused),
    (420, "", Deferred, Deferred),
    (429, "", Deferred, Deferred),
    (431, "", Suspect, Suspect),
    (500, "UNKNOWN_EXCEPTION", Unknown, Unknown),
    (500, "", Unknown, Unknown),
    (502, "", Deferred, Unknown),
    (503, "", Deferred, Unknown),
    (503, "SERVER_UNAVAILABLE", Deferred, Unknown),
    (503, "ORG_IN_MAINTENANCE", Deferred, Deferred),
    (504, "", Unknown, Unknown),
    (599, "", Unknown, Unknown),
]


@pytest.mark.parametrize(("status", "code", "upsert", "create"), REQUEST_OUTCOMES)
def test_what_a_refused_request_makes_of_its_records(
    status: int, code: str, upsert: type, create: type
) -> None:
    errors = [ApiError(code, "m")] if code else []
    assert type(request_outcome(status, errors, UPSERT)) is upsert
    assert type(request_outcome(status, errors, CREATE)) is create


def test_every_status_of_the_table_is_tried_here() -> None:
    tried = {status for status, code, _, _ in REQUEST_OUTCOMES if not code}
    assert set(STATUS_ROWS) - tried <= {301, 303, 307, 308, 400, 412}


def test_errors_are_read_in_each_of_their_shapes() -> None:
    assert ApiError.parse({"errorCode": "A", "message": "m"}) == ApiError("A", "m")
    assert ApiError.parse({"statusCode": "A", "message": "m", "fields": ["F"]}) == ApiError(
        "A", "m", ("F",)
    )
    assert ApiError.parse({"error": "invalid_grant", "error_description": "m"}) == ApiError(
        "invalid_grant", "m"
    )
    assert ApiError.parse({"errorCode": 7}) is None
    assert ApiError.parse("text") is None
