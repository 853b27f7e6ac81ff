"""The control endpoint: what tests and people ask of the emulator itself, under /emulator/.

    GET    /emulator/state             rows by object, calls, sessions, faults, API usage
    GET    /emulator/faults            the faults that are on
    POST   /emulator/faults            switch some on: {"fault": "lock:0.05"}, {"faults": [...]},
                                       {"kind": "status", "value": 503, "share": 0.1}, or plain text
    DELETE /emulator/faults[/ID]       switch all, or one, off
    POST   /emulator/reset             forget rows, sessions, faults, counts, added rules
    POST   /emulator/rules             {"object": "Contact", "validation_rules": [...],
                                        "duplicate_rules": [...]}: add rules (forms: rules.py)
    GET    /emulator/rules             the rules of every object that has some
    DELETE /emulator/rules[/OBJECT]    remove them
    POST   /emulator/jwt-certificates  a PEM certificate or public key: the JWT grant trusts it
    POST   /emulator/limits            {"daily_calls": N, "used": N, "hourly_events": N}: any
    GET    /emulator/requests          the last requests, newest first (?limit=N)
    DELETE /emulator/requests          forget them
    GET    /emulator/records/OBJECT    every row, oldest first (?limit=N&offset=N)
    ...    /emulator/events, /emulator/subscriptions: see events.py

It needs no token: the emulator listens on loopback only. It is never counted, logged or hit by
faults.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from .api import Answer
from .certificates import rsa_public_key
from .faults import FaultError
from .org import Org
from .readings import read_row
from .refusals import ApiError
from .rules import DuplicateRule, ValidationRule

__all__ = ["body_object", "control", "number", "refuse"]

MOST_ROWS = 10_000
"""Rows of one page of /emulator/records."""


def control(org: Org, method: str, path: str, query: Mapping[str, str], body: bytes) -> Answer:
    """Answer a call under /emulator.

    Raises:
        ApiError: with one sentence on what to write instead.
    """
    parts = [p for p in path.split("/") if p][1:]
    match method, parts:
        case "GET", [] | ["state"]:
            return Answer(200, state(org))
        case "GET", ["faults"]:
            return Answer(200, {"faults": org.faults.as_json()})
        case "POST", ["faults"]:
            return _add_faults(org, body)
        case "DELETE", ["faults"]:
            org.faults.clear()
            return Answer(200, {"faults": []})
        case "DELETE", ["faults", fault_id] if fault_id.isdigit():
            if not org.faults.remove(int(fault_id)):
                raise refuse(404, f"there is no fault {fault_id}")
            return Answer(200, {"faults": org.faults.as_json()})
        case "POST", ["reset"]:
            org.reset()
            return Answer(200, state(org))
        case "GET", ["rules"]:
            return Answer(200, _rules(org))
        case "POST", ["rules"]:
            return _add_rules(org, body_object(body))
        case "DELETE", ["rules", *names]:
            return _remove_rules(org, names)
        case "POST", ["limits"]:
            return _set_limits(org, body_object(body))
        case "POST", ["jwt-certificates"]:
            return _trust(org, body)
        case "GET", ["requests"]:
            limit = number(query, "limit", len(org.requests))
            return Answer(200, {"requests": list(reversed(org.requests))[:limit]})
        case "DELETE", ["requests"]:
            org.requests.clear()
            return Answer(200, {"requests": []})
        case "GET", ["records", name]:
            return _records(org, name, query)
        case _, ["events" | "subscriptions", *_]:
            from .events import events_control

            answer = events_control(org, method, parts, query, body)
            if answer is not None:
                return answer
    raise refuse(404, f"{method} {path} is not part of the control endpoint")


def state(org: Org) -> dict[str, Any]:
    """Counts of everything that the emulator holds."""
    return {
        "records": {name: len(table.rows) for name, table in org.store.tables.items()},
        "calls": org.calls,
        "api_usage": {"used": org.usage.used, "limit": org.usage.limit},
        "sessions": {"open": len(org.sessions), "issued": org.sessions.issued},
        "faults": org.faults.as_json(),
        "events": sorted(org.events),
        **{name: part() for name, part in org.state_parts.items()},
    }


def refuse(status: int, problem: str) -> ApiError:
    """What the control endpoint answers with; `problem` is one sentence."""
    return ApiError(status, body={"error": problem})


def body_object(body: bytes) -> dict[str, Any]:
    """The JSON object in a body; ApiError for anything else."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise refuse(400, f"the body is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise refuse(400, "the body must be a JSON object")
    return value


def number(query: Mapping[str, str], name: str, default: int) -> int:
    """A whole number of the query; ApiError for other texts."""
    text = query.get(name)
    if text is None:
        return default
    if not text.isascii() or not text.isdigit():
        raise refuse(400, f"{name} must be a whole number, not {text}")
    return int(text)


def _add_faults(org: Org, body: bytes) -> Answer:
    try:
        given: Any = orjson.loads(body)
    except orjson.JSONDecodeError:
        given = [line for line in body.decode("utf-8", "replace").splitlines() if line.strip()]
    if isinstance(given, dict) and "faults" in given:
        given = given["faults"]
    elif isinstance(given, dict) and "fault" in given:
        given = [given["fault"]]
    elif isinstance(given, (dict, str)):
        given = [given]
    if not isinstance(given, list) or not given:
        raise refuse(400, 'write for example {"fault": "lock:0.05"}')
    added: list[int] = []
    try:
        for fault in given:
            added.append(org.faults.add(fault).id)
    except (FaultError, AttributeError, TypeError) as error:
        for identifier in added:
            org.faults.remove(identifier)
        raise refuse(400, str(error)) from None
    return Answer(201, {"added": added, "faults": org.faults.as_json()})


def _rules(org: Org) -> dict[str, Any]:
    return {
        kind.name: {
            "validation_rules": [rule.as_json() for rule in kind.validation_rules],
            "duplicate_rules": [rule.as_json() for rule in kind.duplicate_rules],
        }
        for kind in org.schema.objects.values()
        if kind.validation_rules or kind.duplicate_rules
    }


def _add_rules(org: Org, given: dict[str, Any]) -> Answer:
    unknown = set(given) - {"object", "validation_rules", "duplicate_rules"}
    if unknown:
        raise refuse(400, f"unknown key {min(unknown)}")
    kind = org.schema.find(str(given.get("object")))
    if kind is None:
        raise refuse(404, f"there is no object {given.get('object')}")
    try:
        validation = [ValidationRule.parse(r, kind.find) for r in given.get("validation_rules", [])]
        duplicate = [DuplicateRule.parse(r, kind.find) for r in given.get("duplicate_rules", [])]
    except (TypeError, ValueError) as error:
        raise refuse(400, str(error)) from None
    kind.validation_rules += validation
    kind.duplicate_rules += duplicate
    org.store.tables[kind.name].follow_rules()
    return Answer(201, _rules(org))


def _remove_rules(org: Org, names: list[str]) -> Answer:
    for kind in org.schema.objects.values():
        if not names or kind.name in names:
            kind.validation_rules.clear()
            kind.duplicate_rules.clear()
            org.store.tables[kind.name].follow_rules()
    return Answer(200, _rules(org))


def _trust(org: Org, pem: bytes) -> Answer:
    try:
        rsa_public_key(pem)
    except ValueError as error:
        raise refuse(400, f"the body is no PEM certificate or RSA public key: {error}") from None
    if pem not in org.credentials.jwt_certificates:
        org.credentials.jwt_certificates.append(pem)
    return Answer(201, {"trusted": len(org.credentials.jwt_certificates)})


def _set_limits(org: Org, given: dict[str, Any]) -> Answer:
    for key, value in given.items():
        known = key in ("daily_calls", "used", "hourly_events")
        if not known or type(value) is not int or value < 0:
            raise refuse(
                400,
                "daily_calls, used and hourly_events are whole numbers; nothing else is known",
            )
    org.usage.limit = given.get("daily_calls", org.usage.limit)
    org.usage.used = given.get("used", org.usage.used)
    org.bus.hourly_allocation = given.get("hourly_events", org.bus.hourly_allocation)
    events = org.bus.hourly_allocation
    return Answer(200, {"used": org.usage.used, "limit": org.usage.limit, "hourly_events": events})


def _records(org: Org, name: str, query: Mapping[str, str]) -> Answer:
    kind = org.schema.find(name)
    if kind is None:
        raise refuse(404, f"there is no object {name}")
    table = org.store.tables[kind.name]
    offset = number(query, "offset", 0)
    limit = min(number(query, "limit", MOST_ROWS), MOST_ROWS)
    ids = list(table.rows)[offset : offset + limit]
    rows = [read_row("/services/data/v68.0", table, table.rows[i]) for i in ids]
    return Answer(200, {"total": len(table.rows), "offset": offset, "records": rows})
