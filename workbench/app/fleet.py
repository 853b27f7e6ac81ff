"""Several flows in one process, each on its own: one that fails takes no other along."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from workbench.app.flows import load_flow
from workbench.app.opening import OpenFlow, open_flow
from workbench.app.settings import Settings
from workbench.engine import DeadLetters
from workbench.errors import FlowError, SettingsError, WorkbenchError
from workbench.flow import Flow
from workbench.observe import FlowStopped, Observer, Observers

__all__ = ["Fleet", "Member"]

_log = logging.getLogger("workbench")

_LOOK_SECONDS = 1.0
"""How often the file of a paused flow is looked at."""


@dataclass(slots=True)
class Member:
    """One flow file of the fleet. `opening` is set while it connects, `open` while it runs, `error`
    once it ended by one.

    `was_running` tells an error of the start from one that came later.
    """

    path: Path
    flow_name: str | None = None
    opening: asyncio.Task[OpenFlow] | None = None
    open: OpenFlow | None = None
    error: WorkbenchError | None = None
    was_running: bool = False


@dataclass(slots=True)
class Fleet:
    """Runs flow files until told to stop.

    A flow that the broken-flow guard has paused is loaded anew when its file changes into one
    without errors; `resume` lets it go on as it is.

    Attributes:
        settings: what all of them are told.
        dead_letters: opens the failed batches of a flow.
        observers: hear of every flow.
        drain_timeout_seconds: how long each may take to finish once told to stop.
    """

    settings: Settings
    dead_letters: Callable[[Flow], DeadLetters]
    observers: Sequence[Observer] = ()
    drain_timeout_seconds: float = 30.0
    members: list[Member] = field(default_factory=list)
    _is_stopping: bool = False

    async def run(self, paths: Sequence[Path]) -> list[Member]:
        """Run them all and return when every one has ended, in the order of `paths`."""
        self.members = [Member(path) for path in paths]
        async with asyncio.TaskGroup() as group:
            for member in self.members:
                group.create_task(self._keep_running(member), name=f"flow-{member.path}")
        return self.members

    def stop(self) -> None:
        """Ask all of them to drain and end; what is still being opened is given up."""
        self._is_stopping = True
        for member in self.members:
            if member.opening is not None:
                member.opening.cancel()
            if member.open is not None:
                member.open.engine.stop()

    def hurry(self) -> None:
        """Ask all of them to end without waiting for requests in flight."""
        self.stop()
        for member in self.members:
            if member.open is not None:
                member.open.engine.hurry()

    def resume(self) -> None:
        """Let every paused flow go on."""
        for member in self.members:
            if member.open is not None:
                member.open.engine.resume()

    def not_ready(self) -> list[str]:
        """Why the process is not ready: one sentence for each thing that keeps a flow from it."""
        reasons = []
        for member in self.members:
            if member.open is not None:
                reasons += member.open.not_ready()
            elif member.error is not None:
                reasons.append(f"{member.path}: stopped: {member.error}")
            else:
                reasons.append(f"{member.path}: starting")
        return reasons

    async def _keep_running(self, member: Member) -> None:
        try:
            flow: Flow | None = self._load(member)
            while flow is not None and not self._is_stopping:
                flow = await self._run_once(member, flow)
        except WorkbenchError as error:
            self._failed(member, error)
        except Exception as error:  # the outermost edge: a bug here must not end the others
            _log.exception("flow %s met a bug of workbench", member.path)
            self._failed(member, WorkbenchError(f"a bug of workbench ended it: {error!r}"))

    def _load(self, member: Member) -> Flow:
        """The flow in a member's file.

        Raises:
            SettingsError: the file can't be read, or an earlier flow has its name: what each of
                the two did would be one in logs, metrics and failed batches.
            FlowError: it has errors, or asks for a variable that is not set.
        """
        flow = load_flow(member.path, self.settings)
        for other in self.members:
            if other is not member and other.flow_name == flow.name:
                raise SettingsError(
                    f"{member.path}: this flow is called {flow.name!r}, like that in "
                    f"{other.path}; flows that run in one process need names of their own"
                )
        member.flow_name = flow.name
        return flow

    async def _run_once(self, member: Member, flow: Flow) -> Flow | None:
        """Run a flow to its end; the flow to go on with where its file was mended meanwhile."""
        member.was_running = False
        async with AsyncExitStack() as stack:
            opened = await self._open(member, flow, stack)
            if opened is None or self._is_stopping:
                return None
            member.open, member.was_running = opened, True
            watching = asyncio.create_task(self._wait_for_mended(member, opened))
            try:
                await opened.engine.run(drain_timeout_seconds=self.drain_timeout_seconds)
            finally:
                member.open = None
                watching.cancel()
                await asyncio.gather(watching, return_exceptions=True)
        return None if watching.cancelled() else watching.result()

    async def _open(self, member: Member, flow: Flow, stack: AsyncExitStack) -> OpenFlow | None:
        """The flow, opened on the stack; None where `stop` came before that was done."""
        opening = open_flow(flow, self.dead_letters(flow), observers=self.observers)
        member.opening = asyncio.create_task(stack.enter_async_context(opening))
        try:
            await asyncio.wait([member.opening])
            return None if member.opening.cancelled() else member.opening.result()
        finally:
            member.opening = None

    async def _wait_for_mended(self, member: Member, opened: OpenFlow) -> Flow:
        """Return the flow of the changed file, having stopped the engine, once a paused broken
        flow's file is another one without errors."""
        seen = opened.flow.digest
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            if opened.engine.snapshot().pause_cause != "broken":
                continue
            try:
                flow = self._load(member)
            except (FlowError, SettingsError):
                continue  # in the middle of being edited; `workbench check` tells what is wrong
            if flow.digest != seen:
                opened.engine.stop()
                return flow

    def _failed(self, member: Member, error: WorkbenchError) -> None:
        member.error = error
        if not member.was_running:  # else the engine has told it already
            Observers(self.observers).notify(FlowStopped(str(member.path), str(error)))
