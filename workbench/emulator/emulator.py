"""The emulator as one thing to start and stop."""

from __future__ import annotations

import tempfile
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .bus import HOURLY_EVENTS
from .certificates import TlsFiles, jwt_key_pair, make_tls_files, server_context
from .faults import Faults
from .objects import load_schema
from .org import DAILY_CALLS, Credentials, Org
from .pubsub_limits import PubSubLimits

if TYPE_CHECKING:
    from .pubsub import PubSubServer

__all__ = ["Emulator", "EmulatorOptions"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EmulatorOptions:
    """How an emulator is set up. Ports of 0 mean free ones."""

    port: int = 0
    """Plain HTTP."""
    tls_port: int = 0
    pubsub_port: int = 0
    """gRPC, plaintext."""
    pubsub_tls_port: int = 0
    tls: bool = True
    pubsub: bool = False
    """Whether Pub/Sub is served too; it needs grpc, which takes longer to import."""
    objects: tuple[str | Path, ...] = ()
    """YAML files that add objects and events; their form is in objects.py."""
    faults: tuple[str, ...] = ()
    """Texts of the form in faults.py."""
    daily_calls: int = DAILY_CALLS
    hourly_events: int = HOURLY_EVENTS
    pubsub_limits: PubSubLimits = field(default_factory=PubSubLimits)
    """Sizes and times of Pub/Sub, for those who cannot wait for an idle stream's 1,800 s."""
    folder: Path | None = None
    """Where certificates are written; None for a temporary folder, removed at the end."""
    credentials: Credentials = field(default_factory=Credentials)


class Emulator:
    """A Salesforce org on loopback. `org` is its state, shared by all listeners.

    Everything is on one event loop. After `start` the addresses below are filled in.
    """

    def __init__(self, options: EmulatorOptions | None = None) -> None:
        """Read the declarations and the faults.

        Raises:
            DeclarationError: a file of objects that cannot be used.
            FaultError: a fault that cannot be understood.
        """
        self.options = options or EmulatorOptions()
        self.org = Org(
            load_schema(*self.options.objects),
            credentials=self.options.credentials,
            daily_calls=self.options.daily_calls,
            hourly_events=self.options.hourly_events,
            faults=Faults(self.options.faults),
        )
        self.login_url = ""
        """`http://127.0.0.1:port`, without a slash at the end."""
        self.tls_url = ""
        """`https://localhost:port`; empty without TLS."""
        self.ca_file: Path | None = None
        """PEM file to trust for `tls_url` and `pubsub_tls_address`; None without TLS."""
        self.pubsub_address = ""
        """`127.0.0.1:port`; empty without Pub/Sub."""
        self.pubsub_tls_address = ""
        self.pubsub: PubSubServer | None = None
        self._stack: AsyncExitStack | None = None

    @property
    def client_id(self) -> str:
        """Consumer key of the one connected app."""
        return self.org.credentials.client_id

    @property
    def client_secret(self) -> str:
        """Consumer secret of the one connected app."""
        return self.org.credentials.client_secret

    @property
    def username(self) -> str:
        """The one user's name."""
        return self.org.credentials.username

    @property
    def password(self) -> str:
        """The one user's password; no security token is to be added."""
        return self.org.credentials.password

    @property
    def jwt_private_key(self) -> bytes:
        """PEM of a private key whose certificate the JWT grant trusts. Made at first use."""
        private, certificate = jwt_key_pair()
        if certificate not in self.org.credentials.jwt_certificates:
            self.org.credentials.jwt_certificates.append(certificate)
        return private

    @property
    def addresses(self) -> dict[str, str]:
        """How to reach it and log in, by the names that the sandbox's variables have; without what
        is switched off."""
        values = {
            "SF_LOGIN_URL": self.login_url,
            "SF_TLS_URL": self.tls_url,
            "SF_CA_FILE": str(self.ca_file or ""),
            "SF_CLIENT_ID": self.client_id,
            "SF_CLIENT_SECRET": self.client_secret,
            "SF_USERNAME": self.username,
            "SF_PASSWORD": self.password,
            "PUBSUB_ADDR": self.pubsub_address,
            "PUBSUB_TLS_ADDR": self.pubsub_tls_address,
        }
        return {name: value for name, value in values.items() if value}

    async def start(self) -> None:
        """Listen on everything asked for.

        Raises:
            OSError: a port is taken; nothing listens then.
        """
        if self._stack is not None:
            raise RuntimeError("The emulator is already started.")
        async with AsyncExitStack() as stack:
            files = self._make_certificates(stack)
            await self._start_http(stack, files)
            if self.options.pubsub:
                await self._start_pubsub(stack, files)
            self._stack = stack.pop_all()

    async def aclose(self) -> None:
        """Stop listening and cut what is open. May be called twice."""
        stack, self._stack = self._stack, None
        if stack is not None:
            await stack.aclose()

    async def __aenter__(self) -> Emulator:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def _make_certificates(self, stack: AsyncExitStack) -> TlsFiles | None:
        if not self.options.tls:
            return None
        folder = self.options.folder
        if folder is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="emulator-")))
        files = make_tls_files(folder)
        self.ca_file = files.ca
        return files

    async def _start_http(self, stack: AsyncExitStack, files: TlsFiles | None) -> None:
        from .server import HttpServer, listen

        sockets: list[tuple[Any, Any]] = [(stack.enter_context(listen(self.options.port)), None)]
        if files is not None:
            listening = stack.enter_context(listen(self.options.tls_port))
            sockets.append((listening, server_context(files)))
        server = HttpServer(self.org)
        stack.push_async_callback(server.aclose)
        await server.start(sockets)
        ports = [listening.getsockname()[1] for listening, _ in sockets]
        self.login_url = f"http://127.0.0.1:{ports[0]}"
        self.tls_url = f"https://localhost:{ports[1]}" if files is not None else ""

    async def _start_pubsub(self, stack: AsyncExitStack, files: TlsFiles | None) -> None:
        from .pubsub import PubSubServer

        server = PubSubServer(
            self.org,
            tls=files,
            port=self.options.pubsub_port,
            tls_port=self.options.pubsub_tls_port,
            limits=self.options.pubsub_limits,
        )
        await server.start()
        stack.push_async_callback(server.aclose)
        self.pubsub = server
        self.pubsub_address = server.address
        self.pubsub_tls_address = server.tls_address or ""
