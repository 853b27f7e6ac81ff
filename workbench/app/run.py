"""One flow being run from the application: the engine, opened and closed around it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.app.health import Health
from workbench.app.target import Target
from workbench.errors import WorkbenchError

if TYPE_CHECKING:
    from workbench.app.opening import OpenFlow
    from workbench.engine import DeadLetters
    from workbench.flow import Flow
    from workbench.observe import Observer, Snapshot

__all__ = ["Run"]

_INFO_SECONDS = 2.0


class Run:
    """One flow being run from the application. Made by `Desk.start`; ends by itself or by `stop`.

    `state` is opening, then the engine's own word, then ended; `error` says why it ended, where
    nobody asked for it.
    """

    def __init__(self, flow: Flow, path: Path, target: Target) -> None:
        self.flow = flow
        self.path = path
        self.target = target
        self.error: str | None = None
        self._health: Health | None = None
        self.started = time.time()
        self._opened: OpenFlow | None = None
        self._last: Snapshot | None = None
        self._task: asyncio.Task[None] | None = None
        self._is_stopping = False

    @property
    def state(self) -> str:
        if self._task is not None and self._task.done():
            return "ended"
        snapshot = self.snapshot()
        return "opening" if snapshot is None else snapshot.state

    @property
    def is_over(self) -> bool:
        return self.state == "ended"

    def snapshot(self) -> Snapshot | None:
        """How it stands, or stood at the end; None before it is open."""
        if self._opened is not None:
            self._last = self._opened.engine.snapshot()
        return self._last

    @property
    def health(self) -> Health | None:
        """The last look at what it depends on; a connection lost since then is told at once."""
        health, opened = self._health, self._opened
        if health is None or opened is None or opened.connection.is_connected:
            return health
        return replace(health, is_nats_up=False)

    def pause(self) -> None:
        """Send nothing more until `resume`."""
        if self._opened is not None:
            self._opened.engine.pause("paused from the application")

    def resume(self) -> None:
        """Go on after any pause."""
        if self._opened is not None:
            self._opened.engine.resume()

    def stop(self) -> None:
        """Drain and end."""
        self._is_stopping = True
        if self._opened is not None:
            self._opened.engine.stop()
        elif self._task is not None:
            self._task.cancel()

    def hurry(self) -> None:
        """End without waiting for requests in flight; costs redeliveries, never loss."""
        self.stop()
        if self._opened is not None:
            self._opened.engine.hurry()

    async def wait(self) -> None:
        """Return when it has ended; never raises."""
        if self._task is not None:
            await asyncio.wait([self._task])

    async def _run(self, dead_letters: DeadLetters, observers: Sequence[Observer]) -> None:
        from workbench.app.opening import open_flow

        try:
            async with open_flow(self.flow, dead_letters, observers=observers) as opened:
                self._opened = opened
                watching = asyncio.create_task(self._watch(opened), name="desk-watch")
                try:
                    if not self._is_stopping:
                        await opened.engine.run()
                finally:
                    self._last = opened.engine.snapshot()
                    self._opened = None
                    watching.cancel()
                    await asyncio.gather(watching, return_exceptions=True)
        except WorkbenchError as error:
            self.error = str(error)
        except asyncio.CancelledError:
            if not self._is_stopping:
                raise
        except Exception as error:  # the outermost edge: a bug here must not end the application
            self.error = f"a bug of workbench ended it: {error!r}"

    async def _watch(self, opened: OpenFlow) -> None:
        """Ask the server now and then; also keeps the known ack floor fresh."""
        while True:
            try:
                self._health = await _look(opened)
            except WorkbenchError as error:
                said = [("last look", str(error))]
                is_up = opened.connection.is_connected
                self._health = Health(is_up, opened.connection.address, True, facts={"nats": said})
            await asyncio.sleep(_INFO_SECONDS)


async def _look(opened: OpenFlow) -> Health:
    from workbench.app.outside import stream_facts

    connection = opened.connection
    is_logged_in = all(client.session.current is not None for client in opened.clients)
    facts = {"salesforce": [fact for client in opened.clients for fact in _org_facts(client)]}
    if not connection.is_connected:
        return Health(False, connection.address, is_logged_in, facts=facts)
    asked = time.perf_counter()
    info = await opened.source.info()
    took = time.perf_counter() - asked
    facts["nats"] = [
        *stream_facts(connection, info, took),
        *[("differs", sentence) for sentence in map(str, opened.source.provisioned.drift)],
    ]
    return Health(
        True,
        connection.address,
        is_logged_in,
        pending=info.pending,
        ack_pending=info.ack_pending,
        max_ack_pending=info.max_ack_pending,
        redelivered=info.redelivered,
        facts=facts,
    )


def _org_facts(client: object) -> list[tuple[str, str]]:
    session = client.session  # type: ignore[attr-defined]
    token = session.current
    if token is None:
        return [("login", "not logged in")]
    return [
        ("org", f"{token.instance_url} ({token.org_id or 'id not told'})"),
        ("user", session.username or token.user_id or "not told"),
        ("API version", str(client.api_version)),  # type: ignore[attr-defined]
    ]
