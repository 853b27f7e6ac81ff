"""The Salesforce emulator in a process of its own.

Own process, not own thread: the emulator then has its own interpreter lock, so an engine on the
other core runs, and is measured, as it would against a Salesforce that is elsewhere; and what
crashes here or there does not take the other along. Tests that want to look inside use
`workbench.emulator` directly.

The two talk over pipes: one line of JSON with the options goes in, one line with the addresses
comes out. The child ends when its standard input does, so that a parent killed in any way, on any
system, leaves no orphan.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["EmulatorProcess", "SandboxError"]

_START_SECONDS = 20.0
_STOP_SECONDS = 5.0


class SandboxError(RuntimeError):
    """A part of the sandbox did not start; the sentence quotes what it said."""


class EmulatorProcess:
    """One child process that runs the emulator.

    Args:
        folder: where it may put its certificate and its log; removed by the caller.
        options: what `workbench.sandbox.child` passes on to the emulator.
    """

    def __init__(self, folder: Path, options: Mapping[str, Any]) -> None:
        self._folder = folder
        self._options = options
        self._process: asyncio.subprocess.Process | None = None
        self.addresses: dict[str, str] = {}

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    async def start(self) -> None:
        """Start it and return when it listens; `addresses` then says where.

        Raises:
            SandboxError: it ended, or said nothing in time.
        """
        with (self._folder / "emulator.log").open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-m", "workbench.sandbox.child"),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                start_new_session=True,  # Ctrl-C in the terminal is for us, not for it
            )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(self._options).encode() + b"\n")
        try:
            async with asyncio.timeout(_START_SECONDS):
                line = await self._process.stdout.readline()
        except TimeoutError:
            line = b""
        if not line:
            await self.aclose()
            raise SandboxError(f"the Salesforce emulator did not start: {self._last_words()}")
        self.addresses = json.loads(line)

    async def aclose(self) -> None:
        """End it and wait; killed when it does not end in time. Harmless when it is not running."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        try:
            async with asyncio.timeout(_STOP_SECONDS):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()

    def _last_words(self) -> str:
        lines = (self._folder / "emulator.log").read_text(errors="replace").splitlines()
        return lines[-1].strip() if lines else "it said nothing"
