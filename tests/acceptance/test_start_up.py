"""What a command loads before it is of use; heavy libraries are left to those who need them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.acceptance.conftest import COMPOSITE_FLOW, FLOWS, RunningSandbox

HEAVY = ("aiohttp", "grpc", "httpcore2", "nats", "prometheus_client", "textual", "cryptography")

_CHECK = """
import json, sys
from workbench.cli.root import run
code = run(sys.argv[1:])
print(json.dumps([code, sorted(sys.modules)]), file=sys.stderr)
"""

# Ends itself as soon as the flow has started.
_HEADLESS = """
import json, os, signal, sys
from workbench.observe import FlowStarted
from workbench.observe.log import LogObserver
notify = LogObserver.notify
def watch(self, notice):
    notify(self, notice)
    if isinstance(notice, FlowStarted):
        os.kill(os.getpid(), signal.SIGTERM)
LogObserver.notify = watch
from workbench.cli.root import run
code = run(["--headless", *sys.argv[1:]])
print(json.dumps([code, sorted(sys.modules)]), file=sys.stderr)
"""


def loaded(program: str, *arguments: str | Path) -> set[str]:
    """The libraries that are loaded when the program ends, which must be well."""
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)],
        capture_output=True,
        timeout=60,
        check=True,
    )
    code, modules = json.loads(done.stderr.splitlines()[-1])
    assert code == 0, done.stdout + done.stderr
    return {name.partition(".")[0] for name in modules} | {
        name for name in modules if name.startswith("workbench.")
    }


def test_check_loads_no_client_and_no_screen() -> None:
    modules = loaded(_CHECK, "check", *sorted(FLOWS.glob("salesforce_*.yaml")))
    assert not modules & {*HEAVY, "asyncio", "jinja2", "jsonschema", "workbench.jetstream"}


def test_preview_loads_no_client_and_no_screen(tmp_path: Path) -> None:
    event = tmp_path / "event.json"
    event.write_text('{"ExternalId__c": "1", "LastName": "x"}')
    modules = loaded(_CHECK, "preview", COMPOSITE_FLOW, "--event", event)
    assert not modules & {"aiohttp", "grpc", "httpcore2", "textual", "prometheus_client"}


def test_headless_loads_only_what_its_flow_needs(sandbox: RunningSandbox, tmp_path: Path) -> None:
    modules = loaded(
        _HEADLESS,
        COMPOSITE_FLOW,
        *("--sandbox-env", sandbox.env_file, "--failed-dir", tmp_path / "failed"),
    )
    assert not modules & {"aiohttp", "grpc", "textual", "prometheus_client", "fastavro"}
    assert "opentelemetry" not in modules  # only when asked for
    assert not modules & {"workbench.emulator", "workbench.sandbox"}
    assert {"nats", "httpcore2"} <= modules


# Tells itself to go on while the command is still being looked up.
_EARLY = """
import os, signal
from workbench.cli import root
find = root._Root.get_command
def told(self, ctx, name):
    os.kill(os.getpid(), signal.SIGUSR1)
    return find(self, ctx, name)
root._Root.get_command = told
raise SystemExit(root.run(["schema"]))
"""


def test_going_on_does_not_end_a_process_that_only_starts() -> None:
    done = subprocess.run([sys.executable, "-c", _EARLY], capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr


# Is told everything at once when its own code is decided already.
_LATE = """
import atexit, os, signal, sys
for number in (signal.SIGUSR1, signal.SIGTERM, signal.SIGINT):
    atexit.register(os.kill, os.getpid(), number)
from workbench.cli.root import run
raise SystemExit(run(["--headless", *sys.argv[1:]]))
"""


def test_a_signal_does_not_change_how_an_ending_process_ends() -> None:
    env = {**os.environ, "NATS_URL": "nats://127.0.0.1:1"}
    words = [
        sys.executable,
        "-c",
        _LATE,
        COMPOSITE_FLOW,
        "--set",
        "start_subscription.url=nats://127.0.0.1:1",
    ]
    done = subprocess.run(words, capture_output=True, timeout=60, env=env)
    assert done.returncode in (2, 3), done.stdout + done.stderr
