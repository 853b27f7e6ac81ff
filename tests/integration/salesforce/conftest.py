from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from tests.integration.salesforce.scripted import Scripted, serve
from workbench.salesforce import (
    CompositeSettings,
    CompositeSink,
    SalesforceClient,
    Timeouts,
    credentials,
)


@pytest.fixture
async def org() -> AsyncIterator[Scripted]:
    async with serve() as scripted:
        yield scripted


@pytest.fixture
async def client(org: Scripted) -> AsyncIterator[SalesforceClient]:
    client = client_of(org)
    yield client
    await client.aclose()


def client_of(org: Scripted, **more: Any) -> SalesforceClient:
    given = credentials.parse(
        {
            "client_id": "app",
            "client_secret": "s3cret",
            "username": "ada@example.com",
            "password": "pa55",
            "login_url": org.url,
        },
        source="c.json",
    )
    more.setdefault("timeouts", Timeouts(connect=5, write=5, read=5, pool=5))
    return SalesforceClient(given, **more)


@pytest.fixture
def sink_of(client: SalesforceClient) -> Callable[..., CompositeSink]:
    def make(operation: str = "upsert", **more: Any) -> CompositeSink:
        key = "ExternalId__c" if operation == "upsert" else None
        settings = CompositeSettings(
            operation=operation, sobject_type="Contact", external_id_field=key, **more
        )
        return CompositeSink(client, settings)

    return make
