"""The failed batches as every place sees them: whose they are, how many, what is being replayed."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.errors import SettingsError, WorkbenchError
from workbench.tui.files import OpenFile
from workbench.tui.port import Desk

if TYPE_CHECKING:
    from workbench.app.failed_desk import FailedDesk
    from workbench.app.replay_session import ReplaySession

__all__ = ["Failed"]

_COUNT_SECONDS = 2.0
_AFTER_ERROR_SECONDS = 10.0


class Failed:
    """What the application keeps of failed batches.

    Attributes:
        count: records (events where no record was made of them) that are open; None where the
            store was not heard of yet, or not lately.
        is_unknown: whether it was asked for last, and nothing was learnt: the store is away, or
            no flow that loads says where it lies.
        session: the replay in progress, or the last one.
    """

    def __init__(self, desk: Desk) -> None:
        self.count: int | None = None
        self.is_unknown = False
        self.session: ReplaySession | None = None
        self._desk = desk
        self._known: tuple[Path, str, FailedDesk] | None = None
        self._task: asyncio.Task[None] | None = None
        self._counting: asyncio.Task[None] | None = None
        self._next_count = 0.0
        self._given_up = 0

    def desk_of(self, file: OpenFile | None) -> FailedDesk:
        """The failed batches that lie where the file, as it is saved, keeps them.

        Raises:
            SettingsError: no saved flow is at hand.
            FlowError: the flow can't run as it stands.
        """
        if file is None or file.is_new:
            raise SettingsError("open a flow that is saved: its failed batches lie where it says")
        known = self._known
        if known is not None and known[:2] == (file.path, file.saved):
            return known[2]
        desk = self._desk.failed(file.saved, file.path)
        self._known = (file.path, file.saved, desk)
        return desk

    # -- counting ------------------------------------------------------------------------------

    def shown(self, given_up: int) -> int | None:
        """The count for the line on top, None where nothing is known of the store; `given_up` is
        what the runs of this application have given up so far, which tells what failed since the
        store was counted."""
        if self.count is None:
            return None if self.is_unknown and not given_up else given_up
        # A run that is started anew has given up nothing yet.
        return self.count + max(given_up - self._given_up, 0)

    def look(self, file: OpenFile | None, given_up: int) -> None:
        """Count anew in the background, when it is time to."""
        now = asyncio.get_running_loop().time()
        if now >= self._next_count and (self._counting is None or self._counting.done()):
            self._next_count = now + _COUNT_SECONDS
            self._given_up = given_up
            self._counting = asyncio.create_task(self._count(file), name="failed-count")

    async def _count(self, file: OpenFile | None) -> None:
        try:
            counts = await self.desk_of(file).counts()
        except WorkbenchError:
            self.is_unknown = True
            # Whoever wants to know why finds the sentence at the place of failed batches.
            self.count = None
            self._next_count += _AFTER_ERROR_SECONDS
        else:
            self.is_unknown = False
            self.count = counts.records

    # -- replaying -----------------------------------------------------------------------------

    @property
    def is_replaying(self) -> bool:
        """Whether a replay has not ended; one that is paused has not."""
        return self._task is not None and not self._task.done()

    def replay(self, session: ReplaySession) -> None:
        """Carry a replay out; it goes on whatever is shown."""
        self.session = session
        self._task = asyncio.create_task(session.run(), name="replay-session")

    async def aclose(self) -> None:
        """End a replay when what is in flight is answered; stop counting."""
        if self._counting is not None:
            self._counting.cancel()
            await asyncio.gather(self._counting, return_exceptions=True)
        if self._task is not None and self.session is not None:
            self.session.cancel()
            await asyncio.wait([self._task])
