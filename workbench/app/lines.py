"""Writing lines without ever making the writer wait for whoever reads them."""

from __future__ import annotations

import threading
from collections import deque
from typing import TextIO

__all__ = ["LineWriter"]

_MOST_WAITING = 50_000


class LineWriter:
    """A thread that writes lines to a file in their order.

    The event loop hands lines over and goes on: a terminal that is stopped, or a pipe that nobody
    empties, must not stop the engine. When more than 50,000 lines wait, new ones are dropped, and
    `dropped` counts them.
    """

    def __init__(self, file: TextIO) -> None:
        self.dropped = 0
        self._file = file
        self._lines: deque[str] = deque()
        self._more = threading.Event()
        self._is_closing = False
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def write(self, line: str) -> None:
        """Hand over a line, without its newline; never waits."""
        if len(self._lines) >= _MOST_WAITING:
            self.dropped += 1
            return
        self._lines.append(line)
        self._more.set()

    def close(self, timeout_seconds: float = 2.0) -> None:
        """Write what waits, for as long as that may take; may be called twice."""
        self._is_closing = True
        self._more.set()
        self._thread.join(timeout_seconds)

    def _run(self) -> None:
        while True:
            self._more.wait()
            self._more.clear()
            is_closing = self._is_closing  # asked first: what came before it is written
            while self._lines:
                chunk = [self._lines.popleft() for _ in range(len(self._lines))]
                try:
                    self._file.write("\n".join(chunk) + "\n")
                    self._file.flush()
                except (OSError, ValueError):
                    return  # whoever read it is gone
            if is_closing:
                return
