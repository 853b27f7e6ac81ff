"""Failed batches in an append-only file of JSON lines, on disk before anything is terminated."""

from __future__ import annotations

import asyncio
import fcntl
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO, Any, NamedTuple, TypeVar

from workbench.codec import decode, encode
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

COMPACT_FROM_BYTES = 1024 * 1024
"""Below this size a file is not worth rewriting, however much of it is superseded."""


class _Line(NamedTuple):
    """The line that holds of an entry. `place` names it for ever, `offset` is where it lies now."""

    place: int
    offset: int
    size: int


class FileStore:
    """One file; each line is an entry after a change, and the last line of an id is what holds.

    Several processes of one machine may use the same file: each change takes a lock, reads what
    others appended, writes its lines and returns after fsync. A line torn by a crash or a full
    disk is cut off before the next one is written, which is safe because nothing was confirmed
    for it. Only places of lines are kept in memory, never the entries.

    When most of a file is superseded, the next change first writes the lines that hold to a new
    file, and puts it in the old one's place once it is on disk: whoever is killed meanwhile leaves
    one of the two, whole. Its first line then tells which places its lines had in the old file, so
    that pages go on where they were.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lines: dict[str, _Line] = {}  # by id, in file order
        self._open: dict[str, int] = {}  # id -> as EntryCounts.records, of the open ones
        self._read_to = 0
        self._moved: list[int] = []  # places of compacted lines that are not read yet, last first
        self._shift = 0  # from offset to place, of lines that were appended
        self._live_bytes = 0
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
        """See `FailedStore.page`; `next` is a place in the file."""
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
                for line in list(self._lines.values()):
                    yield self._entry_at(file, line).batch

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
            return replace(entry, revision=self._lines[id].place)

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
            for line in [line for line in self._lines.values() if line.place >= after]:
                if len(found) == limit:
                    return EntryPage(tuple(found), line.place, False)
                summary = self._entry_at(file, line).summary
                if wanted.fits(summary, now):
                    found.append(summary)
            return EntryPage(tuple(found), self._read_to + self._shift, True)

    def _known(self, file: IO[bytes], id: str) -> Entry | None:
        line = self._lines.get(id)
        return None if line is None else self._entry_at(file, line)

    def _entry_at(self, file: IO[bytes], line: _Line) -> Entry:
        file.seek(line.offset)
        return replace(self._parsed(file.readline(), line.offset), revision=line.place)

    def _parsed(self, text: bytes, offset: int) -> Entry:
        try:
            return Entry.from_json(decode(text))
        except ValueError as error:
            raise DeadLetterError(f"{self.path}, byte {offset}: {error}") from error

    def _append(self, file: IO[bytes], entries: Sequence[Entry]) -> None:
        """Write all or leave the file as it was."""
        if not entries:
            return
        descriptor, size = file.fileno(), self._read_to
        lines = [entry.encode(self._text.of(entry.batch)) + b"\n" for entry in entries]
        try:
            os.ftruncate(descriptor, size)  # a line torn by a crash
            _write(descriptor, b"".join(lines))
            os.fsync(descriptor)
        except OSError:
            os.ftruncate(descriptor, size)
            raise
        for entry, line in zip(entries, lines, strict=True):
            self._learn(entry, len(line))

    @contextmanager
    def _writing(self) -> Iterator[IO[bytes]]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            file = stack.enter_context(_opened(self.path, os.O_RDWR | os.O_CREAT))
            while not self._is_locked(file, fcntl.LOCK_EX):
                file = stack.enter_context(_opened(self.path, os.O_RDWR | os.O_CREAT))
            self._catch_up(file)
            if self._read_to > max(COMPACT_FROM_BYTES, 2 * self._live_bytes):
                file = stack.enter_context(self._compacted(file))
            yield file

    @contextmanager
    def _reading(self) -> Iterator[IO[bytes] | None]:
        """The file with nobody writing to it; None where there is none yet."""
        with ExitStack() as stack:
            try:
                file = stack.enter_context(_opened(self.path, os.O_RDONLY))
                while not self._is_locked(file, fcntl.LOCK_SH):
                    file = stack.enter_context(_opened(self.path, os.O_RDONLY))
            except FileNotFoundError:
                self._forget()
                yield None
                return
            except OSError as error:
                raise DeadLetterError(f"cannot read {self.path}: {error.strerror}") from error
            self._catch_up(file)
            yield file

    def _is_locked(self, file: IO[bytes], how: int) -> bool:
        """Wait for the lock; False if it is no longer the file of that name, as another process
        has put a compacted one in its place meanwhile."""
        fcntl.flock(file.fileno(), how)
        try:
            return os.path.samestat(os.fstat(file.fileno()), self.path.stat())
        except FileNotFoundError:
            return False

    def _compacted(self, file: IO[bytes]) -> IO[bytes]:
        """The file without what is superseded, locked and in its place; the old one where there is
        no room to write it."""
        path = self.path.with_name(f"{self.path.name}.compacting")
        lines = list(self._lines.values())
        header = {"places": [line.place for line in lines], "next": self._read_to + self._shift}
        facts = os.fstat(file.fileno())
        fresh = _opened(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        try:
            fcntl.flock(fresh.fileno(), fcntl.LOCK_EX)
            os.fchown(fresh.fileno(), facts.st_uid, facts.st_gid)
            _write(fresh.fileno(), encode({"compacted": header}) + b"\n")
            for line in lines:
                file.seek(line.offset)
                _write(fresh.fileno(), file.read(line.size))
            os.fsync(fresh.fileno())
            os.replace(path, self.path)
        except OSError:
            fresh.close()
            path.unlink(missing_ok=True)
            return file
        _sync_folder(self.path.parent)
        self._catch_up(fresh)
        return fresh

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
        for text in file:
            if not text.endswith(b"\n"):
                break  # torn: never confirmed
            if not self._read_to and text.startswith(b'{"compacted":'):
                self._learn_places(decode(text)["compacted"], len(text))
            else:
                self._learn(self._parsed(text, self._read_to), len(text))

    def _learn_places(self, header: dict[str, Any], size: int) -> None:
        """The first line of a compacted file, `size` bytes long."""
        self._moved = header["places"][::-1]
        self._shift = header["next"]
        self._read_to = size

    def _learn(self, entry: Entry, size: int) -> None:
        """The next line of the file, `size` bytes long, is this entry."""
        old = self._lines.pop(entry.id, None)
        place = self._moved.pop() if self._moved else self._read_to + self._shift
        self._lines[entry.id] = _Line(place, self._read_to, size)
        self._live_bytes += size - (old.size if old else 0)
        self._open.pop(entry.id, None)
        if entry.state == "open":
            self._open[entry.id] = max(len(entry.batch.failures), 1)
        self._read_to += size

    def _forget(self) -> None:
        self._lines.clear()
        self._open.clear()
        self._moved = []
        self._read_to = self._shift = self._live_bytes = 0
        self._file_id = (0, 0)


def _opened(path: Path, flags: int) -> IO[bytes]:
    """Only the owner may read it: it holds the events' data."""
    return os.fdopen(os.open(path, os.O_APPEND | flags, 0o600), "rb")


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _sync_folder(folder: Path) -> None:
    """So that a new name in it outlives a power loss."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
