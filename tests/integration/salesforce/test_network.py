"""The connections underneath: what breaks on real sockets, and what the request is told of it."""

from __future__ import annotations

import asyncio
import base64
import gzip

import pytest

from tests.integration.salesforce.scripted import Asked, Scripted, answer
from workbench.errors import TransportError
from workbench.salesforce import Timeouts, Transport

PROXIES = ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")


@pytest.fixture
async def transport() -> Transport:
    return Transport(timeouts=Timeouts(connect=5, write=0.2, read=5, pool=5))


def through(monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    for name in (*PROXIES, "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, proxy)


async def test_bodies_of_megabytes_arrive_whole_both_ways(
    org: Scripted, transport: Transport
) -> None:
    """More than is read ahead, and more than the kernel takes at once."""
    body = bytes(range(256)) * 16_000
    org.handler = lambda asked: answer(body=asked.body[::-1])
    for _ in range(3):
        reply = await transport.send("POST", org.url + "/x", {}, body)
        assert reply.body == body[::-1]
    await transport.aclose()
    assert org.connections == 1


async def test_a_server_that_takes_nothing_more_is_a_write_timeout(transport: Transport) -> None:
    """Part of the request has left, so nobody may say that it was not sent."""
    never = asyncio.Event()

    async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await never.wait()
        writer.close()

    server = await asyncio.start_server(deaf, "127.0.0.1", 0, limit=1024)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(TransportError, match="did not take the request") as error:
        await transport.send("POST", f"http://127.0.0.1:{port}/x", {}, bytes(40_000_000))
    assert error.value.sent
    await transport.aclose()
    never.set()
    server.close()


async def test_a_connection_that_the_server_closed_without_a_word_is_not_used_again(
    org: Scripted, transport: Transport
) -> None:
    """`create` must not end as unknown because a server tidied up its idle connections."""
    sockets: list[asyncio.StreamWriter] = []

    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        sockets.append(writer)
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer({}))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(once, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/x"
    for _ in range(3):
        assert (await transport.send("GET", url, {})).status == 200
        await sockets[-1].wait_closed()
    await transport.aclose()
    server.close()
    assert len(sockets) == 3


async def test_an_answer_that_breaks_off_leaves_the_outcome_open(
    org: Scripted, transport: Transport
) -> None:
    org.handler = lambda asked: answer({"a": 1})[:-3]
    with pytest.raises(TransportError, match="broke the answer off") as error:
        await transport.send("POST", org.url + "/x", {}, b"{}")
    assert error.value.sent
    await transport.aclose()


async def test_a_compressed_answer_is_read_and_a_cut_off_one_told(
    org: Scripted, transport: Transport
) -> None:
    packed = gzip.compress(b"hello" * 100)
    org.handler = lambda asked: answer(body=packed, Content_Encoding="gzip")
    assert (await transport.send("GET", org.url + "/x", {})).body == b"hello" * 100
    for broken in (packed[:-5], b"no gzip"):
        org.handler = lambda asked, body=broken: answer(body=body, Content_Encoding="gzip")
        with pytest.raises(TransportError, match="cannot be decompressed") as error:
            await transport.send("GET", org.url + "/x", {})
        assert error.value.sent
    await transport.aclose()


async def test_tls_to_a_server_without_it_fails_at_once_and_unsent(
    org: Scripted, transport: Transport
) -> None:
    with pytest.raises(TransportError) as error:
        await transport.send("POST", org.url.replace("http:", "https:") + "/x", {}, b"{}")
    assert not error.value.sent
    assert not org.asked
    await transport.aclose()


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/x", "nonsense", "http://", "http://a:b/x", "//x"])
async def test_what_is_no_address_is_a_sentence(transport: Transport, url: str) -> None:
    with pytest.raises(TransportError, match="is not an address") as error:
        await transport.send("GET", url, {})
    assert not error.value.sent
    await transport.aclose()


async def test_a_proxy_carries_the_request_and_is_told_who_asks(
    org: Scripted, transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    through(monkeypatch, org.url.replace("//", "//ann:s%2Fcret@"))
    org.handler = lambda asked: answer({})
    reply = await transport.send("GET", "http://acme.salesforce.test/x?y=1", {"A": "b"})
    await transport.aclose()
    assert reply.status == 200
    (asked,) = org.asked
    assert asked.target == "http://acme.salesforce.test/x?y=1"
    assert asked.headers["host"] == "acme.salesforce.test"
    told = asked.headers["proxy-authorization"].removeprefix("Basic ")
    assert base64.b64decode(told) == b"ann:s/cret"


async def test_a_proxy_that_refuses_the_tunnel_got_nothing_of_the_request(
    org: Scripted, transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    through(monkeypatch, org.url)
    seen: list[Asked] = []

    def refuse(asked: Asked) -> bytes:
        seen.append(asked)
        return answer({}, 403)

    org.handler = refuse
    headers = {"Authorization": "Bearer secret"}
    with pytest.raises(TransportError, match="proxy refused") as error:
        await transport.send("POST", "https://acme.salesforce.test/x", headers, b"{}")
    await transport.aclose()
    assert not error.value.sent
    assert [asked.method for asked in seen] == ["CONNECT"]
    assert "secret" not in str(seen)


async def test_a_proxy_of_another_kind_is_refused_with_a_sentence(
    transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    through(monkeypatch, "socks5://127.0.0.1:9")
    with pytest.raises(TransportError, match="not socks5") as error:
        await transport.send("GET", "http://acme.salesforce.test/x", {})
    assert not error.value.sent
    await transport.aclose()
