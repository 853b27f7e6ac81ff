"""From an answer to one outcome per record; pure, and trusting nothing it has not checked.

HTTP 200 says nothing by itself, and neither does `success: true` inside a transaction that was
rolled back: the whole answer is read before any record is called written.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from workbench import codec
from workbench.model import (
    AllWritten,
    Batch,
    Cause,
    Deferred,
    Group,
    Outcome,
    Refused,
    RolledBack,
    Unknown,
    Written,
)
from workbench.salesforce.codes import ApiError, Situation, record_outcome, request_outcome
from workbench.salesforce.operations import Body
from workbench.salesforce.request import RequestBuilder, id_of
from workbench.salesforce.transport import Reply

__all__ = ["Reading", "errors_of", "parse_limit_info", "read", "retry_after"]

_ROLLED_BACK = "ALL_OR_NONE_OPERATION_ROLLED_BACK"


def _situation_of(builder: RequestBuilder, batch: Batch, group: Group) -> Situation:
    """What the errors of a group's records are judged by."""
    settings = builder.settings
    is_tree = settings.row.body is Body.TREE
    return Situation(
        operation=settings.operation,
        key_field=settings.external_id_field if settings.operation == "upsert" else None,
        is_idempotent=settings.row.is_idempotent,
        attempt=batch.attempt,
        least_attempt=batch.least_attempt,
        is_atomic=is_tree or batch.is_atomic or group.all_or_none,
    )


class Reading(NamedTuple):
    """One outcome per record of the batch, and the server's own result for each, in step.

    `results` is empty where the server said nothing that can be read.
    """

    outcomes: Sequence[Outcome]
    results: Sequence[Any] = ()


def read(builder: RequestBuilder, batch: Batch, reply: Reply) -> Reading:
    """What a reply makes of every record of the batch, whatever the reply holds."""
    body = builder.settings.row.body
    if body in _LISTED and len(batch.groups) == 1 and _is_all_success(reply, len(batch)):
        rows = _Unread(reply.body, len(batch))
        return Reading(AllWritten(rows), rows)
    try:
        value = _decoded(reply.body, len(batch)) if reply.body else None
    except ValueError as error:
        if reply.status < 300:
            return Reading(_unknown(len(batch), f"the answer cannot be read: {error}"))
        value = None
    if body is Body.TREE and isinstance(value, dict) and "hasErrors" in value:
        return _tree(builder, batch, value)
    outcomes: Sequence[Outcome]
    if reply.status >= 300:
        outcomes = _whole_refused(builder, batch, reply, _errors_in(value))
        return Reading(outcomes, () if value is None else [value] * len(outcomes))
    if body is Body.TREE:
        return Reading(_unknown(len(batch), "the answer is not that of a tree request"))
    if body is Body.IDS_IN_BODY:
        outcomes = _retrieved(batch, value)
    elif len(batch.groups) > 1:
        return _composite(builder, batch, value)
    else:
        group = batch.groups[0]
        outcomes = _collection(value, group, _situation_of(builder, batch, group))
    return Reading(outcomes, _parallel(value, len(outcomes)) or ())


_LISTED = (Body.RECORDS, Body.IDS_IN_QUERY)
_SUCCESS = rb'\{"id":"[0-9A-Za-z]{18}","success":true,"errors":\[\](?:,"created":(?:true|false))?\}'
_ALL_SUCCESS = re.compile(rb"\[%b(?:,%b)*+\]" % (_SUCCESS, _SUCCESS))


def _is_all_success(reply: Reply, count: int) -> bool:
    """Whether the answer is the usual one: so many successes in the form that Salesforce writes.

    Told without decoding it, for nearly every answer is one. Anything else, even if it means the
    same, is decoded and looked at row by row.
    """
    body = reply.body
    return (
        reply.status == 200
        and body.count(b"{") == count
        and _ALL_SUCCESS.fullmatch(body) is not None
    )


def _decoded(body: bytes, count: int) -> Any:
    """The value of an answer. A list of rows that are the same to the byte, as when one validation
    rule refuses all, is decoded once; its rows are one object then."""
    size = (len(body) - 1) // count
    row = body[1:size]
    if count > 1 and row[:1] == b"{" and body == b"[" + b",".join([row] * count) + b"]":
        with suppress(ValueError):  # it may be several that follow each other
            return [codec.decode(row)] * count
    return codec.decode(body)


class _Unread(Sequence[Any]):
    """The rows of an answer that `_is_all_success`, decoded when the first one is asked for."""

    __slots__ = ("_body", "_count", "_rows")

    def __init__(self, body: bytes, count: int) -> None:
        self._body = body
        self._count = count
        self._rows: list[Any] | None = None

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: Any) -> Any:
        if self._rows is None:
            self._rows = codec.decode(self._body)
        return self._rows[index]


def _parallel(value: Any, count: int) -> list[Any] | None:
    return value if isinstance(value, list) and len(value) == count else None


def _whole_refused(
    builder: RequestBuilder, batch: Batch, reply: Reply, errors: Sequence[ApiError]
) -> list[Outcome]:
    wait = retry_after(reply)
    outcomes: list[Outcome] = []
    for group in batch.groups:
        situation = _situation_of(builder, batch, group)
        outcome = request_outcome(reply.status, errors, situation, wait)
        outcomes += [outcome] * len(group.records)
    return _defer_without_culprit(outcomes)


def _collection(value: Any, group: Group, situation: Situation) -> Sequence[Outcome]:
    """The rows of one collection's answer."""
    count = len(group.records)
    if not isinstance(value, list) or len(value) != count:
        got = f"{len(value)} results" if isinstance(value, list) else "no list of results"
        return _unknown(count, f"the answer holds {got} for {count} records")
    if all(map(_is_success, value)):
        return AllWritten(value)
    # Rows that fail as the one before are judged once: in a flow where all fail this is most of the
    # reading.
    outcomes: list[Outcome] = []
    judged: dict[str, Any] | None = None
    verdict: Outcome = Unknown("")
    for row in value:
        if _is_success(row):
            outcomes.append(Written(row.get("id") or "", row.get("created"), row))
            continue
        is_alike = judged is not None and (row is judged or row == judged)
        if not is_alike or row.get("success") is not False:  # 0 equals False
            judged = row if type(row) is dict else None
            verdict = _failed_row(row, situation)
        outcomes.append(verdict)
    return _together(outcomes) if situation.is_atomic else outcomes


def _is_success(row: Any) -> bool:
    return type(row) is dict and row.get("success") is True


def _failed_row(row: Any, situation: Situation) -> Outcome:
    """A row without `success: true`; its `id` and `created` prove nothing."""
    if not isinstance(row, dict) or row.get("success") is not False:
        return Unknown("the answer's result for the record cannot be read")
    record_id = row.get("id")
    return record_outcome(
        _errors_in(row.get("errors")), situation, record_id if isinstance(record_id, str) else ""
    )


def _together(outcomes: list[Outcome]) -> list[Outcome]:
    """The outcomes of one transaction with a failure in it: nothing in it is written.

    A row already as it was asked to be (`data` of it has errors: a repeated delete) stays so.
    """
    if any(type(outcome) is Unknown for outcome in outcomes):
        lost: Outcome = Unknown("part of the transaction's answer cannot be read")
        return [lost if _is_claimed(outcome) else outcome for outcome in outcomes]
    undone: Outcome = RolledBack(_ROLLED_BACK, "another record of the same transaction failed")
    return _defer_without_culprit(
        [undone if _is_claimed(outcome) else outcome for outcome in outcomes]
    )


def _is_claimed(outcome: Outcome) -> bool:
    """Whether Salesforce showed it as written by this request."""
    if type(outcome) is not Written:
        return False
    return outcome.data.get("success") is True or not outcome.data.get("errors")


def _defer_without_culprit(outcomes: list[Outcome]) -> list[Outcome]:
    """Rolled back rows without the row that is to blame: sent again, but as a try that counts.

    Otherwise an answer that never names a culprit would be repeated for ever.
    """
    if any(type(outcome) not in (RolledBack, Written) for outcome in outcomes):
        return outcomes
    return [
        Deferred(outcome.code, outcome.message, Cause.CONTENTION)
        if type(outcome) is RolledBack
        else outcome
        for outcome in outcomes
    ]


def _composite(builder: RequestBuilder, batch: Batch, value: Any) -> Reading:
    """The subresponses, matched by reference id."""
    answers = value.get("compositeResponse") if isinstance(value, dict) else None
    found: dict[str, dict[str, Any]] = {
        answer["referenceId"]: answer
        for answer in _list(answers)
        if isinstance(answer, dict) and isinstance(answer.get("referenceId"), str)
    }
    names = [f"group{index}" for index in range(len(batch.groups))]
    if len(_list(answers)) != len(names) or set(found) != set(names):
        return Reading(
            _unknown(
                len(batch),
                f"the answer does not hold one result for each of {len(names)} subrequests",
            )
        )
    outcomes: list[Outcome] = []
    results: list[Any] = []
    for name, group in zip(names, batch.groups, strict=True):
        body = found[name].get("body")
        outcomes += _subresponse(found[name], group, _situation_of(builder, batch, group))
        count = len(group.records)
        results += _parallel(body, count) or [body] * count
    if batch.is_atomic and not all(type(outcome) is Written for outcome in outcomes):
        outcomes = _together(outcomes)
    return Reading(outcomes, results)


def _subresponse(answer: dict[str, Any], group: Group, situation: Situation) -> Sequence[Outcome]:
    status, body = answer.get("httpStatusCode"), answer.get("body")
    if not isinstance(status, int):
        return _unknown(len(group.records), "a subrequest's answer has no status")
    if status < 300:
        return _collection(body, group, situation)
    outcome = request_outcome(status, _errors_in(body), situation)
    outcomes = [outcome] * len(group.records)
    # Under an outer allOrNone the culprit is in another group.
    return outcomes if situation.is_atomic else _defer_without_culprit(outcomes)


def _retrieved(batch: Batch, value: Any) -> list[Outcome]:
    """The rows of a retrieve: in the order of the ids, null for what is not there."""
    records = batch.records
    if not isinstance(value, list) or len(value) != len(records):
        got = f"{len(value)} rows" if isinstance(value, list) else "no list of rows"
        return _unknown(len(records), f"the answer holds {got} for {len(records)} ids")
    outcomes: list[Outcome] = []
    for record, row in zip(records, value, strict=True):
        if isinstance(row, dict):
            outcomes.append(Written(id_of(row) or id_of(record), None, row))
        elif row is None:
            outcomes.append(
                Refused("NOT_FOUND", f"no row with id {id_of(record)} is visible to the user")
            )
        else:
            outcomes.append(Unknown("the answer's row for the id cannot be read"))
    return outcomes


def _tree(builder: RequestBuilder, batch: Batch, value: dict[str, Any]) -> Reading:
    """Trees are written all or none; results come level by level, so they match by reference."""
    references = builder.tree_references(batch.records)
    rows: dict[str, list[dict[str, Any]]] = {}
    for row in _list(value.get("results")):
        if isinstance(row, dict):
            rows.setdefault(str(row.get("referenceId")), []).append(row)
    results = [[row for name in names for row in rows.get(name, ())] for names in references]
    if value["hasErrors"] is False:
        return Reading(_planted(references, rows), results)
    situation = _situation_of(builder, batch, batch.groups[0])
    outcomes: list[Outcome] = []
    for found in results:
        errors = _tree_errors(found)
        outcomes.append(
            record_outcome(errors, situation)
            if errors
            else RolledBack(_ROLLED_BACK, "another record of the same tree request failed")
        )
    if all(type(outcome) is RolledBack for outcome in outcomes):
        every = _tree_errors([row for found in rows.values() for row in found])
        outcomes = [record_outcome(every, situation)] * len(references)
    return Reading(outcomes, results)


def _tree_errors(rows: Sequence[dict[str, Any]]) -> list[ApiError]:
    return [error for row in rows for error in _errors_in(row.get("errors"))]


def _planted(references: list[list[str]], rows: dict[str, list[dict[str, Any]]]) -> list[Outcome]:
    ids = {name: found[0].get("id") for name, found in rows.items()}
    sent = [name for names in references for name in names]
    if sum(map(len, rows.values())) != len(sent) or not all(
        isinstance(ids.get(name), str) for name in sent
    ):
        return _unknown(len(references), "the answer does not hold one id for each record sent")
    return [
        Written(str(ids[names[0]]), True, {"ids": {name: ids[name] for name in names}})
        for names in references
    ]


def errors_of(reply: Reply) -> list[ApiError]:
    """The errors that a refusal names; empty where it names none, as when it is a web page."""
    try:
        return _errors_in(codec.decode(reply.body))
    except ValueError:
        return []


def _errors_in(value: Any) -> list[ApiError]:
    """The errors in a decoded body: an array of them, or one bare."""
    listed = value if isinstance(value, list) else [value]
    return [error for error in map(ApiError.parse, listed) if error is not None]


def parse_limit_info(text: str) -> dict[str, tuple[int, int]]:
    """`Sforce-Limit-Info` by its keys, each (used, limit); pairs of another form are left out.

    `api-usage=10018/100000; api-bursts=1/750` is in the docs' example, and
    `per-app-api-usage=17/250(appName=X)` in older ones
    (https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/headers_api_usage.htm,
    2026-11-23).
    """
    found = {}
    for part in text.split(";"):
        key, _, value = part.strip().partition("=")
        used, _, limit = value.partition("(")[0].partition("/")
        if used.isdecimal() and limit.isdecimal():
            found[key] = (int(used), int(limit))
    return found


def retry_after(reply: Reply) -> float | None:
    """Seconds that `Retry-After` asks for; Salesforce rarely sends it. None where absent."""
    text = reply.headers.get("Retry-After", "").strip()
    if text.isdecimal():
        return float(text)
    date = reply.headers.get("Date", "")
    if not text or not date:
        return None
    from email.utils import parsedate_to_datetime

    try:
        wait = parsedate_to_datetime(text) - parsedate_to_datetime(date)
    except (TypeError, ValueError):
        return None
    return max(0.0, wait.total_seconds())


def _unknown(count: int, message: str) -> list[Outcome]:
    return [Unknown(message, "UNREADABLE_ANSWER")] * count


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
