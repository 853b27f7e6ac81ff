"""The on-call story: a rule refuses 37 of 200 contacts, and afterwards the org holds 200."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from tests.acceptance.conftest import COMPOSITE_FLOW, PROGRAM, Program, RunningSandbox, Start

CODE = "FIELD_CUSTOM_VALIDATION_EXCEPTION"
RULE = {
    "object": "Contact",
    "validation_rules": [
        {
            "name": "title_of_a_lead",
            "when": [{"field": "Department", "is": "equal", "value": "Sales"},
                     {"field": "Title", "is": "blank"}],
            "message": "Contacts in Sales need a title.",
            "field": "Title",
        }
    ],
}  # fmt: skip


def contacts() -> list[dict[str, Any]]:
    """200 contacts, 37 of them in Sales, none with a title."""
    return [
        {
            "ExternalId__c": f"c{number:03}",
            "LastName": f"Name {number}",
            "Department": "Sales" if number % 5 == 0 and number < 185 else "Service",
        }
        for number in range(200)
    ]


class OnCall:
    """A person at a terminal, with the sandbox for an org."""

    def __init__(self, start: Start, sandbox: RunningSandbox, flow: Path) -> None:
        self.start = start
        self.sandbox = sandbox
        self.flow = flow

    def says(self, *arguments: str, code: int = 0, env: dict[str, str] | None = None) -> Program:
        """What `workbench failed ...` ends with."""
        program = self.start("failed", *arguments, "--sandbox-env", self.sandbox.env_file, env=env)
        assert program.wait() == code, program.report()
        return program

    def lines(self, *arguments: str, code: int = 0) -> list[str]:
        return self.says(*arguments, code=code).lines

    def rows(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.sandbox.ask("/emulator/records/Contact")["records"]
        return rows


@pytest.fixture(params=["each contact an event", "one event of all"])
def on_call(
    request: pytest.FixtureRequest, start: Start, sandbox: RunningSandbox, tmp_path: Path
) -> OnCall:
    """The night before: the flow has run, and 37 contacts are missing."""
    folder = tmp_path / "flows"
    folder.mkdir()
    flow = folder / "contacts.yaml"
    flow.write_text(COMPOSITE_FLOW.read_text().replace("all_or_none: true", "all_or_none: false"))
    sandbox.ask("/emulator/rules", RULE)
    running = start("--headless", flow, "--sandbox-env", sandbox.env_file)
    running.wait_for(lambda line: '"event":"started"' in line)
    events = tmp_path / "events"
    is_one = request.param == "one event of all"
    texts = [json.dumps(contacts())] if is_one else [json.dumps(c) for c in contacts()]
    events.write_text("\n".join(texts))
    published = start(
        "publish", "crm.contacts.upsert", events, "--lines", "--sandbox-env", sandbox.env_file
    )
    assert published.wait() == 0, published.report()
    on_call = OnCall(start, sandbox, flow)
    kept = 1 if is_one else 37
    deadline = monotonic() + 30
    while len(on_call.lines("list", "--format", "json")) < kept or len(on_call.rows()) < 163:
        assert monotonic() < deadline, running.report()
    running.signal(signal.SIGTERM)
    assert running.wait() == 0
    return on_call


def test_a_validation_rule_refuses_37_of_200_contacts(on_call: OnCall, tmp_path: Path) -> None:
    assert len(on_call.rows()) == 163

    # What is wrong, and how often?
    groups = on_call.lines("list", "--group-by", "code", "--format", "json")
    (group,) = map(json.loads, groups)
    assert (group["code"], group["field"], group["records"]) == (CODE, "Title", 37)
    table = on_call.lines("list", "--group-by", "code")
    assert table[0].split() == ["CODE", "FIELD", "ENTRIES", "RECORDS", "FIRST", "LAST"]

    # Which events, and why?
    found = [json.loads(line) for line in on_call.lines("list", "--code", CODE, "--format", "json")]
    id = found[0]["id"]
    shown = "\n".join(on_call.lines("show", id))
    for told in (CODE, "Contacts in Sales need a title.", "(Title)", '"Department":"Sales"',
                 "PATCH ", "/composite/sobjects/Contact",
                 "crm.contacts.upsert", '"success":false'):  # fmt: skip
        assert told in shown, told

    # What would become of it with a title? Nothing is written yet.
    mend = ("--code", CODE, "--set", "Title=Representative")
    dry = "\n".join(on_call.lines("replay", *mend, "--dry-run"))
    assert '+ record 1 /Title: "Representative"' in dry
    assert "37 records in 1 request" in dry
    assert len(on_call.rows()) == 163

    # Without anybody to ask, nothing is written either.
    refused = on_call.says("replay", *mend, code=2)
    assert "add --yes" in refused.errors[-1]
    assert "37 records in 1 request" in refused.errors[0]
    assert "API calls today" in refused.errors[0]

    # The replay.
    done = on_call.lines("replay", *mend, "--yes")
    assert done[-1].startswith(f"{len(found)} resolved, 0 failed again")
    assert done[-1].endswith("37 records written")
    rows = on_call.rows()
    assert len(rows) == 200
    assert {row["ExternalId__c"] for row in rows} == {c["ExternalId__c"] for c in contacts()}
    assert sum(row["Title"] == "Representative" for row in rows) == 37

    # Who did what, for whoever asks in the morning.
    assert on_call.lines("list", "--format", "json") == []
    (told, *_) = on_call.lines("list", "--status", "resolved", "--format", "json")
    assert json.loads(told)["status"] == "resolved"
    entry = json.loads("\n".join(on_call.lines("show", id, "--format", "json")))
    (deed,) = entry["entry"]["history"]
    assert deed["what"] == "replayed"
    assert deed["changes"][0]["value"] == "Representative"
    again = on_call.says("replay", id, "--yes", code=1)
    assert again.report().count("was resolved by") == 1


def test_records_are_mended_in_an_editor(on_call: OnCall, tmp_path: Path) -> None:
    editor = tmp_path / "editor.py"
    editor.write_text(
        "import json, sys\n"
        "path = sys.argv[1]\n"
        "items = json.load(open(path))\n"
        "for item in items:\n"
        "    item['record']['Title'] = 'No ' + str(item['index'])\n"
        "json.dump(items, open(path, 'w'))\n"
    )
    env = {"EDITOR": f"{sys.executable} {editor}", "VISUAL": ""}
    done = on_call.says("replay", "--edit", "--yes", "--format", "json", env={**os.environ, **env})
    said = json.loads("\n".join(done.lines))
    assert said["report"]["is_all_resolved"]
    assert said["plan"]["records"] == 37
    rows = on_call.rows()
    assert len(rows) == 200
    assert sum((row["Title"] or "").startswith("No ") for row in rows) == 37


def test_some_first_then_the_rest(on_call: OnCall) -> None:
    first = on_call.lines("replay", "--limit", "1", "--yes", code=1)
    assert "1 failed again" in first[-1]
    assert "failed again: FIELD_CUSTOM_VALIDATION_EXCEPTION: " in first[-2]
    count = len(on_call.lines("list", "--format", "json"))
    mended = on_call.lines("replay", "--set", "Title=x", "--limit", "1", "--yes")
    assert sum(int(line.split()[0]) for line in mended if "resolved," in line) == count
    assert len(on_call.rows()) == 200
    id = first[-2].split(":")[0]
    assert (
        f"{id}: left alone: it was resolved by" in on_call.lines("replay", id, "--yes", code=1)[0]
    )


def test_discard_and_export(on_call: OnCall) -> None:
    lines = on_call.lines("export")
    assert sum(len(json.loads(line)["records"]) for line in lines) in (37, 200)
    id = json.loads(lines[0])["id"]
    assert on_call.says("discard", id, "--reason", " ", "--yes", code=2)
    assert on_call.says("discard", "--reason", "tidy", "--yes", code=2)
    assert on_call.lines("discard", id, "--reason", "made up", "--yes") == ["1 discarded"]
    assert "made up" in "\n".join(on_call.lines("show", id))
    on_call.says("show", "crm.9999.nothing.there", code=2)
    assert len(on_call.lines("export")) == len(lines) - 1


def test_a_failure_becomes_a_case_of_the_flow(on_call: OnCall, start: Start) -> None:
    id = json.loads(on_call.lines("list", "--format", "json")[0])["id"]
    case = on_call.lines("export", id, "--as-test")
    on_call.flow.with_suffix(".test.yaml").write_text("\n".join(case))
    # No sandbox: the case has the answer.
    done = start("test", on_call.flow)
    assert done.wait() == 0, done.report()
    assert done.lines[-1] == "1 of 1 cases hold"


def test_it_says_what_will_happen_and_asks(on_call: OnCall) -> None:
    def answered(text: str, *arguments: str) -> tuple[int, str]:
        """Exit code and what stood on the terminal, of a person who answers so."""
        ours, theirs = pty.openpty()
        place = ("--sandbox-env", str(on_call.sandbox.env_file))
        process = subprocess.Popen(
            [*PROGRAM, "failed", "replay", "--set", "Title=x", *arguments, *place],
            cwd=on_call.flow.parents[1],
            stdin=theirs,
            stdout=subprocess.DEVNULL,
            stderr=theirs,
        )
        os.close(theirs)
        os.write(ours, text.encode())
        said = b""
        with contextlib.suppress(OSError):  # how Linux says that the other end is closed
            while data := os.read(ours, 4096):
                said += data
        os.close(ours)
        return process.wait(30), said.decode()

    code, said = answered("n\n")
    assert code == 1
    assert "37 records in 1 request (upsert Contact: 37 records), to " in said
    assert "API calls today" in said
    assert "Replay? [y/N]" in said
    assert len(on_call.rows()) == 163
    code, said = answered("n\n", "--limit", "1")
    assert code == 1
    assert said.count("[y/N]") == 1
    code, said = answered("y\ny\n", "--limit", "1")
    assert code == 0, said
    assert len(on_call.rows()) == 200
