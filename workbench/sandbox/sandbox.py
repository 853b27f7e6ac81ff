"""nats-server and the Salesforce emulator as one thing with one life."""

from __future__ import annotations

import asyncio
import json
import shutil
import tempfile
import urllib.error
import urllib.request
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.sandbox.environment import (
    render_environment,
    write_private,
    write_salesforce_credentials,
)
from workbench.sandbox.nats import NatsServer, NatsServerError
from workbench.sandbox.nkey import new_user_key
from workbench.sandbox.process import EmulatorProcess, SandboxError

__all__ = ["Sandbox", "SandboxOptions"]

_CONTROL_SECONDS = 60.0
_WATCH_SECONDS = 0.5

# A client may show the key of NATS_CREDENTIALS, and is refused with a wrong one, or show nothing
# at all: the server listens on loopback only, and any program shall be able to use it.
_NATS_CONFIG = """
authorization {{ users: [ {{ nkey: {public_key} }}, {{ user: sandbox, password: sandbox }} ] }}
no_auth_user: sandbox
"""


@dataclass(frozen=True, slots=True)
class SandboxOptions:
    """How a sandbox is to be.

    Attributes:
        env_file: where its environment is written once everything answers; removed at the end.
        salesforce_port, pubsub_port, nats_port: 0 for a free one.
        with_nats: False leaves nats-server out.
        objects: YAML that declares more sObjects and platform events.
        faults: switched on from the start, in the emulator's own words (`latency:150ms`).
        pubsub: False leaves the gRPC half out, and its import.
    """

    env_file: Path | None = None
    salesforce_port: int = 0
    pubsub_port: int = 0
    nats_port: int = 0
    with_nats: bool = True
    objects: Path | None = None
    faults: Sequence[str] = ()
    pubsub: bool = True


class Sandbox:
    """Use it as `async with Sandbox() as sandbox`; everything it made is gone afterwards.

    `environment` holds what its env file holds: addresses, and where the credentials lie. `nats`
    is the server, None where it was left out.
    """

    def __init__(self, options: SandboxOptions | None = None) -> None:
        self.options = options or SandboxOptions()
        self.environment: dict[str, str] = {}
        self.nats: NatsServer | None = None
        self._emulator: EmulatorProcess | None = None
        self._stack = AsyncExitStack()

    async def start(self) -> None:
        """Start everything; when a part fails, what was started is gone again.

        Raises:
            SandboxError: a part did not start.
        """
        async with AsyncExitStack() as stack:
            folder = Path(tempfile.mkdtemp(prefix="workbench-sandbox-"))
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
            await self._start(folder, stack)
            self._stack = stack.pop_all()

    async def aclose(self) -> None:
        """End everything; may be called twice."""
        await self._stack.aclose()

    async def __aenter__(self) -> Sandbox:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def _start(self, folder: Path, stack: AsyncExitStack) -> None:
        options = self.options
        self._emulator = EmulatorProcess(
            folder,
            {
                "folder": str(folder),
                "salesforce_port": options.salesforce_port,
                "pubsub_port": options.pubsub_port,
                "objects": str(options.objects.resolve()) if options.objects else None,
                "faults": list(options.faults),
                "pubsub": options.pubsub,
            },
        )
        stack.push_async_callback(self._emulator.aclose)
        starting = asyncio.ensure_future(self._emulator.start())
        try:
            nats = self._start_nats(folder, stack) if options.with_nats else {}
        finally:
            # Whatever became of NATS: wait, so that there is something to close.
            await starting
        emulator = self._emulator.addresses
        credentials = folder / "salesforce.json"
        write_salesforce_credentials(
            credentials,
            login_url=emulator["SF_LOGIN_URL"],
            client_id=emulator["SF_CLIENT_ID"],
            client_secret=emulator["SF_CLIENT_SECRET"],
            username=emulator["SF_USERNAME"],
            password=emulator["SF_PASSWORD"],
        )
        self.environment = {**nats, **emulator, "SF_CREDENTIALS": str(credentials)}
        if options.env_file is not None:
            try:
                write_private(options.env_file, self.describe())
            except OSError as error:
                raise SandboxError(
                    f"{options.env_file} can't be written: {error.strerror}"
                ) from error
            stack.callback(options.env_file.unlink, missing_ok=True)

    def _start_nats(self, folder: Path, stack: AsyncExitStack) -> dict[str, str]:
        """Start nats-server, in this thread: it dies with the thread that started it."""
        seed, public_key = new_user_key()
        try:
            server = NatsServer(
                folder / "nats",
                config=_NATS_CONFIG.format(public_key=public_key),
                port=self.options.nats_port or None,
            )
            stack.callback(server.stop)
            server.start()
        except NatsServerError as error:
            raise SandboxError(str(error)) from error
        self.nats = server
        credentials = folder / "nats.json"
        write_private(credentials, json.dumps({"nkey": {"seed": seed}}, indent=2) + "\n")
        return {"NATS_URL": server.url, "NATS_CREDENTIALS": str(credentials)}

    def describe(self) -> str:
        """`KEY=value` lines: how to reach it."""
        return render_environment(self.environment)

    async def wait(self, stop: asyncio.Event) -> None:
        """Return when `stop` is set.

        Raises:
            SandboxError: a part ended by itself.
        """
        while not stop.is_set():
            if self.nats is not None and self.nats.pid is None:
                raise SandboxError(f"nats-server ended by itself; see {self.nats.log_path}")
            if self._emulator is not None and not self._emulator.is_running:
                raise SandboxError("the Salesforce emulator ended by itself")
            try:
                async with asyncio.timeout(_WATCH_SECONDS):
                    await stop.wait()
            except TimeoutError:
                continue

    async def rows(self, sobject: str) -> list[dict[str, Any]]:
        """Every record of an sObject, oldest first.

        Raises:
            SandboxError: the emulator does not know the object, or does not answer.
        """
        rows: list[dict[str, Any]] = []
        while True:
            page = await self.control("GET", f"/emulator/records/{sobject}?offset={len(rows)}")
            rows += page["records"]
            if not page["records"] or len(rows) >= page["total"]:
                return rows

    async def control(self, method: str, path: str, body: Any = None) -> Any:
        """Ask the emulator's control endpoint (`/emulator/...`); the answer's JSON.

        Raises:
            SandboxError: it refused, or is not there; its words are quoted.
        """
        return await asyncio.to_thread(self._control, method, path, body)

    def _control(self, method: str, path: str, body: Any) -> Any:
        request = urllib.request.Request(
            self.environment["SF_LOGIN_URL"] + path,
            data=None if body is None else json.dumps(body).encode(),
            method=method,
            headers={"Content-Type": "application/json"},
        )
        # Never through a proxy: it is on this machine.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=_CONTROL_SECONDS) as answer:
                return json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            with error:
                words = error.read(500).decode(errors="replace")
            raise SandboxError(f"{method} {path}: the emulator says {words}") from error
        except OSError as error:
            raise SandboxError(f"{method} {path}: the emulator does not answer: {error}") from error
