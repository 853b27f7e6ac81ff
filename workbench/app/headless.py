"""Running flows without a screen: log, probes, signals, and what the process ends with."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from workbench.app import asked
from workbench.app.failed_stores import FailedStores
from workbench.app.fleet import Fleet, Member
from workbench.app.settings import Settings
from workbench.observe import FlowStarted, Notice, Observer
from workbench.observe.log import LogHandler, LogObserver

__all__ = ["HeadlessOptions", "Result", "run_headless"]


@dataclass(frozen=True, slots=True)
class HeadlessOptions:
    """How to run.

    Attributes:
        failed_dir: keep failed batches in a file there; None for the stream that the flow names.
        http: host and port of the probes and metrics, None for none.
        drain_timeout_seconds: how long a flow may take to finish once told to stop.
        otel: send spans of requests to an OpenTelemetry collector.
    """

    failed_dir: Path | None = None
    http: tuple[str, int] | None = None
    drain_timeout_seconds: float = 30.0
    otel: bool = False


@dataclass(frozen=True, slots=True)
class Result:
    """How every flow ended, and whether somebody insisted on ending at once."""

    members: Sequence[Member]
    was_hurried: bool


async def run_headless(
    paths: Sequence[Path],
    settings: Settings,
    options: HeadlessOptions,
    log: LogObserver,
    *,
    observers: Sequence[Observer] = (),
) -> Result:
    """Run flow files until a signal, or until none of them can go on.

    SIGTERM and SIGINT drain; a second one hurries. SIGUSR1 lets paused flows go on.

    Raises:
        SettingsError: the address for the probes can't be listened on, or what `otel` takes is
            not installed.
    """
    stores = FailedStores(settings, options.failed_dir)
    fleet = Fleet(
        settings,
        stores.of,
        [log, _Collector(), *observers],
        options.drain_timeout_seconds,
    )
    logging.getLogger().addHandler(LogHandler(log))
    async with AsyncExitStack() as stack:
        signals = _Signals(fleet, log)
        signals.install()
        stack.callback(signals.ignore)  # last of all
        stack.push_async_callback(stores.aclose)
        # Late: what they import, most runs do not need.
        if options.otel:
            from workbench.app.monitor import trace

            await trace(fleet, stack)
        if options.http is not None:
            from workbench.app.monitor import serve

            server = await serve(fleet, options.http, stores.of, log, stack)
            log.line("info", "listening", {"host": options.http[0], "port": server.port})
        members = await fleet.run(paths)
    return Result(members, signals.count > 1)


class _Signals:
    """What the process does when it is told something from outside."""

    def __init__(self, fleet: Fleet, log: LogObserver) -> None:
        self.count = 0
        self._fleet = fleet
        self._log = log

    def install(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._end, number)
        loop.add_signal_handler(signal.SIGUSR1, self._resume)
        for number in asked.came:
            self._end(number)

    def ignore(self) -> None:
        """What comes now finds everything closed: by the defaults that asyncio would put back it
        would end a process that is ending already, with another code than its own."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_IGN)

    def _end(self, number: signal.Signals) -> None:
        self.count += 1
        fields = {"signal": number.name}
        if self.count == 1:
            self._log.line("info", "draining", fields)
            self._fleet.stop()
        else:
            self._log.line("warning", "hurried", fields)
            self._fleet.hurry()

    def _resume(self) -> None:
        self._log.line("info", "resuming", {"signal": "SIGUSR1"})
        self._fleet.resume()


class _Collector:
    """Keeps the garbage collector out of the way of the events.

    Once a flow has started, what is loaded stays loaded and need not be looked at again; and what
    lives as long as a request must not make it look ever more often.
    """

    def notify(self, notice: Notice) -> None:
        if isinstance(notice, FlowStarted):
            gc.collect()
            gc.freeze()
            gc.set_threshold(50_000, 20, 50)
