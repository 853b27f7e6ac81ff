"""The runs started from this application, each with what the screens know of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from workbench.tui.log import Log
from workbench.tui.port import Clock, Desk, Run
from workbench.tui.store import Store

if TYPE_CHECKING:
    from workbench.flow import Flow

__all__ = ["Runs"]


class Runs:
    """One run a flow file at a time; a finished one stays until the next begins."""

    def __init__(self, desk: Desk, log: Log, kept_events: int, clock: Clock) -> None:
        self._desk = desk
        self._clock = clock
        self._log = log
        self._kept = kept_events
        self._runs: dict[Path, tuple[Run, Store]] = {}

    def start(self, text: str, path: Path) -> Run:
        """Run the flow of a text.

        Raises:
            FlowError, SettingsError: it can't run as it stands.
        """
        store = Store(self._kept, log=self._log, key_fields=_keys(self._desk.flow(text, path)))
        run = self._desk.start(text, path, [store])
        self._runs[path] = (run, store)
        return run

    def run_of(self, path: Path | None) -> Run | None:
        return self._runs[path][0] if path in self._runs else None

    def store_of(self, path: Path | None) -> Store | None:
        return self._runs[path][1] if path in self._runs else None

    def active(self) -> list[Run]:
        """Runs that have not ended."""
        return [run for run, _ in self._runs.values() if not run.is_over]

    def is_running(self, path: Path) -> bool:
        run = self.run_of(path)
        return run is not None and not run.is_over

    def absorb(self, seconds: float) -> None:
        """Let every store take in what its engine told, for about so long at most; the rest is
        left for the next time."""
        for _, store in self._runs.values():
            store.absorb(seconds)

    def sample(self) -> None:
        """Take the figures of every run at this moment."""
        for run, store in self._runs.values():
            snapshot = run.snapshot()
            if snapshot is not None and not run.is_over:
                store.rates.sample(snapshot, self._clock.monotonic())

    def failed(self) -> int:
        """Records and events given up since the start of the runs, all of them."""
        snapshots = [run.snapshot() for run, _ in self._runs.values()]
        return sum(sum(snapshot.failures.values()) for snapshot in snapshots if snapshot)


def _keys(flow: Flow) -> dict[str, str]:
    from workbench.flow import CompositeTask

    return {
        task.name: task.external_id_field
        for task in flow.sinks
        if isinstance(task, CompositeTask) and task.external_id_field
    }
