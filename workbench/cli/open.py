"""`workbench [PATH]`: the application, which needs a terminal."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from workbench.app.settings import Settings
from workbench.cli.options import Target, open_sandbox, open_settings, target_options
from workbench.errors import SettingsError

__all__ = ["command"]


class _NamelessContext(click.Context):
    """Usage lines say `workbench` alone, as it is typed."""

    @property
    def command_path(self) -> str:
        return self.parent.command_path if self.parent else ""


class _Application(click.Command):
    context_class = _NamelessContext


@click.command("workbench", cls=_Application, options_metavar="[OPTIONS]")
@click.argument("path", required=False, type=click.Path(path_type=Path))
@click.option(
    "--attach",
    is_flag=True,
    help="Show flows that run elsewhere: their failed batches, events and durable. Starts none.",
)
@target_options
def command(path: Path | None, attach: bool, target: Target) -> int:
    """Open the application on a flow file, or on a folder of them.

    Without PATH it is the folder `flows`, or the one you are in. Running a flow from there on
    anything but a sandbox asks first. F1 explains the screen you are on.

    \b
    Examples:
      workbench flows --sandbox
      workbench flows/contacts.yaml --sandbox-env sandbox.env
      workbench flows --attach
    """
    if attach and target.sandbox:
        raise SettingsError(
            "--attach shows a flow that runs elsewhere, and in the sandbox that --sandbox starts "
            "none does: name the running one by --sandbox-env FILE"
        )
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise SettingsError(
            "the application needs a terminal; run flows without one by "
            f"`workbench --headless {path or 'FLOW...'}`"
        )
    import asyncio

    return asyncio.run(_open(path, target, attach))


async def _open(path: Path | None, target: Target, is_attached: bool) -> int:
    from workbench.app.failed_stores import FailedStores
    from workbench.tui import run

    if not target.sandbox:
        async with open_settings(target) as settings, FailedStores(settings) as stores:
            return await run(path, settings, dead_letters=stores.of, is_attached=is_attached)
    from workbench.sandbox import FaultSwitches

    async with open_sandbox() as sandbox:
        settings = Settings(dict(os.environ), sandbox.environment, target.overrides)
        async with FailedStores(settings) as stores:
            return await run(path, settings, dead_letters=stores.of, faults=FaultSwitches(sandbox))
