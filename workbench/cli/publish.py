"""`workbench publish SUBJECT FILE|-`: an event into a stream, with confirmation."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import click

from workbench.cli import exits
from workbench.cli.headers import parse_header
from workbench.cli.options import Target, open_settings, sandbox_options
from workbench.errors import SettingsError

__all__ = ["command"]


@click.command("publish")
@click.argument("subject")
@click.argument("file", metavar="FILE|-", type=click.File("rb"))
@click.option("--lines", is_flag=True, help="Every line of FILE is an event of its own.")
@click.option(
    "--header", "headers", metavar="NAME=VALUE", multiple=True, help="A header of the event."
)
@click.option(
    "--id",
    "message_id",
    metavar="ID",
    help="The event's Nats-Msg-Id: the stream stores it once, however often it is published.",
)
@click.option(
    "--url",
    metavar="URL",
    help="The NATS server  [default: $NATS_URL, else nats://localhost:4222]",
)
@click.option(
    "--credentials",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="NATS credentials, in any form that a flow's credentials_path takes  "
    "[default: $NATS_CREDENTIALS, else none]",
)
@sandbox_options
def command(
    subject: str,
    file: BinaryIO,
    lines: bool,
    headers: tuple[str, ...],
    message_id: str | None,
    url: str | None,
    credentials: Path | None,
    target: Target,
) -> int:
    """Publish FILE, or standard input, to SUBJECT and say where the stream stored it.

    The stream must be there: a flow with `create_or_update` makes it when it starts. Exit code 3
    means that the event was not confirmed.

    \b
    Examples:
      workbench publish crm.contacts.upsert contact.json
      workbench publish crm.contacts.upsert contacts.jsonl --lines
      echo '{"LastName": "Berg"}' | workbench publish crm.contacts.upsert - --id C-1
    """
    import asyncio

    from workbench.app.publishing import Message, publish_events

    if lines and message_id:
        raise SettingsError("--id names one event; with --lines there are several")
    pairs = dict(map(parse_header, headers))
    data = file.read()
    if not data.strip():
        name = "standard input" if file.name == "<stdin>" else file.name
        raise SettingsError(f"{name} is empty, so there is no event to publish")
    bodies = [line for line in data.splitlines() if line] if lines else [data]
    messages = [Message(subject, body, pairs, message_id) for body in bodies]

    async def run() -> None:
        async with open_settings(target) as settings:
            published = await publish_events(
                messages,
                settings,
                url=url,
                credentials_path=str(credentials) if credentials else None,
            )
        for item in published:
            again = "  (already there, stored once)" if item.is_duplicate else ""
            click.echo(f"{item.stream}:{item.sequence}{again}")

    asyncio.run(run())
    return exits.OK
