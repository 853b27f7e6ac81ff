"""Cases beside a flow: event in, requests, answers and outcomes out. This is what they say.

A file `flows/x.test.yaml`, or every YAML file in a folder `flows/x.test/`, holds the cases of
`flows/x.yaml`; `docs/failed-batches.md` shows their form.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workbench.app.settings import read_flow_file
from workbench.codec import decode, encode
from workbench.errors import SettingsError
from workbench.failed import patch as json_patch
from workbench.flow import Document
from workbench.model import Entry, FailedRecord

__all__ = ["Case", "case_of", "cases_of", "differences", "load_cases", "outcome_text"]

_CASE_KEYS = {"name", "event", "sandbox", "answers", "requests", "outcomes", "rows"}
_EVENT_KEYS = {"subject", "headers", "data", "text", "base64"}
_SANDBOX_KEYS = {"rules", "faults"}
_VERSION = re.compile(r"(?<=/services/data/)v\d+\.\d")


@dataclass(frozen=True, slots=True)
class Case:
    """One case; what is None is not looked at.

    Attributes:
        data, subject, headers: the event; the flow's own subject where none is said.
        rules, faults: what the sandbox is told first (`/emulator/rules`, `/emulator/faults`).
        answers: by task, the HTTP answers its requests get, in order, in place of the sandbox's:
            (status, body).
        requests: what must leave, in order: task, method, path and body, each only if said; the
            version of the API counts only where the case gives one that the flow does, too.
        outcomes: by task, one text for each record, as `outcome_text` gives them; the beginning
            is enough.
        rows: by object, rows that must be in the sandbox afterwards; fields not said may be any.
    """

    name: str
    file: str
    data: bytes
    subject: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    rules: Sequence[Any] = ()
    faults: Sequence[str] = ()
    answers: Mapping[str, Sequence[tuple[int, Any]]] = field(default_factory=dict)
    requests: Sequence[Mapping[str, Any]] | None = None
    outcomes: Mapping[str, Sequence[str]] | None = None
    rows: Mapping[str, Sequence[Mapping[str, Any]]] | None = None


def cases_of(flow_file: Path) -> list[Path]:
    """The files with the cases of a flow, in the order of their names."""
    beside = flow_file.with_suffix(".test.yaml")
    folder = flow_file.with_suffix(".test")
    files = sorted(folder.glob("*.yaml")) if folder.is_dir() else []
    return [beside, *files] if beside.is_file() else files


def load_cases(path: Path) -> list[Case]:
    """The cases of a file.

    Raises:
        SettingsError: it can't be read, or a case is not one; the sentence says which and how.
    """
    document = Document(read_flow_file(path), str(path))
    for problem in document.problems:
        raise SettingsError(str(problem))
    value = document.root.plain() if document.root is not None else None
    given = value.get("cases") if isinstance(value, dict) else None
    if not isinstance(given, list) or not given:
        raise SettingsError(f"{path}: there is no list `cases` in it")
    return [_case(item, f"{path}, case {number}", path) for number, item in enumerate(given, 1)]


def _case(given: Any, place: str, path: Path) -> Case:
    _known(given, _CASE_KEYS, place)
    event = given.get("event")
    _known(event, _EVENT_KEYS, f"{place}, event")
    told = given.get("sandbox") or {}
    _known(told, _SANDBOX_KEYS, f"{place}, sandbox")
    answers = given.get("answers") or {}
    _lists(given.get("requests"), f"{place}, requests", "mappings", dict)
    for key, name, kind in (("outcomes", "texts", str), ("rows", "mappings", dict)):
        listed = given.get(key)
        if listed is not None and not isinstance(listed, dict):
            raise SettingsError(f"{place}, {key}: it must be a mapping of names to lists")
        for item in (listed or {}).values():
            _lists(item, f"{place}, {key}", name, kind)
    try:
        return Case(
            name=str(given.get("name") or place),
            file=str(path),
            data=_data(event, place),
            subject=str(event.get("subject", "")),
            headers={str(key): str(value) for key, value in (event.get("headers") or {}).items()},
            rules=tuple(told.get("rules") or ()),
            faults=tuple(map(str, told.get("faults") or ())),
            answers={
                task: [(int(answer.get("status", 200)), answer.get("body")) for answer in listed]
                for task, listed in answers.items()
            },
            requests=given.get("requests"),
            outcomes=given.get("outcomes"),
            rows=given.get("rows"),
        )
    except (AttributeError, TypeError, ValueError) as error:
        raise SettingsError(f"{place}: it has not the form of a case: {error}") from error


def _known(given: Any, keys: set[str], place: str) -> None:
    if not isinstance(given, dict):
        raise SettingsError(f"{place}: it must be a mapping with {', '.join(sorted(keys))}")
    for key in given:
        if key not in keys:
            raise SettingsError(f"{place}: unknown key {key!r}; known are {sorted(keys)}")


def _lists(given: Any, place: str, name: str, kind: type) -> None:
    if given is None:
        return
    if not isinstance(given, list) or not all(isinstance(item, kind) for item in given):
        raise SettingsError(f"{place}: it must be a list of {name}")


def _data(event: Mapping[str, Any], place: str) -> bytes:
    forms = [key for key in ("data", "text", "base64") if key in event]
    if len(forms) != 1:
        raise SettingsError(f"{place}: the event needs one of data (JSON), text, or base64")
    if "data" in event:
        return encode(event["data"])
    if "text" in event:
        return str(event["text"]).encode()
    return base64.b64decode(event["base64"], validate=True)


# -- comparing ---------------------------------------------------------------------------------


def outcome_text(record: FailedRecord) -> str:
    """`written`, or as in `refused REQUIRED_FIELD_MISSING LastName`."""
    if record.outcome == "written":
        return "written"
    return " ".join([record.outcome, record.code, *record.fields])


@dataclass(slots=True)
class Seen:
    """What a case came to: requests as in `Case.requests`, outcomes by task, rows by object."""

    requests: list[dict[str, Any]] = field(default_factory=list)
    outcomes: dict[str, list[str]] = field(default_factory=dict)
    rows: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def differences(case: Case, seen: Seen) -> list[str]:
    """What is not as the case says, line by line (- wanted, + seen); nothing when all is."""
    lines = list(seen.problems)
    if case.requests is not None:
        lines += _request_lines(case.requests, seen.requests)
    for task, wanted in (case.outcomes or {}).items():
        lines += _outcome_lines(task, wanted, seen.outcomes.get(task, []))
    for sobject, rows in (case.rows or {}).items():
        lines += _row_lines(sobject, rows, seen.rows.get(sobject, []))
    return lines


def _request_lines(
    wanted: Sequence[Mapping[str, Any]], seen: Sequence[Mapping[str, Any]]
) -> list[str]:
    lines = []
    if len(wanted) != len(seen):
        lines.append(f"requests: - {len(wanted)}, + {len(seen)}")
    for number, (want, got) in enumerate(zip(wanted, seen, strict=False), 1):
        for key in want:
            one, other = want[key], got.get(key)
            if key == "path":
                one, other = _VERSION.sub("vNN.N", str(one)), _VERSION.sub("vNN.N", str(other))
            found = json_patch.diff(one, other)
            lines += [
                f"request {number}: {line[:2]}{key}{line[2:]}"
                for line in json_patch.lines(one, found)
            ]
    for number, got in enumerate(seen[len(wanted) :], len(wanted) + 1):
        lines.append(f"request {number}: + {encode(got).decode()}")
    return lines


def _outcome_lines(task: str, wanted: Sequence[str], seen: Sequence[str]) -> list[str]:
    lines = []
    for index in range(max(len(wanted), len(seen))):
        want = str(wanted[index]) if index < len(wanted) else "no such record"
        got = seen[index] if index < len(seen) else "no such record"
        if not got.startswith(want):
            lines += [
                f"{task}, record {index + 1}: - {want}",
                f"{task}, record {index + 1}: + {got}",
            ]
    return lines


def _row_lines(
    sobject: str, wanted: Sequence[Mapping[str, Any]], seen: Sequence[Mapping[str, Any]]
) -> list[str]:
    lines = []
    for want in wanted:
        if not any(want.items() <= {k: row.get(k) for k in want}.items() for row in seen):
            lines.append(f"{sobject}: - {encode(dict(want)).decode()}")
    if lines:
        shown = {key for want in wanted for key in want}
        lines += [
            f"{sobject}: + {encode({k: v for k, v in row.items() if k in shown}).decode()}"
            for row in seen[:10]
        ]
    return lines


# -- making a case of a failure ----------------------------------------------------------------


def case_of(entry: Entry) -> str:
    """A failed batch as a case, as YAML text: its event, and the answer that it met.

    The case says what happened: it passes as it is. Whoever mends the flow changes what it
    expects.
    """
    batch = entry.batch
    lines = [
        f"# {batch.kind}: {_line(batch.reason)}",
        f"# made of failed batch {entry.id}, flow version {batch.digest[:12]}",
        "cases:",
        f"  - name: {_yaml(f'{batch.kind}: {batch.reason}'[:120])}",
        "    event:",
        f"      subject: {_yaml(batch.subject)}",
    ]
    if batch.headers:
        lines.append(f"      headers: {_yaml(dict(batch.headers))}")
    try:
        lines.append(f"      data: {_yaml(decode(batch.data))}")
    except ValueError:
        lines.append(f"      base64: {_yaml(base64.b64encode(batch.data).decode())}")
    if batch.records:
        body = [_answer(record) for record in batch.records]
        lines += [
            "    answers:",
            f"      {_yaml(batch.task)}:",
            "        - status: 200",
            "          body:",
            *[f"            - {_yaml(row)}" for row in body],
        ]
        texts = [outcome_text(record) for record in batch.records]
    else:
        texts = [f"{batch.kind} {batch.reason}"]
    lines += ["    outcomes:", f"      {_yaml(batch.task)}:"]
    lines += [f"        - {_yaml(text)}" for text in texts]
    return "\n".join(lines) + "\n"


def _answer(record: FailedRecord) -> dict[str, Any]:
    if record.outcome == "written":
        return {"id": record.id or "003000000000001AAA", "success": True, "errors": []}
    error = {"statusCode": record.code, "message": record.message, "fields": list(record.fields)}
    return {"success": False, "errors": [error]}


def _yaml(value: Any) -> str:
    return encode(value).decode()


def _line(text: str) -> str:
    return " ".join(text.split())
