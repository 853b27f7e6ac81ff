"""The three answers of a headless run, over a real socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from workbench.app.http import StatusServer, parse_address
from workbench.errors import SettingsError


class _Flow:
    def __init__(self) -> None:
        self.reasons: list[str] = []


@pytest.fixture
async def served() -> AsyncIterator[tuple[_Flow, StatusServer]]:
    flow = _Flow()
    server = StatusServer(lambda: flow.reasons, lambda: b"events_total 3\n")
    await server.start("127.0.0.1", 0)
    yield flow, server
    await server.aclose()
    await server.aclose()


async def _ask(server: StatusServer, request: str) -> tuple[str, str]:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(f"{request} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    answer = (await reader.read()).decode()
    writer.close()
    await writer.wait_closed()
    head, _, body = answer.partition("\r\n\r\n")
    return head.splitlines()[0], body


async def test_ready_tells_why_not(served: tuple[_Flow, StatusServer]) -> None:
    flow, server = served
    assert await _ask(server, "GET /readyz") == ("HTTP/1.1 200 OK", "ok\n")
    flow.reasons.append("flow x: not logged in")
    status, body = await _ask(server, "GET /readyz")
    assert status == "HTTP/1.1 503 Service Unavailable"
    assert body == "flow x: not logged in\n"


async def test_live_metrics_and_the_rest(served: tuple[_Flow, StatusServer]) -> None:
    _, server = served
    assert await _ask(server, "GET /livez?verbose") == ("HTTP/1.1 200 OK", "ok\n")
    assert await _ask(server, "GET /metrics") == ("HTTP/1.1 200 OK", "events_total 3\n")
    assert await _ask(server, "HEAD /metrics") == ("HTTP/1.1 200 OK", "")
    assert (await _ask(server, "GET /"))[0] == "HTTP/1.1 404 Not Found"
    assert (await _ask(server, "POST /livez"))[0] == "HTTP/1.1 405 Method Not Allowed"


async def test_a_taken_port_is_a_sentence(served: tuple[_Flow, StatusServer]) -> None:
    _, server = served
    other = StatusServer(list, bytes)
    with pytest.raises(SettingsError, match=r"can't listen on 127\.0\.0\.1:"):
        await other.start("127.0.0.1", server.port)


@pytest.mark.parametrize("text", ["8080", ":", ":x", "host:99999", ""])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(SettingsError):
        parse_address(text)
