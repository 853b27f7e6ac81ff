"""What a newcomer gets wrong: one clear sentence, the right exit code, within seconds, no loss."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.integration.end_to_end.world import World, contact, until
from workbench.failed import FileStore
from workbench.model import FailedBatch
from workbench.sandbox.nats import NatsServer

ROOT = Path(__file__).parents[3]
PROGRAM = (sys.executable, "-m", "workbench")
SECONDS = 20.0
"""Far more than any of this takes; a hang is a failure, not a long test."""


@dataclass(frozen=True)
class Said:
    """How a program ended."""

    code: int
    text: str

    @property
    def sentence(self) -> str:
        """What it said was wrong; from its log line if it had begun to log."""
        line = self.text.strip().splitlines()[-1]
        return str(json.loads(line)["error"]) if line.startswith("{") else line


class Newcomer:
    """Runs the program in a folder against a world, and takes down what it says."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.folder = world.folder
        self.env_file = self.folder / "sandbox.env"
        self.env_file.write_text(f"NATS_URL={world.nats_url}\nSF_CREDENTIALS={world.credentials}\n")
        self.flow = self.folder / "flow.yaml"
        self.flow.write_text(world.text())

    async def run(
        self,
        *arguments: str | Path,
        env: Mapping[str, str | None] | None = None,
        prepare: Callable[[], None] | None = None,
        stop_when: Callable[[str], object] | None = None,
        stop_after: float | None = None,
        number: signal.Signals = signal.SIGINT,
    ) -> Said:
        """Run to the end; or send a signal once something holds, given what it has said so far,
        or after so many seconds."""
        given = {**os.environ, "PYTHONPATH": str(ROOT), **(env or {})}
        process = await asyncio.create_subprocess_exec(
            *PROGRAM,
            *map(str, arguments),
            cwd=self.folder,
            env={key: value for key, value in given.items() if value is not None},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            preexec_fn=prepare,
        )
        output = bytearray()

        async def read() -> None:
            assert process.stdout is not None
            while chunk := await process.stdout.read(65_536):
                output.extend(chunk)

        reading = asyncio.create_task(read())
        async with asyncio.timeout(SECONDS):
            if stop_when is not None:
                wanted = stop_when
                await until(lambda: wanted(output.decode()) or process.returncode is not None)
            if stop_after is not None:
                await asyncio.wait([reading], timeout=stop_after)
            if stop_when or stop_after:
                with suppress(ProcessLookupError):
                    process.send_signal(number)
            await process.wait()
            await reading
        said = Said(process.returncode or 0, output.decode())
        assert "Traceback" not in said.text
        assert "bug of workbench" not in said.text
        return said

    async def each(self, lines: Iterable[Sequence[str | Path]]) -> list[Said]:
        """Run several command lines side by side; what each said, in their order."""
        return await asyncio.gather(*(self.run(*line) for line in lines))

    @property
    def started(self) -> list[str | Path]:
        """The arguments of a headless run on the world."""
        return ["--headless", self.flow, "--sandbox-env", self.env_file]

    async def headless(self, *more: str | Path, **how: Any) -> Said:
        return await self.run(*self.started, *more, **how)


@pytest.fixture
def newcomer(world: World) -> Newcomer:
    return Newcomer(world)


# -- flow files --------------------------------------------------------------------------------

FILES = {
    "unfinished": (b"flow:\n  name: [\n", "not YAML"),
    "tab": (b"flow:\n\tname: x\n", ":2:1: error: a tab"),
    "empty": (b"", "the file is empty"),
    "binary": (bytes(range(256)) * 9, "not UTF-8"),
    "list": (b"- a\n- b\n", "begins with 'flow:', not a list"),
    "text": (b"just words", "begins with 'flow:', not a text"),
    "twice": (b"flow:\n  name: x\n  name: y\n", "stands twice"),
    "large": (b"a" * 5_000_000, "a flow file has at most"),
}


async def test_a_file_that_is_no_flow_is_told_with_its_place(newcomer: Newcomer) -> None:
    def write(name: str) -> Path:
        file = newcomer.folder / f"{name}.yaml"
        file.write_bytes(FILES[name][0])
        return file

    for said, (name, (_, words)) in zip(
        await newcomer.each(["--headless", write(name)] for name in FILES),
        FILES.items(),
        strict=True,
    ):
        assert (said.code, words in said.sentence) == (1, True), said.text
        assert f"{name}.yaml" in said.sentence


async def test_a_path_that_is_no_file_is_told(newcomer: Newcomer) -> None:
    newcomer.flow.unlink()
    said = await newcomer.headless()
    assert (said.code, "is not there" in said.sentence) == (2, True)
    newcomer.flow.mkdir()
    said = await newcomer.headless()
    assert (said.code, "Is a directory" in said.sentence) == (2, True)
    newcomer.flow.rmdir()
    newcomer.flow.symlink_to(newcomer.flow)
    assert (await newcomer.headless()).code == 2


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
async def test_a_file_that_must_not_be_read_is_told(newcomer: Newcomer) -> None:
    newcomer.flow.chmod(0)
    said = await newcomer.headless()
    assert (said.code, "Permission denied" in said.sentence) == (2, True)


# -- options -----------------------------------------------------------------------------------


OVERRIDES = {
    "": (2, "path=value"),
    "=x": (2, "path=value"),
    "write.nope=1": (1, "has no key 'nope'"),
    "nowhere.x=1": (1, "no such place"),
    "write=1": (1, "must be a mapping"),
    "write.batch.linger={": (1, "must be a duration"),
    "source.subject=elsewhere.x": (3, "is not in stream"),
    "source.url=http://x": (2, "use nats:// or tls://"),
    "source.url=nats://127.0.0.1:1": (3, "nothing listens there"),
    "source.url=nats://127.0.0.1:99999": (2, "nats://host:port"),
    "source.url=nats://nowhere.invalid:4222": (3, "can't be resolved"),
}


async def test_a_wrong_override_is_told(newcomer: Newcomer) -> None:
    started = [*newcomer.started, "--set"]
    all_said = await newcomer.each([*started, override] for override in OVERRIDES)
    for said, (code, words) in zip(all_said, OVERRIDES.values(), strict=True):
        assert (said.code, words in said.sentence) == (code, True), said.text


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "is not there"), (b"", "does not name SF_CREDENTIALS"), (b"\xff", "not UTF-8")],
)
async def test_a_wrong_sandbox_file_is_told(
    newcomer: Newcomer, content: bytes | None, words: str
) -> None:
    newcomer.env_file.unlink()
    if content is not None:
        newcomer.env_file.write_bytes(content)
    said = await newcomer.headless()
    assert (said.code, words in said.sentence) == (2, True), said.text


@pytest.fixture
def taken() -> Iterator[str]:
    """A port that somebody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield str(listening.getsockname()[1])


async def test_a_port_in_use_is_told_by_its_number(newcomer: Newcomer, taken: str) -> None:
    for said in await newcomer.each(
        [
            [*newcomer.started, "--http", f"127.0.0.1:{taken}"],
            ["sandbox", "--salesforce-port", taken],
            ["sandbox", "--nats-port", taken],
            ["sandbox", "--pubsub-port", taken],
        ]
    ):
        assert (said.code, taken in said.sentence) == (2, True), said.text
        assert len(said.text.strip().splitlines()) == 1


async def test_a_pattern_is_no_subject_to_publish_to(newcomer: Newcomer) -> None:
    said = await newcomer.run("publish", "crm.>", newcomer.flow, "--url", newcomer.world.nats_url)
    assert (said.code, "is a pattern" in said.sentence) == (3, True), said.text


async def test_nothing_is_no_event_to_publish(newcomer: Newcomer) -> None:
    blank = newcomer.folder / "blank.jsonl"
    blank.write_text("\n")
    for arguments, name in [(["-"], "standard input"), ([str(blank), "--lines"], str(blank))]:
        said = await newcomer.run("publish", "crm.accounts.upsert", *arguments)
        assert said.code == 2, said.text
        assert said.text.strip() == f"workbench: {name} is empty, so there is no event to publish"


# -- logins ------------------------------------------------------------------------------------


LOGINS: list[tuple[dict[str, Any], int, str]] = [
    ({"password": "no"}, 3, "username, password or security token"),
    ({"client_id": "no"}, 3, "client_id or client_secret"),
    ({"client_id": None}, 2, "lacks client_id"),
    ({"client_id": 5}, 2, "client_id must be a text"),
    ({"login_url": "http://127.0.0.1:1"}, 3, "127.0.0.1:1 cannot be reached"),
    ({"login_url": "https://nowhere.invalid"}, 3, "nowhere.invalid cannot be reached"),
    ({"login_url": "ftp://x"}, 2, "is not a web address"),
    ({"private_key": "garbage"}, 2, "PEM form"),
]


async def test_a_wrong_salesforce_login_is_told_and_shows_no_secret(newcomer: Newcomer) -> None:
    world = newcomer.world
    org = world.emulator

    def given(number: int) -> Path:
        login = {"username": org.username, "password": org.password, **LOGINS[number][0]}
        return world.write_credentials(f"{number}.json", **login)

    all_said = await newcomer.each(
        [*newcomer.started, "--set", f"write.credentials_path={given(number)}"]
        for number in range(len(LOGINS))
    )
    for said, (_, code, words) in zip(all_said, LOGINS, strict=True):
        assert (said.code, words in said.sentence) == (code, True), said.text
        assert org.client_secret not in said.text
        assert org.password not in said.text


@pytest.mark.parametrize("content", ["", "[1]", "\x00"])
async def test_a_credentials_file_of_another_form_is_told_by_its_name(
    newcomer: Newcomer, content: str
) -> None:
    newcomer.world.credentials.write_text(content)
    said = await newcomer.headless()
    assert (said.code, "sf.json" in said.sentence) == (2, True), said.text


async def test_credentials_that_others_may_read_are_told_by_check(newcomer: Newcomer) -> None:
    path = newcomer.world.credentials
    path.chmod(0o644)
    text = newcomer.flow.read_text().replace("/nowhere", str(path))
    newcomer.flow.write_text(text)
    said = await newcomer.run("check", newcomer.flow)
    assert said.code == 0
    assert "warning" in said.text
    assert "read by other" in said.text or "readable by other" in said.text, said.text


async def test_a_nats_that_refuses_the_password_is_told(newcomer: Newcomer, tmp_path: Path) -> None:
    login = tmp_path / "nats.json"
    with NatsServer(tmp_path / "locked", user="ada", password="right") as server:
        for given, words in (
            ({"user": "ada", "password": "wrong"}, "does not accept user 'ada'"),
            ({"pasword": "x"}, "unknown key 'pasword'"),
        ):
            login.write_text(json.dumps(given))
            said = await newcomer.headless(
                *("--set", f"source.url={server.url}"),
                *("--set", f"source.credentials_path={login}"),
            )
            assert words in said.sentence, said.text
            assert said.code in (2, 3)
            assert "wrong" not in said.text


async def test_a_server_that_is_too_old_is_told(newcomer: Newcomer) -> None:
    greeting = b'INFO {"server_id":"x","version":"2.9.25","headers":true,"max_payload":1000}\r\n'

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)
        with suppress(ConnectionError):
            while line := await reader.readline():
                if line.startswith(b"PING"):
                    writer.write(b"PONG\r\n")
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        said = await newcomer.headless("--set", f"source.url=nats://127.0.0.1:{port}")
    assert (said.code, "2.10" in said.sentence) == (3, True), said.text


# -- surroundings ------------------------------------------------------------------------------


async def fail_one(newcomer: Newcomer) -> None:
    """An event that Salesforce refuses, in the stream."""
    async with newcomer.world.running():
        pass
    await newcomer.world.publish(contact(1, LastName="Müller Ж 🎉", Email="nö"))


def has_failed(said: str) -> bool:
    return '"event":"failed"' in said


@pytest.mark.parametrize(
    "env",
    [
        {"HOME": None, "XDG_STATE_HOME": None},
        {"HOME": "/proc/nowhere", "XDG_STATE_HOME": None},
        {"LANG": "C", "LC_ALL": "C"},
        {"PYTHONIOENCODING": "ascii"},
    ],
)
async def test_it_runs_in_poor_surroundings(newcomer: Newcomer, env: dict[str, str | None]) -> None:
    await fail_one(newcomer)
    said = await newcomer.headless("--failed-dir", "kept", env=env, stop_when=has_failed)
    assert said.code == 0, said.text
    events = [json.loads(line)["event"] for line in said.text.splitlines()]
    assert events[0] == "started"
    assert events[-1] == "stopped"
    assert "failed" in events
    assert (await newcomer.world.info()).lag == 0


async def test_a_console_that_lacks_letters_is_shown_what_went_wrong_all_the_same(
    newcomer: Newcomer,
) -> None:
    newcomer.flow.write_text('flow:\n  näme: "Ж"\n', encoding="utf-8")
    for form in ("json", "console"):
        env = {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "LC_ALL": "POSIX"}
        said = await newcomer.headless("--log-format", form, env=env)
        assert said.code == 1
        assert "did you mean 'name'" in said.text


def close(*descriptors: int) -> Callable[[], None]:
    def closing() -> None:
        for descriptor in descriptors:
            os.close(descriptor)

    return closing


@pytest.mark.parametrize("descriptors", [(0,), (1,), (0, 1, 2)])
async def test_closed_streams_do_not_keep_it_from_working(
    newcomer: Newcomer, descriptors: tuple[int, ...]
) -> None:
    await fail_one(newcomer)
    said = await newcomer.headless(
        *("--failed-dir", "kept"),
        prepare=close(*descriptors),
        stop_when=lambda _: kept(newcomer),
    )
    assert said.code == 0, said.text
    assert len(kept(newcomer)) == 1


def kept(newcomer: Newcomer) -> list[FailedBatch]:
    """What was kept as failed in the folder `kept`."""
    files = (newcomer.folder / "kept").glob("*.jsonl")
    return [batch for file in files for batch in FileStore(file).entries()]


async def test_a_closed_standard_input_is_told_where_it_is_asked_for(newcomer: Newcomer) -> None:
    said = await newcomer.run(
        *("preview", newcomer.flow, "--event", "-", "--sandbox-env", newcomer.env_file),
        prepare=close(0),
    )
    assert (said.code, "standard input is closed" in said.sentence) == (2, True), said.text


def test_a_full_disk_below_its_output_is_a_sentence(tmp_path: Path) -> None:
    flow = tmp_path / "flow.yaml"
    flow.write_text("flow:\n")
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [*PROGRAM, "check", flow],
            stdout=full,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            timeout=SECONDS,
            check=False,
        )
    assert b"Traceback" not in done.stderr
    assert b"No space left on device" in done.stderr
    assert done.returncode == 1


async def test_a_full_disk_below_the_failed_batches_keeps_the_events_in_the_stream(
    newcomer: Newcomer,
) -> None:
    """No file may grow beyond 500 bytes, which is less than a failed batch takes."""
    await fail_one(newcomer)
    limits = (500, resource.getrlimit(resource.RLIMIT_FSIZE)[1])
    said = await newcomer.headless(
        *("--failed-dir", "kept"),
        prepare=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limits),
        env={"PYTHONDONTWRITEBYTECODE": "1"},
        stop_when=lambda said: '"event":"store_failed"' in said,
    )
    assert said.code == 0, said.text
    assert "File too large" in said.text
    assert (await newcomer.world.info()).lag == 1
    assert kept(newcomer) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("arguments", [["--headless", "flow.yaml", "--sandbox"], ["sandbox"]])
async def test_a_signal_at_any_moment_of_the_start_ends_it_quietly_and_leaves_nothing(
    newcomer: Newcomer, arguments: list[str], number: signal.Signals
) -> None:
    place = newcomer.folder / "tmp"
    place.mkdir()
    for stop_after in (0.15, 0.3, 0.6):
        said = await newcomer.run(
            *arguments, env={"TMPDIR": str(place)}, stop_after=stop_after, number=number
        )
        assert said.code in (0, 130, -number, 128 + number), said.text
        assert list(place.iterdir()) == []


DROPPED = """
import weakref
from workbench.app import asked
from workbench.cli import main

class Anything: pass
def interrupt(_): raise KeyboardInterrupt
asked.mind_what_is_dropped()
anything = Anything()
watched = weakref.ref(anything, interrupt)
del anything
main()
"""


async def test_a_ctrl_c_that_python_drops_while_it_loads_ends_the_run_all_the_same(
    newcomer: Newcomer,
) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", DROPPED, *map(str, newcomer.started)),
        cwd=newcomer.folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(SECONDS):
        said, _ = await process.communicate()
    assert b'"event":"draining"' in said
    assert b"Traceback" not in said
    assert process.returncode == 0
