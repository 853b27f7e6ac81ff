"""How long `check` takes, and `--headless` until it consumes, beside a bare interpreter's start.

`python -m bench.startup`; medians of wall time, each command in turn, in one run.
"""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

FLOW = "flows/salesforce_composite_upsert_contact.yaml"
ROUNDS = 9
REACH = {"check": 15, "headless": 30}


def bare() -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", "pass"], check=True)
    return time.perf_counter() - started


def check() -> float:
    started = time.perf_counter()
    command = [sys.executable, "-m", "workbench", "check", FLOW]
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - started


def headless(env_file: Path) -> float:
    """Until the line that says it receives; then it is told to stop."""
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "workbench", "--headless", FLOW, "--sandbox-env", str(env_file)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "XDG_STATE_HOME": str(env_file.parent)},
    )
    assert process.stdout is not None
    for line in process.stdout:
        if '"started"' in line:
            break
    else:
        raise SystemExit("it never started")
    seconds = time.perf_counter() - started
    process.send_signal(signal.SIGTERM)
    process.stdout.read()
    process.wait()
    return seconds


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        env_file = Path(folder) / "sandbox.env"
        sandbox = subprocess.Popen(
            [sys.executable, "-m", "workbench", "sandbox", "--env", str(env_file)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert sandbox.stdout is not None
        try:
            for line in sandbox.stdout:
                if line.startswith("SF_CREDENTIALS="):  # the last line: everything answers
                    break
            times: dict[str, list[float]] = {"bare": [], "check": [], "headless": []}
            for _ in range(ROUNDS):
                times["bare"].append(bare())
                times["check"].append(check())
                times["headless"].append(headless(env_file))
        finally:
            sandbox.terminate()
            sandbox.stdout.read()
            sandbox.wait()
    median = {name: statistics.median(each) for name, each in times.items()}
    print(f"bare interpreter            {median['bare'] * 1000:6.0f} ms")
    for name, title in (("check", "check of one flow"), ("headless", "--headless until ready")):
        ratio = median[name] / median["bare"]
        print(f"{title:27} {median[name] * 1000:6.0f} ms  {ratio:5.1f} x   [reach: {REACH[name]}]")


if __name__ == "__main__":
    main()
