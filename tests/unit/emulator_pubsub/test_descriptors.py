"""The contract's bytes, field by field."""

from __future__ import annotations

from google.protobuf import descriptor_pool

from workbench.emulator.descriptors import MESSAGES, METHODS, SERVICE


def test_the_default_pool_stays_clean() -> None:
    assert MESSAGES["PublishRequest"].DESCRIPTOR.file.pool is not descriptor_pool.Default()


def test_every_method_has_its_messages() -> None:
    assert SERVICE == "eventbus.v1.PubSub"
    service = MESSAGES["Error"].DESCRIPTOR.file.services_by_name["PubSub"]
    assert {m.name: (m.input_type.name, m.output_type.name) for m in service.methods} == {
        name: (request, response) for name, (request, response, _) in METHODS.items()
    }


def test_a_publish_request_on_the_wire() -> None:
    event = {"id": "i", "schema_id": "s", "payload": b"p", "headers": [{"key": "k", "value": b"v"}]}
    request = MESSAGES["PublishRequest"](topic_name="t", events=[event], auth_refresh="a")
    header = b"\x0a\x01k\x12\x01v"
    body = b"\x0a\x01i\x12\x01s\x1a\x01p" + b"\x22" + bytes([len(header)]) + header
    wire = b"\x0a\x01t" + b"\x12" + bytes([len(body)]) + body + b"\x1a\x01a"
    assert request.SerializeToString(deterministic=True) == wire


def test_numbers_on_the_wire() -> None:
    commit = MESSAGES["CommitReplayResponse"](
        commit_request_id="c", replay_id=b"r", error={"code": 2, "msg": "m"}, process_time=300
    )
    wire = b"\x0a\x01c\x12\x01r\x1a\x05\x08\x02\x12\x01m\x20\xac\x02"
    assert commit.SerializeToString(deterministic=True) == wire
    fetch = MESSAGES["FetchRequest"](topic_name="t", replay_preset=2, replay_id=b"r")
    fetch.num_requested = 100
    assert fetch.SerializeToString(deterministic=True) == b"\x0a\x01t\x10\x02\x1a\x01r\x20\x64"
