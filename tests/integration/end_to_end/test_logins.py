"""Every way to log in, TLS on both sides, and sessions that end in mid-run."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.integration.end_to_end.world import World, contacts, until
from tests.integration.jetstream.certificates import Authority
from workbench.emulator import Emulator
from workbench.errors import (
    AuthenticationError,
    AuthorizationError,
    SettingsError,
    TransportError,
)
from workbench.jetstream import Credentials, connect, load_credentials
from workbench.observe import BatchAnswered
from workbench.sandbox.nats import NatsServer


async def runs(world: World, credentials: Path) -> None:
    """The flow writes with this login."""
    async with world.running(world.flow(credentials=credentials)) as running:
        await world.publish(*contacts(5))
        await world.settled(running)
    world.expect(contacts(5))
    assert world.org.sessions.issued == 1


async def test_username_and_password_in_the_seeds_form_log_in(world: World) -> None:
    await runs(world, world.credentials)


async def test_client_credentials_log_in(world: World) -> None:
    await runs(world, world.write_credentials("cc.json"))


async def test_a_signed_jwt_logs_in(world: World) -> None:
    key = world.emulator.jwt_private_key.decode()
    given = {"username": world.emulator.username, "private_key": key, "client_secret": None}
    await runs(world, world.write_credentials("jwt.json", **given))


async def test_a_private_key_beside_the_credentials_file_is_found(world: World) -> None:
    (world.folder / "key.pem").write_bytes(world.emulator.jwt_private_key)
    given = {"username": world.emulator.username, "private_key_path": "key.pem"}
    await runs(world, world.write_credentials("jwt.json", **given))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"client_secret": "wrong"}, "client"),
        ({"username": "nobody@example.com", "password": "x"}, "authentication failure"),
    ],
)
async def test_a_wrong_login_ends_the_start_with_a_sentence_that_shows_no_secret(
    world: World, given: dict[str, str], said: str
) -> None:
    with pytest.raises(AuthenticationError, match=said) as error:
        async with world.running(
            world.flow(credentials=world.write_credentials("w.json", **given))
        ):
            pass
    assert world.emulator.client_secret not in str(error.value)


# -- TLS ---------------------------------------------------------------------------------------


@pytest.fixture
async def tls_world(server: NatsServer, tmp_path: Path) -> AsyncIterator[World]:
    async with Emulator() as emulator:
        connection = await connect(server.url, None)
        yield World(connection, server.url, emulator, tmp_path)
        await connection.aclose()


async def test_salesforce_over_tls_with_a_certificate_authority_of_our_own(
    tls_world: World,
) -> None:
    given = {"login_url": tls_world.emulator.tls_url, "ca_file": str(tls_world.emulator.ca_file)}
    await runs(tls_world, tls_world.write_credentials("tls.json", **given))


async def test_a_certificate_nobody_vouches_for_is_refused_before_a_secret_leaves(
    tls_world: World,
) -> None:
    path = tls_world.write_credentials("tls.json", login_url=tls_world.emulator.tls_url)
    with pytest.raises(TransportError, match="certificate"):
        async with tls_world.running(tls_world.flow(credentials=path)):
            pass
    assert tls_world.org.sessions.issued == 0


async def test_a_login_over_plain_http_to_another_machine_is_refused(world: World) -> None:
    path = world.write_credentials("p.json", login_url="http://salesforce.example.com")
    with pytest.raises(SettingsError, match="https"):
        async with world.running(world.flow(credentials=path)):
            pass


async def test_nats_over_tls_with_a_client_certificate(emulator: Emulator, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    cert, key = authority.issue("server")
    mine, my_key = authority.issue("me")
    tls = {"ca": str(authority.ca), "cert": str(mine), "key": str(my_key)}
    path = tmp_path / "nats.json"
    path.write_text(json.dumps({"tls": tls}))
    with NatsServer(tmp_path / "n", tls_cert=cert, tls_key=key, tls_ca=authority.ca) as server:
        connection = await connect(server.url, load_credentials(path))
        world = World(connection, server.url, emulator, tmp_path)
        async with world.running(world.flow(nats_credentials=path)) as running:
            await world.publish(*contacts(5))
            await world.settled(running)
        world.expect(contacts(5))
        await connection.aclose()


async def test_nats_with_user_and_password(emulator: Emulator, tmp_path: Path) -> None:
    path = tmp_path / "nats.json"
    path.write_text(json.dumps({"user": "ada", "password": "pa55word"}))
    with NatsServer(tmp_path / "n", user="ada", password="pa55word") as server:
        connection = await connect(server.url, Credentials(user="ada", password="pa55word"))
        world = World(connection, server.url, emulator, tmp_path)
        async with world.running(world.flow(nats_credentials=path)) as running:
            await world.publish(*contacts(5))
            await world.settled(running)
        world.expect(contacts(5))
        await connection.aclose()


# -- sessions ----------------------------------------------------------------------------------


async def test_a_session_that_ends_in_mid_run_is_renewed_once_for_all_requests(
    world: World,
) -> None:
    flow = world.flow(source={"max_messages": 500})
    async with world.running(flow) as running:
        await world.publish(*contacts(10))
        await world.settled(running)
        assert world.org.sessions.issued == 1
        # Eight requests are under way when the session ends, and all are refused with it.
        world.fault("latency:50ms")
        await world.publish(*(contacts(200, start) for start in range(1_000, 2_600, 200)))
        await until(lambda: running.engine.snapshot().stages[0].in_flight == 8)
        world.org.sessions.expire_all()
        await world.settled(running)
        assert all(deliveries == 1 for _, deliveries in running.deliveries)
    assert world.org.sessions.issued == 2
    assert world.failed == []
    world.expect([*contacts(10), *contacts(1_600, 1_000)])


async def test_sessions_that_end_all_the_time_only_cost_logins(world: World) -> None:
    async with world.running() as running:
        await world.publish(contacts(1))
        await world.settled(running)
        world.fault("expire,every=7")
        for start in range(0, 4_000, 200):
            await world.publish(*contacts(200, start))
        await world.settled(running)
        assert len(running.seen(BatchAnswered)) >= 20
    assert world.failed == []
    world.expect(contacts(4_000))


async def test_a_session_that_rest_does_not_take_ends_the_flow_and_keeps_the_events(
    world: World,
) -> None:
    async def run() -> None:
        async with world.running() as running:
            world.fault("policy:rest")
            await world.publish(*contacts(5))
            await until(running.run.done)

    with pytest.raises(AuthorizationError, match="not valid for use with the REST API"):
        await run()
    assert (await world.info()).lag == 5
    assert world.failed == []
    world.fault()
    async with world.running() as running:
        await world.settled(running)
    world.expect(contacts(5))
