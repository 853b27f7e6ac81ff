"""Composite: several calls in one, that may use one another's results; and Composite Batch.

What both levels of allOrNone do together is documented at
https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/resources_composite_allornone.htm
(2026-11-23). Its quirk, rows that say `success: true` though they were rolled back, comes about
here because a collection is shown as it saw itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote

from .api import Answer, Call, dispatch, split_path
from .refusals import ApiError

__all__ = ["Subrequest", "batch", "parse_subrequests", "post", "run"]

MOST_SUBREQUESTS = 25
MOST_COLLECTIONS = 5
"""Of the subrequests, how many may be collections or queries;
https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/resources_composite_composite_post.htm
(2026-11-23)"""
FORBIDDEN_HEADERS = {"accept", "authorization", "content-type"}

HALTED = [
    {
        "errorCode": "PROCESSING_HALTED",
        "message": "The transaction was rolled back since another operation in the same "
        "transaction failed.",
    }
]

_REFERENCE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_]*")
_REFERENCE = re.compile(r"@\{([A-Za-z0-9_]+)((?:\.[A-Za-z0-9_]+|\[\d+\])+)\}")
_ENCODED_REFERENCE = re.compile(r"(?:@|%40)%7B(.+?)%7D", re.IGNORECASE)
"""Clients that build a url with a library send references in it percent-encoded."""
_STEP = re.compile(r"\.([A-Za-z0-9_]+)|\[(\d+)\]")


@dataclass(frozen=True, slots=True)
class Subrequest:
    """One entry of compositeRequest, its references not yet filled in."""

    method: str
    url: str
    reference_id: str
    body: Any
    headers: Mapping[str, str]


def post(call: Call) -> Answer:
    """POST composite."""
    body = call.object_body("allOrNone", "collateSubrequests", "compositeRequest")
    subrequests = parse_subrequests(body.get("compositeRequest"))
    if len(subrequests) > MOST_SUBREQUESTS:
        raise _limit(f"{MOST_SUBREQUESTS} subrequests in a composite request")
    if sum(map(_is_collection_or_query, subrequests)) > MOST_COLLECTIONS:
        raise _limit(f"{MOST_COLLECTIONS} sObject Collections and queries in a composite request")
    responses, rows, failed = run(call, subrequests, all_or_none=body.get("allOrNone") is True)
    return Answer(200, {"compositeResponse": responses}, rows=rows, failed_rows=failed)


def batch(call: Call) -> Answer:
    """POST composite/batch: no transaction, each subrequest is a call of its own."""
    body = call.object_body("batchRequests", "haltOnError")
    requests = body.get("batchRequests")
    if not isinstance(requests, list) or not all(isinstance(r, dict) for r in requests):
        raise ApiError(400, "JSON_PARSER_ERROR", "batchRequests must be a list of objects")
    if len(requests) > MOST_SUBREQUESTS:
        raise _limit(f"{MOST_SUBREQUESTS} subrequests in a batch")
    call.org.usage.used += max(0, len(requests) - 1)
    results: list[dict[str, Any]] = []
    rows = failed = 0
    for request in requests:
        if failed and body.get("haltOnError") is True:
            message = "Processing halted because a previous subrequest failed"
            error = {"errorCode": "BATCH_PROCESSING_HALTED", "message": message}
            results.append({"statusCode": 412, "result": [error]})
            continue
        url = str(request.get("url", "")).lstrip("/").removeprefix("services/data/")
        answer = _answer(
            call,
            Subrequest(
                str(request.get("method", "GET")),
                f"/services/data/{url}",
                "",
                request.get("richInput"),
                {},
            ),
        )
        rows += answer.rows
        failed += answer.status >= 300
        results.append({"statusCode": answer.status, "result": answer.body})
    done = {"hasErrors": bool(failed), "results": results}
    return Answer(200, done, rows=rows, failed_rows=failed)


def parse_subrequests(value: Any) -> list[Subrequest]:
    """Check the form of compositeRequest.

    Raises:
        ApiError: 400 for the whole call.
    """
    if not isinstance(value, list) or not value or not all(isinstance(r, dict) for r in value):
        raise ApiError(400, "JSON_PARSER_ERROR", "compositeRequest must be a list of objects")
    subrequests = []
    seen: set[str] = set()
    for entry in value:
        unknown = set(entry) - {"method", "url", "referenceId", "body", "httpHeaders"}
        if unknown:
            raise ApiError(400, "JSON_PARSER_ERROR", f'Unrecognized field "{min(unknown)}"')
        method, url, name = entry.get("method"), entry.get("url"), entry.get("referenceId")
        if not isinstance(name, str) or not _REFERENCE_ID.fullmatch(name):
            raise _invalid(
                "a referenceId has letters, digits and underscores, a letter or digit first; "
                f"this has not: {name}"
            )
        if name in seen:
            raise _invalid(f"Duplicate ReferenceId provided: {name}")
        if method not in ("GET", "POST", "PATCH", "PUT", "DELETE", "HEAD"):
            raise _invalid(f"{name}: unknown method {method}; methods are in upper case")
        if not isinstance(url, str) or not re.match(r"/services/data/v\d+\.\d/", url):
            raise _invalid(f"{name}: a url begins with /services/data/vXX.X/")
        headers = entry.get("httpHeaders") or {}
        if not isinstance(headers, dict):
            raise _invalid(f"{name}: httpHeaders must be an object")
        for header in headers:
            if header.lower() in FORBIDDEN_HEADERS:
                raise _invalid(f"{name}: the header {header} is not allowed in a subrequest")
        seen.add(name)
        lowered = {k.lower(): str(v) for k, v in headers.items()}
        subrequests.append(Subrequest(method, url, name, entry.get("body"), lowered))
    return subrequests


def run(
    call: Call, subrequests: list[Subrequest], *, all_or_none: bool
) -> tuple[list[dict[str, Any]], int, int]:
    """Run in order; the responses, how many rows were written, how many things failed.

    With `all_or_none` the first failure takes everything back: its own response stays as it is,
    and every other one, earlier ones too, becomes PROCESSING_HALTED.
    """
    results: dict[str, Any] = {}
    responses: list[dict[str, Any]] = []
    rows = failed = 0
    with call.org.store.transaction() as transaction:
        for place, subrequest in enumerate(subrequests):
            answer = _referring_answer(call, subrequest, results)
            rows += answer.rows
            responses.append(_response(subrequest, answer))
            if answer.status < 300:
                results[subrequest.reference_id] = answer.body
            if answer.status >= 300 or answer.failed_rows:
                failed += answer.failed_rows or 1
                if all_or_none:
                    transaction.roll_back()
                    return _halted(subrequests, place, responses[-1]), rows, rows + failed
    return responses, rows, failed


def _halted(
    subrequests: list[Subrequest], culprit: int, response: dict[str, Any]
) -> list[dict[str, Any]]:
    halted = Answer(400, HALTED)
    return [
        response if place == culprit else _response(subrequest, halted)
        for place, subrequest in enumerate(subrequests)
    ]


def _response(subrequest: Subrequest, answer: Answer) -> dict[str, Any]:
    return {
        "body": answer.body,
        "httpHeaders": {k: v for k, v in answer.headers.items() if k == "Location"},
        "httpStatusCode": answer.status,
        "referenceId": subrequest.reference_id,
    }


def _referring_answer(call: Call, subrequest: Subrequest, results: dict[str, Any]) -> Answer:
    """Fill in the references, then answer."""
    url = _ENCODED_REFERENCE.sub(lambda match: "@{" + unquote(match[1]) + "}", subrequest.url)
    try:
        filled = Subrequest(
            subrequest.method,
            str(_fill(url, results, as_text=True)),
            subrequest.reference_id,
            _fill(subrequest.body, results),
            subrequest.headers,
        )
    except LookupError as error:
        entry = {"errorCode": "PROCESSING_HALTED", "message": str(error.args[0])}
        return Answer(400, [entry])
    return _answer(call, filled)


def _answer(call: Call, subrequest: Subrequest) -> Answer:
    path, _, query = subrequest.url.partition("?")
    try:
        version, segments = split_path(path)
        if segments[:1] == ("composite",) and segments[1:2] != ("sobjects",):
            raise _invalid(f"{path} cannot be called from inside a composite request")
        return dispatch(
            call.sub(
                subrequest.method,
                version,
                segments,
                dict(parse_qsl(query, keep_blank_values=True)),
                subrequest.body,
                subrequest.headers,
            )
        )
    except ApiError as error:
        return Answer(error.status, error.body, error.headers)


def _fill(value: Any, results: dict[str, Any], *, as_text: bool = False) -> Any:
    """`value` with its references replaced; a text that is one reference keeps the value's type."""
    if isinstance(value, dict):
        return {k: _fill(v, results) for k, v in value.items()}
    if isinstance(value, list):
        return [_fill(v, results) for v in value]
    if not isinstance(value, str) or "@{" not in value:
        return value
    whole = _REFERENCE.fullmatch(value)
    if whole is not None and not as_text:
        return _look_up(whole, results)
    return _REFERENCE.sub(lambda match: str(_look_up(match, results)), value)


def _look_up(match: re.Match[str], results: dict[str, Any]) -> Any:
    name, path = match[1], match[2]
    found = results.get(name)
    for step in _STEP.finditer(path):
        key, index = step[1], step[2]
        if key is not None and isinstance(found, dict) and key in found:
            found = found[key]
        elif index is not None and isinstance(found, list) and int(index) < len(found):
            found = found[int(index)]
        else:
            raise LookupError(
                f"Invalid reference specified. No value for {name}{path} found in {name}"
            )
    return found


def _is_collection_or_query(subrequest: Subrequest) -> bool:
    parts = [p for p in subrequest.url.partition("?")[0].split("/") if p][3:]
    return parts[:2] == ["composite", "sobjects"] or parts[:1] in (["query"], ["queryAll"])


def _invalid(message: str) -> ApiError:
    return ApiError(400, "INVALID_INPUT", message)


def _limit(message: str) -> ApiError:
    return ApiError(400, "LIMIT_EXCEEDED", f"Limit exceeded: at most {message}")
