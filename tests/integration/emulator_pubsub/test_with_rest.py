"""Both halves of the emulator on one org: events over HTTP, the control endpoint, TLS, login."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import grpc
import pytest

from workbench.emulator import Emulator, EmulatorOptions, PubSubLimits

from .conftest import TOPIC, Client, M, collect, refusal


class Http:
    """GET, POST and DELETE against the emulator, as (status, JSON)."""

    def __init__(self, session: aiohttp.ClientSession, emulator: Emulator) -> None:
        self._session = session
        self._emulator = emulator
        self.headers: dict[str, str] = {}

    async def __call__(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        url = self._emulator.login_url + path
        async with self._session.request(method, url, json=body, headers=self.headers) as response:
            return response.status, await response.json()

    async def login(self) -> str:
        org = self._emulator
        form = {
            "grant_type": "client_credentials",
            "client_id": org.client_id,
            "client_secret": org.client_secret,
        }
        url = org.login_url + "/services/oauth2/token"
        async with self._session.post(url, data=form) as response:
            token = str((await response.json())["access_token"])
        self.headers = {"Authorization": f"Bearer {token}"}
        return token


@pytest.fixture
async def emulator() -> AsyncIterator[Emulator]:
    async with Emulator(EmulatorOptions(pubsub=True)) as started:
        yield started


@pytest.fixture
async def http(emulator: Emulator) -> AsyncIterator[Http]:
    async with aiohttp.ClientSession() as session:
        yield Http(session, emulator)


@pytest.fixture
async def client(emulator: Emulator, http: Http) -> AsyncIterator[Client]:
    """A client over TLS, verifying, with a token from the OAuth endpoint."""
    assert emulator.ca_file is not None
    credentials = grpc.ssl_channel_credentials(emulator.ca_file.read_bytes())
    async with grpc.aio.secure_channel(emulator.pubsub_tls_address, credentials) as channel:
        assert emulator.pubsub is not None
        made = Client(emulator.pubsub, channel)
        made.token = await http.login()
        yield made


async def test_a_token_of_the_rest_half_is_good_for_pubsub(client: Client) -> None:
    response = await client.publish(client.event(id="x"))
    assert response.results[0].correlation_key == "x"


async def test_an_event_posted_as_a_row_is_on_the_bus(client: Client, http: Http) -> None:
    call = await client.subscribe()
    row = {
        "Order_ID__c": "",
        "status__C": None,
        "Timestamp__c": "2026-11-23T12:00:00.5+01:00",
    }
    status, body = await http("POST", "/services/data/v62.0/sobjects/OrderStatus__e", row)
    assert status == 201
    assert body["success"] is True
    assert body["errors"][0]["statusCode"] == "OPERATION_ENQUEUED"
    (event,) = await collect(call, 1)
    assert event.event.id == body["errors"][0]["message"]
    schema = client.server.topics.schema(event.event.schema_id)
    assert schema is not None
    values = schema.decode(event.event.payload)
    assert values["Order_ID__c"] == ""
    assert values["Status__c"] is None
    assert values["Timestamp__c"] == 1795431600500
    assert values["CreatedById"] == client.server.org.user.id
    call.cancel()


@pytest.mark.parametrize(
    ("row", "code"),
    [
        ({"Nope__c": 1}, "INVALID_FIELD"),
        ({"Order_ID__c": "x" * 256}, "STRING_TOO_LONG"),
        ({"Timestamp__c": "yesterday"}, "JSON_PARSER_ERROR"),
    ],
)
async def test_a_wrong_row_is_no_event(
    client: Client, http: Http, row: dict[str, Any], code: str
) -> None:
    status, body = await http("POST", "/services/data/v62.0/sobjects/OrderStatus__e", row)
    assert (status, body[0]["errorCode"]) == (400, code)
    assert client.server.topics.as_json(TOPIC)["events"] == []


async def test_what_is_on_the_bus_can_be_read_over_http(client: Client, http: Http) -> None:
    response = await client.publish(*client.events(3))
    status, body = await http("GET", "/emulator/events/OrderStatus__e?limit=2")
    assert status == 200
    assert [event["fields"]["Order_ID__c"] for event in body["events"]] == ["0", "1"]
    assert body["events"][0]["replay_id"] == response.results[0].replay_id.hex()
    _, rest = await http("GET", f"/emulator/events/event/OrderStatus__e?after={body['next']}")
    assert [event["id"] for event in rest["events"]] == ["event-2"]
    _, topics = await http("GET", "/emulator/events")
    counts = {topic["topic"]: topic["events"] for topic in topics["topics"]}
    assert counts == {TOPIC: 3, "/event/CRM_Event__e": 0}
    await http("DELETE", "/emulator/events")
    assert (await http("GET", "/emulator/events/OrderStatus__e"))[1]["events"] == []
    status, body = await http("GET", "/emulator/events/None__e")
    assert (status, "there is no event None__e" in body["error"]) == (404, True)


async def test_a_field_is_added_over_http(client: Client, http: Http) -> None:
    before = client.event(id="old")
    field = {"name": "Carrier__c", "type": "text"}
    status, body = await http("POST", "/emulator/events/OrderStatus__e/fields", field)
    assert status == 201
    info = await client.GetTopic(M["TopicRequest"](topic_name=TOPIC))
    assert info.schema_id == body["schema_id"] != before.schema_id
    again = await http("POST", "/emulator/events/OrderStatus__e/fields", field)
    assert again == (400, {"error": "OrderStatus__e already has a field Carrier__c"})
    wrong = await http("POST", "/emulator/events/OrderStatus__e/fields", {"name": "X__c"})
    assert wrong == (400, {"error": "the body is an object with the texts name and type"})


async def test_rights_are_taken_and_given_over_http(client: Client, http: Http) -> None:
    path = "/emulator/events/OrderStatus__e/rights"
    status, body = await http("POST", path, {"can_publish": False})
    assert (status, body["can_publish"], body["can_subscribe"]) == (200, False, True)
    info = await client.GetTopic(M["TopicRequest"](topic_name=TOPIC))
    assert not info.can_publish
    code = (await refusal(client.publish(client.event())))[0]
    assert code == grpc.StatusCode.PERMISSION_DENIED
    await http("POST", path, {"can_publish": True})
    assert (await client.publish(client.event())).results[0].replay_id
    status, body = await http("POST", path, {"can_publish": "no"})
    assert status == 400
    assert body["error"] == (
        "the body is an object with perhaps can_publish and can_subscribe, true or false"
    )


async def test_faults_and_limits_are_switched_over_http(client: Client, http: Http) -> None:
    await http("POST", "/emulator/faults", {"fault": "pubsub-status:UNAVAILABLE,count=1"})
    assert (await refusal(client.publish(client.event())))[0] == grpc.StatusCode.UNAVAILABLE
    await http("POST", "/emulator/limits", {"hourly_events": 1})
    response = await client.publish(*client.events(2))
    assert response.results[1].error.msg.startswith("LIMIT_EXCEEDED")
    _, limits = await http("GET", "/services/data/v62.0/limits")
    assert limits["HourlyPublishedPlatformEvents"] == {"Max": 1, "Remaining": 0}
    row = await http("POST", "/services/data/v62.0/sobjects/OrderStatus__e", {})
    assert (row[0], row[1][0]["errorCode"]) == (400, "LIMIT_EXCEEDED")


async def test_managed_subscriptions_are_made_over_http(client: Client, http: Http) -> None:
    wanted = {"developer_name": "Mine", "event": "OrderStatus__e", "from_earliest": True}
    status, made = await http("POST", "/emulator/subscriptions", wanted)
    assert (status, made["topic"]) == (201, TOPIC)
    await client.publish(client.event(id="x"))
    call = client.ManagedSubscribe()
    await call.write(M["ManagedFetchRequest"](subscription_id=made["id"][:15], num_requested=1))
    assert (await collect(call, 1))[0].event.id == "x"
    _, shown = await http("GET", "/emulator/subscriptions")
    names = [s["developer_name"] for s in shown["subscriptions"]]
    assert names == ["OrderStatus", "CRM_Event", "Mine"]
    call.cancel()
    bad = await http("POST", "/emulator/subscriptions", wanted | {"from_earliest": 1})
    assert bad[0] == 400


async def test_the_state_counts_what_is_on_the_bus(client: Client, http: Http) -> None:
    await client.publish(*client.events(3))
    _, state = await http("GET", "/emulator/state")
    assert state["bus"]["events"][TOPIC] == 3
    assert state["bus"]["published_last_hour"] == 3


async def test_limits_are_options_of_the_emulator() -> None:
    limits = PubSubLimits(publish_idle_seconds=0.1)
    options = EmulatorOptions(pubsub=True, tls=False, hourly_events=1, pubsub_limits=limits)
    async with Emulator(options) as emulator:
        assert emulator.pubsub is not None
        assert emulator.pubsub_tls_address == ""
        async with grpc.aio.insecure_channel(emulator.pubsub_address) as channel:
            client = Client(emulator.pubsub, channel)
            response = await client.publish(*client.events(2))
            assert [bool(r.replay_id) for r in response.results] == [True, False]
            assert (await refusal(client.PublishStream().read()))[0] == grpc.StatusCode.CANCELLED


async def test_a_reset_empties_the_bus_and_goes_back_to_what_is_declared(
    client: Client, http: Http
) -> None:
    event = client.event()
    await client.publish(event)
    field = {"name": "Carrier__c", "type": "text"}
    await http("POST", "/emulator/events/OrderStatus__e/fields", field)
    await http("POST", "/emulator/events/OrderStatus__e/rights", {"can_publish": False})
    await http("POST", "/emulator/reset")
    assert client.server.topics.as_json(TOPIC)["events"] == []
    assert (await refusal(client.publish(client.event())))[1] == "service.auth.error"
    client.token = await http.login()
    response = await client.publish(event)
    assert response.schema_id == event.schema_id
    assert response.results[0].replay_id


async def test_a_client_finds_its_managed_subscription_by_the_tooling_api(
    client: Client, http: Http
) -> None:
    query = "SELECT Id, DeveloperName, Metadata FROM ManagedEventSubscription"
    path = "/services/data/v62.0/tooling/query/?q="
    where = " WHERE DeveloperName='OrderStatus' LIMIT 1"
    status, body = await http("GET", path + query + where)
    assert (status, body["size"]) == (200, 1)
    assert body["records"][0]["Metadata"]["topicName"] == TOPIC
    assert body["records"][0]["Metadata"]["state"] == "RUN"
    by_id = f" WHERE Id = '{body['records'][0]['Id']}'"
    assert (await http("GET", path + query + by_id))[1]["records"] == body["records"]
    assert (await http("GET", path + query + " WHERE Id='18xNone'"))[1]["size"] == 0
    assert (await http("GET", path + query))[1]["size"] == 2
    status, body = await http("GET", path + "SELECT Id FROM ApexClass")
    assert (status, body[0]["errorCode"]) == (400, "MALFORMED_QUERY")
