"""What those who watch a headless run are served: probes, metrics, and what keeps these fresh."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AsyncExitStack
from typing import Any

from workbench.app.failed_watch import FailedWatch
from workbench.app.fleet import Fleet
from workbench.app.http import StatusServer
from workbench.app.stall import watch_stalls
from workbench.errors import SettingsError
from workbench.failed import FailedStore
from workbench.flow import Flow
from workbench.observe.log import LogObserver
from workbench.observe.metrics import Metrics, Reading

__all__ = ["serve", "trace"]


async def serve(
    fleet: Fleet,
    address: tuple[str, int],
    store_of: Callable[[Flow], FailedStore],
    log: LogObserver,
    stack: AsyncExitStack,
) -> StatusServer:
    """Serve `/livez`, `/readyz` and `/metrics` of a fleet until the stack is closed.

    Raises:
        SettingsError: the address can't be listened on.
    """
    metrics = Metrics(lambda: _readings(fleet), lambda: _stopped(fleet))
    fleet.observers = [*fleet.observers, metrics]

    def told_long(seconds: float) -> None:
        log.line("warning", "stalled", {"seconds": round(seconds, 3)})

    _background(stack, "stalls", watch_stalls(metrics.stalled, told_long))
    _watch_stores(fleet, store_of, metrics, stack)
    server = StatusServer(fleet.not_ready, metrics.text)
    await server.start(*address)
    stack.push_async_callback(server.aclose)
    return server


async def trace(fleet: Fleet, stack: AsyncExitStack) -> None:
    """Send spans of a fleet's requests to an OpenTelemetry collector; the last of them when the
    stack is closed.

    Raises:
        SettingsError: what it takes is not installed.
    """
    try:
        from workbench.observe.tracing import Tracing

        tracing = Tracing()
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"--otel needs the package {error.name}: pip install 'workbench[otel]'"
        ) from error
    fleet.observers = [*fleet.observers, tracing]
    stack.push_async_callback(asyncio.to_thread, tracing.close)


def _watch_stores(
    fleet: Fleet, store_of: Callable[[Flow], FailedStore], metrics: Metrics, stack: AsyncExitStack
) -> None:
    """Follow each store of failed batches once, from when the first flow uses it."""
    followed: set[tuple[str, str]] = set()

    def opened(flow: Flow) -> FailedStore:
        store = store_of(flow)
        place = (flow.source.url, flow.failed.stream)
        if place not in followed:
            followed.add(place)
            _background(stack, "failed", FailedWatch(store, metrics.closed).run())
        return store

    fleet.dead_letters = opened


def _background(stack: AsyncExitStack, name: str, work: Coroutine[Any, Any, None]) -> None:
    """Work that goes on until the stack is closed."""
    task = asyncio.create_task(work, name=name)

    async def end() -> None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    stack.push_async_callback(end)


def _readings(fleet: Fleet) -> Iterator[Reading]:
    for member in fleet.members:
        opened = member.open
        if opened is not None:
            share = opened.flow.api_budget.daily_share
            yield Reading(
                opened.engine.snapshot(),
                opened.source.pending,
                is_ready=not opened.not_ready(),
                budget_share=1.0 if share is None else share,
            )


def _stopped(fleet: Fleet) -> int:
    return sum(member.error is not None for member in fleet.members)
