"""Options that several commands share: where a flow's addresses and credentials come from."""

from __future__ import annotations

import functools
import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from workbench.app.settings import Settings, parse_override, read_env_file
from workbench.errors import SettingsError

if TYPE_CHECKING:
    from workbench.sandbox import Sandbox, SandboxOptions

__all__ = [
    "Target",
    "flow_argument",
    "open_sandbox",
    "open_settings",
    "sandbox_options",
    "target_options",
    "with_settings",
]

_Function = TypeVar("_Function", bound=Callable[..., Any])

flow_argument = click.argument(
    "flows",
    metavar="FLOW...",
    nargs=-1,
    required=True,
    type=click.Path(path_type=Path),
)
"""One or more flow files."""


@dataclass(frozen=True, slots=True)
class Target:
    """What `--sandbox`, `--sandbox-env` and `--set` said."""

    sandbox: bool
    sandbox_env: Path | None
    overrides: tuple[tuple[str, str], ...]


_SANDBOX_OPTIONS = (
    click.option(
        "--sandbox-env",
        metavar="FILE",
        type=click.Path(path_type=Path),
        help="Use the running sandbox that wrote FILE (`workbench sandbox --env FILE`).",
    ),
    click.option(
        "--sandbox",
        is_flag=True,
        help="Start a sandbox for this command: NATS and a Salesforce emulator.",
    ),
)

_SET_OPTION = click.option(
    "--set",
    "overrides",
    metavar="PATH=VALUE",
    multiple=True,
    help="Replace a setting of the flow: TASK.key=value, or flow.key=value. "
    "May be given several times.",
)


def target_options(function: _Function) -> _Function:
    """Give a command `--sandbox`, `--sandbox-env FILE` and `--set PATH=VALUE`, as `target`."""
    return _with_target(function, (_SET_OPTION, *_SANDBOX_OPTIONS))


def sandbox_options(function: _Function) -> _Function:
    """Give a command that reads no flow `--sandbox` and `--sandbox-env FILE`, as `target`."""
    return _with_target(function, _SANDBOX_OPTIONS)


def _with_target(function: _Function, options: Sequence[Callable[[Any], Any]]) -> _Function:
    @functools.wraps(function)  # the options declared below this one come along
    def with_target(
        *args: Any,
        sandbox: bool,
        sandbox_env: Path | None,
        overrides: Sequence[str] = (),
        **more: Any,
    ) -> Any:
        if sandbox and sandbox_env:
            raise SettingsError("--sandbox starts a sandbox and --sandbox-env uses one: not both")
        target = Target(sandbox, sandbox_env, tuple(map(parse_override, overrides)))
        return function(*args, target=target, **more)

    for option in options:
        with_target = option(with_target)
    return with_target  # type: ignore[return-value]


def with_settings(target: Target, function: Callable[[Settings], int]) -> int:
    """Call a function that waits for nothing with the settings that a command line asks for."""
    if not target.sandbox:
        return function(_settings(target))
    import asyncio

    async def on_sandbox() -> int:
        async with open_settings(target) as settings:
            return function(settings)

    return asyncio.run(on_sandbox())


@asynccontextmanager
async def open_settings(target: Target) -> AsyncIterator[Settings]:
    """The settings that a command line asks for; a sandbox started for it ends with the block.

    Raises:
        SettingsError: the sandbox did not start, or the file of `--sandbox-env` is not one.
    """
    if not target.sandbox:
        yield _settings(target)
        return
    async with open_sandbox() as sandbox:
        yield Settings(dict(os.environ), sandbox.environment, target.overrides)


@asynccontextmanager
async def open_sandbox(options: SandboxOptions | None = None) -> AsyncIterator[Sandbox]:
    """A sandbox for the block.

    Raises:
        SettingsError: it did not start.
    """
    from workbench.sandbox import Sandbox, SandboxError

    sandbox = Sandbox(options)
    try:
        await sandbox.start()
    except SandboxError as error:
        raise SettingsError(str(error)) from error
    try:
        yield sandbox
    finally:
        await sandbox.aclose()


def _settings(target: Target) -> Settings:
    values = read_env_file(target.sandbox_env) if target.sandbox_env else {}
    return Settings(dict(os.environ), values, target.overrides)
