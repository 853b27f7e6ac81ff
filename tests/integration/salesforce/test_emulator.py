"""Every operation, grant and trap, end to end against the emulator."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from workbench.emulator import Emulator
from workbench.errors import (
    AuthenticationError,
    AuthorizationError,
    RequestLimitError,
    RequestRefusedError,
    TransportError,
)
from workbench.model import (
    Batch,
    Cause,
    Deferred,
    Group,
    Outcome,
    Record,
    Refused,
    RolledBack,
    Unknown,
    Written,
)
from workbench.salesforce import (
    CompositeSettings,
    CompositeSink,
    Describer,
    Grant,
    SalesforceClient,
    Timeouts,
    credentials,
)

FAST = Timeouts(connect=5, write=5, read=5, pool=5)


@pytest.fixture
async def org() -> AsyncIterator[Emulator]:
    async with Emulator() as emulator:
        yield emulator


def given(org: Emulator, **more: str) -> dict[str, str]:
    return {
        "client_id": org.client_id,
        "client_secret": org.client_secret,
        "login_url": org.login_url,
        **more,
    }


def by_password(org: Emulator, **more: str) -> dict[str, str]:
    return given(org, username=org.username, password=org.password, **more)


def client_of(value: dict[str, str], **more: Any) -> SalesforceClient:
    return SalesforceClient(credentials.parse(value, source="c.json"), timeouts=FAST, **more)


@pytest.fixture
async def client(org: Emulator) -> AsyncIterator[SalesforceClient]:
    client = client_of(by_password(org), max_in_flight=25)
    yield client
    await client.aclose()


Write = Callable[..., Any]


@pytest.fixture
def write(client: SalesforceClient) -> Write:
    async def write(
        operation: str,
        *groups: list[Record],
        flag: bool = False,
        is_atomic: bool = False,
        **more: Any,
    ) -> list[Outcome]:
        sink = sink_of(client, operation, **more)
        work = Batch("b", "t", [Group(rows, flag) for rows in groups], is_atomic)
        return list((await sink.write(work)).outcomes)

    return write


def sink_of(client: SalesforceClient, operation: str = "upsert", **more: Any) -> CompositeSink:
    more.setdefault("sobject_type", "Contact")
    if operation == "upsert":
        more.setdefault("external_id_field", "ExternalId__c")
    return CompositeSink(client, CompositeSettings(operation=operation, **more))


def contact(number: int, **more: Any) -> Record:
    return {"ExternalId__c": f"E-{number}", "LastName": f"Name {number}", **more}


def stored(org: Emulator, sobject: str = "Contact") -> list[dict[str, Any]]:
    return list(org.org.store.tables[sobject].rows.values())


def kinds(outcomes: list[Outcome]) -> list[str]:
    return [type(outcome).__name__ for outcome in outcomes]


def ids(outcomes: list[Outcome]) -> list[str]:
    return [outcome.id for outcome in outcomes if isinstance(outcome, Written)]


class TestOperations:
    async def test_upsert_creates_then_updates(self, org: Emulator, write: Write) -> None:
        rows = [contact(n) for n in range(200)]
        first = await write("upsert", rows)
        assert [outcome.created for outcome in first] == [True] * 200
        again = await write("upsert", rows)
        assert [outcome.created for outcome in again] == [False] * 200
        assert ids(first) == ids(again)
        assert len(stored(org)) == 200

    async def test_create_update_get_delete(self, org: Emulator, write: Write) -> None:
        made = ids(await write("create", [{"LastName": "A"}, {"LastName": "B"}]))
        assert len(made) == 2
        changed = await write("update", [{"Id": made[0], "LastName": "C"}])
        assert kinds(changed) == ["Written"]
        found = await write(
            "get", [{"Id": one} for one in [*made, "003000000000000AAA"]], fields=("Id", "LastName")
        )
        assert kinds(found) == ["Written", "Written", "Refused"]
        assert [one.data["LastName"] for one in found[:2]] == ["C", "B"]
        assert kinds(await write("delete", [{"Id": one} for one in made])) == ["Written"] * 2
        assert stored(org) == []

    async def test_null_clears_and_absent_leaves(self, org: Emulator, write: Write) -> None:
        await write("upsert", [contact(1, Email="a@example.com", Title="x")])
        await write("upsert", [contact(1, Email=None)])
        [row] = stored(org)
        assert row.get("Email") is None
        assert row["Title"] == "x"

    async def test_tree_plants_children_with_their_roots(self, org: Emulator, write: Write) -> None:
        found = await write(
            "tree",
            [
                {
                    "Name": "Acme",
                    "Contacts": {
                        "records": [
                            {"attributes": {"type": "Contact"}, "LastName": "A"},
                            {"attributes": {"type": "Contact"}, "LastName": "B"},
                        ]
                    },
                },
                {"Name": "Umbrella"},
            ],
            sobject_type="Account",
        )
        assert kinds(found) == ["Written", "Written"]
        assert len(found[0].data["ids"]) == 3
        assert len(stored(org, "Account")) == 2
        assert {row["AccountId"] for row in stored(org)} == {found[0].id}

    async def test_a_tree_is_written_whole_or_not_at_all(self, org: Emulator, write: Write) -> None:
        child = {"attributes": {"type": "Contact"}, "FirstName": "no last name"}
        found = await write(
            "tree",
            [{"Name": "Acme", "Contacts": {"records": [child]}}, {"Name": "Umbrella"}],
            sobject_type="Account",
        )
        assert kinds(found) == ["Refused", "RolledBack"]
        assert found[0].code == "REQUIRED_FIELD_MISSING"
        assert stored(org, "Account") == []


class TestAtomicity:
    async def test_partial_failure_leaves_the_rest(self, org: Emulator, write: Write) -> None:
        found = await write("upsert", [contact(1), {"ExternalId__c": "E-2"}, contact(3)])
        assert kinds(found) == ["Written", "Refused", "Written"]
        assert found[1].code == "REQUIRED_FIELD_MISSING"
        assert "LastName" in found[1].message
        assert len(stored(org)) == 2

    async def test_all_or_none_rolls_back(self, org: Emulator, write: Write) -> None:
        found = await write("upsert", [contact(1), {"ExternalId__c": "E-2"}], flag=True)
        assert kinds(found) == ["RolledBack", "Refused"]
        assert stored(org) == []

    async def test_groups_keep_their_own_atomicity(self, org: Emulator, write: Write) -> None:
        found = await write(
            "upsert",
            [contact(1), contact(2)],
            [contact(3), {"ExternalId__c": "E-4"}],
            [contact(5), contact(6)],
            flag=True,
        )
        assert kinds(found) == ["Written"] * 2 + ["RolledBack", "Refused"] + ["Written"] * 2
        assert {row["ExternalId__c"] for row in stored(org)} == {"E-1", "E-2", "E-5", "E-6"}

    @pytest.mark.parametrize("bad_group", [0, 1, 2])
    async def test_bound_groups_are_written_whole_or_not_at_all(
        self, org: Emulator, write: Write, bad_group: int
    ) -> None:
        groups = [[contact(n * 10 + k) for k in range(2)] for n in range(3)]
        del groups[bad_group][1]["LastName"]
        found = await write("upsert", *groups, flag=True, is_atomic=True)
        assert [isinstance(one, Refused | RolledBack) for one in found] == [True] * 6
        assert sum(isinstance(one, Refused) for one in found) == 1
        assert stored(org) == []

    async def test_a_thousand_records_in_one_transaction(self, org: Emulator, write: Write) -> None:
        groups = [[contact(n * 200 + k) for k in range(200)] for n in range(5)]
        found = await write("upsert", *groups, flag=True, is_atomic=True)
        assert kinds(found) == ["Written"] * 1000
        assert len(stored(org)) == 1000

    async def test_deletes_of_several_groups_share_a_call(
        self, org: Emulator, write: Write
    ) -> None:
        made = ids(await write("create", [{"LastName": str(n)} for n in range(4)]))
        rows = [{"Id": one} for one in made]
        gone = await write("delete", rows[:2], rows[2:], flag=True)
        assert kinds(gone) == ["Written"] * 4
        assert stored(org) == []


class TestTraps:
    async def test_the_same_key_twice_in_other_case(self, org: Emulator, write: Write) -> None:
        rows = [contact(1, ExternalId__c="abc"), contact(2, ExternalId__c="ABC"), contact(3)]
        found = await write("upsert", rows)
        assert kinds(found) == ["Deferred", "Deferred", "Written"]
        assert found[0].code == "DUPLICATE_VALUE"
        atomic = await write("upsert", rows, flag=True)
        assert not any(isinstance(one, Written) for one in atomic)

    async def test_a_lock_is_put_off(self, org: Emulator, write: Write) -> None:
        org.org.faults.add("lock")
        found = await write("upsert", [contact(1)])
        assert isinstance(found[0], Deferred)
        assert (found[0].code, found[0].cause) == ("UNABLE_TO_LOCK_ROW", Cause.CONTENTION)

    async def test_a_lock_inside_a_triggers_failure_is_put_off(
        self, org: Emulator, write: Write
    ) -> None:
        org.org.faults.add("lock-nested")
        found = await write("upsert", [contact(1)])
        assert isinstance(found[0], Deferred)
        assert found[0].code == "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY"

    async def test_a_missing_parent_is_waited_for(self, org: Emulator, write: Write) -> None:
        found = await write("upsert", [contact(1, Account={"ExternalId__c": "not yet"})])
        assert isinstance(found[0], Deferred)
        assert found[0].cause is Cause.DEPENDENCY
        await write(
            "upsert", [{"ExternalId__c": "not yet", "Name": "Acme"}], sobject_type="Account"
        )
        found = await write("upsert", [contact(1, Account={"ExternalId__c": "not yet"})])
        assert kinds(found) == ["Written"]

    async def test_an_unknown_field_is_found_among_good_records(
        self, org: Emulator, write: Write
    ) -> None:
        rows = [contact(n) for n in range(20)]
        rows[7]["Nonsense__c"] = 1
        found = await write("upsert", rows)
        assert [n for n, one in enumerate(found) if not isinstance(one, Written)] == [7]
        assert isinstance(found[7], Refused)
        assert found[7].code == "INVALID_FIELD"
        assert len(stored(org)) == 19

    async def test_an_unknown_key_field_is_the_requests_fault(self, write: Write) -> None:
        found = await write("upsert", [contact(1)], external_id_field="Nothing__c")
        assert isinstance(found[0], Refused)
        assert found[0].is_request_fault

    async def test_an_unknown_object_is_the_requests_fault(self, write: Write) -> None:
        found = await write("upsert", [contact(1)], sobject_type="Nothing__c")
        assert isinstance(found[0], Refused)
        assert found[0].is_request_fault

    async def test_a_repeated_delete_is_done(self, client: SalesforceClient, write: Write) -> None:
        made = ids(await write("create", [{"LastName": "A"}]))
        work = Batch("b", "t", [Group([{"Id": made[0]}])])
        sink = sink_of(client, "delete")
        await sink.write(work)
        assert isinstance((await sink.write(work)).outcomes[0], Refused)
        work.attempt = 2
        assert isinstance((await sink.write(work)).outcomes[0], Written)


class TestTrouble:
    async def test_a_dropped_answer_is_unknown_though_written(
        self, org: Emulator, write: Write
    ) -> None:
        org.org.faults.add("drop,path=*composite*")
        assert kinds(await write("create", [{"LastName": "A"}])) == ["Unknown"]
        assert len(stored(org)) == 1

    async def test_a_truncated_answer_is_unknown(self, org: Emulator, write: Write) -> None:
        org.org.faults.add("truncate,path=*composite*")
        assert kinds(await write("upsert", [contact(1)])) == ["Unknown"]

    @pytest.mark.parametrize("body", ["json", "html", "text", "empty"])
    async def test_503_is_an_outage_for_upsert_and_unknown_for_create(
        self, org: Emulator, write: Write, body: str
    ) -> None:
        org.org.faults.add(f"status:503,body={body},path=*composite*")
        found = await write("upsert", [contact(1)])
        assert isinstance(found[0], Deferred)
        assert found[0].cause is Cause.OUTAGE
        assert isinstance((await write("create", [{"LastName": "A"}]))[0], Unknown)

    async def test_the_daily_limit_is_told_from_the_concurrent_one(
        self, org: Emulator, client: SalesforceClient, write: Write
    ) -> None:
        await client.open()
        org.org.faults.add("limit:concurrent")
        found = await write("create", [{"LastName": "A"}])
        assert found[0].cause is Cause.CONTENTION
        org.org.faults.clear()
        org.org.faults.add("limit:daily,retry_after=5")
        found = await write("create", [{"LastName": "A"}])
        assert (found[0].cause, found[0].retry_after_seconds) == (Cause.LIMIT, 5.0)
        with pytest.raises(RequestLimitError):
            await client.probe()
        org.org.faults.clear()
        await client.probe()

    async def test_expired_sessions_cost_one_login(
        self, org: Emulator, client: SalesforceClient
    ) -> None:
        sink = sink_of(client)
        await sink.write(Batch("b", "t", [Group([contact(0)])]))
        issued = org.org.sessions.issued
        org.org.faults.add("expire")
        batches = [Batch("b", "t", [Group([contact(n)])]) for n in range(20)]
        answers = await asyncio.gather(*(sink.write(one) for one in batches))
        assert all(isinstance(one.outcomes[0], Written) for one in answers)
        assert org.org.sessions.issued == issued + 1

    async def test_a_policy_is_not_refreshed_for_ever(self, org: Emulator, write: Write) -> None:
        org.org.faults.add("policy:rest")
        with pytest.raises(AuthorizationError, match="policy"):
            await write("upsert", [contact(1)])
        assert org.org.sessions.issued == 1

    @pytest.mark.parametrize(
        ("kind", "error"),
        [
            ("rate", RequestLimitError),
            ("grant", AuthenticationError),
            ("client", AuthenticationError),
        ],
    )
    async def test_a_refused_login_says_so(
        self, org: Emulator, client: SalesforceClient, kind: str, error: type[Exception]
    ) -> None:
        org.org.faults.add(f"login:{kind}")
        with pytest.raises(error):
            await client.open()

    async def test_usage_is_followed(self, org: Emulator, client: SalesforceClient) -> None:
        answer = await sink_of(client).write(Batch("b", "t", [Group([contact(1)])]))
        assert (answer.api_used, answer.api_limit) == (org.org.usage.used, org.org.usage.limit)
        assert await client.fetch_usage() == client.api_usage


class TestLogins:
    async def test_client_credentials(self, org: Emulator) -> None:
        await logs_in(client_of(given(org)), Grant.CLIENT_CREDENTIALS)

    async def test_username_password(self, org: Emulator) -> None:
        await logs_in(client_of(by_password(org)), Grant.PASSWORD)

    async def test_jwt_bearer(self, org: Emulator) -> None:
        value = {
            "client_id": org.client_id,
            "username": org.username,
            "private_key": org.jwt_private_key.decode(),
            "login_url": org.login_url,
        }
        await logs_in(client_of(value), Grant.JWT_BEARER)

    async def test_a_ready_token(self, org: Emulator) -> None:
        first = client_of(by_password(org))
        token = await first.open()
        await first.aclose()
        value = {"access_token": token.access_token, "instance_url": token.instance_url}
        client = client_of(value)
        await logs_in(client, Grant.READY_TOKEN)

    async def test_an_expired_ready_token_says_what_to_do(self, org: Emulator) -> None:
        client = client_of({"access_token": "00D!gone", "instance_url": org.login_url})
        with pytest.raises(AuthenticationError, match="ready-made access_token"):
            await client.probe()
        await client.aclose()

    async def test_an_instance_url_of_the_file_wins(self, org: Emulator) -> None:
        url = org.login_url.replace("127.0.0.1", "localhost")
        client = client_of(by_password(org, instance_url=url))
        assert (await client.open()).instance_url == url
        await client.aclose()

    async def test_a_ready_token_that_expires_is_replaced_by_a_login(self, org: Emulator) -> None:
        value = by_password(org, access_token="00D!gone", instance_url=org.login_url)
        client = client_of(value)
        answer = await sink_of(client).write(Batch("b", "t", [Group([contact(1)])]))
        assert isinstance(answer.outcomes[0], Written)
        assert org.org.sessions.issued == 1
        await client.aclose()

    async def test_over_tls(self, org: Emulator) -> None:
        value = by_password(org, login_url=org.tls_url, ca_file=str(org.ca_file))
        await logs_in(client_of(value), Grant.PASSWORD)

    async def test_an_unknown_authority_is_refused_before_anything_leaves(
        self, org: Emulator
    ) -> None:
        client = client_of(by_password(org, login_url=org.tls_url))
        with pytest.raises(TransportError, match="ca_file") as error:
            await client.open()
        assert not error.value.sent
        await client.aclose()

    async def test_a_wrong_password_says_what_else_it_may_be(self, org: Emulator) -> None:
        client = client_of({**by_password(org), "password": "wr0ng"})
        with pytest.raises(AuthenticationError, match="OAuth and OpenID Connect Settings"):
            await client.open()
        await client.aclose()


async def logs_in(client: SalesforceClient, grant: Grant) -> None:
    assert client.session.credentials.grant is grant
    await client.open()
    assert client.api_version == "68.0"
    token = await client.session.identify()
    assert token.org_id.startswith("00D")
    assert token.user_id.startswith("005")
    answer = await sink_of(client).write(Batch("b", "t", [Group([contact(1)])]))
    assert isinstance(answer.outcomes[0], Written)
    await client.aclose()


class TestDescribe:
    async def test_fields_are_as_the_org_has_them(self, client: SalesforceClient) -> None:
        describer = Describer(client)
        facts = await describer.describe("Contact")
        assert facts.key_prefix == "003"
        assert facts.fields["LastName"].is_required
        assert facts.fields["LastName"].length == 80
        assert facts.fields["ExternalId__c"].is_external_id
        assert await describer.describe("contact") is facts

    async def test_an_unknown_object_is_refused(self, client: SalesforceClient) -> None:
        with pytest.raises(RequestRefusedError, match="404"):
            await Describer(client).describe("Nothing__c")
