"""`workbench schema`: the flow file's JSON Schema."""

from __future__ import annotations

import click

__all__ = ["command"]


@click.command("schema")
def command() -> int:
    """Print the JSON Schema of the flow file, for editors.

    With yaml-language-server, write it to a file and begin a flow with this line:

    \b
      # yaml-language-server: $schema=flow.schema.json
    """
    from workbench.codec import encode_pretty
    from workbench.flow import schema

    click.echo(encode_pretty(schema()))
    return 0
