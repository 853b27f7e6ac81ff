"""The chaos run in small: a dozen seconds of trouble, and the books balance."""

from __future__ import annotations

from pathlib import Path

import pytest

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
