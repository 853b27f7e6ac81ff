"""The wire contract against the emulator's own, requests and answers, endpoints, and what is
imported when."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.emulator.descriptors import MESSAGES, METHODS, SERVICE
from workbench.errors import SettingsError
from workbench.model import Refused, Unknown, Written
from workbench.salesforce import pubsub
from workbench.salesforce.pubsub import PublisherSettings
from workbench.salesforce.pubsub_endpoint import DEFAULT_ENDPOINT, Endpoint
from workbench.salesforce.pubsub_request import (
    Publication,
    new_ids,
    publications,
    read,
    source_ids,
)
from workbench.salesforce.pubsub_wire import (
    GET_SCHEMA,
    GET_TOPIC,
    PUBLISH,
    PUBLISH_STREAM,
    PublishResponse,
    Rpc,
    messages,
    publish_request,
)


@pytest.mark.parametrize("name", messages())
def test_messages_are_those_that_another_reading_of_the_tables_gave(name: str) -> None:
    ours, theirs = messages()[name].DESCRIPTOR, MESSAGES[name].DESCRIPTOR
    assert ours.full_name == theirs.full_name
    assert [(f.name, f.number, f.type, f.is_repeated) for f in ours.fields] == [
        (f.name, f.number, f.type, f.is_repeated) for f in theirs.fields
    ]


@pytest.mark.parametrize("rpc", [GET_TOPIC, GET_SCHEMA, PUBLISH, PUBLISH_STREAM])
def test_methods_are_those_of_the_service(rpc: Rpc) -> None:
    assert METHODS[rpc.name][:2] == (rpc.request, rpc.response)
    assert rpc.path == f"/{SERVICE}/{rpc.name}"


def test_a_request_holds_topic_ids_schema_and_payloads() -> None:
    [part] = publications([b"one", Refused("X", "no"), b"three"], ["a", "b", "c"])
    assert part.places == [0, 2]
    request = MESSAGES["PublishRequest"].FromString(part.encode("/event/X__e", "schema"))
    assert request.topic_name == "/event/X__e"
    assert [(e.id, e.schema_id, e.payload) for e in request.events] == [
        ("a", "schema", b"one"),
        ("c", "schema", b"three"),
    ]


@given(
    st.text(max_size=200),
    st.text(max_size=200),
    st.lists(st.tuples(st.text(max_size=200), st.sampled_from([0, 1, 20, 127, 128, 20_000]))),
)
def test_requests_are_put_together_as_protobuf_does(
    topic: str, schema_id: str, events: list[tuple[str, int]]
) -> None:
    message = MESSAGES["PublishRequest"](topic_name=topic)
    for id_, size in events:
        message.events.add(id=id_, schema_id=schema_id, payload=bytes(size))
    sent = publish_request(topic, schema_id, [(id_, bytes(size)) for id_, size in events])
    assert MESSAGES["PublishRequest"].FromString(sent) == message


def test_requests_are_split_by_their_encoded_size_and_lose_nothing() -> None:
    payloads = [bytes(size) for size in (10, 3_000_000, 900_000, 1_000_000, 1_000_000, 500_000)]
    ids = new_ids(len(payloads))
    parts = publications(payloads, ids)
    assert [place for part in parts for place in part.places] == list(range(len(payloads)))
    for part in parts:
        encoded = part.encode("/event/" + "X" * 80, "s" * 22)
        assert len(encoded) <= 3_000_100 or len(part.places) == 1


def test_ids_are_uuids_and_differ() -> None:
    ids = [*new_ids(200), *new_ids(200)]
    assert len(set(ids)) == 400
    assert all(str(uuid.UUID(id_)) == id_ for id_ in ids)


def test_ids_of_sources_are_the_same_every_time_and_for_nobody_else() -> None:
    origins = [
        ("orders", "", 1, 0, 2),
        ("orders", "", 11, 0, 1),
        ("others", "", 1, 0, 1),
        ("orders", "upsert", 1, 0, 1),
        ("orders", "", 1 + (1 << 12), 0, 1),
        ("orders", "", 1 + (1 << 40), 0, 1),
        ("orders", "", 1, 1 << 12, 2),
    ]
    ids = source_ids("flow\ntask\ntopic\n", origins)
    assert ids == source_ids("flow\ntask\ntopic\n", origins)
    assert len(ids) == 9
    assert len({*ids, *source_ids("other\ntask\ntopic\n", origins)}) == 18
    assert source_ids("flow\ntask\ntopic\n", [("orders", "", 1, 1, 1)]) == [ids[1]]
    for id_ in ids:
        assert str(uuid.UUID(id_)) == id_
        assert (uuid.UUID(id_).version, uuid.UUID(id_).variant) == (8, uuid.RFC_4122)


def response_of(*results: tuple[str, bytes, str]) -> PublishResponse:
    """The answer of (correlation key, replay id, error message)."""
    response = MESSAGES["PublishResponse"](schema_id="s")
    for key, replay, error in results:
        result = response.results.add(correlation_key=key, replay_id=replay)
        if error:
            result.error.msg = error
    return PublishResponse(response.SerializeToString())


usual_ids = st.lists(st.uuids().map(str), min_size=1, max_size=20)


@given(usual_ids, st.integers(1, 80))
def test_the_usual_answer_is_known_by_its_bytes(ids: list[str], replay: int) -> None:
    response = response_of(*((id_, bytes([number]) * replay, "") for number, id_ in enumerate(ids)))
    assert response.is_all_published(ids)
    assert not response.is_all_published([*ids, "x"])
    assert not response.is_all_published(ids[1:])
    assert not response.is_all_published([*ids[:-1], "x" * 36])


texts = st.text("ab\x00\x1a\n", max_size=2) | st.text(max_size=200)
results = st.tuples(
    texts, st.binary(max_size=3) | st.binary(max_size=200), st.sampled_from(["", "", "no"])
)


@given(st.lists(results, max_size=4), st.lists(texts, max_size=4), st.booleans())
def test_no_other_answer_is_taken_for_the_usual_one(
    given: list[tuple[str, bytes, str]], others: list[str], is_same: bool
) -> None:
    ids = [key for key, _, _ in given] if is_same else others
    response = response_of(*given)
    if response.is_all_published(ids):
        assert [key for key, _, _ in given] == ids
        assert all(replay and not error for _, replay, error in given)


def test_results_are_matched_by_key_wherever_they_stand() -> None:
    reading = read(response_of(("b", b"", "bad"), ("a", b"\1", "")), ["a", "b"])
    assert [type(o) for o in reading.outcomes] == [Written, Refused]
    assert reading.results[1] == {
        "id": "b",
        "success": False,
        "errors": [{"code": 0, "msg": "bad"}],
    }


def test_results_of_what_is_published_are_told_as_json_objects() -> None:
    reading = read(response_of(("a", b"\1", ""), ("b", b"\2", "")), ["a", "b"])
    rows = [
        {"id": id_, "success": True, "created": True, "replay_id": replay, "errors": []}
        for id_, replay in (("a", "01"), ("b", "02"))
    ]
    assert list(reading.results) == reading.results[:] == rows
    assert reading.outcomes == [Written(row["id"], True, row) for row in rows]
    partly = read(response_of(("a", b"\1", ""), ("b", b"", "bad")), ["a", "b"])
    assert partly.results[0] == rows[0]


def test_a_result_too_many_spoils_nothing() -> None:
    response = response_of(("x", b"", "bad"), ("a", b"\1", ""), ("y", b"\3", ""), ("b", b"\2", ""))
    reading = read(response, ["a", "b"])
    assert [(type(o), o.id) for o in reading.outcomes] == [(Written, "a"), (Written, "b")]
    assert [row["replay_id"] for row in reading.results] == ["01", "02"]


def test_what_has_no_result_of_its_own_is_unknown() -> None:
    response = response_of(("a", b"\1", ""), ("x", b"\2", ""), ("c", b"", ""))
    reading = read(response, ["a", "b", "c"])
    assert [type(o) for o in reading.outcomes] == [Written, Unknown, Unknown]
    reading = read(response_of(), ["a"])
    assert [type(o) for o in reading.outcomes] == [Unknown]


def test_a_result_with_both_a_replay_id_and_an_error_is_not_written() -> None:
    [outcome] = read(response_of(("a", b"\1", "bad")), ["a"]).outcomes
    assert isinstance(outcome, Refused)


@pytest.mark.parametrize(
    ("text", "target", "is_tls"),
    [
        (DEFAULT_ENDPOINT, "api.pubsub.salesforce.com:7443", True),
        ("api.deu.pubsub.salesforce.com:443", "api.deu.pubsub.salesforce.com:443", True),
        ("https://api.pubsub.salesforce.com", "api.pubsub.salesforce.com:7443", True),
        ("127.0.0.1:5000", "127.0.0.1:5000", False),
        ("http://localhost:5000", "localhost:5000", False),
        ("https://localhost:5000", "localhost:5000", True),
        ("[::1]:5000", "[::1]:5000", False),
    ],
)
def test_endpoints(text: str, target: str, is_tls: bool) -> None:
    endpoint = Endpoint(text)
    assert (endpoint.target, endpoint.is_tls) == (target, is_tls)


@pytest.mark.parametrize(
    "text", ["", ":7443", "http://example.com:80", "host:notaport", "host/path", "ftp://host:1"]
)
def test_what_is_no_endpoint_is_told(text: str) -> None:
    with pytest.raises(SettingsError, match="endpoint"):
        Endpoint(text)


def test_limits_follow_from_the_settings() -> None:
    limits = PublisherSettings("/event/X__e", max_records=500).limits
    assert (limits.max_records, limits.max_groups, limits.is_idempotent) == (200, 1, False)
    assert PublisherSettings("/event/X__e", accept_duplicates=True).limits.is_idempotent
    assert PublisherSettings("/event/X__e", max_records=50).limits.max_records == 50


def test_nothing_of_grpc_is_imported_before_a_sink_is_opened() -> None:
    program = (
        "import sys\n"
        "from workbench.salesforce import PublisherSettings, PublisherSink\n"
        "from workbench.model import Batch, Group\n"
        "sink = PublisherSink(None, PublisherSettings('/event/X__e'))\n"
        "sink.request_of(Batch('b', 't', [Group([{'A': 1}])]))\n"
        "heavy = {'grpc', 'google.protobuf', 'fastavro', 'httpcore2'} & sys.modules.keys()\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_publications_start_empty() -> None:
    assert Publication().places == []
    assert publications([Refused("X", "no")], ["a"]) == []
    assert publications([], []) == []


def test_grpc_is_imported_in_one_place_which_keeps_it_quiet() -> None:
    package = Path(pubsub.__file__).parent
    importers = [
        file.name for file in package.glob("*.py") if "\nimport grpc" in file.read_text("utf-8")
    ]
    assert importers == ["pubsub_grpc.py"]
    program = (
        "import asyncio\n"
        "from workbench.salesforce.pubsub_grpc import grpc\n"
        "async def main():\n"
        "    server = grpc.aio.server()\n"
        "    port = server.add_insecure_port('127.0.0.1:0')\n"
        "    await server.start()\n"
        "    async with grpc.aio.insecure_channel(f'127.0.0.1:{port}') as channel:\n"
        "        call = channel.stream_stream('/x/y')()\n"
        "        await channel.channel_ready()\n"
        "        await server.stop(None)\n"
        "        await call.code()\n"
        "asyncio.run(main())\n"
    )
    environment = {k: v for k, v in os.environ.items() if k != "GRPC_VERBOSITY"}
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, env=environment
    )
    assert done.stderr == b""
