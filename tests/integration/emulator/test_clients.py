"""Clients that other people wrote, unmodified, against the emulator.

simple-salesforce and aiosalesforce insist on host names of Salesforce; what turns those into the
emulator's address here is a transport of their HTTP library, as a hosts file would.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import requests
from aiosalesforce import Salesforce as AsyncSalesforce
from aiosalesforce.auth import ClientCredentialsFlow, JwtBearerFlow, SoapLogin
from aiosalesforce.exceptions import DuplicatesDetectedError, SalesforceError
from requests.adapters import HTTPAdapter
from simple_salesforce import Salesforce, SalesforceMalformedRequest, SalesforceResourceNotFound
from simple_salesforce.exceptions import SalesforceAuthenticationFailed

from workbench.emulator import Emulator, EmulatorOptions

HOST = "https://workbench.my.salesforce.com"


@pytest.fixture
def options() -> EmulatorOptions:
    """These clients speak TLS only."""
    return EmulatorOptions()


class ToEmulator(HTTPAdapter):
    """Sends what is meant for Salesforce to the emulator, host name and certificate check kept."""

    def __init__(self, emulator: Emulator) -> None:
        self.port = urlsplit(emulator.tls_url).port
        self.ca_file = str(emulator.ca_file)
        super().__init__()

    def get_connection_with_tls_context(  # type: ignore[no-untyped-def]
        self, request, verify, proxies=None, cert=None
    ):
        host = urlsplit(request.url).hostname
        return self.poolmanager.connection_from_host(
            "127.0.0.1",
            self.port,
            "https",
            pool_kwargs={
                "server_hostname": host,
                "assert_hostname": host,
                "ca_certs": self.ca_file,
                "cert_reqs": "CERT_REQUIRED",
            },
        )

    def cert_verify(self, conn, url, verify, cert) -> None:  # type: ignore[no-untyped-def]
        """The pool was made with the emulator's authority already."""

    def send(self, request, *args, **kwargs):  # type: ignore[no-untyped-def]
        request.headers["Host"] = urlsplit(request.url).netloc
        return super().send(request, *args, **kwargs)


async def in_thread(emulator: Emulator, work: Callable[[requests.Session], Any]) -> Any:
    def run() -> Any:
        with requests.Session() as session:
            session.mount("https://", ToEmulator(emulator))
            return work(session)

    return await asyncio.to_thread(run)


async def test_simple_salesforce_logs_in_by_every_way_it_knows(emulator: Emulator) -> None:
    e = emulator
    key = e.jwt_private_key.decode()

    def log_in(session: requests.Session) -> list[str]:
        keys = {"consumer_key": e.client_id, "consumer_secret": e.client_secret}
        user = {"username": e.username, "password": e.password}
        made = [
            Salesforce(**user, security_token="", session=session),
            Salesforce(**user, **keys, session=session),
            Salesforce(**keys, domain="workbench.my", session=session),
            Salesforce(
                username=e.username, consumer_key=e.client_id, privatekey=key, session=session
            ),
        ]
        assert all(sf.limits()["DailyApiRequests"]["Max"] for sf in made)
        with pytest.raises(SalesforceAuthenticationFailed):
            Salesforce(username=e.username, password="x", security_token="", session=session)
        with pytest.raises(SalesforceAuthenticationFailed):
            Salesforce(username=e.username, password="x", **keys, session=session)
        return [sf.sf_instance for sf in made]

    assert len(await in_thread(e, log_in)) == 4


async def test_simple_salesforce_reads_and_writes(emulator: Emulator) -> None:
    token = emulator.org.sessions.issue(emulator.org.user)

    def use(session: requests.Session) -> None:
        sf = Salesforce(instance_url=HOST, session_id=token, session=session)
        made = sf.Contact.create({"LastName": "Hopper", "ExternalId__c": "g"})
        assert made["success"] is True
        assert sf.Contact.update(made["id"], {"Phone": "1"}) == 204
        assert sf.Contact.upsert("ExternalId__c/g", {"FirstName": "Grace"}) == 200
        assert sf.Contact.get_by_custom_id("ExternalId__c", "g")["Name"] == "Grace Hopper"
        assert sf.query("SELECT Id FROM Contact WHERE ExternalId__c = 'g'")["totalSize"] == 1
        rows = [{"attributes": {"type": "Contact"}, "LastName": str(n)} for n in range(200)]
        for _ in range(11):
            results = sf.restful("composite/sobjects", method="POST", json={"records": rows})
            assert all(row["success"] for row in results)
        assert len(sf.query_all("SELECT Id FROM Contact")["records"]) == 2201
        assert len(list(sf.query_all_iter("SELECT Id FROM Contact WHERE LastName = '7'"))) == 11
        assert sf.describe()["sobjects"]
        assert sf.Contact.describe()["keyPrefix"] == "003"
        assert sf.api_usage["api-usage"].used > 10
        with pytest.raises(SalesforceMalformedRequest, match="REQUIRED_FIELD_MISSING"):
            sf.Contact.create({"FirstName": "x"})
        now = datetime.now(UTC)
        span = (now - timedelta(hours=1), now + timedelta(hours=1))
        assert made["id"] in sf.Contact.updated(*span)["ids"]
        assert sf.Contact.delete(made["id"]) == 204
        assert [row["id"] for row in sf.Contact.deleted(*span)["deletedRecords"]] == [made["id"]]
        assert made["id"] not in sf.Contact.updated(*span)["ids"]
        with pytest.raises(SalesforceMalformedRequest, match="INVALID_REPLICATION_DATE"):
            sf.Contact.deleted(*reversed(span))
        with pytest.raises(SalesforceResourceNotFound):
            sf.Contact.get(made["id"])

    await in_thread(emulator, use)


class Rerouted(httpx.AsyncBaseTransport):
    """The same for httpx."""

    def __init__(self, emulator: Emulator) -> None:
        context = ssl.create_default_context(cafile=emulator.ca_file)
        self.port = urlsplit(emulator.tls_url).port
        self.inner = httpx.AsyncHTTPTransport(verify=context)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        request.extensions["sni_hostname"] = request.url.host
        request.url = request.url.copy_with(host="127.0.0.1", port=self.port)
        return await self.inner.handle_async_request(request)

    async def aclose(self) -> None:
        await self.inner.aclose()


@pytest.fixture
async def transport(emulator: Emulator) -> AsyncIterator[httpx.AsyncClient]:
    """An httpx client that finds the emulator behind Salesforce's host names."""
    async with httpx.AsyncClient(transport=Rerouted(emulator)) as client:
        yield client


def make(transport: httpx.AsyncClient, auth: Any) -> AsyncSalesforce:
    return AsyncSalesforce(httpx_client=transport, base_url=HOST, auth=auth, version="60.0")


async def test_aiosalesforce_logs_in_by_every_way_it_knows(
    emulator: Emulator, transport: httpx.AsyncClient, tmp_path: Path
) -> None:
    e = emulator
    key = tmp_path / "key.pem"
    key.write_bytes(e.jwt_private_key)
    for auth in (
        ClientCredentialsFlow(e.client_id, e.client_secret),
        SoapLogin(e.username, e.password, ""),
        JwtBearerFlow(e.client_id, e.username, key),
    ):
        assert (await make(transport, auth).get_limits())["DailyApiRequests"]["Max"]
    with pytest.raises(SalesforceError):
        await make(transport, ClientCredentialsFlow("x", "y")).get_limits()


async def test_aiosalesforce_reads_and_writes(
    emulator: Emulator, transport: httpx.AsyncClient
) -> None:
    sf = make(transport, ClientCredentialsFlow(emulator.client_id, emulator.client_secret))
    identifier = await sf.sobject.create("Contact", {"LastName": "Hopper", "ExternalId__c": "g"})
    await sf.sobject.update("Contact", identifier, {"Phone": "1"})
    answer = await sf.sobject.upsert("Contact", "g", "ExternalId__c", {"FirstName": "Grace"})
    assert answer.created is False
    row = await sf.sobject.get("Contact", "g", external_id_field="ExternalId__c")
    assert (row["Id"], row["Name"]) == (identifier, "Grace Hopper")
    found = [row async for row in sf.query("SELECT Id FROM Contact")]
    assert len(found) == 1
    async with sf.composite.batch() as batch:
        read = batch.sobject.get("Contact", identifier)
    assert read.record["LastName"] == "Hopper"
    async with sf.composite() as composite:
        account = composite.sobject.create("Account", {"Name": "Navy"})
        contact = composite.sobject.create(
            "Contact", {"LastName": "X", "AccountId": str(account.reference.id)}
        )
        again = composite.sobject.get("Contact", str(contact.reference.id))
    assert again.record["AccountId"] == account.id
    await sf.sobject.delete("Contact", identifier)
    with pytest.raises(SalesforceError):
        await sf.sobject.get("Contact", identifier)


async def test_aiosalesforce_understands_expiry_and_duplicates(
    emulator: Emulator, transport: httpx.AsyncClient
) -> None:
    sf = make(transport, ClientCredentialsFlow(emulator.client_id, emulator.client_secret))
    await sf.sobject.create("Contact", {"LastName": "Hopper", "Email": "g@example.com"})
    emulator.org.faults.add("expire")
    await sf.sobject.create("Contact", {"LastName": "Lovelace"})
    assert emulator.org.sessions.issued == 2
    async with httpx.AsyncClient() as control:
        rules = {"object": "Contact", "duplicate_rules": [{"match": ["Email"]}]}
        await control.post(f"{emulator.login_url}/emulator/rules", json=rules)
    with pytest.raises(DuplicatesDetectedError) as caught:
        await sf.sobject.create("Contact", {"LastName": "Twin", "Email": "G@example.com"})
    assert caught.value.duplicates
