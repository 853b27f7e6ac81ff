"""The emulator run as a program of its own."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

import aiohttp
import pytest

ROOT = Path(__file__).parents[3]


async def run(*arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "workbench.emulator",
        *arguments,
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def test_it_says_where_it_listens_and_stops_on_a_signal(tmp_path: Path) -> None:
    process = await run("--no-pubsub", "--folder", str(tmp_path), "--fault", "status:503,count=1")
    assert process.stdout is not None
    told: dict[str, str] = {}
    while "SF_PASSWORD" not in told:
        key, _, value = (await process.stdout.readline()).decode().strip().partition("=")
        told[key] = value
    assert Path(told["SF_CA_FILE"]) == tmp_path / "ca.pem"
    async with aiohttp.ClientSession() as session:
        url = told["SF_LOGIN_URL"] + "/emulator/faults"
        async with session.get(url) as answer:
            assert [f["kind"] for f in (await answer.json())["faults"]] == ["status"]
    process.send_signal(signal.SIGTERM)
    assert await process.wait() == 0


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("--fault", "lok"), 2, "unknown fault 'lok'"),
        (("--objects", "none.yaml"), 2, "none.yaml cannot be read"),
        (("--port", "1", "--no-pubsub", "--no-tls", "--host", "x"), 2, "unrecognized arguments"),
    ],
)
async def test_options_that_cannot_be_used_are_said_in_a_sentence(
    arguments: tuple[str, ...], status: int, words: str
) -> None:
    process = await run(*arguments)
    _, errors = await process.communicate()
    assert process.returncode == status
    assert words in errors.decode()
    assert "Traceback" not in errors.decode()


async def test_the_assumptions_can_be_read() -> None:
    process = await run("--assumptions")
    output, _ = await process.communicate()
    assert output.decode().startswith("| area |")
