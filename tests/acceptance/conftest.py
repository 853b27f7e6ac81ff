"""The program from outside: processes, exit codes and what they print."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from queue import Empty, Queue
from time import monotonic
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
FLOWS = ROOT / "flows"
COMPOSITE_FLOW = FLOWS / "salesforce_composite_upsert_contact.yaml"
PROGRAM = (sys.executable, "-m", "workbench")


class Program:
    """A running `workbench`, its standard output read line by line as it comes."""

    def __init__(self, arguments: Sequence[str], *, cwd: Path, env: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            [*PROGRAM, *arguments],
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.lines: list[str] = []
        self.errors: list[str] = []
        self._queue: Queue[str | None] = Queue()
        self._readers = [
            threading.Thread(target=self._read, args=(self.process.stdout, self.lines)),
            threading.Thread(target=self._read, args=(self.process.stderr, self.errors)),
        ]
        for reader in self._readers:
            reader.start()

    def _read(self, pipe: Any, lines: list[str]) -> None:
        with pipe:
            for line in pipe:
                lines.append(line.rstrip("\n"))
                self._queue.put(lines[-1])
        self._queue.put(None)

    def wait_for(self, wanted: Callable[[str], bool], seconds: float = 30.0) -> str:
        """The first line, of either output, that is wanted; fails loudly if none comes."""
        deadline = monotonic() + seconds
        ended = 0
        while True:
            try:
                line = self._queue.get(timeout=max(0.0, deadline - monotonic()))
            except Empty:
                pytest.fail(f"no such line in {seconds} s; {self.report()}")
            if line is None:
                ended += 1
                if ended == len(self._readers):
                    pytest.fail(f"it ended before such a line; {self.report()}")
            elif wanted(line):
                return line

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def wait(self, seconds: float = 30.0) -> int:
        """Its exit code, once it has ended and all it said is read."""
        code = self.process.wait(seconds)
        for reader in self._readers:
            reader.join(seconds)
        return code

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.wait()

    def events(self, name: str) -> list[dict[str, Any]]:
        """The JSON log lines of this kind so far."""
        parsed = (json.loads(line) for line in list(self.errors + self.lines) if line[:1] == "{")
        return [line for line in parsed if line.get("event") == name]

    def get(self, path: str) -> tuple[int, str]:
        """Status and text of a path, where it was started with `--http`."""
        port = self.events("listening")[0]["port"]
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def report(self) -> str:
        return "it said:\n" + "\n".join(self.lines[-30:] + self.errors[-30:])


Start = Callable[..., Program]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a `workbench` with these arguments; it is gone when the test is."""
    programs: list[Program] = []

    def run(*arguments: str | Path, env: dict[str, str] | None = None) -> Program:
        program = Program(
            [str(a) for a in arguments], cwd=tmp_path, env={**os.environ, **(env or {})}
        )
        programs.append(program)
        return program

    yield run
    for program in programs:
        program.stop()


class RunningSandbox:
    """A `workbench sandbox` and what it wrote of itself."""

    def __init__(self, program: Program, env_file: Path) -> None:
        self.program = program
        self.env_file = env_file
        pairs = (line.partition("=") for line in env_file.read_text().splitlines())
        self.environment = {key: value for key, _, value in pairs}

    def ask(self, path: str, body: Any = None) -> Any:
        """The answer of the emulator's control endpoint."""
        request = urllib.request.Request(
            self.environment["SF_LOGIN_URL"] + path,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=30) as answer:
            return json.load(answer)


@pytest.fixture
def sandbox(start: Start, tmp_path: Path) -> RunningSandbox:
    """A sandbox of this test alone."""
    env_file = tmp_path / "sandbox.env"
    program = start("sandbox", "--env", env_file)
    program.wait_for(lambda line: "sandbox is running" in line)
    return RunningSandbox(program, env_file)
