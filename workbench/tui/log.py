"""What happened, in lines for people."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from workbench.tui.text import clip

__all__ = ["Line", "Log", "LogHandler"]

_MOST_SAID = 2_000
"""Characters of a line of the log: a message may hold the whole value that was refused."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the log: seconds since the epoch, info, warning or error, one sentence."""

    time: float
    level: str
    text: str


class Log:
    """The last lines, of all flows; `revision` grows with every line."""

    def __init__(self, size: int = 5_000, now: Callable[[], float] = time.time) -> None:
        self.lines: deque[Line] = deque(maxlen=size)
        self.revision = 0
        self.now = now

    def add(self, level: str, text: str) -> None:
        self.lines.append(Line(self.now(), level, clip(text, _MOST_SAID)))
        self.revision += 1


class LogHandler(logging.Handler):
    """What the program logs goes into the log pane, where else it would corrupt the screen."""

    def __init__(self, log: Log) -> None:
        super().__init__(logging.WARNING)
        self._lines = log

    def emit(self, record: logging.LogRecord) -> None:
        level = "error" if record.levelno >= logging.ERROR else "warning"
        self._lines.add(level, record.getMessage())
