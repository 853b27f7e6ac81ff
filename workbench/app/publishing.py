"""Putting events into a stream, as `workbench publish` and the application do."""

from __future__ import annotations

from collections.abc import Iterable

from workbench.app.opening import connect_nats
from workbench.app.settings import Settings
from workbench.jetstream import Message, Published, publish_all

__all__ = ["Message", "Published", "publish_events"]

DEFAULT_URL = "nats://localhost:4222"


async def publish_events(
    messages: Iterable[Message],
    settings: Settings,
    *,
    url: str | None = None,
    credentials_path: str | None = None,
) -> list[Published]:
    """Connect, publish, and return where the stream stored each, in order.

    Without `url` it is `NATS_URL` of the sandbox or the environment, else the local server; without
    `credentials_path` it is `NATS_CREDENTIALS` likewise, else none.

    Raises:
        StreamError: NATS can't be reached, or an event was not confirmed.
        SettingsError: the credentials file is missing or wrong.
    """
    variables = settings.variables
    connection = await connect_nats(
        url or variables.get("NATS_URL", DEFAULT_URL),
        credentials_path or variables.get("NATS_CREDENTIALS"),
    )
    try:
        return await publish_all(connection, messages)
    finally:
        await connection.aclose()
