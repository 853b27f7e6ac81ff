"""HTTP itself: versions, headers, encodings, sizes, TLS, ports."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import ssl
import zlib
from pathlib import Path

import aiohttp
import pytest

from workbench.emulator import Emulator, EmulatorOptions

from .conftest import ROOT, UPSERT, Client, code, codes, contacts

ROW = {"ExternalId__c": "a", "LastName": "X"}


async def test_versions_need_no_session_and_are_not_metered(client: Client) -> None:
    for path in ("/services/data", "/services/data/"):
        reply = await client.call("GET", path, headers={"Authorization": ""})
        assert reply.body[-1] == {
            "version": "68.0",
            "label": "Winter '27",
            "url": "/services/data/v68.0",
        }
        assert reply.body[0]["version"] == "31.0"
        assert "Sforce-Limit-Info" not in reply.headers


async def test_slashes_before_services_are_one(client: Client) -> None:
    assert (await client.call("GET", f"/{ROOT}/limits")).status == 200
    assert (await client.call("GET", "//services/data")).body[-1]["version"] == "68.0"
    assert (await client.call("GET", "//services/oauth2/userinfo")).body["active"] is True


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/services/data/v30.0/limits", 410),
        ("/services/data/v69.0/limits", 404),
        ("/services/data/68/limits", 404),
        ("/services/data/vx.0/limits", 404),
        ("/services/nothing", 404),
        ("/", 404),
        (f"{ROOT}/nothing", 404),
        ("/services/data/v41.0/composite/sobjects", 404),
    ],
)
async def test_what_is_not_there(client: Client, path: str, status: int) -> None:
    reply = await client.call("GET", path)
    assert reply.status == status
    assert isinstance(reply.body, list)


async def test_resources_and_limits(client: Client) -> None:
    resources = (await client.call("GET", f"{ROOT}/")).body
    assert resources["composite"] == f"{ROOT}/composite"
    limits = (await client.call("GET", "limits/")).body
    assert limits["DailyApiRequests"]["Max"] - limits["DailyApiRequests"]["Remaining"] == 2
    assert (await client.call("GET", "composite")).body["tree"] == f"{ROOT}/composite/tree"


@pytest.mark.parametrize(("pack", "name"), [(gzip.compress, "gzip"), (zlib.compress, "deflate")])
async def test_packed_requests_are_understood(client: Client, pack: object, name: str) -> None:
    body = json.dumps(contacts(ROW)).encode()
    headers = {"Content-Encoding": name, "Content-Type": "application/json"}
    reply = await client.call("PATCH", UPSERT, data=pack(body), headers=headers)  # type: ignore[operator]
    assert codes(reply) == [None]


async def test_a_body_that_cannot_be_unpacked_ends_its_connection_openly(client: Client) -> None:
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    reply = await client.call("PATCH", UPSERT, data=b"not gzip", headers=headers)
    assert (reply.status, code(reply)) == (400, "POST_BODY_PARSE_ERROR")
    assert reply.headers["Connection"] == "close"
    assert (await client.call("GET", "limits")).status == 200


async def test_answers_are_packed_only_when_asked(client: Client) -> None:
    packed = await client.call(
        "GET", "sobjects/Contact/describe", headers={"Accept-Encoding": "gzip"}
    )
    plain = await client.call(
        "GET", "sobjects/Contact/describe", headers={"Accept-Encoding": "identity"}
    )
    assert packed.headers["Content-Encoding"] == "gzip"
    assert "Content-Encoding" not in plain.headers
    assert packed.body == plain.body


@pytest.mark.parametrize("body", [b"{", b'{"records": [', b"\xff", b"", b"[1]", b'"x"'])
async def test_a_body_that_is_no_json_object_is_a_parser_error(client: Client, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    reply = await client.call("PATCH", UPSERT, data=body, headers=headers)
    assert (reply.status, code(reply)) == (400, "JSON_PARSER_ERROR")


async def test_a_body_that_is_not_what_its_encoding_says_is_400(client: Client) -> None:
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    reply = await client.call("PATCH", UPSERT, data=b"hello", headers=headers)
    assert (reply.status, code(reply)) == (400, "POST_BODY_PARSE_ERROR")


async def test_a_client_that_waits_to_be_asked_for_its_body_is_asked(client: Client) -> None:
    body = json.dumps(contacts(ROW)).encode()
    port = client.emulator.login_url.rpartition(":")[2]
    reader, writer = await asyncio.open_connection("127.0.0.1", int(port))
    head = (
        f"PATCH {UPSERT} HTTP/1.1\r\nHost: localhost:{port}\r\nExpect: 100-continue\r\n"
        f"Authorization: {client.headers['Authorization']}\r\nConnection: close\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    writer.write(head.encode())
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(body)
    answer = await reader.read()
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert b'"success":true' in answer
    writer.close()
    await writer.wait_closed()


async def test_media_types_other_than_json_are_refused(client: Client) -> None:
    xml = await client.call("PATCH", UPSERT, data=b"<a/>", headers={"Content-Type": "text/xml"})
    assert xml.status == 415
    accept = await client.call("GET", "limits", headers={"Accept": "application/xml"})
    assert accept.status == 406
    for good in ("*/*", "application/json; charset=utf-8", "text/html, */*;q=0.1"):
        assert (await client.call("GET", "limits", headers={"Accept": good})).status == 200


async def test_a_uri_may_have_sixteen_kilobytes(client: Client) -> None:
    ids = ",".join(["003000000000000AAA"] * 800)
    path = f"composite/sobjects/Contact?fields=Id&ids={ids}"
    assert len((await client.call("GET", path)).body) == 800
    refused = await client.call("GET", path + ",003000000000000AAA" * 100)
    assert refused.status == 414


async def test_a_body_above_fifty_megabytes_is_refused(client: Client) -> None:
    body = gzip.compress(b" " * (50 * 1024 * 1024 + 1), compresslevel=1)
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    reply = await client.call("PATCH", UPSERT, data=body, headers=headers)
    assert (reply.status, code(reply)) == (413, "EXCEEDED_MAX_SIZE_REQUEST")


async def test_headers_of_salesforce_are_taken(client: Client) -> None:
    headers = {
        "Sforce-Auto-Assign": "FALSE",
        "Sforce-Mru": "updateMru=false",
        "Sforce-Call-Options": "client=workbench",
        "Sforce-Duplicate-Rule-Header": "allowSave=true",
    }
    reply = await client.call("PATCH", UPSERT, contacts(ROW), headers=headers)
    assert codes(reply) == [None]
    assert reply.headers["Sforce-Limit-Info"] == "api-usage=1/5000000"


async def test_the_instance_url_is_the_address_the_client_used(client: Client) -> None:
    emulator = client.emulator
    url = emulator.login_url.replace("127.0.0.1", "localhost")
    form = {
        "grant_type": "client_credentials",
        "client_id": emulator.client_id,
        "client_secret": emulator.client_secret,
    }
    reply = await client.call("POST", f"{url}/services/oauth2/token", data=form)
    assert reply.body["instance_url"] == url
    odd = await client.call(
        "POST", f"{url}/services/oauth2/token", data=form, headers={"Host": "bad host/"}
    )
    assert odd.body["instance_url"] == emulator.login_url


async def test_tls_is_trusted_through_the_ca_file_only(tmp_path: Path) -> None:
    async with Emulator(EmulatorOptions(folder=tmp_path)) as emulator:
        assert emulator.ca_file == tmp_path / "ca.pem"
        assert (tmp_path / "server.key").stat().st_mode & 0o777 == 0o600
        context = ssl.create_default_context(cafile=emulator.ca_file)
        async with aiohttp.ClientSession() as session:
            client = Client(emulator, session)
            url = f"{emulator.tls_url}/services/data"
            async with session.get(url, ssl=context) as answer:
                assert answer.status == 200
            async with session.get(url.replace("localhost", "127.0.0.1"), ssl=context) as answer:
                assert answer.status == 200
            with pytest.raises(aiohttp.ClientConnectorCertificateError):
                await client.call("GET", url)


async def test_it_listens_on_loopback_and_lets_go(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match="in use"):
            await Emulator(EmulatorOptions(tls=False, port=port)).start()
    emulator = Emulator(EmulatorOptions(tls=False))
    await emulator.start()
    url = emulator.login_url
    with pytest.raises(RuntimeError, match="already started"):
        await emulator.start()
    await emulator.aclose()
    await emulator.aclose()
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientConnectorError):
            await session.get(url)


async def test_closing_does_not_wait_for_slow_answers() -> None:
    emulator = Emulator(EmulatorOptions(tls=False, faults=("latency:2m",)))
    await emulator.start()
    async with aiohttp.ClientSession() as session:
        client = Client(emulator, session)
        call = asyncio.ensure_future(client.call("GET", "limits"))
        while not (await client.call("GET", "/emulator/faults")).body["faults"][0]["happened"]:
            pass
        async with asyncio.timeout(5):
            await emulator.aclose()
            with pytest.raises(aiohttp.ClientError):
                await call
