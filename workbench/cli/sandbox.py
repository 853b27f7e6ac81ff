"""`workbench sandbox`: NATS and the Salesforce emulator until Ctrl-C."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import click

from workbench.app import asked
from workbench.errors import SettingsError

__all__ = ["command"]

_PORT = click.IntRange(0, 65_535)


@click.command(
    "sandbox",
    epilog="Faults are KIND[:VALUE][:SHARE]: latency, status, drop, truncate, lock, expire, limit "
    "and more; docs/sandbox.md lists them, and how to switch them on and off while it runs.",
)
@click.option(
    "--env",
    "env_file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Write how to reach it to FILE, as KEY=value lines, once everything answers.",
)
@click.option(
    "--salesforce-port", metavar="N", type=_PORT, default=0, help="Port of the emulator's HTTP."
)
@click.option(
    "--pubsub-port", metavar="N", type=_PORT, default=0, help="Port of the emulator's Pub/Sub API."
)
@click.option("--nats-port", metavar="N", type=_PORT, default=0, help="Port of nats-server.")
@click.option("--no-nats", is_flag=True, help="Leave nats-server out.")
@click.option(
    "--objects",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="YAML that declares more sObjects and platform events.",
)
@click.option("--latency", metavar="TIME", help="Answer every call this much later, as in 150ms.")
@click.option(
    "--fault",
    "faults",
    metavar="FAULT",
    multiple=True,
    help="Switch a fault on, as in status:503:0.1 or lock:0.05; may be given several times.",
)
def command(
    env_file: Path | None,
    salesforce_port: int,
    pubsub_port: int,
    nats_port: int,
    no_nats: bool,
    objects: Path | None,
    latency: str | None,
    faults: tuple[str, ...],
) -> int:
    """Run NATS and a Salesforce that is not there, until Ctrl-C.

    It prints how to reach them. Ports are free ones unless given. Everything listens on this
    machine only, and is gone when it ends.

    \b
    Examples:
      workbench sandbox --env sandbox.env
      workbench sandbox --env sandbox.env --latency 150ms --fault lock:0.05
    """
    from workbench.sandbox import Sandbox, SandboxError, SandboxOptions

    options = SandboxOptions(
        env_file=env_file,
        salesforce_port=salesforce_port,
        pubsub_port=pubsub_port,
        nats_port=nats_port,
        with_nats=not no_nats,
        objects=objects,
        faults=((f"latency:{latency}", f"pubsub-latency:{latency}") if latency else ()) + faults,
    )

    async def serve() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        if asked.came:
            stop.set()
        async with Sandbox(options) as sandbox:
            click.echo(sandbox.describe(), nl=False)
            click.echo("The sandbox is running; Ctrl-C ends it.", err=True)
            await sandbox.wait(stop)

    try:
        asyncio.run(serve())
    except SandboxError as error:
        raise SettingsError(str(error)) from error
    return 0
