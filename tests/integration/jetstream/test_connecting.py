"""Connecting: who is let in, who is told what, and how fast."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import nkeys
import pytest
from nats.aio.client import Client

from tests.integration.jetstream.certificates import Authority
from tests.integration.jetstream.conftest import until
from tests.integration.jetstream.operators import operator
from workbench.errors import ConnectionLost, SettingsError, StreamError
from workbench.jetstream import Credentials, Tls, connect, load_credentials
from workbench.sandbox.nats import NatsServer

SECRET = "s3cret@/p"


async def _refusal(url: str, credentials: Credentials | None = None, within: float = 6.0) -> str:
    """Why there is no connection; said within bounded time."""
    started = asyncio.get_running_loop().time()
    with pytest.raises((ConnectionLost, StreamError, SettingsError)) as caught:
        await connect(url, credentials)
    assert asyncio.get_running_loop().time() - started < within
    assert SECRET not in str(caught.value)
    return str(caught.value)


async def _works(url: str, credentials: Credentials | None = None) -> None:
    connection = await connect(url, credentials)
    assert connection.is_connected
    await connection.api("INFO")
    await connection.aclose()
    await connection.aclose()  # closing twice is harmless


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def test_nothing_listens() -> None:
    port = _free_port()
    said = await _refusal(f"nats://127.0.0.1:{port}", within=1)
    assert f"127.0.0.1:{port}: connection refused" in said


async def test_a_name_that_does_not_resolve() -> None:
    assert "can't be resolved" in await _refusal("nats://nowhere.invalid:4222")


async def test_one_of_several_servers_is_enough(server: NatsServer) -> None:
    await _works(f"nats://127.0.0.1:{_free_port()},{server.url}")


async def test_every_server_is_told_of_when_none_takes_us() -> None:
    ports = _free_port(), _free_port()
    said = await _refusal(",".join(f"127.0.0.1:{port}" for port in ports))
    assert all(f"127.0.0.1:{port}: connection refused" in said for port in ports)


async def test_a_frozen_server(own_server: NatsServer) -> None:
    own_server.freeze()
    assert "did not answer" in await _refusal(own_server.url)


@asynccontextmanager
async def _listener(greeting: bytes) -> AsyncIterator[str]:
    """Something else that listens, and says this to everybody."""

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)
        try:
            while await reader.read(1000):
                pass
        except ConnectionError:
            pass
        finally:
            writer.close()

    listener = await asyncio.start_server(greet, "127.0.0.1", 0)
    async with listener:
        yield f"nats://127.0.0.1:{listener.sockets[0].getsockname()[1]}"


async def test_something_that_is_no_nats_server() -> None:
    async with _listener(b"220 smtp.example.org\r\n") as url:
        assert "is not a NATS server" in await _refusal(url)


async def test_a_server_older_than_2_10() -> None:
    info = {"server_id": "X", "version": "2.9.10", "max_payload": 1048576, "headers": True}
    greeting = b"INFO " + json.dumps(info).encode() + b"\r\nPONG\r\n"
    async with _listener(greeting) as url:
        said = await _refusal(url)
    assert "is 2.9.10: workbench needs 2.10 or later" in said


async def test_no_jetstream(tmp_path: Path) -> None:
    with NatsServer(tmp_path / "nats", jetstream=False) as server:
        assert "has no JetStream" in await _refusal(server.url)


async def test_user_and_password(tmp_path: Path) -> None:
    with NatsServer(tmp_path / "nats", user="ann", password=SECRET) as server:
        await _works(server.url, Credentials(user="ann", password=SECRET))
        encoded = server.url.replace("//", "//ann:s3cret%40%2Fp@")
        await _works(encoded)
        said = await _refusal(server.url, Credentials(user="ann", password=SECRET + "x"), 1)
        assert "does not accept user 'ann'" in said
        assert "wants credentials and we have none" in await _refusal(server.url, within=1)


async def test_token(tmp_path: Path) -> None:
    with NatsServer(tmp_path / "nats", token="t0ken") as server:
        await _works(server.url, Credentials(token="t0ken"))
        await _works(server.url.replace("//", "//t0ken@"))
        assert "does not accept the token" in await _refusal(server.url, Credentials(token="x"), 1)


def _user_seed() -> tuple[str, str]:
    """A fresh user nkey: seed and public key."""
    seed = nkeys.encode_seed(os.urandom(32), nkeys.PREFIX_BYTE_USER)
    pair = nkeys.from_seed(bytearray(seed))
    return seed.decode(), pair.public_key.decode()


async def test_nkey_from_the_file_form_of_the_seed_flows(tmp_path: Path) -> None:
    (seed, public), (other, _) = _user_seed(), _user_seed()
    file = tmp_path / "credentials.json"
    file.write_text(json.dumps({"nkey": {"seed": seed}}))
    with NatsServer(tmp_path / "nats", nkey=public) as server:
        await _works(server.url, load_credentials(file))
        assert "does not accept the nkey" in await _refusal(server.url, Credentials(seed=other), 1)


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
async def test_a_creds_file(tmp_path: Path, ends: str) -> None:
    config, creds = operator()
    _, stranger = operator()
    file = tmp_path / "user.creds"
    file.write_bytes(creds.replace("\n", ends).encode())
    other = tmp_path / "other.creds"
    other.write_text(stranger)
    with NatsServer(tmp_path / "nats", config) as server:
        await _works(server.url, load_credentials(file))
        said = await _refusal(server.url, load_credentials(other), 1)
        assert "does not accept the .creds" in said


async def test_tls_asked_of_a_server_without_is_refused_before_a_secret_leaves(
    server: NatsServer,
) -> None:
    said = await _refusal(server.url.replace("nats://", "tls://"), within=1)
    assert "TLS was asked for and this server offers none" in said
    said = await _refusal(server.url, Credentials(user="u", password=SECRET, tls=Tls()), 1)
    assert "offers none" in said


async def test_tls_verification(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    authority = Authority(tmp_path)
    cert, key = authority.issue("server")
    with NatsServer(tmp_path / "nats", tls_cert=cert, tls_key=key) as server:
        trusting = Credentials(tls=Tls(ca=authority.ca))
        await _works(server.url, trusting)
        assert "name its authority" in await _refusal(server.url)
        elsewhere = server.url.replace("127.0.0.1", "localhost")
        assert "by a name that the certificate holds" in await _refusal(elsewhere, trusting)
        # a server that insists on TLS gets it, verified, even where the URL does not say so
        assert "fails verification" in await _refusal(server.url.replace("tls:", "nats:"))
        connection = await connect(server.url, trusting)
    await until(lambda: not connection.is_connected)  # the server is gone, its socket ended
    await connection.aclose()
    assert "eof_received" not in caplog.text


async def test_tls_that_the_server_offers_but_does_not_ask_for_is_used(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    cert, key = authority.issue("server")
    with NatsServer(tmp_path / "nats", "allow_non_tls: true", tls_cert=cert, tls_key=key) as server:
        connection = await connect(server.url, Credentials(tls=Tls(ca=authority.ca)))
        writer = connection.client._transport._io_writer
        assert writer.get_extra_info("ssl_object") is not None
        await connection.aclose()


async def test_tls_before_the_first_word(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    cert, key = authority.issue("server")
    config = f'tls {{ cert_file: "{cert}", key_file: "{key}", handshake_first: true }}'
    with NatsServer(tmp_path / "nats", config) as server:
        await _works(server.url, Credentials(tls=Tls(ca=authority.ca, is_handshake_first=True)))
        said = await _refusal(server.url, Credentials(tls=Tls(ca=authority.ca)))
        assert "handshake_first" in said


async def test_client_certificates(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    cert, key = authority.issue("server")
    mine, my_key = authority.issue("me")
    with NatsServer(tmp_path / "nats", tls_cert=cert, tls_key=key, tls_ca=authority.ca) as server:
        tls = Tls(ca=authority.ca, cert=mine, key=my_key)
        await _works(server.url, Credentials(tls=tls))
        said = await _refusal(server.url, Credentials(tls=Tls(ca=authority.ca)))
        assert "certificate" in said


async def test_reconnects_with_the_same_demands_and_tells(own_server: NatsServer) -> None:
    changes: asyncio.Queue[tuple[str, str]] = asyncio.Queue()

    def on_change(state: str, detail: str) -> None:
        changes.put_nowait((state, detail))
        raise RuntimeError("a listener that raises must not break the connection")

    connection = await connect(own_server.url, on_change=on_change)
    own_server.kill()
    assert (await changes.get())[0] == "disconnected"
    assert (await changes.get())[0] == "retrying"
    own_server.start()
    while (await changes.get())[0] != "connected":
        pass
    await connection.api("INFO")
    await connection.aclose()


async def test_a_frozen_server_is_noticed_and_survived(
    own_server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workbench.jetstream.connection._WATCH_SECONDS", 0.3)
    changes: asyncio.Queue[str] = asyncio.Queue()
    connection = await connect(own_server.url, on_change=lambda state, _: changes.put_nowait(state))
    own_server.freeze()
    assert await asyncio.wait_for(changes.get(), 3) == "retrying"
    own_server.thaw()
    while await asyncio.wait_for(changes.get(), 6) != "connected":
        pass
    await connection.api("INFO")
    await connection.aclose()


async def test_closing_while_the_server_is_away(own_server: NatsServer) -> None:
    connection = await connect(own_server.url)
    own_server.kill()
    await until(lambda: not connection.is_connected)
    connection.client.write_soon(b"PUB x 0\r\n\r\n")
    await asyncio.wait_for(connection.aclose(), 5)


async def test_closing_ends_though_a_cancellation_meets_an_answer(
    server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `asyncio.wait_for` of Python 3.11 does it in nats-py, once in a great many times."""
    is_waiting = asyncio.Event()

    async def rtt(self: Client, timeout: float = 10) -> float:
        is_waiting.set()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(60)
        return 0.0

    monkeypatch.setattr(Client, "rtt", rtt)
    monkeypatch.setattr("workbench.jetstream.connection._WATCH_SECONDS", 0.01)
    connection = await connect(server.url)
    await is_waiting.wait()
    async with asyncio.timeout(5):
        await connection.aclose()
