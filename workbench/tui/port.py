"""What screens may ask of the world, as Protocols: the real `Desk` has them, and so has a fake."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from workbench.app.failed_desk import FailedDesk
    from workbench.app.health import Health, Step
    from workbench.app.target import Target
    from workbench.app.trial import Trial
    from workbench.errors import Problem
    from workbench.flow import Flow
    from workbench.model import Event
    from workbench.observe import Observer, Snapshot

__all__ = ["Clock", "Desk", "Faults", "Run"]


class Clock(Protocol):
    """What time it is; the module `time` is one."""

    def monotonic(self) -> float:
        """Seconds that only go forward."""
        ...

    def time(self) -> float:
        """Seconds since the epoch."""
        ...


class Run(Protocol):
    """One flow being run; see `workbench.app.desk.Run`."""

    @property
    def flow(self) -> Flow: ...

    @property
    def path(self) -> Path: ...

    @property
    def target(self) -> Target: ...

    @property
    def error(self) -> str | None: ...

    @property
    def health(self) -> Health | None: ...

    @property
    def state(self) -> str: ...

    @property
    def is_over(self) -> bool: ...

    def snapshot(self) -> Snapshot | None: ...

    def pause(self) -> None: ...

    def resume(self) -> None: ...

    def stop(self) -> None: ...

    def hurry(self) -> None: ...

    async def wait(self) -> None: ...


class Desk(Protocol):
    """Flows and what they talk to; see `workbench.app.desk.Desk`."""

    @property
    def is_sandbox(self) -> bool: ...

    def warm_up(self) -> None: ...

    def check(self, text: str, path: Path) -> tuple[Problem, ...]: ...

    def flow(self, text: str, path: Path) -> Flow: ...

    def sample(self, text: str, path: Path, data: bytes) -> Event: ...

    def preview(self, text: str, path: Path, event: Event) -> Trial: ...

    def target(self, flow: Flow) -> Target: ...

    def start(self, text: str, path: Path, observers: Sequence[Observer]) -> Run: ...

    def failed(self, text: str, path: Path) -> FailedDesk: ...

    async def peek(self, text: str, path: Path, limit: int = 50) -> list[Event]: ...

    async def look(self, text: str, path: Path) -> Health: ...

    async def publish(self, text: str, path: Path, subject: str, data: bytes) -> str: ...

    async def test(self, text: str, path: Path, tell: Callable[[Step], None]) -> None: ...

    async def aclose(self) -> None: ...


class Faults(Protocol):
    """Switches of a sandbox's troubles, by name."""

    async def faults(self) -> Mapping[str, bool]: ...

    async def switch(self, name: str, on: bool) -> None: ...
