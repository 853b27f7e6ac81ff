"""Where the failed batches of a flow are kept: its stream, or files where JetStream refuses."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.app.settings import Settings, failed_folder
from workbench.errors import DeadLetterError, DeadLetterRefused, SettingsError, StreamError

if TYPE_CHECKING:
    from workbench.failed import Change, FailedStore, FileStore
    from workbench.flow import Flow
    from workbench.jetstream import Connection, JetStreamFailedStore
    from workbench.model import Entry, EntryCounts, EntryFilter, EntryPage, FailedBatch

__all__ = ["DEFAULT_STREAM", "FailedStores", "StreamOrFiles", "failed_file"]

DEFAULT_STREAM = "workbench_failed"

_log = logging.getLogger("workbench")


def failed_file(folder: Path) -> Path:
    """The file in a folder of failed batches."""
    return folder / "failed.jsonl"


class StreamOrFiles:
    """A `FailedStore` that connects when it is first used.

    What JetStream refuses for good (no right to make the stream, no room in it) is kept in the
    file instead, and the operator is told. What can't be stored because NATS is away is not: its
    event is in the same NATS, and stays there.
    """

    def __init__(
        self, open_store: Callable[[], Awaitable[JetStreamFailedStore]], files: FileStore
    ) -> None:
        self.files = files
        self._open_store = open_store
        self._store: JetStreamFailedStore | None = None
        self._opening = asyncio.Lock()
        self._is_told = False

    async def store(self, batches: Sequence[FailedBatch]) -> None:
        """See `FailedStore.store`."""
        try:
            await (await self._opened()).store(batches)
        except DeadLetterRefused as error:
            if not self._is_told:
                _log.warning("%s; failed batches are kept in %s instead", error, self.files.path)
                self._is_told = True
            await self.files.store(batches)

    async def page(self, wanted: EntryFilter, after: int = 0, limit: int = 200) -> EntryPage:
        """See `FailedStore.page`."""
        return await (await self._opened()).page(wanted, after, limit)

    async def get(self, id: str) -> Entry:
        """See `FailedStore.get`."""
        return await (await self._opened()).get(id)

    async def change(self, id: str, step: Change) -> Entry:
        """See `FailedStore.change`."""
        return await (await self._opened()).change(id, step)

    async def counts(self) -> EntryCounts:
        """See `FailedStore.counts`; what fell back into the file is not among them."""
        return await (await self._opened()).counts()

    async def aclose(self) -> None:
        """Nothing: connections are closed by `FailedStores`."""

    async def _opened(self) -> JetStreamFailedStore:
        if self._store is None:
            async with self._opening:
                if self._store is None:
                    try:
                        self._store = await self._open_store()
                    except (StreamError, SettingsError) as error:
                        raise DeadLetterError(f"the failed batches: {error}") from error
        return self._store


class FailedStores:
    """The stores of failed batches that one process uses; closes their connections at the end.

    Args:
        failed_dir: keep everything in a file there in place of JetStream.
    """

    def __init__(self, settings: Settings, failed_dir: Path | None = None) -> None:
        self._settings = settings
        self._failed_dir = failed_dir
        self._connections: dict[tuple[str, str | None], Connection] = {}
        self._connecting = asyncio.Lock()

    @cached_property
    def files(self) -> FileStore:
        """What is used where JetStream is not."""
        from workbench.failed import FileStore

        return FileStore(failed_file(self._failed_dir or failed_folder(self._settings)))

    def of(self, flow: Flow) -> FailedStore:
        """The store of a bound flow; also its `DeadLetters`."""
        source, failed = flow.source, flow.failed
        replicas = failed.replicas if failed.replicas > 1 else None

        async def open_store() -> JetStreamFailedStore:
            from workbench.jetstream import JetStreamFailedStore

            connection = await self._connection(source.url, source.credentials_path)
            return JetStreamFailedStore(
                connection,
                failed.stream,
                max_age_seconds=failed.max_age_seconds,
                replicas=replicas,
            )

        return self.files if self._failed_dir else StreamOrFiles(open_store, self.files)

    def named(
        self,
        stream: str = DEFAULT_STREAM,
        *,
        url: str | None = None,
        credentials_path: str | None = None,
    ) -> FailedStore:
        """A store by the name of its stream, where no flow is at hand; without `url` on
        `NATS_URL`, else the local server."""
        variables = self._settings.variables
        place = url or variables.get("NATS_URL", "nats://localhost:4222")
        shown = credentials_path or variables.get("NATS_CREDENTIALS")

        async def open_store() -> JetStreamFailedStore:
            from workbench.jetstream import JetStreamFailedStore

            return JetStreamFailedStore(await self._connection(place, shown), stream)

        return self.files if self._failed_dir else StreamOrFiles(open_store, self.files)

    async def aclose(self) -> None:
        """Close what was opened; may be called twice."""
        for connection in self._connections.values():
            await connection.aclose()
        self._connections.clear()

    async def __aenter__(self) -> FailedStores:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def _connection(self, url: str, credentials_path: str | None) -> Connection:
        from workbench.app.opening import connect_nats

        async with self._connecting:
            key = (url, credentials_path)
            if key not in self._connections:
                self._connections[key] = await connect_nats(url, credentials_path)
            return self._connections[key]
