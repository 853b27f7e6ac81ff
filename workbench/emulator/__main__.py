"""The emulator alone: `python -m workbench.emulator --port 8080 --fault lock:0.05`."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from pathlib import Path

from . import Credentials, DeclarationError, Emulator, EmulatorOptions, FaultError
from .assumptions import as_markdown
from .certificates import rsa_public_key
from .org import DAILY_CALLS


def main() -> int:
    """Run until SIGINT or SIGTERM; 2 where the options cannot be used, 3 where a port is taken."""
    options = _options(sys.argv[1:])
    try:
        emulator = Emulator(options)
    except (DeclarationError, FaultError) as error:
        print(error, file=sys.stderr)
        return 2
    try:
        asyncio.run(_serve(emulator))
    except OSError as error:
        print(f"The emulator cannot listen: {error}", file=sys.stderr)
        return 3
    return 0


def _options(arguments: list[str]) -> EmulatorOptions:
    parser = argparse.ArgumentParser(
        prog="python -m workbench.emulator", description="A Salesforce org that is not there."
    )
    ports = "free unless given"
    parser.add_argument("--port", type=int, default=0, help=f"plain HTTP; {ports}")
    parser.add_argument("--tls-port", type=int, default=0, help=f"HTTPS; {ports}")
    parser.add_argument("--pubsub-port", type=int, default=0, help=f"gRPC; {ports}")
    parser.add_argument("--pubsub-tls-port", type=int, default=0, help=f"gRPC with TLS; {ports}")
    parser.add_argument("--no-tls", action="store_true", help="no HTTPS, no certificates")
    parser.add_argument("--no-pubsub", action="store_true", help="no gRPC")
    parser.add_argument(
        "--objects",
        action="append",
        default=[],
        metavar="FILE",
        help="YAML file that adds objects and events; may be repeated",
    )
    parser.add_argument(
        "--fault",
        action="append",
        default=[],
        metavar="FAULT",
        help="for example lock:0.05 or status:503:0.1; may be repeated",
    )
    parser.add_argument(
        "--daily-calls",
        type=int,
        default=DAILY_CALLS,
        metavar="N",
        help=f"API calls until the daily limit (default {DAILY_CALLS})",
    )
    parser.add_argument("--folder", type=Path, help="where certificates are written")
    parser.add_argument(
        "--jwt-certificate",
        action="append",
        default=[],
        type=Path,
        metavar="FILE",
        help="PEM certificate or public key that the JWT grant trusts",
    )
    parser.add_argument(
        "--assumptions",
        action="store_true",
        help="print what the emulator assumes about Salesforce, and leave",
    )
    given = parser.parse_args(arguments)
    if given.assumptions:
        print(as_markdown())
        parser.exit()
    try:
        trusted = [path.read_bytes() for path in given.jwt_certificate]
        for pem in trusted:
            rsa_public_key(pem)
    except (OSError, ValueError) as error:
        parser.error(f"--jwt-certificate: {error}")
    return EmulatorOptions(
        port=given.port,
        tls_port=given.tls_port,
        pubsub_port=given.pubsub_port,
        pubsub_tls_port=given.pubsub_tls_port,
        tls=not given.no_tls,
        pubsub=not given.no_pubsub,
        objects=tuple(given.objects),
        faults=tuple(given.fault),
        daily_calls=given.daily_calls,
        folder=given.folder,
        credentials=Credentials(jwt_certificates=trusted),
    )


async def _serve(emulator: Emulator) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with emulator:
        # KEY=value lines that say how to reach it, in the words of the sandbox's.
        print("\n".join(f"{key}={value}" for key, value in emulator.addresses.items()), flush=True)
        await stop.wait()


if __name__ == "__main__":
    sys.exit(main())
