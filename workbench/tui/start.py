"""From a path and settings to the running application."""

from __future__ import annotations

import gc
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.app.settings import Settings
from workbench.errors import SettingsError
from workbench.tui.config import config_path, load_config, load_state, save_state, state_path
from workbench.tui.port import Faults

if TYPE_CHECKING:
    from workbench.app.desk import Stores

__all__ = ["start"]

_COLLECTING = (600, 2, 40_000)
"""Thresholds of the garbage collector. Rows are many and live long, but hold no cycles: each
collection costs by what is looked at, so the young ones are small (1 ms at 5,000 events a second,
where 8,000 objects at once took 5 to 17). A full one takes a quarter of a second with all rows
there: the application makes it when no keys come (`Quiet.tidy`), and Python itself only
after some 70 million new objects without a pause."""
_THREADS_SECONDS = 0.0005
"""How soon a thread gives way. Textual's own two read keys and write frames, a moment's work each
for which Python would have them wait 5 ms."""


async def start(
    path: Path | None,
    settings: Settings,
    *,
    dead_letters: Stores,
    faults: Faults | None,
    is_attached: bool,
) -> int:
    """Run the application until the user leaves it; see `workbench.tui.run`.

    Raises:
        SettingsError: no terminal, no such path, or a wrong `config.toml`.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise SettingsError(
            "the application needs a terminal; run flows without one by `workbench --headless FLOW`"
        )
    place = _place(path)
    config = load_config(config_path())
    state = load_state(state_path())
    from workbench.app.desk import Desk
    from workbench.tui.app import WorkbenchApp
    from workbench.tui.recovery import Recovery

    gc.set_threshold(*_COLLECTING)
    sys.setswitchinterval(_THREADS_SECONDS)
    desk = Desk(settings, dead_letters)
    app = WorkbenchApp(
        place,
        desk,
        config=config,
        state=state,
        faults=faults,
        is_attached=is_attached,
        recovery=Recovery(state_path().parent / "recovery"),
    )
    try:
        await app.run_async()
    finally:
        await desk.aclose()
        save_state(state_path(), state)
    return app.return_code or 0


def _place(path: Path | None) -> Path:
    """Where flows are looked for; a flow file that is not there yet is a new one.

    Raises:
        SettingsError: there is nothing, and nothing can be made there.
    """
    if path is None:
        return Path("flows") if Path("flows").is_dir() else Path()
    if not path.exists() and path.suffix not in (".yaml", ".yml"):
        raise SettingsError(f"{path} is neither a folder nor a flow file (.yaml)")
    return path
