"""Standard input and output as every command can rely on them, however the shell left them."""

from __future__ import annotations

import io
import os
import sys

from workbench.errors import SettingsError

__all__ = ["mend_streams"]


def mend_streams() -> None:
    """See to it that there are three open streams, and that any text can be written to two.

    What the shell closed (`>&-`) leads nowhere from here on: the next file that is opened would
    otherwise take its number, and be written to. A pipe or file gets UTF-8, which is what JSON
    is; a terminal keeps its own encoding and is shown an escape for what that lacks.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    if sys.stdin is None:
        sys.stdin = _Closed()
    if sys.stdout is None:
        sys.stdout = _nowhere()
    if sys.stderr is None:
        sys.stderr = _nowhere()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            encoding = stream.encoding if stream.isatty() else "utf-8"
            stream.reconfigure(encoding=encoding, errors="backslashreplace")


def _nowhere() -> io.TextIOWrapper:
    return open(os.devnull, "w", encoding="utf-8")


class _Closed(io.TextIOWrapper):
    """A standard input that says that there is none when it is read."""

    def __init__(self) -> None:
        super().__init__(_ClosedBytes(), encoding="utf-8")


class _ClosedBytes(io.BytesIO):
    def read(self, size: int | None = -1, /) -> bytes:
        raise SettingsError("standard input is closed; name a file in place of -")

    def read1(self, size: int | None = -1, /) -> bytes:
        return self.read(size)
