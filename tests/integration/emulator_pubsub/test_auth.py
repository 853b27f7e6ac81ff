"""Metadata, topics, schemas and the listeners."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import grpc
import pytest

from workbench.emulator.certificates import make_tls_files
from workbench.emulator.org import Org
from workbench.emulator.pubsub import PubSubServer

from .conftest import TOPIC, Client, M, refusal

S = grpc.StatusCode


def topic_request() -> Any:
    return M["TopicRequest"](topic_name=TOPIC)


@pytest.mark.parametrize("form", ["{id}", "{short}", "core/sandbox/{id}", "CORE/prod/{short}"])
async def test_every_form_of_the_tenant_is_understood(client: Client, form: str) -> None:
    org_id = client.server.org.id
    metadata = client.metadata(tenantid=form.format(id=org_id, short=org_id[:15]))
    info = await client.GetTopic(topic_request(), metadata)
    assert info.topic_name == TOPIC
    assert info.can_publish
    assert info.can_subscribe
    assert info.rpc_id


@pytest.mark.parametrize(
    ("changed", "code", "words"),
    [
        ({"accesstoken": None}, "service.auth.headers.invalid", "accesstoken"),
        ({"tenantid": " "}, "service.auth.headers.invalid", "tenantid"),
        ({"instanceurl": None}, "service.auth.headers.invalid", "instanceurl"),
        ({"instanceurl": "http://[::1"}, "service.auth.headers.invalid", "scheme and host"),
        ({"instanceurl": "localhost"}, "service.auth.headers.invalid", "scheme and host"),
        ({"instanceurl": "https://h/services"}, "service.auth.headers.invalid", "no path"),
        ({"accesstoken": "00D!never"}, "service.auth.error", "authentication"),
        ({"tenantid": "00DWB00000000099AA"}, "service.auth.error", "authentication"),
        ({"tenantid": "00DWB00000000012AB"}, "service.auth.error", "authentication"),
        ({"tenantid": "other/x/00DWB00000000012AA"}, "service.auth.error", "authentication"),
    ],
)
async def test_wrong_metadata_ends_every_kind_of_call(
    client: Client, changed: dict[str, str | None], code: str, words: str
) -> None:
    metadata = client.metadata(**changed)
    status, found, details = await refusal(client.GetTopic(topic_request(), metadata))
    assert (status, found) == (S.UNAUTHENTICATED, code)
    assert words in details
    stream = client.Subscribe(metadata)
    assert (await refusal(stream.read()))[1] == code


async def test_an_ended_session_is_noticed_by_the_next_call_not_by_an_open_stream(
    client: Client,
) -> None:
    call = await client.subscribe()
    await client.publish(client.event(id="a"))
    assert (await call.read()).events[0].event.id == "a"
    client.server.org.sessions.expire_all()
    assert (await refusal(client.publish(client.event())))[1] == "service.auth.error"
    client.token = client.server.org.sessions.issue(client.server.org.user)
    await client.publish(client.event(id="b"))
    assert (await call.read()).events[0].event.id == "b"
    call.cancel()


async def test_the_schema_of_a_topic_has_the_shape_of_the_captures(client: Client) -> None:
    info = await client.GetTopic(topic_request())
    schema = await client.GetSchema(M["SchemaRequest"](schema_id=info.schema_id))
    assert schema.schema_id == info.schema_id
    definition = json.loads(schema.schema_json)
    assert definition["name"] == "OrderStatus__e"
    assert definition["namespace"] == "com.sforce.eventbus"
    created, _by, first, *_ = definition["fields"]
    assert created == {"name": "CreatedDate", "type": "long", "doc": "CreatedDate:DateTime"}
    assert first == {
        "name": "Order_ID__c", "type": ["null", "string"], "doc": "Data:Text", "default": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("schema_id", "status", "words"),
    [("", S.INVALID_ARGUMENT, "schema ID can't be blank"), ("nope", S.NOT_FOUND, "nope")],
)
async def test_a_schema_that_is_not(
    client: Client, schema_id: str, status: grpc.StatusCode, words: str
) -> None:
    found, code, details = await refusal(client.GetSchema(M["SchemaRequest"](schema_id=schema_id)))
    assert (found, code) == (status, "schema.validation.failed")
    assert words in details


@pytest.mark.parametrize(
    ("topic", "status", "code"),
    [
        ("", S.INVALID_ARGUMENT, "topic.validation.empty"),
        ("/event/None__e", S.NOT_FOUND, "topic.not.found"),
        ("invalid-topic-name", S.PERMISSION_DENIED, "topic.meta.permission"),
    ],
)
async def test_a_topic_that_is_not(
    client: Client, topic: str, status: grpc.StatusCode, code: str
) -> None:
    found = await refusal(client.GetTopic(M["TopicRequest"](topic_name=topic)))
    assert found[:2] == (status, code)


async def test_both_listeners_serve_the_same_bus(tmp_path: Path) -> None:
    files = make_tls_files(tmp_path)
    server = PubSubServer(Org(), tls=files)
    await server.start()
    plain = grpc.aio.insecure_channel(server.address)
    secure = grpc.aio.secure_channel(
        server.tls_address, grpc.ssl_channel_credentials(files.ca.read_bytes())
    )
    try:
        one, other = Client(server, plain), Client(server, secure)
        await one.publish(one.event(id="over plaintext"))
        call = await other.subscribe()
        assert (await call.read()).events[0].event.id == "over plaintext"
        call.cancel()
    finally:
        await plain.close()
        await secure.close()
        await server.aclose()
        await server.aclose()


async def test_a_taken_port_is_said_in_a_sentence(client: Client) -> None:
    server = PubSubServer(Org(), port=client.server.port)
    with pytest.raises(OSError, match=f"127.0.0.1:{client.server.port}: is the port taken"):
        await server.start()
