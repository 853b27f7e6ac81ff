"""Flow files on disk, and their texts while they are being edited."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from workbench.errors import SettingsError

__all__ = ["OpenFile", "find_flows", "read_bytes", "read_text", "write_bytes"]

_MOST_FILES = 500
_MOST_DEPTH = 4
_MOST_BYTES = 2 * 1024 * 1024
_SKIPPED = {"node_modules", "build", "dist", "__pycache__"}


def find_flows(place: Path) -> list[Path]:
    """The YAML files at or below a place, nearest first; test cases and hidden folders left out."""
    if place.is_file():
        place = place.parent
    found: list[Path] = []
    for folder, folders, names in os.walk(place):
        depth = len(Path(folder).relative_to(place).parts)
        folders[:] = sorted(
            name
            for name in folders
            if depth < _MOST_DEPTH and name not in _SKIPPED and not name.startswith(".")
        )
        found += [
            Path(folder) / name
            for name in sorted(names)
            if name.endswith((".yaml", ".yml")) and not name.endswith((".test.yaml", ".test.yml"))
        ]
        if len(found) >= _MOST_FILES:
            break
    return found[:_MOST_FILES]


def read_text(path: Path) -> str:
    """A file's text.

    Raises:
        SettingsError: it is not there, not readable, not UTF-8, or far too large for a flow.
    """
    data = read_bytes(path, _MOST_BYTES)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path} is not UTF-8 text (byte {error.start})") from error


def read_bytes(path: Path, limit: int) -> bytes:
    """A file's bytes.

    Raises:
        SettingsError: it can't be read, or holds more than `limit`.
    """
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise SettingsError(f"{path} can't be read: {error.strerror or error}") from error
    if len(data) > limit:
        raise SettingsError(f"{path} holds more than {limit:,} bytes")
    return data


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file that is not there yet.

    Raises:
        SettingsError: it is there, or can't be written.
    """
    try:
        with path.open("xb") as file:
            file.write(data)
    except OSError as error:
        raise SettingsError(f"{path} can't be written: {error.strerror or error}") from error


@dataclass(slots=True)
class OpenFile:
    """A file in the editor.

    Attributes:
        text: as it stands in the editor.
        saved: as this program last read or wrote it.
        is_new: whether it was never on disk.
    """

    path: Path
    text: str
    saved: str
    is_new: bool = False
    cursor: tuple[int, int] = (0, 0)
    _told: tuple[int, int] | None = field(default=None, repr=False)

    @classmethod
    def read(cls, path: Path) -> OpenFile:
        """Open a file.

        Raises:
            SettingsError: as `read_text`.
        """
        text = read_text(path)
        file = cls(path, text, text)
        file._told = file._stamp()
        return file

    @classmethod
    def new(cls, path: Path, text: str) -> OpenFile:
        """A file that is not on disk before it is saved."""
        return cls(path, text, "", is_new=True)

    @property
    def is_dirty(self) -> bool:
        return self.is_new or self.text != self.saved

    def save(self, path: Path | None = None) -> None:
        """Write the text in one step, keeping the file's mode; under another name if one is given.

        Raises:
            SettingsError: it can't be written.
        """
        target = path or self.path
        if target.exists() and not os.access(target, os.W_OK):
            raise SettingsError(f"{target} is read-only: save under another name")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            _write(target.resolve(), self.text)  # through a link, into the file it means
        except OSError as error:
            raise SettingsError(f"{target} can't be written: {error.strerror or error}") from error
        self.path, self.saved, self.is_new = target, self.text, False
        self._told = self._stamp()

    def changed_on_disk(self) -> str | None:
        """The text on disk, when somebody else changed the file since; told once per change."""
        stamp = self._stamp()
        if self.is_new or stamp is None or stamp == self._told:
            return None
        self._told = stamp
        try:
            text = read_text(self.path)
        except SettingsError:
            return None
        return None if text == self.saved else text

    def take_from_disk(self, text: str) -> None:
        """Go on with the text on disk."""
        self.text = self.saved = text

    def _stamp(self) -> tuple[int, int] | None:
        try:
            status = self.path.stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_size


def _write(path: Path, text: str) -> None:
    mode = path.stat().st_mode & 0o777 if path.exists() else 0o644
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, mode)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise
