"""Opening, losing and finding the connection again; and what stops a flow at its start."""

from __future__ import annotations

import asyncio
import socket
import ssl
from contextlib import closing
from pathlib import Path

import pytest

from workbench.emulator.pubsub import PubSubLimits, PubSubServer
from workbench.errors import (
    AuthenticationError,
    AuthorizationError,
    RequestRefusedError,
    SettingsError,
    TransportError,
    UsageError,
)
from workbench.salesforce import PublisherSettings, PublisherSink
from workbench.salesforce.pubsub_channel import trusted_roots

from .conftest import TOPIC, Org, batch_of, is_written, orders, summary


def free_port() -> int:
    with closing(socket.socket()) as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


@pytest.mark.parametrize("topic", ["/event/Nowhere__e", "/event/orderstatus__e"])
async def test_an_unknown_topic_stops_the_flow_at_its_start(org: Org, topic: str) -> None:
    with pytest.raises(AuthorizationError, match=f"{topic}.*check the topic's name"):
        await org.open(topic)


async def test_a_topic_that_may_not_be_published_to_names_user_and_mend(org: Org) -> None:
    org.topics.get(TOPIC).can_publish = False
    with pytest.raises(AuthorizationError, match=r"may not publish to /event/O.*Create right"):
        await org.open()


async def test_a_missing_right_is_told_after_one_new_session(org: Org) -> None:
    org.fault("pubsub-status:PERMISSION_DENIED,path=GetTopic")
    with pytest.raises(AuthorizationError, match="PERMISSION_DENIED"):
        await org.open()


async def test_a_session_that_is_never_accepted_is_told_with_its_likely_reasons(org: Org) -> None:
    org.fault("pubsub-status:UNAUTHENTICATED,path=GetTopic")
    with pytest.raises(AuthenticationError, match="api scope"):
        await org.open()


async def test_a_request_that_the_service_calls_wrong_is_refused(org: Org) -> None:
    org.fault("pubsub-status:INVALID_ARGUMENT,path=GetTopic")
    with pytest.raises(RequestRefusedError, match="INVALID_ARGUMENT"):
        await org.open()


async def test_nobody_at_the_address_is_told_with_the_address(org: Org) -> None:
    port = free_port()
    async with asyncio.timeout(5):
        with pytest.raises(TransportError, match=rf"127\.0\.0\.1:{port}.*refused") as caught:
            await org.open(endpoint=f"127.0.0.1:{port}")
    assert caught.value.sent is False


async def test_a_certificate_of_nobody_we_trust_is_told(org: Org) -> None:
    async with asyncio.timeout(8):
        with pytest.raises(TransportError, match=r"(?i)can't be reached.*(ssl|handshake|cert)"):
            await org.open(endpoint=f"https://{org.emulator.pubsub_tls_address}")


async def test_plain_text_is_for_this_machine_only() -> None:
    with pytest.raises(SettingsError, match="unencrypted"):
        PublisherSettings(TOPIC, "http://api.pubsub.salesforce.com:7443")


async def test_a_sink_without_a_client_only_shows() -> None:
    sink = PublisherSink(None, PublisherSettings(TOPIC))
    assert b"OrderStatus__e" in sink.request_of(batch_of(orders(1))).body
    with pytest.raises(UsageError):
        await sink.open()


async def test_an_idle_stream_that_the_service_closed_is_opened_again(org: Org) -> None:
    server = PubSubServer(org.emulator.org, limits=PubSubLimits(publish_idle_seconds=0.1))
    await server.start()
    sink = await org.open(endpoint=server.address)
    for number in range(4):
        assert is_written(await sink.write(batch_of(orders(1, start=number))))
        await asyncio.sleep(0.15)  # the idleness itself is what is tested
    assert org.on_bus() == ["0", "1", "2", "3"]
    await sink.aclose()
    await server.aclose()


async def test_our_own_idle_stream_is_closed_before_the_service_does(org: Org) -> None:
    sink = await org.open(idle_seconds=0.0)
    for number in range(3):
        assert is_written(await sink.write(batch_of(orders(1, start=number))))
    assert org.on_bus() == ["0", "1", "2"]


async def test_a_server_that_restarts_is_found_again(org: Org) -> None:
    server = PubSubServer(org.emulator.org)
    await server.start()
    sink = await org.open(endpoint=server.address)
    assert is_written(await sink.write(batch_of(orders(1))))
    await server.aclose()
    words = summary(await sink.write(batch_of(orders(1, start=1))))
    assert words[0].split()[0] in ("Unsent", "Unknown")
    assert summary(await sink.write(batch_of(orders(1, start=1)))) == ["Unsent NOT_SENT"]
    again = PubSubServer(org.emulator.org, port=server.port)
    await again.start()
    async with asyncio.timeout(10):
        while not is_written(await sink.write(batch_of(orders(1, start=2)))):  # noqa: ASYNC110
            await asyncio.sleep(0.05)  # the engine's wait between tries
    assert org.on_bus() == ["0", "2"]
    await sink.aclose()
    await again.aclose()


def test_roots_are_the_systems_or_grpcs_and_always_our_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "own.pem"
    own.write_bytes(b"our own")
    for system in (None, str(own)):
        paths = ssl.get_default_verify_paths()._replace(cafile=system, capath=None)
        monkeypatch.setattr(ssl, "get_default_verify_paths", lambda paths=paths: paths)
        assert trusted_roots("") == (None if system is None else b"our own")
        both = trusted_roots(str(own)) or b""
        assert both.endswith(b"our own")
        assert (both.count(b"BEGIN CERTIFICATE") > 50) == (system is None)
    with pytest.raises(SettingsError, match="nowhere"):
        trusted_roots(str(tmp_path / "nowhere.pem"))
