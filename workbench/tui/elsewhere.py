"""The flow at hand as a process elsewhere runs it: what its durable and its stream tell of it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.errors import WorkbenchError
from workbench.observe import EventsReceived
from workbench.tui.files import OpenFile
from workbench.tui.log import Log
from workbench.tui.port import Desk
from workbench.tui.store import Store

if TYPE_CHECKING:
    from workbench.app.health import Health

__all__ = ["ATTACHED", "Elsewhere"]

ATTACHED = "attached: the flow runs elsewhere"
"""Why a flow can't be started here."""

_LOOK_SECONDS = 2.0
_AFTER_ERROR_SECONDS = 10.0
_EVENTS = 200
"""Events of the stream that one look shows at most."""


class Elsewhere:
    """Looks at the durable of the flow at hand while it is not run from here. Attached, it shows
    the stream's events too; it touches neither.

    Attributes:
        is_attached: whether the application only watches; flows are not started then.
        health: the last look; None before the first, after one that failed, and while the flow is
            run from here.
        problem: why the last look failed, as a sentence.
    """

    def __init__(self, desk: Desk, log: Log, kept_events: int, *, is_attached: bool) -> None:
        self.is_attached = is_attached
        self.health: Health | None = None
        self.problem = ""
        self._desk = desk
        self._log = log
        self._kept = kept_events
        self._stores: dict[Path, Store] = {}
        self._last: dict[Path, int] = {}
        self._of: tuple[Path, str] | None = None
        self._looking: asyncio.Task[None] | None = None
        self._next_look = 0.0

    @property
    def pullers(self) -> int:
        """Pull requests that other processes have open at the durable."""
        return (self.health.pullers or 0) if self.health is not None else 0

    def store_of(self, path: Path | None) -> Store | None:
        """The events seen in the flow's stream while attached."""
        return self._stores.get(path) if self.is_attached and path is not None else None

    def detach(self) -> None:
        """From now on flows can be started here."""
        self.is_attached = False
        self._stores.clear()
        self._last.clear()

    # -- looking -------------------------------------------------------------------------------

    def look(self, file: OpenFile | None, *, is_run_here: bool) -> None:
        """Look anew in the background, when it is time to."""
        of = (file.path, file.saved) if file is not None and not file.is_new else None
        if of is None or is_run_here or of != self._of:
            self._forget()
        self._of = of
        now = asyncio.get_running_loop().time()
        if is_run_here:  # the server forgets our own pull requests a moment after the run's end
            self._next_look = now + _LOOK_SECONDS
        is_idle = self._looking is None or self._looking.done()
        if of is not None and not is_run_here and is_idle and now >= self._next_look:
            self._next_look = now + _LOOK_SECONDS
            self._looking = asyncio.create_task(self._look(*of), name="elsewhere-look")

    def _forget(self) -> None:
        self.health, self.problem, self._next_look = None, "", 0.0
        if self._looking is not None:
            self._looking.cancel()

    async def _look(self, path: Path, text: str) -> None:
        try:
            health = await self._desk.look(text, path)
            if self.is_attached:
                await self._peek(path, text, health.ack_floor or 0)
        except WorkbenchError as error:
            self.health, self.problem = None, str(error)
            self._next_look += 0.0 if self.is_attached else _AFTER_ERROR_SECONDS
        else:
            self.health, self.problem = health, ""

    async def _peek(self, path: Path, text: str, floor: int) -> None:
        """Put what is new in the stream into the list of events."""
        events = await self._desk.peek(text, path, _EVENTS)
        store, last = self._stores.get(path), self._last.get(path, 0)
        if store is None:
            store = self._stores[path] = Store(self._kept, log=self._log, is_outside=True)
        new = [event for event in events if event.sequence > last]
        if last and len(new) == _EVENTS:
            said = f"more than {_EVENTS} events came between two looks; only the last are shown"
            self._log.add("warning", f"{path.name}: {said}")
        if new:
            self._last[path] = new[-1].sequence
            store.notify(EventsReceived("", new))
            store.absorb()
        store.settled_up_to(floor)

    async def aclose(self) -> None:
        """Stop looking."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)
