"""The wire contract `eventbus.v1`, built in code.

No generated code is kept: it would tie us to one protobuf and one grpcio version. The messages live
in a descriptor pool of their own, so another library that registers the same names in protobuf's
default pool does no harm.

Source: https://github.com/forcedotcom/pub-sub-api/blob/main/pubsub_api.proto (checked 2026-11-23).
"""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

PACKAGE = "eventbus.v1"
SERVICE = f"{PACKAGE}.PubSub"

# One line a message: `name number type`, a leading `*` means repeated; a type that is no scalar is
# another message or an enum of this file.
_MESSAGES = {
    "TopicInfo": "topic_name 1 string, tenant_guid 2 string, can_publish 3 bool, "
    "can_subscribe 4 bool, schema_id 5 string, rpc_id 6 string",
    "TopicRequest": "topic_name 1 string",
    "EventHeader": "key 1 string, value 2 bytes",
    "ProducerEvent": "id 1 string, schema_id 2 string, payload 3 bytes, headers 4 *EventHeader",
    "ConsumerEvent": "event 1 ProducerEvent, replay_id 2 bytes",
    "PublishResult": "replay_id 1 bytes, error 2 Error, correlation_key 3 string",
    "Error": "code 1 ErrorCode, msg 2 string",
    "FetchRequest": "topic_name 1 string, replay_preset 2 ReplayPreset, replay_id 3 bytes, "
    "num_requested 4 int32, auth_refresh 5 string",
    "FetchResponse": "events 1 *ConsumerEvent, latest_replay_id 2 bytes, rpc_id 3 string, "
    "pending_num_requested 4 int32",
    "SchemaRequest": "schema_id 1 string",
    "SchemaInfo": "schema_json 1 string, schema_id 2 string, rpc_id 3 string",
    "PublishRequest": "topic_name 1 string, events 2 *ProducerEvent, auth_refresh 3 string",
    "PublishResponse": "results 1 *PublishResult, schema_id 2 string, rpc_id 3 string",
    "ManagedFetchRequest": "subscription_id 1 string, developer_name 2 string, "
    "num_requested 3 int32, auth_refresh 4 string, commit_replay_id_request 5 CommitReplayRequest",
    "ManagedFetchResponse": "events 1 *ConsumerEvent, latest_replay_id 2 bytes, rpc_id 3 string, "
    "pending_num_requested 4 int32, commit_response 5 CommitReplayResponse",
    "CommitReplayRequest": "commit_request_id 1 string, replay_id 2 bytes",
    "CommitReplayResponse": "commit_request_id 1 string, replay_id 2 bytes, error 3 Error, "
    "process_time 4 int64",
}
_ENUMS = {
    "ErrorCode": ("UNKNOWN", "PUBLISH", "COMMIT"),
    "ReplayPreset": ("LATEST", "EARLIEST", "CUSTOM"),
}

# method: (request, response, both sides stream)
METHODS = {
    "GetTopic": ("TopicRequest", "TopicInfo", False),
    "GetSchema": ("SchemaRequest", "SchemaInfo", False),
    "Publish": ("PublishRequest", "PublishResponse", False),
    "PublishStream": ("PublishRequest", "PublishResponse", True),
    "Subscribe": ("FetchRequest", "FetchResponse", True),
    "ManagedSubscribe": ("ManagedFetchRequest", "ManagedFetchResponse", True),
}

LATEST, EARLIEST, CUSTOM = 0, 1, 2
ERROR_PUBLISH, ERROR_COMMIT = 1, 2

_Field = descriptor_pb2.FieldDescriptorProto
_SCALARS = {
    "string": _Field.TYPE_STRING,
    "bytes": _Field.TYPE_BYTES,
    "bool": _Field.TYPE_BOOL,
    "int32": _Field.TYPE_INT32,
    "int64": _Field.TYPE_INT64,
}


def _add_field(message: Any, line: str) -> None:
    name, number, kind = line.split()
    field = message.field.add(name=name, number=int(number), label=_Field.LABEL_OPTIONAL)
    if kind.startswith("*"):
        kind = kind[1:]
        field.label = _Field.LABEL_REPEATED
    if kind in _SCALARS:
        field.type = _SCALARS[kind]
        return
    field.type = _Field.TYPE_ENUM if kind in _ENUMS else _Field.TYPE_MESSAGE
    field.type_name = f".{PACKAGE}.{kind}"


def _file_descriptor() -> Any:
    file = descriptor_pb2.FileDescriptorProto(
        name="pubsub_api.proto", package=PACKAGE, syntax="proto3"
    )
    for name, values in _ENUMS.items():
        enum = file.enum_type.add(name=name)
        for number, value in enumerate(values):
            enum.value.add(name=value, number=number)
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for line in fields.split(", "):
            _add_field(message, line)
    service = file.service.add(name="PubSub")
    for name, (request, response, streams) in METHODS.items():
        service.method.add(
            name=name,
            input_type=f".{PACKAGE}.{request}",
            output_type=f".{PACKAGE}.{response}",
            client_streaming=streams,
            server_streaming=streams,
        )
    return file


def _classes() -> dict[str, Any]:
    pool = descriptor_pool.DescriptorPool()
    pool.Add(_file_descriptor())
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{PACKAGE}.{name}"))
        for name in _MESSAGES
    }


MESSAGES = _classes()
"""Message name -> message class."""
