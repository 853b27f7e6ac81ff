"""Finding the flow that a failed batch came from, as its file is now or as it was then."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from workbench.app.flows import flow_of
from workbench.app.settings import Settings, read_flow_file
from workbench.codec import encode
from workbench.errors import FlowError, SettingsError
from workbench.flow import Flow, SinkTask, read
from workbench.model import FailedBatch

__all__ = ["FlowBook"]


class FlowBook:
    """Flows by name, from flow files and folders of them.

    A folder's files are looked into when a flow is first asked for; those that do not parse are
    left out, as they may be somebody's work.

    Args:
        paths: files or folders; none for the folder `flows` where there is one, else here.
    """

    def __init__(self, settings: Settings, paths: Sequence[Path] = ()) -> None:
        # No stream is read, so the usual variable for its address need not be set.
        env = {"NATS_URL": "nats://localhost:4222", **settings.env}
        self._settings = Settings(env, settings.sandbox, settings.overrides)
        self._paths = list(paths) or [Path("flows") if Path("flows").is_dir() else Path()]
        self._flows: dict[str, Flow] | None = None
        self._added: dict[str, Flow] = {}

    def add(self, flow: Flow) -> None:
        """Let a bound flow go before the file of that name."""
        self._added[flow.name] = flow

    def flow(self, name: str) -> Flow:
        """The flow of that name, bound.

        Raises:
            SettingsError: none of the files is it.
            FlowError: its file has errors.
        """
        if name in self._added:
            return self._added[name]
        if self._flows is None:
            self._flows = self._load()
        if name not in self._flows:
            places = ", ".join(map(str, self._paths))
            raise SettingsError(
                f"no flow file in {places} is named {name!r}: say where it is with --flow-file"
            )
        return self._flows[name]

    def recorded(self, batch: FailedBatch) -> Flow:
        """The flow of a failed batch with its task as it was when it failed; the rest, and the
        logins, are as they are now.

        Raises:
            SettingsError: there is no such flow, or it has no such task any longer.
            FlowError: the recorded settings do not fit this version of workbench.
        """
        flow = self.flow(batch.flow)
        if flow.digest == batch.digest:
            return flow
        task = task_of(flow, batch.task)
        text = flow.document.replaced(task.path, encode(dict(batch.settings)).decode())
        return flow_of(text, Path(flow.file), self._settings)

    def _load(self) -> dict[str, Flow]:
        found: dict[str, Flow] = {}
        for path in self._paths:
            if not path.is_dir():
                flow = flow_of(read_flow_file(path), path, self._settings)
                found[flow.name] = flow
                continue
            for file in sorted([*path.glob("*.yaml"), *path.glob("*.yml")]):
                reading = read(read_flow_file(file), str(file), dict(self._settings.overrides))
                if reading.flow is None or reading.flow.name in found:
                    continue
                try:
                    found[reading.flow.name] = flow_of(reading.flow.text, file, self._settings)
                except FlowError:
                    continue  # of another environment; who asks for it is told that it is not there
        return found


def task_of(flow: Flow, name: str) -> SinkTask:
    """The writing task of that name.

    Raises:
        SettingsError: the flow has none.
    """
    for task in flow.sinks:
        if task.name == name:
            return task
    raise SettingsError(
        f"flow {flow.name!r} ({flow.file}) has no task {name!r} any longer: give one that name, or "
        "discard the entry"
    )
