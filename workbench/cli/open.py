"""`workbench [PATH]`: the application, which needs a terminal."""

from __future__ import annotations

from pathlib import Path

import click

from workbench.errors import SettingsError

__all__ = ["command"]


@click.command("workbench", context_settings={"ignore_unknown_options": False})
@click.argument("path", required=False, type=click.Path(path_type=Path))
def command(path: Path | None) -> int:
    """Open the application on a flow file or a folder of them."""
    named = path or "FLOW"
    raise SettingsError(
        "the terminal application is not part of this version: run the flow with "
        f"`workbench --headless {named}`, or see `workbench --help`"
    )
