"""The application under load, in a real terminal: how fast it answers keys while 5,000 events a
second arrive, what its screen costs the engine, how its memory grows, and how soon it paints.

`python -m bench.application` prints all of it; `--seconds N` shortens the load, `--only start`,
`load` or `rate` keeps one part. Everything is seen from outside: keys are bytes written to the
terminal, an answer is the first output that shows what the key did, and the engine's speed is what
reaches the server.
"""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import os
import pty
import random
import re
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import time
import urllib.request
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench.contenders import FLOW, SUBJECT
from bench.throughput import answering, credentials, durable, fill, payload
from workbench.jetstream import connect
from workbench.sandbox.nats import NatsServer

RATE = 5_000
REACH_KEY_MS = 50
REACH_ENGINE = 0.9
REACH_PAINT = 1.5
BACKLOG = 150_000
ROUNDS = 15
BARE = """
from textual.app import App
from textual.widgets import Static
class Bare(App):
    def compose(self):
        yield Static("opening", markup=False)
Bare().run()
"""


class Terminal:
    """A program in a terminal of its own; `shown` is all it wrote, as it wrote it."""

    def __init__(self, command: Sequence[str], env: dict[str, str], size: tuple[int, int]) -> None:
        self.shown = bytearray()
        self.began = time.perf_counter()
        self._news = asyncio.Event()
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
        term = {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
        self.process = subprocess.Popen(
            command,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={**os.environ, **env, **term},
            start_new_session=True,
        )
        os.close(theirs)
        self._fd = ours
        asyncio.get_running_loop().add_reader(ours, self._read)

    def _read(self) -> None:
        try:
            self.shown += os.read(self._fd, 1 << 20)
        except OSError:  # the program is gone
            asyncio.get_running_loop().remove_reader(self._fd)
        self._news.set()

    def press(self, keys: str) -> None:
        os.write(self._fd, keys.encode())

    async def until(self, pattern: str, start: int = 0, timeout: float = 30.0) -> re.Match[bytes]:
        """The first match in what was written from `start` on, once it is there."""
        wanted = re.compile(pattern.encode())
        deadline = time.perf_counter() + timeout
        while (found := wanted.search(self.shown, start)) is None:
            # Only what is new is looked at again: a slow reader would hold the program up.
            start = max(start, len(self.shown) - 400)
            self._news.clear()
            left = deadline - time.perf_counter()
            if left <= 0 or self.process.poll() is not None:
                raise SystemExit(f"never shown: {pattern}; last: {bytes(self.shown[-300:])!r}")
            try:
                await asyncio.wait_for(self._news.wait(), left)
            except TimeoutError:
                continue
        return found

    async def last(self, pattern: str, start: int) -> re.Match[bytes]:
        """The last match in what was written from `start` on, once there is one."""
        found = await self.until(pattern, start)
        while (later := re.compile(pattern.encode()).search(self.shown, found.end())) is not None:
            found = later
        return found

    async def answer(self, keys: str, pattern: str) -> float:
        """Seconds from pressing the keys to the output that shows what they did."""
        start, pressed = len(self.shown), time.perf_counter()
        self.press(keys)
        await self.until(pattern, start)
        return time.perf_counter() - pressed

    def resident_mb(self) -> float:
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1024 / 1024

    def cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    async def aclose(self) -> None:
        asyncio.get_running_loop().remove_reader(self._fd)
        os.close(self._fd)  # the program is told that its terminal is gone
        self.process.send_signal(signal.SIGKILL)
        await asyncio.to_thread(self.process.wait)


@dataclass
class Site:
    """Where a run reads and writes: the stream, the answering server, the files."""

    folder: Path
    nats: str
    salesforce: str
    environment: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        access = credentials(self.folder, self.salesforce)
        values = {"NATS_URL": self.nats, "SF_CREDENTIALS": access, "SF_LOGIN_URL": self.salesforce}
        text = "".join(f"{name}={value}\n" for name, value in values.items())
        self.env_file.write_text(text)
        names = ("XDG_STATE_HOME", "XDG_CONFIG_HOME")
        self.environment = {name: str(self.folder / name) for name in names}

    @property
    def env_file(self) -> Path:
        return self.folder / "sandbox.env"

    def flow(self, name: str) -> Path:
        path = self.folder / f"{name}.yaml"
        path.write_text(FLOW.format(durable=name, in_flight=8))
        return path

    def records(self) -> int:
        """How many records have reached the server."""
        with urllib.request.urlopen(f"{self.salesforce}/counts") as answer:
            return int(re.search(rb'"records": (\d+)', answer.read())[1])  # type: ignore[index]


@asynccontextmanager
async def application(site: Site, flow: Path) -> AsyncIterator[Terminal]:
    """The application with the flow running and its events shown."""
    command = [sys.executable, "-m", "workbench", str(flow), "--sandbox-env", str(site.env_file)]
    terminal = Terminal(command, site.environment, (160, 48))
    try:
        await terminal.until("Figures|Preview|Request")
        await terminal.answer("\x1bOR", "F5 starts the flow")
        terminal.press("\x1b[15~")
        await terminal.until("LIVE")
        yield terminal
    finally:
        await terminal.aclose()


# -- the load ------------------------------------------------------------------------------------


async def publish(url: str, seconds: float) -> None:
    """Keep to the rate, in small portions."""
    connection = await connect(url, None)
    began, sent = time.perf_counter(), 0
    while (passed := time.perf_counter() - began) < seconds:
        due = int(passed * RATE)
        parts = []
        for number in range(sent, due):
            data = payload(number, 1)
            parts.append(b"PUB %s %d\r\n%s\r\n" % (SUBJECT.encode(), len(data), data))
        connection.client.write_soon(b"".join(parts))
        sent = due
        await asyncio.sleep(0.01)
    await connection.flush()
    await connection.aclose()


_CURSOR = r"\x1b\[1;[0-9;]*m \d\d:\d\d:\d\d\.\d+ +(\d+) "
"""The row under the cursor, told by its bold print; the number is the event's."""


async def press_keys(terminal: Terminal, seconds: float) -> dict[str, list[float]]:
    """Hold still, move, go back to following, over and over, at moments nothing else knows of."""
    took: dict[str, list[float]] = {"hold": [], "move": [], "follow": [], "filter": []}
    dice = random.Random(1)
    end = time.perf_counter() + seconds

    async def press(kind: str, keys: str, pattern: str) -> None:
        await asyncio.sleep(dice.uniform(0.05, 0.25))
        took[kind].append(await terminal.answer(keys, pattern))

    while time.perf_counter() < end:
        # The row may have been drawn before: held still, it need not be drawn again.
        start = max(0, len(terminal.shown) - 100_000)
        await press("hold", " ", "held still")
        row = (await terminal.last(_CURSOR, start))[1].decode()
        for _ in range(8):
            await press("move", "\x1b[A", _CURSOR.replace(r"(\d+)", rf"(?!{row} )(\d+)"))
            row = (await terminal.last(_CURSOR, start))[1].decode()
            start = max(start, len(terminal.shown) - 100_000)
        await press("follow", "\x1b[F", "following")
        for typed in ("/", "b"):
            await press("filter", typed, {"/": "ode:LOCK", "b": "match b"}[typed])
        await press("filter", "\x7f", r"Events  [\d,]+ ")
        # A lone escape may begin a sequence: the program itself waits, so it is not counted.
        await terminal.answer("\x1b", "Hold ")
    return took


async def load(site: Site, seconds: float) -> None:
    """Keys, memory and lag while events arrive."""
    await fill(site.nats, 0, 1)
    await durable(site.nats, "load")
    async with application(site, site.flow("load")) as terminal:
        publishing = asyncio.create_task(publish(site.nats, seconds))
        await terminal.until(_CURSOR)  # the first events are seen
        keys = asyncio.create_task(press_keys(terminal, seconds))
        memory, cpu, began = [], terminal.cpu_seconds(), time.perf_counter()
        while not publishing.done():
            await asyncio.sleep(1.0)
            memory.append(terminal.resident_mb())
        cpu = (terminal.cpu_seconds() - cpu) / (time.perf_counter() - began)
        await publishing
        lag = seconds * RATE - site.records()
        took = await keys
    everything = sorted(one for each in took.values() for one in each)
    print(f"\n{RATE:,} events a second for {seconds:.0f} s")
    for kind, each in {**took, "all": everything}.items():
        each = sorted(each)
        at = {
            share: each[min(int(share * len(each)), len(each) - 1)] * 1e3 for share in (0.5, 0.99)
        }
        reach = f"   [reach: {REACH_KEY_MS}]" if kind == "all" else ""
        print(
            f"  keys, {kind:7} {len(each):4}  median {at[0.5]:5.1f}  p99 {at[0.99]:5.1f}  "
            f"longest {each[-1] * 1e3:5.1f} ms{reach}"
        )
    third = len(memory) // 3
    print(f"  memory {memory[third]:.0f} MB after a third, {memory[-1]:.0f} MB at the end")
    print(f"  CPU {cpu:.2f} of a core; {lag:,.0f} events behind at the end")


# -- the engine's speed --------------------------------------------------------------------------


async def reached(site: Site, count: int) -> float:
    """The moment at which so many records have reached the server."""
    while site.records() < count:  # noqa: ASYNC110  (a server of another process)
        await asyncio.sleep(0.02)
    return time.perf_counter()


async def drained(site: Site, before: int, count: int) -> float:
    """Seconds from the first record that reaches the server to the last."""
    return -await reached(site, before + 1) + await reached(site, before + count)


async def headless(site: Site, name: str, count: int) -> float:
    before = site.records()
    process = subprocess.Popen(  # noqa: ASYNC220
        [sys.executable, "-m", "workbench", "--headless", str(site.flow(name)), "--sandbox-env",
         str(site.env_file)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **site.environment},
    )  # fmt: skip
    try:
        return await drained(site, before, count)
    finally:
        process.terminate()
        process.wait()


async def watched(site: Site, name: str, count: int) -> float:
    before = site.records()
    async with application(site, site.flow(name)):
        return await drained(site, before, count)


async def rate(site: Site, latency: float, count: int) -> None:
    """A backlog taken in by a headless process, then by the application, twice each."""
    await fill(site.nats, count, 1)
    seconds: dict[str, list[float]] = {"headless": [], "watched": []}
    for turn in range(2):
        for kind, run in (("headless", headless), ("watched", watched)):
            name = f"{kind}{turn}"
            await durable(site.nats, name)
            seconds[kind].append(await run(site, name, count))
    best = {kind: count / min(each) for kind, each in seconds.items()}
    print(
        f"\n{count:,} events waiting, {latency * 1e3:.0f} ms: headless {best['headless']:,.0f} "
        f"a second, with the application {best['watched']:,.0f}: "
        f"{best['watched'] / best['headless']:.2f}   [reach: {REACH_ENGINE}]"
    )


# -- the start -----------------------------------------------------------------------------------


async def first_paint(command: Sequence[str], env: dict[str, str], pattern: str) -> float:
    terminal = Terminal(command, env, (120, 40))
    try:
        await terminal.until(pattern)
        return time.perf_counter() - terminal.began
    finally:
        await terminal.aclose()


async def start(site: Site) -> None:
    """From starting the program to its first frame, beside the smallest application there is."""
    ours = [sys.executable, "-m", "workbench", str(site.flow("start"))]
    bare = [sys.executable, "-c", BARE]
    took: dict[str, list[float]] = {"bare": [], "paint": [], "editor": []}
    for _ in range(ROUNDS):
        took["bare"].append(await first_paint(bare, {}, "opening"))
        took["paint"].append(await first_paint(ours, site.environment, "opening"))
        took["editor"].append(await first_paint(ours, site.environment, "durable_name"))
    median = {name: statistics.median(each) for name, each in took.items()}
    print(f"\nbare Textual application     {median['bare'] * 1e3:4.0f} ms to the first frame")
    for name, title, reach in (
        ("paint", "the application", f"   [reach: {REACH_PAINT}]"),
        ("editor", "with the flow in the editor", ""),
    ):
        ratio = median[name] / median["bare"]
        print(f"{title:28} {median[name] * 1e3:4.0f} ms, {ratio:.2f} x{reach}")


async def measure(folder: Path, nats: str, only: str | None, seconds: float) -> None:
    for part, latency in (("start", 0.15), ("load", 0.15), ("rate", 0.15), ("rate", 0.0)):
        if only is not None and only != part:
            continue
        with answering(latency) as salesforce:
            site = Site(folder, nats, salesforce)
            if part == "start":
                await start(site)
            elif part == "load":
                await load(site, seconds)
            else:
                await rate(site, latency, BACKLOG)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=("start", "load", "rate"), default=None)
    parser.add_argument("--seconds", type=float, default=60.0)
    given, _ = parser.parse_known_args()
    with tempfile.TemporaryDirectory() as name, NatsServer(Path(name) / "js") as server:
        asyncio.run(measure(Path(name), server.url, given.only, given.seconds))


if __name__ == "__main__":
    main()
