"""Signals that asked the process to end before anybody waited for them.

Their handlers raise; and what is raised within a callback of Python's own (import locks have some)
is dropped, after which the program would go on as if nobody had asked.
"""

from __future__ import annotations

import signal
import sys
from typing import Any

__all__ = ["came", "mind_what_is_dropped"]

came: list[signal.Signals] = []
"""In their order. Whoever begins to wait for signals looks here first."""


def mind_what_is_dropped() -> None:
    """Note a Ctrl-C that Python drops, and print no traceback of it or of an exit by SIGTERM."""
    sys.unraisablehook = _note


def _note(dropped: Any) -> None:
    if issubclass(dropped.exc_type, KeyboardInterrupt):
        came.append(signal.SIGINT)
    elif not issubclass(dropped.exc_type, SystemExit):  # SIGTERM's handler has noted that
        sys.__unraisablehook__(dropped)
