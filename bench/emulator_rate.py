"""How many rows a second the emulator writes: `python bench/emulator_rate.py [seconds]`.

One emulator in a process of its own, one client that keeps two requests of 200 upserts in flight.
The processor time is the emulator's alone, so the rate per core holds whatever the client costs.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
from pathlib import Path

import aiohttp
import orjson

ROWS = 200
IN_FLIGHT = 2
KEYS = 20_000
"""Distinct external ids: after the first round the upserts change rows instead of adding them."""


async def main(seconds: float) -> None:
    emulator = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "workbench.emulator",
        "--no-tls",
        "--no-pubsub",
        stdout=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parents[1],
    )
    try:
        assert emulator.stdout is not None
        told: dict[str, str] = {}
        while "SF_PASSWORD" not in told:
            key, _, value = (await emulator.stdout.readline()).decode().strip().partition("=")
            told[key] = value
        await measure(told, emulator.pid, seconds)
    finally:
        with contextlib.suppress(ProcessLookupError):
            emulator.terminate()
        await emulator.wait()


async def measure(told: dict[str, str], pid: int, seconds: float) -> None:
    bodies = [body(start) for start in range(0, KEYS, ROWS)]
    async with aiohttp.ClientSession(told["SF_LOGIN_URL"]) as session:
        form = {
            "grant_type": "password",
            "client_id": told["SF_CLIENT_ID"],
            "client_secret": told["SF_CLIENT_SECRET"],
            "username": told["SF_USERNAME"],
            "password": told["SF_PASSWORD"],
        }
        async with session.post("/services/oauth2/token", data=form) as answer:
            token = (await answer.json())["access_token"]
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        calls = 0
        started, cpu = time.perf_counter(), cpu_seconds(pid)

        async def work() -> None:
            nonlocal calls
            while time.perf_counter() - started < seconds:
                data = bodies[calls % len(bodies)]
                calls += 1
                url = "/services/data/v68.0/composite/sobjects/Contact/ExternalId__c"
                async with session.patch(url, data=data, headers=headers) as answer:
                    assert answer.status == 200
                    assert (await answer.read()).count(b'"success":true') == ROWS

        await asyncio.gather(*(work() for _ in range(IN_FLIGHT)))
        elapsed, used = time.perf_counter() - started, cpu_seconds(pid) - cpu
    rows = calls * ROWS
    print(
        f"{rows:,} rows in {elapsed:.1f} s: {rows / elapsed:,.0f} rows/s by the clock, "
        f"{rows / used:,.0f} rows per second of the emulator's processor time"
    )


def body(start: int) -> bytes:
    records = [
        {
            "attributes": {"type": "Contact"},
            "ExternalId__c": f"K-{number:08d}",
            "FirstName": "Ada",
            "LastName": f"Lovelace {number}",
            "Email": f"ada{number}@example.com",
            "Phone": "+4722123456",
        }
        for number in range(start, start + ROWS)
    ]
    return orjson.dumps({"allOrNone": True, "records": records})


def cpu_seconds(pid: int) -> float:
    """User and system time of a process; Linux."""
    parts = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(parts[11]) + int(parts[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1]) if len(sys.argv) > 1 else 5.0))
