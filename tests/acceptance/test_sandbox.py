"""`workbench sandbox` and `workbench demo` from outside."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
from pathlib import Path
from time import monotonic

from tests.acceptance.conftest import PROGRAM, RunningSandbox, Start

KEYS = {
    "NATS_URL",
    "NATS_CREDENTIALS",
    "SF_LOGIN_URL",
    "SF_TLS_URL",
    "SF_CA_FILE",
    "SF_CLIENT_ID",
    "SF_CLIENT_SECRET",
    "SF_USERNAME",
    "SF_PASSWORD",
    "SF_CREDENTIALS",
    "PUBSUB_ADDR",
    "PUBSUB_TLS_ADDR",
}


def children_of(pid: int) -> set[int]:
    listing = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return {int(child) for child in listing.split()}


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_until_gone(pids: set[int], seconds: float = 10.0) -> None:
    deadline = monotonic() + seconds
    while any(map(is_running, pids)):
        assert monotonic() < deadline, "a child outlived the sandbox"
        os.sched_yield()


def test_it_tells_how_to_reach_it_and_leaves_nothing_behind(sandbox: RunningSandbox) -> None:
    assert set(sandbox.environment) == KEYS
    assert stat.S_IMODE(sandbox.env_file.stat().st_mode) == 0o600
    credentials = Path(sandbox.environment["SF_CREDENTIALS"])
    assert json.loads(credentials.read_text())["login_url"] == sandbox.environment["SF_LOGIN_URL"]
    assert sandbox.ask("/emulator/state")["records"]["Contact"] == 0
    children = children_of(sandbox.program.process.pid)
    assert len(children) == 2
    sandbox.program.signal(signal.SIGINT)
    assert sandbox.program.wait() == 0
    assert not sandbox.env_file.exists()
    assert not credentials.parent.exists()
    wait_until_gone(children)


def test_its_children_die_with_it_however_it_ends(sandbox: RunningSandbox) -> None:
    children = children_of(sandbox.program.process.pid)
    sandbox.program.signal(signal.SIGKILL)
    sandbox.program.wait()
    wait_until_gone(children)


def test_ports_can_be_chosen_and_nats_left_out(start: Start, tmp_path: Path) -> None:
    env_file = tmp_path / "s.env"
    program = start("sandbox", "--no-nats", "--env", env_file, "--latency", "10ms")
    program.wait_for(lambda line: "sandbox is running" in line)
    running = RunningSandbox(program, env_file)
    assert "NATS_URL" not in running.environment
    assert running.ask("/emulator/faults")["faults"][0]["fault"] == "latency:10ms"
    port = running.environment["SF_LOGIN_URL"].rpartition(":")[2]
    other = start("sandbox", "--no-nats", "--salesforce-port", port)
    assert other.wait() == 2
    assert "did not start" in "\n".join(other.errors)


def test_a_fault_it_does_not_know_is_a_sentence(start: Start) -> None:
    program = start("sandbox", "--fault", "gremlins:0.5")
    assert program.wait() == 2
    assert "gremlins" in program.errors[-1]
    assert "Traceback" not in "\n".join(program.errors)


def test_the_demonstration_accounts_for_every_event(tmp_path: Path) -> None:
    done = subprocess.run(
        [*PROGRAM, "demo", "--events", "150", "--format", "json"],
        capture_output=True,
        cwd=tmp_path,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    summary = json.loads(done.stdout)
    assert summary["is_accounted_for"]
    assert summary["events"] == 150 == summary["acked"] + summary["failed_events"]
    assert summary["records_written"] > 0
    assert {"REQUIRED_FIELD_MISSING", "STRING_TOO_LONG", "INVALID_EMAIL_ADDRESS", "UNFIT"} <= set(
        summary["records_failed"]
    )
    assert summary["requests"] < 150
