"""What the border to the HTTP client promises beyond its exceptions."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.integration.salesforce.scripted import Asked, Scripted, answer
from workbench.errors import SettingsError, TransportError
from workbench.salesforce import Transport


async def test_a_proxy_of_the_environment_is_not_for_this_machine(
    org: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    org.handler = lambda asked: answer({})
    transport = Transport()
    reply = await transport.send("GET", org.url + "/x", {})
    await transport.aclose()
    assert reply.status == 200


async def test_header_names_have_no_case(org: Scripted) -> None:
    org.handler = lambda asked: answer({}, Sforce_Limit_Info="api-usage=1/2")
    transport = Transport()
    reply = await transport.send("GET", org.url + "/x", {})
    await transport.aclose()
    assert reply.headers.get("sforce-limit-info") == "api-usage=1/2"


async def test_redirects_are_not_followed(org: Scripted) -> None:
    """A write that is sent on to a login page would come back as a page with status 200."""
    org.handler = lambda asked: answer(status=302, body=b"", Location=org.url + "/elsewhere")
    transport = Transport()
    reply = await transport.send("POST", org.url + "/x", {}, b"{}")
    await transport.aclose()
    assert reply.status == 302
    assert len(org.asked) == 1


async def test_as_many_requests_are_in_flight_as_there_are_connections(org: Scripted) -> None:
    waiting, all_in = 0, asyncio.Event()

    async def hold(asked: Asked) -> bytes:
        nonlocal waiting
        waiting += 1
        if waiting == 5:
            all_in.set()
        await all_in.wait()
        return answer({})

    org.handler = hold
    transport = Transport(max_connections=5)
    await asyncio.gather(*(transport.send("GET", org.url + "/x", {}) for _ in range(5)))
    await transport.aclose()
    assert org.connections == 5


async def test_a_cancelled_request_gives_its_connection_back(org: Scripted) -> None:
    arrived, never = asyncio.Event(), asyncio.Event()

    async def hold(asked: Asked) -> bytes:
        arrived.set()
        await never.wait()
        return b""

    org.handler = hold
    transport = Transport(max_connections=1)
    task = asyncio.create_task(transport.send("GET", org.url + "/x", {}))
    await arrived.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    org.handler = lambda asked: answer({})
    assert (await transport.send("GET", org.url + "/x", {})).status == 200
    never.set()
    await transport.aclose()


async def test_a_server_that_went_away_while_idle_costs_nothing(org: Scripted) -> None:
    """The closed connection is noticed before the next request is put on it."""
    closing = answer({}, Connection="close")
    org.handler = lambda asked: closing
    transport = Transport()
    for _ in range(3):
        assert (await transport.send("POST", org.url + "/x", {}, b"{}")).status == 200
    await transport.aclose()


async def test_a_ca_file_without_certificates_is_named(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.write_text("nothing")
    transport = Transport(ca_file=str(file))
    with pytest.raises(SettingsError, match=r"ca\.pem"):
        await transport.send("GET", "https://127.0.0.1:9/x", {})
    await transport.aclose()


async def test_a_name_that_nobody_knows_is_told_without_numbers() -> None:
    transport = Transport()
    with pytest.raises(TransportError, match="invalid cannot be reached: its name") as error:
        await transport.send("GET", "http://nowhere.invalid/x", {})
    await transport.aclose()
    assert not error.value.sent


async def test_nobody_listening_is_not_sent() -> None:
    transport = Transport()
    with pytest.raises(TransportError, match="reached: connection refused: nothing") as error:
        await transport.send("GET", "http://127.0.0.1:9/x", {})
    await transport.aclose()
    assert not error.value.sent
