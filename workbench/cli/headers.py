"""Headers of an event, as the command line takes them."""

from __future__ import annotations

from workbench.errors import SettingsError

__all__ = ["parse_header"]


def parse_header(text: str) -> tuple[str, str]:
    """Name and value of `NAME=VALUE`.

    Raises:
        SettingsError: it is not of that form.
    """
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise SettingsError(f"--header {text!r} is not of the form NAME=VALUE")
    return name, value
