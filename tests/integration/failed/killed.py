"""A process that runs a flow, or replays, and is killed at a step: `killed.py SETTINGS FLOW STEP`.

SETTINGS is the sandbox's environment as JSON. It prints `killed at STEP` and is gone at once, as by
`kill -9`; what it leaves behind is the test's to look at.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from workbench.app.failed_stores import FailedStores
from workbench.app.flow_book import FlowBook
from workbench.app.flows import load_flow
from workbench.app.opening import open_flow
from workbench.app.replay import Replayer
from workbench.app.replay_choice import ReplayRequest
from workbench.app.settings import Settings
from workbench.failed import Claimant
from workbench.jetstream import JetStreamFailedStore, failed_store
from workbench.salesforce import SalesforceClient

LEASE_SECONDS = 1.0


def die() -> NoReturn:
    print(f"killed at {sys.argv[3]}", flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("unreachable")


def before(holder: Any, name: str, *, when: Callable[..., bool] = lambda *_: True) -> None:
    """Be killed when this is called."""
    original = getattr(holder, name)

    async def dying(*args: Any, **more: Any) -> Any:
        if when(*args):
            die()
        return await original(*args, **more)

    setattr(holder, name, dying)


def after(holder: Any, name: str, *, when: Callable[..., bool] = lambda *_: True) -> None:
    """Be killed when this has been done, and nobody knows yet."""
    original = getattr(holder, name)

    async def dying(*args: Any, **more: Any) -> Any:
        result = await original(*args, **more)
        if when(*args):
            die()
        return result

    setattr(holder, name, dying)


def is_write(_client: Any, request: Any, *_: Any) -> bool:
    return "/composite" in request.target


def is_head(_connection: Any, writes: Any) -> bool:
    return bool(writes[0].subject.endswith(".head"))


def is_rest(_connection: Any, writes: Any) -> bool:
    return not is_head(_connection, writes)


STEPS: dict[str, Callable[[], None]] = {
    "store: nothing is stored": lambda: before(JetStreamFailedStore, "store"),
    "store: the stream is there, the entry not": lambda: before(
        failed_store, "put_all", when=is_head
    ),
    "store: the rest is there, the head not": lambda: after(failed_store, "put_all", when=is_rest),
    "store: it is stored, nobody knows": lambda: after(failed_store, "put_all", when=is_head),
    "store: it is confirmed, the event not terminated": lambda: after(
        JetStreamFailedStore, "store"
    ),
    "claim: nothing is claimed": lambda: before(Claimant, "claim"),
    "claim: it is claimed, nothing is sent": lambda: after(Claimant, "claim"),
    "replay: the request is about to leave": lambda: before(
        SalesforceClient, "call", when=is_write
    ),
    "replay: it is written, the answer not read": lambda: after(
        SalesforceClient, "call", when=is_write
    ),
    "resolve: the answer is read, nothing recorded": lambda: before(Claimant, "conclude"),
    "resolve: it is recorded": lambda: after(Claimant, "conclude"),
}


async def run(settings: Settings, flow_file: Path) -> None:
    flow = load_flow(flow_file, settings)
    async with FailedStores(settings) as stores, open_flow(flow, stores.of(flow)) as opened:
        await opened.engine.run()


async def replay(settings: Settings, flow_file: Path) -> None:
    book = FlowBook(settings, [flow_file])
    flow = load_flow(flow_file, settings)
    async with FailedStores(settings) as stores, Replayer(stores.of(flow), book) as replayer:
        replayer.claimant = Claimant(replayer.store, by="killed@test", lease_seconds=LEASE_SECONDS)
        await replayer.run(ReplayRequest())


def main() -> None:
    environment, flow_file, step = sys.argv[1:]
    STEPS[step]()
    settings = Settings(dict(os.environ), json.loads(environment))
    work = run if step.startswith("store") else replay
    asyncio.run(work(settings, Path(flow_file)))


if __name__ == "__main__":
    main()
