"""The chaos run in small: a dozen seconds of trouble, and the books balance."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest

from chaos.program import Program
from chaos.run import run
from chaos.traffic import CREATE, EVENT, UPSERT


@pytest.mark.timeout(240)
async def test_in_trouble_of_every_kind_the_books_balance(tmp_path: Path) -> None:
    said: list[str] = []
    ledger = await run(6, 12.0, 40.0, tmp_path, said.append)
    assert ledger.violations == [], "\n".join(said)
    assert ledger.counts["troubles"] >= 4
    assert ledger.counts[f"in the org: {UPSERT}"] > 100
    assert ledger.counts[f"in the org: {CREATE}"] > 10
    assert ledger.counts[f"in the org: {EVENT}"] > 10


@pytest.mark.parametrize(
    ("trap", "problems"),
    [("", []), ("exit 3", []), ("exit 1", ["one ended with 1 when told to stop"])],
    ids=("killed while it ends", "away", "by an error"),
)
async def test_who_is_told_to_stop_must_end_well_unless_killed_meanwhile(
    tmp_path: Path, trap: str, problems: list[str]
) -> None:
    program = Program("one", (), {}, tmp_path)
    script = f"trap '{trap}' TERM; echo; while :; do sleep 0.05; done"
    process = await asyncio.create_subprocess_exec(
        "sh", "-c", script, stdout=asyncio.subprocess.PIPE
    )
    program._process = process
    assert process.stdout
    await process.stdout.readline()  # the trap is set
    told = asyncio.create_task(program.end(signal.SIGTERM))
    if not trap:
        await asyncio.sleep(0)
        await program.end(signal.SIGKILL)
    await told
    assert program.problems == problems
