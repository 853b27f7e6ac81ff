"""`workbench check`, `preview` and `schema` from outside."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.acceptance.conftest import COMPOSITE_FLOW, FLOWS, PROGRAM

BROKEN = """\
flow:
  name: broken
  tasks:
    - nats_jetstream_subscriber:
        name: source
        subject: a.b
        durable_nam: d
    - salesforce_restapi_composit:
        name: sink
"""


def run(
    *arguments: str | Path, stdin: bytes = b"", cwd: Path | None = None
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [*PROGRAM, *map(str, arguments)],
        input=stdin,
        capture_output=True,
        cwd=cwd,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("flow", sorted(FLOWS.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_seed_flows_have_neither_errors_nor_warnings(flow: Path) -> None:
    done = run("check", "--format", "json", flow)
    assert done.returncode == 0
    assert {problem["severity"] for problem in json.loads(done.stdout)} <= {"info"}


def test_every_problem_comes_with_its_place_and_a_mend(tmp_path: Path) -> None:
    (tmp_path / "broken.yaml").write_text(BROKEN)
    done = run("check", "broken.yaml", cwd=tmp_path)
    assert done.returncode == 1
    lines = done.stdout.decode().splitlines()
    assert any(line.startswith("broken.yaml:7:") and "'durable_name'" in line for line in lines)
    assert any(
        line.startswith("broken.yaml:8:") and "'salesforce_restapi_composite'" in line
        for line in lines
    )
    assert b"Traceback" not in done.stderr


def test_github_annotations(tmp_path: Path) -> None:
    (tmp_path / "broken.yaml").write_text(BROKEN)
    done = run("check", "--format", "github", "broken.yaml", cwd=tmp_path)
    assert done.returncode == 1
    assert b"::error file=broken.yaml,line=7,col=" in done.stdout


def test_a_file_that_is_not_there_does_not_keep_the_others_from_being_checked() -> None:
    done = run("check", "nowhere.yaml", COMPOSITE_FLOW)
    assert done.returncode == 2
    assert b"nowhere.yaml is not there" in done.stderr
    assert b"1 file:" in done.stderr


def test_an_override_is_checked_like_the_file() -> None:
    good = run("check", COMPOSITE_FLOW, "--set", "upsert_contacts.batch.max_in_flight=25")
    assert good.returncode == 0
    bad = run("check", COMPOSITE_FLOW, "--set", "upsert_contacts.operation=upsrt")
    assert bad.returncode == 1
    assert b"upsert" in bad.stdout
    assert run("check", COMPOSITE_FLOW, "--set", "nonsense").returncode == 2


def test_preview_prints_the_request_and_sends_nothing() -> None:
    event = b'{"ExternalId__c": "C-1", "LastName": "Berg"}'
    done = run("preview", COMPOSITE_FLOW, "--event", "-", stdin=event)
    assert done.returncode == 0, done.stderr
    text = done.stdout.decode()
    assert "PATCH /services/data/v" in text
    assert "/composite/sobjects/Contact/ExternalId__c" in text
    assert '"LastName": "Berg"' in text
    assert "uthorization" not in text


def test_preview_of_an_event_that_does_not_fit() -> None:
    done = run("preview", COMPOSITE_FLOW, "--event", "-", stdin=b"{")
    assert done.returncode == 1
    assert b"kept as a failed batch" in done.stderr


def test_preview_says_why_there_is_nothing_to_see() -> None:
    done = run("preview", COMPOSITE_FLOW, "--event", "-", stdin=b"[]")
    assert (done.returncode, done.stdout) == (0, b"")
    assert b"holds no record" in done.stderr
    done = run("preview", COMPOSITE_FLOW, "--event", "-", stdin=b'{"a": "bl\xe5"}')
    assert done.returncode == 1
    assert b"it is not UTF-8, so not JSON: byte 0xe5 at 9" in done.stderr


def test_the_schema_is_one_that_accepts_the_seed_flows() -> None:
    import yaml
    from jsonschema import Draft7Validator

    schema = json.loads(run("schema").stdout)
    Draft7Validator.check_schema(schema)
    for flow in FLOWS.glob("*.yaml"):
        Draft7Validator(schema).validate(yaml.safe_load(flow.read_text()))


def test_help_and_version_tell_what_there_is() -> None:
    assert run("--version").stdout.startswith(b"workbench ")
    text = run("--help").stdout.decode()
    for word in ("--headless FLOW", "check", "preview", "publish", "sandbox", "demo", "schema"):
        assert word in text
    for command in ("check", "preview", "publish", "sandbox", "demo", "schema", "--headless"):
        done = run(command, "--help")
        assert done.returncode == 0
        assert done.stdout.decode().startswith(f"Usage: workbench {command} ")
    assert run("flows", "--help").stdout.startswith(b"Usage: workbench [OPTIONS] [PATH]\n")


def test_unknown_options_are_a_sentence_and_code_2() -> None:
    done = run("check", "--nonsense", COMPOSITE_FLOW)
    assert done.returncode == 2
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["workbench", "pre"], "plain,preview"),
        (["workbench", "--head"], "plain,--headless"),
        (["workbench", "check", "--form"], "plain,--format"),
        (["workbench", "--headless", "--drain"], "plain,--drain-timeout"),
        (["workbench", "--headless", "cont"], "file,cont"),
        (["workbench", "check", "cont"], "file,cont"),
        (["workbench", "cont"], "file,cont"),
        (["workbench", "--sandbox-"], "plain,--sandbox-env"),
        (["workbench", "failed", "re"], "plain,replay"),
        (["workbench", "failed", "list", "--status", "cl"], "plain,claimed"),
    ],
)
def test_shells_can_complete(words: list[str], offered: str) -> None:
    done = subprocess.run(
        [*PROGRAM],
        capture_output=True,
        env={
            **os.environ,
            "_WORKBENCH_COMPLETE": "bash_complete",
            "COMP_WORDS": " ".join(words),
            "COMP_CWORD": str(len(words) - 1),
        },
        timeout=60,
        check=False,
    )
    assert offered in done.stdout.decode().splitlines()
