"""`make chaos`, or `python -m chaos --seed 7 --minutes 5`; see the package."""

from __future__ import annotations

import argparse
import asyncio
import random
import shutil
import sys
import tempfile
from pathlib import Path

from chaos.ledger import Ledger
from chaos.run import run

_MOST_SHOWN = 50


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m chaos", description=__doc__)
    parser.add_argument("--seed", type=int, help="the same troubles again")
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--rate", type=float, default=60.0, help="events a second")
    given = parser.parse_args()
    seed = random.randrange(1_000_000) if given.seed is None else given.seed
    print(f"seed {seed}: python -m chaos --seed {seed} --minutes {given.minutes:g}", flush=True)
    folder = Path(tempfile.mkdtemp(prefix="workbench-chaos-"))
    ledger = asyncio.run(
        run(seed, given.minutes * 60, given.rate, folder, lambda text: print(text, flush=True))
    )
    show(ledger)
    if ledger.is_balanced:
        shutil.rmtree(folder)
        return 0
    print(f"seed {seed}; logs, flows and files are in {folder}")
    return 1


def show(ledger: Ledger) -> None:
    print("\nLedger")
    for name, count in sorted(ledger.counts.items()):
        print(f"  {name:<36}{count:>8,}")
    if ledger.is_balanced:
        print("Every event is in Salesforce or in the failed batches; nothing is there twice, and")
        print("nothing was called written that is not.")
        return
    print(f"{len(ledger.violations)} things do not add up:")
    for violation in ledger.violations[:_MOST_SHOWN]:
        print(f"  {violation}")


if __name__ == "__main__":
    sys.exit(main())
