"""A `workbench --headless` process, kept running as a service manager would."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = ["Program"]

_AWAY = 3
"""The exit code for a NATS or a Salesforce that can't be reached at the start."""

_TERMINATED = 128 + signal.SIGTERM
"""The exit code of one that is told to stop before it has begun anything."""

_RESTART_SECONDS = 0.5

_OUTCOMES = ("written", "refused", "rolled_back", "deferred", "unsent", "unknown")


class Program:
    """One process and its successors.

    Attributes:
        name: what the report calls it.
        lines: how many log lines of each event it has written.
        records: how many records it says were written, refused and so on, by flow and outcome.
        problems: a sentence for each thing that it must never do: end by itself, meet a bug.
        starts: how often it was started.
    """

    def __init__(
        self, name: str, arguments: Sequence[str | Path], env: Mapping[str, str], folder: Path
    ) -> None:
        self.name = name
        self.lines: Counter[str] = Counter()
        self.records: Counter[tuple[str, str]] = Counter()
        self.problems: list[str] = []
        self.starts = 0
        self.port = 0
        self._arguments = [str(argument) for argument in arguments]
        self._env = {**os.environ, **env}
        self._folder = folder
        self._process: asyncio.subprocess.Process | None = None
        self._is_up = False
        self._keeper: asyncio.Task[None] | None = None
        self._is_wanted = False
        self._sent: set[signal.Signals] = set()
        self._told = asyncio.Condition()

    async def start(self) -> None:
        """Start it and keep it running until `stop`."""
        self._is_wanted = True
        self._keeper = asyncio.create_task(self._keep())

    async def says(self, event: str, count: int = 1, seconds: float = 60.0) -> None:
        """Return once it has written so many lines of this event.

        Raises:
            TimeoutError: it did not.
        """
        async with asyncio.timeout(seconds), self._told:
            await self._told.wait_for(lambda: self.lines[event] >= count)

    async def runs(self, flows: int) -> None:
        """Return once so many flows run. On a busy machine one may not get its connection in time,
        which ends that flow alone: then all of the process is begun again.

        Raises:
            TimeoutError: they do not.
        """
        while True:
            async with asyncio.timeout(60.0), self._told:
                await self._told.wait_for(
                    lambda: self.lines["started"] + self.lines["stopped"] >= flows
                )
            if not self.lines["stopped"]:
                return
            await self.end(signal.SIGTERM)
            self.lines.clear()

    async def end(self, number: signal.Signals) -> int:
        """Send a signal that ends it, and wait; whether it comes again is up to `_is_wanted`.

        SIGTERM is sent once, as a second one would hurry it, and must end it with code 0, unless
        it is killed meanwhile, or only starts.
        """
        process, sent = self._process, self._sent
        if process is None or process.returncode is not None:
            return 0
        process.send_signal(signal.SIGCONT)
        if number not in sent:
            sent.add(number)
            process.send_signal(number)
        code = await process.wait()
        fine = (0, _AWAY) if self._is_up else (0, _AWAY, _TERMINATED)
        if signal.SIGKILL not in sent and code not in fine:
            self.problems.append(f"{self.name} ended with {code} when told to stop")
        return code

    async def stop(self) -> None:
        """End it for good."""
        self._is_wanted = False
        await self.end(signal.SIGTERM)
        if self._keeper is not None:
            await self._keeper

    def signal(self, number: signal.Signals) -> None:
        """Any other signal."""
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(number)

    def resume(self) -> None:
        """Let its paused flows go on. One that only starts has none, and Python itself would be
        ended by the signal while it loads."""
        if self._is_up:
            self.signal(signal.SIGUSR1)

    def limit_files(self, size_bytes: int | None) -> None:
        """Let no file grow beyond a size, as a full disk would; None for any size."""
        if self._process is not None and self._process.returncode is None:
            hard = resource.RLIM_INFINITY
            limit = hard if size_bytes is None else size_bytes
            resource.prlimit(self._process.pid, resource.RLIMIT_FSIZE, (limit, hard))

    async def _keep(self) -> None:
        while self._is_wanted:
            await self._run()
            if self._is_wanted:
                await asyncio.sleep(_RESTART_SECONDS)

    async def _run(self) -> None:
        self.starts += 1
        self._is_up = False
        sent = self._sent = set[signal.Signals]()
        process = self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "workbench", "--headless", *self._arguments),
            cwd=self._folder,
            env=self._env,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            limit=16 * 1024 * 1024,
        )
        assert process.stdout is not None
        with (self._folder / f"{self.name}.log").open("ab") as log:
            async for line in process.stdout:
                log.write(line)
                await self._read(line)
        code = await process.wait()
        if self._is_wanted and not sent and code != _AWAY:
            self.problems.append(f"{self.name} ended by itself with {code}")

    async def _read(self, text: bytes) -> None:
        try:
            line: dict[str, Any] = json.loads(text)
        except ValueError:
            if b"Traceback" in text:
                self.problems.append(f"{self.name} printed a traceback: see its log")
            return
        event = line.get("event", "")
        if "trace" in line or "bug of workbench" in str(line.get("error", "")):
            self.problems.append(f"{self.name} met a bug: {line}")
        if event == "listening":
            self.port, self._is_up = line["port"], True
        if event == "batch":
            for outcome in _OUTCOMES:
                self.records[line["flow"], outcome] += line.get(outcome, 0)
        self.lines[event] += 1
        async with self._told:
            self._told.notify_all()
