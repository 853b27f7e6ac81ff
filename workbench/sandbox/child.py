"""The process in which a sandbox's emulator runs; see `workbench.sandbox.process`."""

from __future__ import annotations

import asyncio
import gc
import json
import signal
import sys
from pathlib import Path
from typing import Any

from workbench.emulator import DeclarationError, Emulator, EmulatorOptions, FaultError

__all__ = ["main"]


def main() -> int:
    """Read options from standard input, tell the addresses, run until that input ends."""
    # Ctrl-C in a terminal is for the parent, which then closes our input.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        emulator = Emulator(_options(json.loads(sys.stdin.readline())))
        asyncio.run(_serve(emulator))
    except (DeclarationError, FaultError) as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        print(error.strerror or error, file=sys.stderr)
        return 1
    return 0


def _options(given: dict[str, Any]) -> EmulatorOptions:
    return EmulatorOptions(
        port=given["salesforce_port"],
        pubsub_port=given["pubsub_port"],
        pubsub=given["pubsub"],
        objects=(given["objects"],) if given["objects"] else (),
        faults=tuple(given["faults"]),
        folder=Path(given["folder"]),
    )


async def _serve(emulator: Emulator) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    loop.add_reader(sys.stdin.fileno(), stop.set)  # nothing more is written to it, so: its end
    async with emulator:
        print(json.dumps(emulator.addresses), flush=True)
        # What is loaded by now stays: the collector need not look at it again.
        gc.collect()
        gc.freeze()
        await stop.wait()


if __name__ == "__main__":
    sys.exit(main())
