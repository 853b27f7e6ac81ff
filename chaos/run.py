"""One run: publish, make trouble, wait until all is quiet, and count."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from chaos.ledger import Books, Ledger, balance
from chaos.traffic import STREAM, Publisher
from chaos.troubles import Crash, Troubles
from chaos.world import DURABLES, World
from workbench.app.failed_stores import FailedStores
from workbench.app.opening import connect_nats
from workbench.errors import StreamError
from workbench.failed import FileStore
from workbench.jetstream import Connection, peek, source_info
from workbench.model import EntryFilter, Event, FailedBatch

__all__ = ["count", "run", "unsettled"]

_QUIET_SECONDS = 150.0
"""How long the flows may take to work off what is left once nothing is wrong any more."""

_LATE_SECONDS = 45.0
"""How long events may then take to be found whose deliveries ran out: they are looked for twice a
minute."""

_EVERY = EntryFilter(statuses=frozenset({"open", "claimed", "resolved", "discarded"}))


async def run(
    seed: int, seconds: float, rate: float, folder: Path, say: Callable[[str], None]
) -> Ledger:
    """Make trouble for so long, and count. `folder` keeps the logs.

    What the processes themselves must never do is among the ledger's violations.
    """
    source = random.Random(seed)
    started = time.monotonic()

    def tell(text: str) -> None:
        say(f"{time.monotonic() - started:6.1f} s  {text}")

    async with World(folder) as world:
        environment = world.sandbox.environment
        address = (environment["NATS_URL"], environment["NATS_CREDENTIALS"])
        troubles = Troubles(world, random.Random(source.random()), tell)
        async with Publisher(*address, random.Random(source.random()), rate) as publisher:
            publishing = asyncio.create_task(publisher.run())
            await troubles.run(seconds)
            publisher.stop()
            await publishing
        tell(f"quiet; {len(publisher.sent)} events are published")
        connection = await connect_nats(*address)
        try:
            ledger = await count(world, connection, set(publisher.sent), troubles.crashes, tell)
        finally:
            await connection.aclose()
        for program in world.programs:
            await program.stop()
            ledger.violations += program.problems
            ledger.counts[f"starts of process {program.name}"] = program.starts
            for event in ("batch", "failed", "redelivery", "paused", "store_failed", "stalled"):
                ledger.counts[f"log lines: {event}"] += program.lines[event]
        proxies = (world.nats_proxy, *world.salesforce_proxies)
        ledger.counts["connections reset"] = sum(proxy.resets for proxy in proxies)
        ledger.counts["troubles"] = sum(troubles.counts.values())
    return ledger


async def count(
    world: World,
    connection: Connection,
    sent: set[str],
    crashes: list[Crash],
    tell: Callable[[str], None],
) -> Ledger:
    """The ledger once everything is settled, and once it stays as it is."""
    deadline = time.monotonic() + _QUIET_SECONDS
    while (left := await unsettled(connection)) and time.monotonic() < deadline:  # noqa: ASYNC110
        await asyncio.sleep(0.5)
    tell(f"{left} events are not settled")
    deadline = time.monotonic() + _LATE_SECONDS
    while True:
        ledger = balance(
            Books(
                stream=await _stream(connection),
                sent=sent,
                failed=await _failed(world),
                contacts=await world.sandbox.rows("Contact"),
                leads=await world.sandbox.rows("Lead"),
                accounts=await world.sandbox.rows("Account"),
                bus=await _bus(world),
                unsettled=await unsettled(connection),
                crashes=crashes,
            )
        )
        if ledger.is_balanced or time.monotonic() > deadline:
            return ledger
        await asyncio.sleep(2.0)


async def unsettled(connection: Connection) -> int:
    lag = 0
    for durable in DURABLES.values():
        try:
            lag += (await source_info(connection, STREAM, durable)).lag
        except StreamError:
            lag += 1  # nobody knows just now
    return lag


async def _stream(connection: Connection) -> list[Event]:
    events: list[Event] = []
    while more := await peek(
        connection, STREAM, start_sequence=events[-1].sequence + 1 if events else 1, limit=1_000
    ):
        events += more
    return events


async def _bus(world: World) -> list[dict[str, Any]]:
    """The fields of every platform event, in the order of the bus."""
    events: list[dict[str, Any]] = []
    after = 0
    while True:
        path = f"/emulator/events/CRM_Event__e?after={after}"
        page = await world.sandbox.control("GET", path)
        events += [event["fields"] for event in page["events"]]
        if not page["events"]:
            return events
        after = page["next"]


async def _failed(world: World) -> list[FailedBatch]:
    found = [batch for path in world.failed_files for batch in FileStore(path).entries()]
    async with FailedStores(world.settings) as stores:
        store = stores.named()
        after = 0
        while True:
            page = await store.page(_EVERY, after)
            found += [(await store.get(entry.id)).batch for entry in page.entries]
            after = page.next
            if page.is_last:
                return found
