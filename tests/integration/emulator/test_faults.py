"""Every fault over a real socket, by option and by the control endpoint."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import aiohttp
import pytest

from workbench.emulator import Emulator, EmulatorOptions, FaultError

from .conftest import Client, code, codes


async def test_a_fault_given_as_an_option_is_on_from_the_start() -> None:
    options = EmulatorOptions(tls=False, faults=("login:grant,count=1",))
    async with Emulator(options) as emulator, aiohttp.ClientSession() as session:
        client = Client(emulator, session)
        refused = await client.token()
        assert refused.body["error"] == "invalid_grant"
        await client.log_in()
    with pytest.raises(FaultError, match="unknown fault 'lok'; known are latency"):
        Emulator(EmulatorOptions(faults=("lok:0.1",)))


async def test_latency_delays_the_answer(client: Client) -> None:
    await client.fault("latency:120ms")
    started = time.perf_counter()
    await asyncio.gather(*(client.call("GET", "limits") for _ in range(5)))
    assert 0.12 <= time.perf_counter() - started < 5.0


async def test_a_status_comes_with_salesforces_body_and_does_no_work(client: Client) -> None:
    await client.fault("status:503,count=1,retry_after=7")
    reply = await client.upsert({"ExternalId__c": "a", "LastName": "X"})
    assert (reply.status, code(reply)) == (503, "SERVER_UNAVAILABLE")
    assert reply.headers["Retry-After"] == "7"
    await client.fault("status:500,count=1")
    reply = await client.upsert({"ExternalId__c": "a", "LastName": "X"})
    assert code(reply) == "UNKNOWN_EXCEPTION"
    assert "ErrorId" in reply.body[0]["message"]
    assert await client.count("Contact") == 0
    assert codes(await client.upsert({"ExternalId__c": "a", "LastName": "X"})) == [None]


@pytest.mark.parametrize(("body", "kind"), [("html", "text/html"), ("text", "text/plain")])
async def test_a_status_may_come_without_json(client: Client, body: str, kind: str) -> None:
    await client.fault(f"status:502,body={body}")
    reply = await client.call("GET", "limits")
    assert reply.status == 502
    assert reply.headers["Content-Type"].startswith(kind)
    assert reply.raw


async def test_a_dropped_answer_is_work_done(client: Client) -> None:
    await client.fault("drop,count=1")
    with pytest.raises(aiohttp.ClientError):
        await client.upsert({"ExternalId__c": "a", "LastName": "X"})
    assert await client.count("Contact") == 1


async def test_a_call_dropped_before_is_no_work_done(client: Client) -> None:
    await client.fault("drop-before,count=1")
    with pytest.raises(aiohttp.ClientError):
        await client.upsert({"ExternalId__c": "a", "LastName": "X"})
    assert await client.count("Contact") == 0


async def test_a_truncated_answer_is_work_done(client: Client) -> None:
    await client.fault("truncate,count=1")
    with pytest.raises(aiohttp.ClientPayloadError):
        await client.upsert({"ExternalId__c": "a", "LastName": "X"})
    assert await client.count("Contact") == 1
    log = (await client.call("GET", "/emulator/requests?limit=1")).body["requests"]
    assert log[0]["fault"] == "truncate,count=1"


async def test_a_truncated_answer_without_a_body_is_none_at_all(client: Client) -> None:
    identifier = await client.create("Contact", LastName="X")
    await client.fault("truncate,count=1")
    with pytest.raises(aiohttp.ClientError):
        await client.call("PATCH", f"sobjects/Contact/{identifier}", {"Phone": "1"})
    assert (await client.get("Contact", identifier))["Phone"] == "1"


async def test_logging_in_is_no_api_call(client: Client) -> None:
    await client.fault("limit:daily")
    await client.log_in()
    assert (await client.call("GET", "limits")).status == 403


async def test_locks_hit_a_share_of_rows_and_a_seed_repeats_them(client: Client) -> None:
    rows = [{"ExternalId__c": str(n), "LastName": "X"} for n in range(200)]
    outcomes = []
    for _ in range(2):
        await client.fault("lock:0.25,seed=5")
        reply = await client.upsert(*rows)
        outcomes.append(codes(reply))
        await client.call("DELETE", "/emulator/faults")
    assert outcomes[0] == outcomes[1]
    locked = outcomes[0].count("UNABLE_TO_LOCK_ROW")
    assert 20 < locked < 80
    message = next(r for r in reply.body if not r["success"])["errors"][0]["message"]
    assert message.startswith("unable to obtain exclusive access to this record")


async def test_a_lock_may_hide_in_a_triggers_failure(client: Client) -> None:
    await client.fault("lock-nested,object=Contact,count=1")
    account = await client.create("Account", Name="A")
    assert account
    reply = await client.upsert({"ExternalId__c": "a", "LastName": "X"})
    assert codes(reply) == ["CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY"]
    assert "UNABLE_TO_LOCK_ROW" in reply.body[0]["errors"][0]["message"]


async def test_the_loser_of_a_race_goes_through_at_the_next_try(client: Client) -> None:
    await client.fault("race,count=1")
    row = {"ExternalId__c": "a", "LastName": "X"}
    lost = await client.upsert(row)
    assert codes(lost) == ["DUPLICATE_VALUE"]
    assert lost.body[0]["errors"][0]["message"].startswith(
        "duplicate value found: ExternalId__c duplicates value on record with id: 003"
    )
    assert codes(await client.upsert(row)) == [None]


async def test_rows_can_be_refused_with_any_code(client: Client) -> None:
    await client.fault("row:STORAGE_LIMIT_EXCEEDED,every=2")
    reply = await client.upsert(*({"ExternalId__c": str(n), "LastName": "X"} for n in range(4)))
    assert codes(reply) == [None, "STORAGE_LIMIT_EXCEEDED"] * 2


async def test_sessions_expire_once_or_every_so_often(client: Client) -> None:
    await client.fault("expire")
    reply = await client.call("GET", "limits")
    assert (reply.status, reply.body) == (
        401,
        [{"message": "Session expired or invalid", "errorCode": "INVALID_SESSION_ID"}],
    )
    await client.log_in()
    assert (await client.call("GET", "limits")).status == 200
    await client.fault("expire,every=3")
    statuses = [(await client.call("GET", "limits")).status for _ in range(3)]
    assert statuses == [200, 200, 401]


@pytest.mark.parametrize(
    ("fault", "status", "words"),
    [
        ("policy:rest", 401, "This session is not valid for use with the REST API"),
        ("policy:agent", 401, "Connected app is not attached to Agent"),
        ("policy:api-disabled", 403, "API_DISABLED_FOR_ORG"),
        ("policy:client", 403, "CLIENT_NOT_ACCESSIBLE_FOR_USER"),
        ("limit:daily", 403, "TotalRequests Limit exceeded."),
        ("limit:concurrent", 403, "ConcurrentRequests (Concurrent API Requests) Limit exceeded."),
        ("limit:apex", 403, "ConcurrentPerOrgLongTxn Limit exceeded."),
    ],
)
async def test_refusals_are_told_apart_by_their_text(
    client: Client, fault: str, status: int, words: str
) -> None:
    await client.fault(fault)
    reply = await client.call("GET", "limits")
    assert reply.status == status
    assert words in reply.raw.decode()


async def test_a_policy_refusal_outlives_a_new_login(client: Client) -> None:
    await client.fault("policy:rest")
    await client.log_in()
    reply = await client.call("GET", "limits")
    assert isinstance(reply.body, dict)


@pytest.mark.parametrize(
    ("kind", "status", "error"),
    [
        ("grant", 400, "invalid_grant"),
        ("client", 400, "invalid_client_id"),
        ("user", 400, "invalid_grant"),
        ("rate", 403, "invalid_grant"),
    ],
)
async def test_logins_are_refused(client: Client, kind: str, status: int, error: str) -> None:
    await client.fault(f"login:{kind}")
    reply = await client.token(grant_type="client_credentials")
    assert (reply.status, reply.body["error"]) == (status, error)


async def test_a_path_and_an_object_narrow_a_fault(client: Client) -> None:
    await client.fault("status:503,path=*/composite/sobjects/*,object=contact")
    assert (await client.call("GET", "limits")).status == 200
    assert (await client.upsert({"ExternalId__c": "a", "LastName": "X"})).status == 503
    account = {"records": [{"attributes": {"type": "Account"}, "ExternalId__c": "a", "Name": "A"}]}
    other = await client.call("PATCH", "composite/sobjects/Account/ExternalId__c", account)
    assert codes(other) == [None]


async def test_the_daily_limit_is_reached_by_counting(client: Client) -> None:
    await client.call("POST", "/emulator/limits", {"daily_calls": 2, "used": 0})
    headers = [(await client.call("GET", "limits")).headers["Sforce-Limit-Info"] for _ in range(2)]
    assert headers == ["api-usage=1/2", "api-usage=2/2"]
    refused = await client.call("GET", "limits")
    assert (refused.status, code(refused)) == (403, "REQUEST_LIMIT_EXCEEDED")
    assert refused.body[0]["message"] == "TotalRequests Limit exceeded."
    assert (await client.call("GET", "/services/data")).status == 200
    await client.call("POST", "/emulator/limits", {"used": 0})
    assert (await client.call("GET", "limits")).status == 200


async def test_many_at_once_lose_nothing_under_every_fault(client: Client) -> None:
    """What the client was told was written is there, and nothing else is."""
    for fault in ("status:503:0.2,seed=1", "lock:0.1,seed=2", "latency:1ms-5ms"):
        await client.fault(fault)
    told: set[str] = set()

    async def work(number: int) -> None:
        keys = [f"{number}-{row}" for row in range(5)]
        reply = await client.upsert(*({"ExternalId__c": k, "LastName": "X"} for k in keys))
        if reply.status == 200:
            told.update(k for k, row in zip(keys, reply.body, strict=True) if row["success"])

    await gather(work, 100)
    await client.call("DELETE", "/emulator/faults")
    rows = (await client.call("GET", "/emulator/records/Contact")).body["records"]
    assert {row["ExternalId__c"] for row in rows} == told
    assert 0 < len(told) < 500


async def gather(work: Callable[[int], Awaitable[None]], count: int) -> None:
    await asyncio.gather(*(work(number) for number in range(count)))
