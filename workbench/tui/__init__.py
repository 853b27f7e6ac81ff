"""The terminal application. Importing this door imports no Textual."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workbench.app.desk import Stores
    from workbench.app.settings import Settings
    from workbench.tui.port import Faults

__all__ = ["run"]

_FRAMES = "250"
"""Most frames in a second. Textual leaves one to two frames' time between any two, which a key that
comes just after one would wait for: up to 33 ms at its own 60. The lists draw far fewer."""


async def run(
    path: Path | None,
    settings: Settings,
    *,
    dead_letters: Stores,
    faults: Faults | None = None,
    is_attached: bool = False,
) -> int:
    """Open the application and return its exit code once the user has left it.

    Args:
        path: a flow file, a folder of them, or None for the folder `flows` (or this one).
        settings: what flows are bound to; with a sandbox in it they reach that sandbox only.
        dead_letters: opens the failed batches of a flow, as `FailedStores.of` does.
        faults: switches of the sandbox's troubles, where there is a sandbox of our own.
        is_attached: show flows that run elsewhere, and start none.

    Raises:
        SettingsError: there is no terminal, or `path` is not there.
    """
    os.environ.setdefault("TEXTUAL_FPS", _FRAMES)  # read when Textual is imported, which is now
    from workbench.tui.start import start

    return await start(
        path, settings, dead_letters=dead_letters, faults=faults, is_attached=is_attached
    )
