"""The sink against answers that a well-behaved Salesforce does not give."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.integration.salesforce.conftest import client_of
from tests.integration.salesforce.scripted import Asked, Scripted, answer
from workbench.errors import (
    AuthenticationError,
    AuthorizationError,
    RequestLimitError,
    SalesforceError,
    ServerError,
    UsageError,
)
from workbench.model import (
    Batch,
    Cause,
    Deferred,
    Group,
    Record,
    Refused,
    RolledBack,
    Unknown,
    Written,
)
from workbench.salesforce import CompositeSettings, CompositeSink, SalesforceClient, Timeouts
from workbench.salesforce.session import MAX_FRUITLESS_RENEWALS

SinkOf = Callable[..., CompositeSink]
EXPIRED = [{"message": "Session expired or invalid", "errorCode": "INVALID_SESSION_ID"}]


def batch(count: int = 2, **more: Any) -> Batch:
    return Batch("b1", "t", [Group(rows(count))], **more)


def rows(count: int, start: int = 0) -> list[Record]:
    return [{"ExternalId__c": f"E{n}"} for n in range(start, start + count)]


def results(asked: Asked) -> list[dict[str, Any]]:
    return [
        {"id": "003" + record["ExternalId__c"], "success": True, "errors": [], "created": True}
        for record in asked.json["records"]
    ]


def error(code: str, message: str = "m") -> list[dict[str, str]]:
    return [{"errorCode": code, "message": message}]


def kinds(outcomes: Any) -> list[str]:
    return [type(outcome).__name__ for outcome in outcomes]


async def test_a_batch_is_written_and_recorded(org: Scripted, sink_of: SinkOf) -> None:
    org.handler = lambda asked: answer(
        results(asked), Sforce_Limit_Info="api-usage=18/15000; api-bursts=1/750"
    )
    found = await sink_of().write(batch())
    assert kinds(found.outcomes) == ["Written", "Written"]
    assert (found.api_used, found.api_limit) == (18, 15000)
    assert found.results == results(org.asked[0])
    asked = org.asked[0]
    assert asked.headers["authorization"] == f"Bearer {org.token}"
    assert asked.target == "/services/data/v68.0/composite/sobjects/Contact/ExternalId__c"
    exchange = found.exchange
    assert exchange is not None
    assert (exchange.method, exchange.target, exchange.status) == ("PATCH", asked.target, 200)
    assert exchange.request_body == asked.body
    assert json.loads(exchange.response_body) == results(asked)
    assert org.token not in repr(exchange)


async def test_large_bodies_are_compressed_and_recorded_plain(
    org: Scripted, sink_of: SinkOf
) -> None:
    org.handler = lambda asked: answer(results(asked))
    sink = sink_of(gzip_min_bytes=500)
    found = await sink.write(batch(100))
    assert org.asked[0].headers["content-encoding"] == "gzip"
    assert found.exchange is not None
    assert found.exchange.request_body == org.asked[0].body
    await sink.write(batch(1))
    assert "content-encoding" not in org.asked[1].headers


async def test_connections_are_kept(org: Scripted, sink_of: SinkOf) -> None:
    org.handler = lambda asked: answer(results(asked))
    sink = sink_of()
    for _ in range(5):
        await sink.write(batch())
    assert org.connections == 1


class TestBrokenAnswers:
    @pytest.mark.parametrize("operation", ["upsert", "create"])
    @pytest.mark.parametrize(
        "data",
        [
            b"",
            b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n[{",
            b"NOT HTTP\r\n\r\n",
            answer(body=b"<html>maintenance</html>"),
            answer(body=b"x", Content_Encoding="gzip"),
            answer([{"id": "x", "success": True, "errors": []}]),
            answer({"unexpected": 1}),
            answer(status=504, body=b""),
            answer(error("UNKNOWN_EXCEPTION"), 500),
        ],
        ids=[
            "dropped",
            "truncated",
            "no HTTP",
            "web page",
            "bad gzip",
            "too few",
            "object",
            "504",
            "500",
        ],
    )
    async def test_are_unknown(
        self, org: Scripted, sink_of: SinkOf, data: bytes, operation: str
    ) -> None:
        org.handler = lambda asked: data
        found = await sink_of(operation).write(batch())
        assert kinds(found.outcomes) == ["Unknown", "Unknown"]
        assert found.exchange is not None
        assert len(org.asked) == 1

    async def test_no_answer_in_time_is_unknown(self, org: Scripted) -> None:
        never = asyncio.Event()

        async def hang(asked: Asked) -> bytes:
            await never.wait()
            return b""

        org.handler = hang
        client = client_of(org, timeouts=Timeouts(read=0.05))
        sink = CompositeSink(client, CompositeSettings("create", "Contact"))
        found = await sink.write(batch())
        await client.aclose()
        never.set()
        assert kinds(found.outcomes) == ["Unknown", "Unknown"]
        assert found.exchange is not None
        assert "did not answer in time" in str(found.exchange.error)

    async def test_a_busy_server_is_an_outage_for_upserts_only(
        self, org: Scripted, sink_of: SinkOf
    ) -> None:
        org.handler = lambda asked: answer(error("SERVER_UNAVAILABLE"), 503)
        found = await sink_of("upsert").write(batch(1))
        assert isinstance(found.outcomes[0], Deferred)
        assert found.outcomes[0].cause is Cause.OUTAGE
        found = await sink_of("create").write(batch(1))
        assert isinstance(found.outcomes[0], Unknown)


class TestNobodyThere:
    async def test_no_login_host_is_unsent(self, org: Scripted, sink_of: SinkOf) -> None:
        url, org.url = org.url, "http://127.0.0.1:9"
        client = client_of(org)
        org.url = url
        sink = CompositeSink(client, CompositeSettings("create", "Contact"))
        found = await sink.write(batch())
        await client.aclose()
        assert kinds(found.outcomes) == ["Unsent", "Unsent"]
        assert found.exchange is None

    async def test_no_instance_is_unsent(self, org: Scripted, sink_of: SinkOf) -> None:
        """The login works, but where it sends us nobody listens."""

        def elsewhere(asked: Asked) -> bytes:
            return answer({**org.token_answer(), "instance_url": "http://127.0.0.1:9"})

        org.login = elsewhere
        client = client_of(org, api_version="68.0")
        sink = CompositeSink(client, CompositeSettings("create", "Contact"))
        found = await sink.write(batch())
        await client.aclose()
        assert kinds(found.outcomes) == ["Unsent", "Unsent"]

    async def test_a_login_host_in_trouble_defers(self, org: Scripted, sink_of: SinkOf) -> None:
        org.login = lambda asked: answer(status=503, body=b"")
        found = await sink_of("create").write(batch(1))
        assert isinstance(found.outcomes[0], Deferred)
        assert found.outcomes[0].cause is Cause.OUTAGE

    async def test_too_many_logins_is_a_limit(self, org: Scripted, sink_of: SinkOf) -> None:
        org.login = lambda asked: answer(
            {"error": "invalid_grant", "error_description": "Login Rate Exceeded"}, 400
        )
        found = await sink_of().write(batch(1))
        assert isinstance(found.outcomes[0], Deferred)
        assert found.outcomes[0].cause is Cause.LIMIT


class TestSessions:
    async def test_an_expired_token_is_renewed_once_for_all(
        self, org: Scripted, sink_of: SinkOf
    ) -> None:
        started = asyncio.Event()
        sink = sink_of()
        org.handler = lambda asked: answer(results(asked))
        await sink.write(batch(1))
        old = org.token

        async def expired(asked: Asked) -> bytes:
            if asked.headers["authorization"] != f"Bearer {old}":
                return answer(results(asked))
            if sum(a.headers["authorization"] == f"Bearer {old}" for a in org.asked) == 9:
                started.set()
            await started.wait()
            return answer(EXPIRED, 401)

        org.handler = expired
        found = await asyncio.gather(*(sink.write(batch(1)) for _ in range(8)))
        assert all(isinstance(one.outcomes[0], Written) for one in found)
        assert org.logins == 2

    async def test_a_fresh_token_that_is_refused_too_defers(
        self, org: Scripted, sink_of: SinkOf
    ) -> None:
        org.handler = lambda asked: answer(EXPIRED, 401)
        found = await sink_of().write(batch(1))
        assert found.outcomes == [
            Deferred("INVALID_SESSION_ID", "Session expired or invalid", Cause.OUTAGE)
        ]
        assert (org.logins, len(org.asked)) == (2, 2)

    async def test_logins_do_not_go_on_for_ever(self, org: Scripted, sink_of: SinkOf) -> None:
        org.handler = lambda asked: answer(EXPIRED, 401)
        sink = sink_of()
        for _ in range(MAX_FRUITLESS_RENEWALS):
            await sink.write(batch(1))
        for _ in range(3):
            with pytest.raises(AuthenticationError, match="refuses every new session"):
                await sink.write(batch(1))
        assert org.logins == 1 + MAX_FRUITLESS_RENEWALS

    @pytest.mark.parametrize(
        "value",
        [
            error("INVALID_SESSION_ID", "This session is not valid for use with the REST API"),
            {"errorCode": "X", "message": "Connected app is not attached to Agent"},
        ],
    )
    async def test_a_policy_is_not_refreshed_at_all(
        self, org: Scripted, sink_of: SinkOf, value: Any
    ) -> None:
        org.handler = lambda asked: answer(value, 401)
        with pytest.raises(AuthorizationError, match="policy"):
            await sink_of().write(batch(1))
        assert org.logins == 1

    async def test_a_disabled_api_stops_the_flow(self, org: Scripted, sink_of: SinkOf) -> None:
        org.handler = lambda asked: answer(error("API_DISABLED_FOR_ORG"), 403)
        with pytest.raises(AuthorizationError, match="API_DISABLED_FOR_ORG"):
            await sink_of().write(batch(1))

    async def test_a_refused_login_is_told_again_without_asking_again(
        self, org: Scripted, client: SalesforceClient, sink_of: SinkOf
    ) -> None:
        org.login = lambda asked: answer(
            {"error": "invalid_grant", "error_description": "authentication failure"}, 400
        )
        for _ in range(3):
            with pytest.raises(AuthenticationError, match="Summer '23") as refusal:
                await sink_of().write(batch(1))
        assert "pa55" not in str(refusal.value)
        assert org.logins == 1
        org.login = None
        org.handler = lambda asked: answer(results(asked))
        client.session.reset()
        found = await sink_of().write(batch(1))
        assert isinstance(found.outcomes[0], Written)


def poisoned(bad: set[str], code: str = "JSON_PARSER_ERROR") -> Callable[[Asked], bytes]:
    """Refuses any request that holds one of the bad keys."""

    def handle(asked: Asked) -> bytes:
        if any(json.dumps(key) in asked.body.decode() for key in bad):
            return answer(error(code), 400)
        if asked.target.endswith("/composite"):
            subresponses = [
                {
                    "referenceId": sub["referenceId"],
                    "httpStatusCode": 200,
                    "body": [
                        {"id": "003", "success": True, "errors": []} for _ in sub["body"]["records"]
                    ],
                }
                for sub in asked.json["compositeRequest"]
            ]
            return answer({"compositeResponse": subresponses})
        return answer(results(asked))

    return handle


class TestIsolating:
    async def test_only_the_poisonous_record_is_refused(
        self, org: Scripted, sink_of: SinkOf
    ) -> None:
        org.handler = poisoned({"E123"})
        found = await sink_of().write(batch(200))
        refused = [i for i, one in enumerate(found.outcomes) if not isinstance(one, Written)]
        assert refused == [123]
        assert found.outcomes[123] == Refused("JSON_PARSER_ERROR", "m")
        assert found.outcomes[124].id == "003E124"  # type: ignore[union-attr]
        assert len(org.asked) <= 17
        assert found.exchange is not None
        assert found.exchange.status == 400
        assert found.results[124]["id"] == "003E124"

    async def test_what_everybody_meets_is_the_requests_fault(
        self, org: Scripted, sink_of: SinkOf
    ) -> None:
        org.handler = lambda asked: answer(error("INVALID_FIELD", "No such column"), 400)
        found = await sink_of().write(batch(200))
        assert set(found.outcomes) == {
            Refused("INVALID_FIELD", "No such column", is_request_fault=True)
        }
        assert len(org.asked) == 33

    async def test_too_many_culprits_are_left_to_the_next_try(
        self, org: Scripted, sink_of: SinkOf
    ) -> None:
        org.handler = poisoned({f"E{n}" for n in range(0, 200, 9)})
        found = await sink_of().write(batch(200))
        assert set(kinds(found.outcomes)) == {"Written", "Refused", "Deferred"}
        assert len(org.asked) == 33
        for index, outcome in enumerate(found.outcomes):
            if isinstance(outcome, Refused):
                assert index % 9 == 0

    async def test_a_transaction_is_never_taken_apart(self, org: Scripted, sink_of: SinkOf) -> None:
        org.handler = poisoned({"E1"})
        work = Batch("b", "t", [Group(rows(4), True)])
        found = await sink_of().write(work)
        assert kinds(found.outcomes) == ["Refused"] * 4
        assert len(org.asked) == 1
        bound = Batch("b", "t", [Group(rows(2), True), Group(rows(2, 2), True)], is_atomic=True)
        found = await sink_of().write(bound)
        assert kinds(found.outcomes) == ["Refused"] * 4
        assert len(org.asked) == 2

    async def test_groups_are_parted_from_one_another_and_stay_whole(
        self, org: Scripted, sink_of: SinkOf
    ) -> None:
        org.handler = poisoned({"E3"})
        work = Batch("b", "t", [Group(rows(2, start), True) for start in (0, 2, 4)])
        found = await sink_of().write(work)
        assert kinds(found.outcomes) == ["Written"] * 2 + ["Refused"] * 2 + ["Written"] * 2

    async def test_an_outage_in_between_puts_the_rest_off(
        self, org: Scripted, sink_of: SinkOf
    ) -> None:
        def handle(asked: Asked) -> bytes:
            if len(org.asked) == 1:
                return answer(error("JSON_PARSER_ERROR"), 400)
            return answer(error("SERVER_UNAVAILABLE"), 503)

        org.handler = handle
        found = await sink_of().write(batch(8))
        assert kinds(found.outcomes) == ["Deferred"] * 8
        assert len(org.asked) == 2

    async def test_a_refusal_in_between_keeps_what_is_written(
        self, org: Scripted, sink_of: SinkOf
    ) -> None:
        def handle(asked: Asked) -> bytes:
            match len(org.asked):
                case 1:
                    return answer(error("JSON_PARSER_ERROR"), 400)
                case 2:
                    return answer(results(asked))
                case _:
                    return answer(error("ORG_LOCKED"), 403)

        org.handler = handle
        found = await sink_of().write(batch(4))
        assert kinds(found.outcomes) == ["Written", "Written", "Unsent", "Unsent"]


class TestIds:
    async def test_a_record_without_usable_id_does_not_shift_the_others(
        self, org: Scripted, sink_of: SinkOf
    ) -> None:
        org.handler = lambda asked: answer(
            [{"id": "003000000000001AAA", "success": True, "errors": []}] * 2
        )
        ids = ["003000000000001AAA", "", "003000000000002AAA", "a,b"]
        work = Batch("b", "t", [Group([{"Id": one} for one in ids])])
        found = await sink_of("delete").write(work)
        assert kinds(found.outcomes) == ["Written", "Refused", "Written", "Refused"]
        assert "ids=003000000000001AAA,003000000000002AAA&" in org.asked[0].target

    async def test_in_a_transaction_it_holds_back_the_others(
        self, org: Scripted, sink_of: SinkOf
    ) -> None:
        work = Batch("b", "t", [Group([{"Id": "003000000000001AAA"}, {}], True)])
        found = await sink_of("delete").write(work)
        assert [type(outcome) for outcome in found.outcomes] == [RolledBack, Refused]
        assert org.asked == []
        assert found.results == ()


class TestProbe:
    async def test_calls_left_is_well(self, org: Scripted, sink_of: SinkOf) -> None:
        org.handler = lambda asked: answer({"DailyApiRequests": {"Max": 100, "Remaining": 40}})
        await sink_of().probe()
        assert org.asked[0].target == "/services/data/v68.0/limits"

    async def test_no_calls_left_is_a_limit(self, org: Scripted, sink_of: SinkOf) -> None:
        org.handler = lambda asked: answer({"DailyApiRequests": {"Max": 100, "Remaining": 0}})
        with pytest.raises(RequestLimitError, match="all 100 API calls"):
            await sink_of().probe()

    async def test_no_right_to_see_limits_still_is_an_answer(
        self, org: Scripted, sink_of: SinkOf
    ) -> None:
        org.handler = lambda asked: answer(error("INSUFFICIENT_ACCESS"), 403)
        await sink_of().probe()

    @pytest.mark.parametrize(
        ("data", "kind"),
        [
            (answer(status=503, body=b""), ServerError),
            (answer(error("REQUEST_LIMIT_EXCEEDED", "TotalRequests"), 403), RequestLimitError),
            (b"", SalesforceError),
            (answer(body=b"<html>"), ServerError),
        ],
    )
    async def test_trouble_is_told(
        self, org: Scripted, sink_of: SinkOf, data: bytes, kind: type[Exception]
    ) -> None:
        org.handler = lambda asked: data
        with pytest.raises(kind):
            await sink_of().probe()


async def test_what_json_has_no_form_for_is_that_records_fault(
    org: Scripted, sink_of: SinkOf
) -> None:
    org.handler = lambda asked: answer(results(asked))
    work = batch(3)
    work.groups[0].records[1]["LastName"] = 1 << 80
    found = await sink_of().write(work)
    assert kinds(found.outcomes) == ["Written", "Refused", "Written"]


async def test_a_sink_without_client_says_so() -> None:
    sink = CompositeSink(None, CompositeSettings("create", "Contact"))
    with pytest.raises(UsageError, match="without a client"):
        await sink.write(batch(1))


async def test_a_closed_client_says_so_and_closes_twice(client: SalesforceClient) -> None:
    await client.aclose()
    await client.aclose()
    with pytest.raises(UsageError, match="closed"):
        await client.open()
