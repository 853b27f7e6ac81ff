"""What goes wrong, one row each, and when: drawn from a seed, several at once."""

from __future__ import annotations

import asyncio
import random
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, field

from chaos.world import World
from workbench.app.failed_stores import DEFAULT_STREAM
from workbench.app.opening import connect_nats
from workbench.errors import WorkbenchError
from workbench.sandbox import SandboxError

__all__ = ["TROUBLES", "Crash", "Trouble", "Troubles"]

_Trouble = Callable[[World, random.Random], AbstractAsyncContextManager[object]]


@dataclass(frozen=True, slots=True)
class Trouble:
    """A row of the table.

    Attributes:
        seconds: shortest and longest time that it lasts.
        is_crash: whether an acknowledgement may get lost in it, so that a create may be doubled.
    """

    name: str
    begin: _Trouble
    seconds: tuple[float, float] = (1.0, 5.0)
    is_crash: bool = False


@dataclass(frozen=True, slots=True)
class Crash:
    """A time, in seconds since the epoch, in which acknowledgements may have got lost."""

    start: float
    end: float


def _fault(*texts: str) -> _Trouble:
    """Faults of the emulator for as long as the block lasts."""

    @asynccontextmanager
    async def on(world: World, source: random.Random) -> AsyncIterator[None]:
        seed = source.randrange(1_000_000)
        faults = [f"{text},seed={seed}" for text in texts]
        answer = await world.sandbox.control("POST", "/emulator/faults", faults)
        try:
            yield
        finally:
            for number in answer["added"]:
                with suppress(SandboxError):  # one that ends by itself
                    await world.sandbox.control("DELETE", f"/emulator/faults/{number}")

    return on


@asynccontextmanager
async def _salesforce_unreachable(world: World, source: random.Random) -> AsyncIterator[None]:
    for proxy in world.salesforce_proxies:
        proxy.refuse()
    try:
        yield
    finally:
        for proxy in world.salesforce_proxies:
            await proxy.start()


@asynccontextmanager
async def _salesforce_reset(world: World, source: random.Random) -> AsyncIterator[None]:
    for proxy in world.salesforce_proxies:
        proxy.reset()
    yield


@asynccontextmanager
async def _salesforce_stalled(world: World, source: random.Random) -> AsyncIterator[None]:
    for proxy in world.salesforce_proxies:
        proxy.stall()
    try:
        yield
    finally:
        for proxy in world.salesforce_proxies:
            proxy.flow()


@asynccontextmanager
async def _nats_reset(world: World, source: random.Random) -> AsyncIterator[None]:
    world.nats_proxy.reset()
    yield


@asynccontextmanager
async def _nats_stalled(world: World, source: random.Random) -> AsyncIterator[None]:
    world.nats_proxy.stall()
    try:
        yield
    finally:
        world.nats_proxy.flow()


@asynccontextmanager
async def _nats_killed(world: World, source: random.Random) -> AsyncIterator[None]:
    world.nats.kill()
    try:
        yield
    finally:
        world.nats.start()


@asynccontextmanager
async def _nats_restarted(world: World, source: random.Random) -> AsyncIterator[None]:
    world.nats.restart()
    yield


@asynccontextmanager
async def _killed(world: World, source: random.Random) -> AsyncIterator[None]:
    await source.choice(world.programs).end(signal.SIGKILL)
    yield


@asynccontextmanager
async def _restarted(world: World, source: random.Random) -> AsyncIterator[None]:
    await source.choice(world.programs).end(signal.SIGTERM)
    yield


@asynccontextmanager
async def _frozen(world: World, source: random.Random) -> AsyncIterator[None]:
    """To a process, its clock jumps; its events go to others meanwhile."""
    program = source.choice(world.programs)
    program.signal(signal.SIGSTOP)
    try:
        yield
    finally:
        program.signal(signal.SIGCONT)


@asynccontextmanager
async def _disk_full(world: World, source: random.Random) -> AsyncIterator[None]:
    """No room for failed batches: neither in the stream, nor in the files of any process."""
    for program in world.programs:
        program.limit_files(source.randrange(1, 20_000))
    await _limit_failed_stream(world, 1)
    try:
        yield
    finally:
        for program in world.programs:
            program.limit_files(None)
        await _limit_failed_stream(world, -1)


async def _limit_failed_stream(world: World, max_bytes: int) -> None:
    """Best effort: there may be no such stream yet, or no server just now."""
    environment = world.sandbox.environment
    async with asyncio.timeout(10):
        while True:
            try:
                connection = await connect_nats(
                    environment["NATS_URL"], environment["NATS_CREDENTIALS"]
                )
                break
            except WorkbenchError:
                await asyncio.sleep(0.2)
    try:
        with suppress(WorkbenchError):
            info = await connection.api(f"STREAM.INFO.{DEFAULT_STREAM}")
            config = {**info["config"], "max_bytes": max_bytes}
            await connection.api(f"STREAM.UPDATE.{DEFAULT_STREAM}", config)
    finally:
        await connection.aclose()


@asynccontextmanager
async def _daily_limit(world: World, source: random.Random) -> AsyncIterator[None]:
    """The flows pause for a minute and more; whoever raised the limit tells them to go on."""
    async with _fault("limit:daily")(world, source):
        yield
    for program in world.programs:
        program.resume()


TROUBLES = (
    Trouble("a fifth of requests get 503", _fault("status:503:0.2")),
    Trouble("a tenth of requests get 500", _fault("status:500:0.1")),
    Trouble("rows locked", _fault("lock:0.05", "lock-nested:0.03", "race:0.03")),
    Trouble("answers dropped", _fault("drop:0.1", "truncate:0.05")),
    Trouble("connections closed before the work", _fault("drop-before:0.2")),
    Trouble("answers slow", _fault("latency:200ms-1500ms:0.5")),
    Trouble("too many concurrent requests", _fault("limit:concurrent,share=0.3")),
    # Not so often that three new sessions in a row are refused: that stops a flow, as it should.
    Trouble("sessions expire", _fault("expire,every=150")),
    Trouble("Pub/Sub calls refused", _fault("pubsub-status:UNAVAILABLE:0.2", "pubsub-event:0.03")),
    Trouble("Pub/Sub streams torn", _fault("pubsub-reset:0.1", "pubsub-drop:0.1")),
    Trouble(
        "Pub/Sub slow and out of order", _fault("pubsub-latency:100ms", "pubsub-late:50ms:0.2")
    ),
    Trouble("Pub/Sub sessions expire, schema changes", _fault("pubsub-expire", "pubsub-schema")),
    Trouble("Salesforce down", _fault("status:503", "pubsub-status:UNAVAILABLE"), (6.0, 12.0)),
    Trouble("Salesforce unreachable", _salesforce_unreachable, (2.0, 10.0)),
    Trouble("Salesforce connections reset", _salesforce_reset, (0.0, 0.1)),
    Trouble("Salesforce stalled", _salesforce_stalled, (1.0, 4.0)),
    Trouble("daily limit reached", _daily_limit, (2.0, 4.0)),
    Trouble("nats-server killed", _nats_killed, (0.2, 3.0), is_crash=True),
    Trouble("nats-server restarted", _nats_restarted, (0.0, 0.1), is_crash=True),
    Trouble("NATS connections reset", _nats_reset, (0.0, 0.1), is_crash=True),
    Trouble("NATS stalled", _nats_stalled, (1.0, 4.0), is_crash=True),
    Trouble("process killed", _killed, (0.0, 0.1), is_crash=True),
    Trouble("process restarted", _restarted, (0.0, 0.1)),
    Trouble("process frozen", _frozen, (1.0, 4.0), is_crash=True),
    Trouble("disk full for failed batches", _disk_full, (2.0, 5.0)),
)


@dataclass(slots=True)
class Troubles:
    """Makes trouble in a world, every kind before any comes again, in an order of the seed's.

    Attributes:
        crashes: when acknowledgements may have got lost.
        counts: how often each happened.
    """

    world: World
    source: random.Random
    say: Callable[[str], None]
    crashes: list[Crash] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    _alone: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def run(self, seconds: float) -> None:
        """For so long; everything is whole again when it returns."""
        end = time.monotonic() + seconds
        waiting: list[Trouble] = []
        async with asyncio.TaskGroup() as group:
            while time.monotonic() < end:
                if not waiting:
                    waiting = self.source.sample(TROUBLES, len(TROUBLES))
                trouble = waiting.pop()
                seed, lasts = self.source.random(), self.source.uniform(*trouble.seconds)
                group.create_task(self._make(trouble, random.Random(seed), lasts))
                await asyncio.sleep(self.source.uniform(0.5, 3.0))

    async def _make(self, trouble: Trouble, source: random.Random, seconds: float) -> None:
        self.counts[trouble.name] = self.counts.get(trouble.name, 0) + 1
        # One crash at a time: two could start the same server twice.
        async with self._alone if trouble.is_crash else _nothing():
            start = time.time()
            self.say(f"{trouble.name}, {seconds:.1f} s")
            async with trouble.begin(self.world, source):
                await asyncio.sleep(seconds)
        if trouble.is_crash:
            self.crashes.append(Crash(start, time.time()))


@asynccontextmanager
async def _nothing() -> AsyncIterator[None]:
    yield
