"""`workbench --headless FLOW...`: production."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from workbench.cli import exits
from workbench.cli.options import Target, flow_argument, open_settings, target_options

__all__ = ["command"]


@click.command("--headless", options_metavar="[OPTIONS]")
@flow_argument
@target_options
@click.option(
    "--drain-timeout",
    metavar="TIME",
    default="30s",
    show_default=True,
    help="How long a flow may take to finish what it holds once told to stop.",
)
@click.option(
    "--http",
    metavar="ADDRESS",
    help="Serve /livez, /readyz and /metrics there, as in :8080 or 127.0.0.1:8080.",
)
@click.option(
    "--otel",
    is_flag=True,
    help="Send a span for each request to an OpenTelemetry collector, over HTTP: that of "
    "OTEL_EXPORTER_OTLP_ENDPOINT, else the one on this machine. Setting that variable asks for "
    "it as well. Needs the extra workbench[otel].",
)
@click.option(
    "--failed-dir",
    metavar="FOLDER",
    type=click.Path(path_type=Path, file_okay=False),
    help="Keep failed batches in a file there  [default: in JetStream, in the stream that the flow "
    "names in failed.stream]",
)
@click.option(
    "--log-format",
    type=click.Choice(["json", "console"]),
    help="[default: console on a terminal, else json]",
)
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    default="info",
    show_default=True,
)
def command(
    flows: tuple[Path, ...],
    target: Target,
    drain_timeout: str,
    http: str | None,
    otel: bool,
    failed_dir: Path | None,
    log_format: str | None,
    log_level: str,
) -> int:
    """Run flow files until told to stop, with a log line per batch and per failure.

    Several flows are isolated from one another. SIGTERM or Ctrl-C finishes what is in hand and
    ends; a second one does not wait. SIGUSR1 lets a paused flow go on. A flow that paused because
    it is broken goes on by itself when its file is mended.

    Exit code 0: told to stop. 1: a flow has errors, or met a bug. 2: an option, file or variable
    is missing or wrong. 3: NATS or Salesforce could not be reached, or refused the login, at the
    start. 4: Salesforce refused the credentials or a right while a flow ran. 130: told twice.
    Of several flows it is the highest.

    \b
    Examples:
      workbench --headless contacts.yaml --sandbox
      workbench --headless contacts.yaml orders.yaml --http :8080
      workbench --headless contacts.yaml --set upsert_contacts.batch.linger=1s
    """
    import asyncio
    import os
    from importlib.util import find_spec

    from workbench.app.headless import HeadlessOptions, run_headless
    from workbench.app.http import parse_address
    from workbench.app.lines import LineWriter
    from workbench.app.settings import parse_seconds
    from workbench.observe.log import LogObserver

    seconds = parse_seconds("--drain-timeout", drain_timeout)
    address = parse_address(http) if http else None
    writer = LineWriter(sys.stdout)
    form = log_format or ("console" if sys.stdout.isatty() else "json")
    log = LogObserver(writer.write, form, log_level)  # type: ignore[arg-type]

    if not otel and os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT"):
        otel = find_spec("opentelemetry") is not None
        if not otel:  # the variable may be there for other programs: no reason not to start
            said = "OTEL_EXPORTER_OTLP_ENDPOINT is set and workbench[otel] is not installed"
            log.line("warning", "message", {"logger": "workbench", "message": said})

    async def run() -> int:
        async with open_settings(target) as settings:
            options = HeadlessOptions(failed_dir, address, seconds, otel)
            return exits.of_run(await run_headless(flows, settings, options, log))

    try:
        return asyncio.run(run())
    finally:
        writer.close()
