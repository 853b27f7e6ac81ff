"""`workbench preview`: the requests that an event would cause."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from workbench.app.settings import Settings
from workbench.cli import exits
from workbench.cli.headers import parse_header
from workbench.cli.options import Target, target_options, with_settings
from workbench.model import counted

if TYPE_CHECKING:
    from workbench.app.preview import PreviewedRequest

__all__ = ["command"]


@click.command("preview")
@click.argument("flow", metavar="FLOW", type=click.Path(path_type=Path))
@click.option(
    "--event",
    "event_file",
    metavar="FILE",
    required=True,
    type=click.File("rb"),
    help="The event's data; - reads standard input.",
)
@click.option("--subject", help="The event's subject; the flow's own unless said.")
@click.option(
    "--header", "headers", metavar="NAME=VALUE", multiple=True, help="A header of the event."
)
@target_options
def command(
    flow: Path,
    event_file: BinaryIO,
    subject: str | None,
    headers: tuple[str, ...],
    target: Target,
) -> int:
    """Print the requests that an event would cause, as they would leave; nothing is sent.

    FLOW is a flow file. The exit code is 1 when the event does not fit the flow and would be kept
    as a failed batch.

    \b
    Examples:
      workbench preview contacts.yaml --event contact.json
      echo '{"id": "C-1"}' | workbench preview contacts.yaml --event - --header trace=7
    """
    data, pairs = event_file.read(), dict(map(parse_header, headers))
    return with_settings(target, lambda settings: _preview(flow, data, subject, pairs, settings))


def _preview(
    path: Path, data: bytes, subject: str | None, headers: dict[str, str], settings: Settings
) -> int:
    import time

    from workbench.app.flows import load_flow
    from workbench.app.preview import preview
    from workbench.model import Event

    # Nothing is connected to, so the usual variable for the address need not be set.
    env = {"NATS_URL": "nats://localhost:4222", **settings.env}
    flow = load_flow(path, replace(settings, env=env))
    stream = flow.source.stream
    event = Event(
        subject or flow.source.subject,
        data,
        headers,
        stream.name if stream else "",
        sequence=1,
        timestamp_ns=time.time_ns(),
    )
    result = preview(flow, event)
    for number, item in enumerate(result.requests, 1):
        _say_request(item, f"request {number} of {len(result.requests)}")
    if not (result.requests or result.later or result.problems):
        click.echo("# the event holds no record: nothing would be sent", err=True)
    for task in result.later:
        click.echo(f"# task {task}: depends on what Salesforce answers", err=True)
    for problem in result.problems:
        click.echo(f"workbench: the event would be kept as a failed batch: {problem}", err=True)
    return exits.PROBLEMS if result.problems else exits.OK


def _say_request(item: PreviewedRequest, which: str) -> None:
    request = item.request
    click.echo(
        f"# task {item.task}: {which}, {counted(item.records, 'record')}, "
        f"{counted(len(request.body), 'byte')}\n"
        f"{request.method} {request.target}"
    )
    for name, value in request.headers.items():
        click.echo(f"{name}: {value}")
    click.echo(f"\n{_readable(request.body)}\n")


def _readable(body: bytes) -> str:
    """The body for people; a body that is no JSON, or none at all, as it is."""
    from workbench.codec import decode, encode_pretty

    try:
        return encode_pretty(decode(body))
    except ValueError:
        return body.decode("utf-8", "replace")
