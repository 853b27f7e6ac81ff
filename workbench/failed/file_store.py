"""Failed batches in an append-only file of JSON lines, on disk before anything is terminated."""

from __future__ import annotations

import asyncio
import fcntl
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO, TypeVar

from workbench.codec import decode
from workbench.errors import DeadLetterError, NotKeptError
from workbench.failed.port import Change
from workbench.model import (
    Entry,
    EntryCounts,
    EntryFilter,
    EntryPage,
    EntrySummary,
    FailedBatch,
    FailedText,
    rival_id,
)

__all__ = ["FileStore"]

_T = TypeVar("_T")


class FileStore:
    """One file; each line is an entry after a change, and the last line of an id is what holds.

    Several processes of one machine may use the same file: each change takes a lock, reads what
    others appended, writes its lines and returns after fsync. A line torn by a crash or a full
    disk is cut off before the next one is written, which is safe because nothing was confirmed
    for it. Only places of lines are kept in memory, never the entries.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._places: dict[str, int] = {}  # id -> offset of its last line, in file order
        self._open: dict[str, int] = {}  # id -> failed records, of the open ones
        self._read_to = 0
        self._file_id = (0, 0)
        self._turn = threading.Lock()
        self._text = FailedText()

    async def store(self, batches: Sequence[FailedBatch]) -> None:
        """Append, fsync, return.

        Raises:
            DeadLetterError: the disk is full, the folder is not writable.
        """
        if batches:
            what = f"keep {len(batches)} failed batches in"
            await asyncio.to_thread(self._guarded, what, lambda: self._store(batches))

    async def page(self, wanted: EntryFilter, after: int = 0, limit: int = 200) -> EntryPage:
        """See `FailedStore.page`; `next` is an offset in the file."""
        return await asyncio.to_thread(
            self._guarded, "read", lambda: self._page(wanted, after, limit)
        )

    async def get(self, id: str) -> Entry:
        """See `FailedStore.get`."""
        return await asyncio.to_thread(self._guarded, "read", lambda: self._get(id))

    async def change(self, id: str, step: Change) -> Entry:
        """See `FailedStore.change`."""
        return await asyncio.to_thread(self._guarded, "change", lambda: self._change(id, step))

    async def counts(self) -> EntryCounts:
        """See `FailedStore.counts`."""

        def count() -> EntryCounts:
            with self._reading():
                return EntryCounts(len(self._open), sum(self._open.values()))

        return await asyncio.to_thread(self._guarded, "read", count)

    async def aclose(self) -> None:
        """Nothing is held open."""

    def entries(self) -> Iterator[FailedBatch]:
        """Every failed batch whatever became of it, the longest unchanged first.

        Raises:
            DeadLetterError: the file cannot be read, or a whole line of it is not an entry.
        """
        with self._reading() as file:
            if file is not None:
                for place in list(self._places.values()):
                    yield self._entry_at(file, place).batch

    # -- under the lock ----------------------------------------------------------------------

    def _guarded(self, doing: str, work: Callable[[], _T]) -> _T:
        try:
            with self._turn:
                return work()
        except OSError as error:
            raise DeadLetterError(f"cannot {doing} {self.path}: {error.strerror}") from error

    def _store(self, batches: Sequence[FailedBatch]) -> None:
        with self._writing() as file:
            fresh: dict[str, Entry] = {}
            for given in batches:
                batch = given
                known = fresh.get(batch.id) or self._known(file, batch.id)
                if known is not None and known.batch.timestamp != batch.timestamp:
                    batch = replace(batch, id=rival_id(batch))
                    known = fresh.get(batch.id) or self._known(file, batch.id)
                entry = Entry(batch) if known is None else known.stored(batch)
                if entry is not known:
                    fresh[entry.id] = entry
            self._append(file, list(fresh.values()))

    def _change(self, id: str, step: Change) -> Entry:
        with self._writing() as file:
            known = self._known(file, id)
            if known is None:
                raise NotKeptError(f"{self.path} keeps no failed batch {id}")
            entry = step(known)
            if entry is not known:
                self._append(file, [entry])
            return replace(entry, revision=self._places[id])

    def _get(self, id: str) -> Entry:
        with self._reading() as file:
            entry = None if file is None else self._known(file, id)
            if entry is None:
                raise NotKeptError(f"{self.path} keeps no failed batch {id}")
            return entry

    def _page(self, wanted: EntryFilter, after: int, limit: int) -> EntryPage:
        found: list[EntrySummary] = []
        now = time.time()
        with self._reading() as file:
            if file is None:
                return EntryPage((), 0, True)
            for place in [place for place in self._places.values() if place >= after]:
                if len(found) == limit:
                    return EntryPage(tuple(found), place, False)
                summary = self._entry_at(file, place).summary
                if wanted.fits(summary, now):
                    found.append(summary)
            return EntryPage(tuple(found), self._read_to, True)

    def _known(self, file: IO[bytes], id: str) -> Entry | None:
        place = self._places.get(id)
        return None if place is None else self._entry_at(file, place)

    def _entry_at(self, file: IO[bytes], place: int) -> Entry:
        file.seek(place)
        return self._parsed(file.readline(), place)

    def _parsed(self, line: bytes, place: int) -> Entry:
        try:
            return Entry.from_json(decode(line), place)
        except ValueError as error:
            raise DeadLetterError(f"{self.path}, byte {place}: {error}") from error

    def _append(self, file: IO[bytes], entries: Sequence[Entry]) -> None:
        """Write all or leave the file as it was."""
        if not entries:
            return
        descriptor, size = file.fileno(), self._read_to
        lines = [entry.encode(self._text.of(entry.batch)) + b"\n" for entry in entries]
        view = memoryview(b"".join(lines))
        try:
            os.ftruncate(descriptor, size)  # a line torn by a crash
            while view:
                view = view[os.write(descriptor, view) :]
            os.fsync(descriptor)
        except OSError:
            os.ftruncate(descriptor, size)
            raise
        for entry, line in zip(entries, lines, strict=True):
            self._learn(entry, len(line))

    @contextmanager
    def _writing(self) -> Iterator[IO[bytes]]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # Only the owner may read it: it holds the events' data.
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(descriptor, "rb") as file:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            self._catch_up(file)
            yield file

    @contextmanager
    def _reading(self) -> Iterator[IO[bytes] | None]:
        """The file with nobody writing to it; None where there is none yet."""
        try:
            file = self.path.open("rb")
        except FileNotFoundError:
            self._forget()
            yield None
            return
        except OSError as error:
            raise DeadLetterError(f"cannot read {self.path}: {error.strerror}") from error
        with file:
            fcntl.flock(file.fileno(), fcntl.LOCK_SH)
            self._catch_up(file)
            yield file

    def _catch_up(self, file: IO[bytes]) -> None:
        """Learn where the lines are that were appended since the last look."""
        facts = os.fstat(file.fileno())
        file_id = (facts.st_dev, facts.st_ino)
        if file_id != self._file_id or facts.st_size < self._read_to:
            self._forget()
            self._file_id = file_id
        if facts.st_size == self._read_to:
            return
        file.seek(self._read_to)
        for line in file:
            if not line.endswith(b"\n"):
                break  # torn: never confirmed
            self._learn(self._parsed(line, self._read_to), len(line))

    def _learn(self, entry: Entry, size: int) -> None:
        """The next line of the file, `size` bytes long, is this entry."""
        self._places.pop(entry.id, None)
        self._places[entry.id] = self._read_to
        self._open.pop(entry.id, None)
        if entry.state == "open":
            self._open[entry.id] = len(entry.batch.failures)
        self._read_to += size

    def _forget(self) -> None:
        self._places.clear()
        self._open.clear()
        self._read_to = 0
        self._file_id = (0, 0)
