"""The `KEY=value` file by which other programs find a running sandbox."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

__all__ = ["render_environment", "write_private", "write_salesforce_credentials"]


def render_environment(values: Mapping[str, str]) -> str:
    """One `KEY=value` a line, as a shell and every .env reader takes it; values need no quotes."""
    return "".join(f"{key}={value}\n" for key, value in values.items())


def write_private(path: Path, text: str) -> None:
    """Put `text` at `path` in one step, readable by its owner only.

    A reader sees the whole file or none, and whoever waits for it to appear may use it at once.
    """
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:  # mkstemp gives mode 0600
            file.write(text)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


def write_salesforce_credentials(
    path: Path, *, login_url: str, client_id: str, client_secret: str, username: str, password: str
) -> None:
    """A credentials file in the form that the sample flows expect, naming the emulator as login."""
    values = {
        "client_id": client_id,
        "client_secret": client_secret,
        "username": username,
        "password": password,
        "login_url": login_url,
    }
    write_private(path, json.dumps(values, indent=2) + "\n")
