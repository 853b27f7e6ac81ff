"""Unsaved text, kept aside so that it outlives a crash or a terminal that goes away."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path

from workbench.tui.files import OpenFile

__all__ = ["Recovery"]

_MOST_BYTES = 8 * 1024 * 1024


class Recovery:
    """One file for each flow with unsaved text, readable by its owner only. A disk that refuses is
    no reason to disturb anybody.

    Args:
        folder: where they lie; made when first needed. None keeps nothing.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._kept: dict[Path, str] = {}

    def keep(self, files: Iterable[OpenFile]) -> None:
        """Keep what is unsaved now, and forget what this program kept and is saved or dropped."""
        dirty = {file.path: file.text for file in files if file.is_dirty}
        for path in [path for path in self._kept if path not in dirty]:
            self.drop(path)
        for path, text in dirty.items():
            if self._kept.get(path) != text:
                self._kept[path] = text
                self._write(path, text)

    def text_of(self, path: Path) -> str | None:
        """What was left of the file by a program that did not come to its end."""
        place = self._place(path)
        if place is None or path in self._kept:
            return None
        try:
            with place.open("rb") as file:
                text = json.loads(file.read(_MOST_BYTES))["text"]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return text if isinstance(text, str) else None

    def drop(self, path: Path) -> None:
        """Forget what is kept of the file."""
        self._kept.pop(path, None)
        place = self._place(path)
        if place is not None:
            try:
                place.unlink(missing_ok=True)
            except OSError:
                return

    def drop_own(self) -> None:
        """Forget what this program kept: whoever leaves has been asked."""
        for path in list(self._kept):
            self.drop(path)

    def _place(self, path: Path) -> Path | None:
        if self._folder is None:
            return None
        import hashlib

        name = hashlib.sha256(os.fsencode(path.absolute())).hexdigest()[:32]
        return self._folder / f"{name}.json"

    def _write(self, path: Path, text: str) -> None:
        place = self._place(path)
        if place is None:
            return
        try:
            place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            part = place.with_suffix(".part")
            part.unlink(missing_ok=True)  # its mode would stay that of whoever made it
            handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "w", encoding="utf-8", errors="surrogatepass") as file:
                json.dump({"path": str(path.absolute()), "text": text}, file)
            part.replace(place)
        except OSError:
            return
