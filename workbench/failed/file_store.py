"""Failed batches in an append-only file of JSON lines, on disk before anything is terminated."""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from workbench.codec import decode, encode
from workbench.errors import DeadLetterError
from workbench.model import FailedBatch

__all__ = ["FileStore"]


class FileStore:
    """One file, one line per store of a failed batch; the lines of an id together are its entry.

    Several processes may append to the same file: each store takes a lock, writes all its lines
    and returns after fsync. A line torn by a crash or a full disk is cut off before the next one
    is written, which is safe because nothing was confirmed for it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    async def store(self, batches: Sequence[FailedBatch]) -> None:
        """Append, fsync, return.

        Raises:
            DeadLetterError: the disk is full, the folder is not writable.
        """
        if batches:
            await asyncio.to_thread(self._append, batches)

    def _append(self, batches: Sequence[FailedBatch]) -> None:
        lines = b"".join(encode(batch.to_json()) + b"\n" for batch in batches)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # Only the owner may read it: it holds the events' data.
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                size = _whole_lines(descriptor)
                _write(descriptor, lines, size)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise DeadLetterError(
                f"cannot keep {len(batches)} failed batches in {self.path}: {error.strerror}"
            ) from error

    def entries(self) -> Iterator[FailedBatch]:
        """Every entry, oldest first; the attempts of an id stored several times come together.

        Raises:
            DeadLetterError: the file cannot be read, or a whole line of it is not a failed batch.
        """
        found: dict[str, FailedBatch] = {}
        for batch in self._lines():
            known = found.get(batch.id)
            if known is not None:
                batch = replace(batch, attempts=(*known.attempts, *batch.attempts))
            found[batch.id] = batch
        yield from found.values()

    def _lines(self) -> Iterator[FailedBatch]:
        try:
            with self.path.open("rb") as file:
                for number, line in enumerate(file, 1):
                    if not line.endswith(b"\n"):
                        return  # torn: never confirmed
                    try:
                        yield FailedBatch.from_json(decode(line))
                    except ValueError as error:
                        raise DeadLetterError(f"{self.path}:{number}: {error}") from error
        except FileNotFoundError:
            return
        except OSError as error:
            raise DeadLetterError(f"cannot read {self.path}: {error.strerror}") from error


def _whole_lines(descriptor: int) -> int:
    """Cut off a torn last line; returns the size in bytes afterwards."""
    size = os.fstat(descriptor).st_size
    keep = size
    while keep > 0:
        start = max(0, keep - 65536)
        block = os.pread(descriptor, keep - start, start)
        newline = block.rfind(b"\n")
        if newline >= 0:
            keep = start + newline + 1
            break
        keep = start
    if keep != size:
        os.ftruncate(descriptor, keep)
    return keep


def _write(descriptor: int, lines: bytes, size: int) -> None:
    """Write all or leave the file as it was (`size` bytes)."""
    view = memoryview(lines)
    try:
        while view:
            view = view[os.write(descriptor, view) :]
        os.fsync(descriptor)
    except OSError:
        os.ftruncate(descriptor, size)
        raise
