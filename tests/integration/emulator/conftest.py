"""An emulator on free ports for each test, and a plain HTTP client that is logged in to it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest

from workbench.emulator import Emulator, EmulatorOptions

ROOT = "/services/data/v68.0"
UPSERT = f"{ROOT}/composite/sobjects/Contact/ExternalId__c"


@dataclass
class Reply:
    """What came back, read to the end."""

    status: int
    headers: Any
    raw: bytes
    body: Any


class Client:
    """Sends what it is told to and hides nothing."""

    def __init__(self, emulator: Emulator, session: aiohttp.ClientSession) -> None:
        self.emulator = emulator
        self.session = session
        self.headers: dict[str, str] = {}

    async def call(
        self, method: str, path: str, json: Any = None, *, headers: Any = None, data: Any = None
    ) -> Reply:
        """One request; a path without a slash in front is below the newest version's root."""
        url = (
            path
            if path.startswith("http")
            else self.emulator.login_url + (path if path.startswith("/") else f"{ROOT}/{path}")
        )
        async with self.session.request(
            method, url, json=json, data=data, headers={**self.headers, **(headers or {})}
        ) as answer:
            raw = await answer.read()
            is_json = "json" in answer.headers.get("Content-Type", "")
            body = await answer.json() if is_json and raw else None
            return Reply(answer.status, answer.headers, raw, body)

    async def token(self, **form: str) -> Reply:
        """Ask for a token with exactly these fields."""
        url = f"{self.emulator.login_url}/services/oauth2/token"
        return await self.call("POST", url, data=form, headers={"Authorization": ""})

    async def log_in(self) -> None:
        """Use a new session from now on."""
        e = self.emulator
        reply = await self.token(
            grant_type="password",
            client_id=e.client_id,
            client_secret=e.client_secret,
            username=e.username,
            password=e.password,
        )
        self.headers["Authorization"] = f"Bearer {reply.body['access_token']}"

    async def upsert(self, *records: dict[str, Any], all_or_none: bool = False) -> Reply:
        """Upsert contacts by ExternalId__c."""
        return await self.call("PATCH", UPSERT, contacts(*records, all_or_none=all_or_none))

    async def create(self, name: str, **values: Any) -> str:
        """Create one row; its id."""
        reply = await self.call("POST", f"sobjects/{name}", values)
        assert reply.status == 201, reply.body
        return str(reply.body["id"])

    async def get(self, name: str, identifier: str) -> Any:
        """One row with all its fields."""
        return (await self.call("GET", f"sobjects/{name}/{identifier}")).body

    async def count(self, name: str) -> int:
        """Rows that the store holds."""
        state = (await self.call("GET", "/emulator/state")).body
        return int(state["records"][name])

    async def fault(self, text: str) -> None:
        """Switch a fault on."""
        reply = await self.call("POST", "/emulator/faults", {"fault": text})
        assert reply.status == 201, reply.body


def contacts(*records: dict[str, Any], all_or_none: bool = False) -> dict[str, Any]:
    """The body of a collections call for contacts."""
    attributes = {"attributes": {"type": "Contact"}}
    return {"allOrNone": all_or_none, "records": [attributes | r for r in records]}


def codes(reply: Reply) -> list[str | None]:
    """Per row: None where it succeeded, else its first code."""
    return [None if r["success"] else r["errors"][0]["statusCode"] for r in reply.body]


def code(reply: Reply) -> str:
    """The code of a refused call."""
    return str(reply.body[0]["errorCode"])


@pytest.fixture
def options() -> EmulatorOptions:
    """How the emulator is set up; a test module may override it."""
    return EmulatorOptions(tls=False)


@pytest.fixture
async def emulator(options: EmulatorOptions) -> AsyncIterator[Emulator]:
    """A running emulator."""
    async with Emulator(options) as running:
        yield running


@pytest.fixture
async def client(emulator: Emulator) -> AsyncIterator[Client]:
    """A client with a session of the emulator's user."""
    async with aiohttp.ClientSession() as session:
        made = Client(emulator, session)
        await made.log_in()
        yield made
