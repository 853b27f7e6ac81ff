"""The publishing part of the wire contract `eventbus.v1`, built in code from its tables.

Generated code is not kept, since it ties its user to one protobuf and one grpcio; and the messages
live in a descriptor pool of our own, so that another library which registers the same names does
no harm. protobuf is imported when the first message is asked for.

https://github.com/forcedotcom/pub-sub-api/blob/main/pubsub_api.proto, 2026-11-23
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any, NamedTuple

from workbench.salesforce.pubsub_fields import unsigned_varint

__all__ = [
    "GET_SCHEMA",
    "GET_TOPIC",
    "PUBLISH",
    "PUBLISH_STREAM",
    "PublishResponse",
    "Rpc",
    "messages",
    "publish_request",
    "reader_of",
]

_PACKAGE = "eventbus.v1"

# message -> field -> (number, type); a leading "repeated " as in the proto file. A type that is no
# scalar is another message of the table, or the enum.
_MESSAGES: dict[str, dict[str, tuple[int, str]]] = {
    "TopicRequest": {"topic_name": (1, "string")},
    "TopicInfo": {
        "topic_name": (1, "string"),
        "tenant_guid": (2, "string"),
        "can_publish": (3, "bool"),
        "can_subscribe": (4, "bool"),
        "schema_id": (5, "string"),
        "rpc_id": (6, "string"),
    },
    "SchemaRequest": {"schema_id": (1, "string")},
    "SchemaInfo": {
        "schema_json": (1, "string"),
        "schema_id": (2, "string"),
        "rpc_id": (3, "string"),
    },
    "EventHeader": {"key": (1, "string"), "value": (2, "bytes")},
    "ProducerEvent": {
        "id": (1, "string"),
        "schema_id": (2, "string"),
        "payload": (3, "bytes"),
        "headers": (4, "repeated EventHeader"),
    },
    "PublishRequest": {
        "topic_name": (1, "string"),
        "events": (2, "repeated ProducerEvent"),
        "auth_refresh": (3, "string"),
    },
    "Error": {"code": (1, "ErrorCode"), "msg": (2, "string")},
    "PublishResult": {
        "replay_id": (1, "bytes"),
        "error": (2, "Error"),
        "correlation_key": (3, "string"),
    },
    "PublishResponse": {
        "results": (1, "repeated PublishResult"),
        "schema_id": (2, "string"),
        "rpc_id": (3, "string"),
    },
}
_ENUM = ("ErrorCode", ("UNKNOWN", "PUBLISH", "COMMIT"))


class Rpc(NamedTuple):
    """One method: its name, and the messages that go and come."""

    name: str
    request: str
    response: str

    @property
    def path(self) -> str:
        """The HTTP/2 path."""
        return f"/{_PACKAGE}.PubSub/{self.name}"


GET_TOPIC = Rpc("GetTopic", "TopicRequest", "TopicInfo")
GET_SCHEMA = Rpc("GetSchema", "SchemaRequest", "SchemaInfo")
PUBLISH = Rpc("Publish", "PublishRequest", "PublishResponse")
PUBLISH_STREAM = Rpc("PublishStream", "PublishRequest", "PublishResponse")


@cache
def messages() -> dict[str, Any]:
    """Message name -> message class."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    kinds = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(
        name="pubsub_api.proto", package=_PACKAGE, syntax="proto3"
    )
    enum = file.enum_type.add(name=_ENUM[0])
    for number, value in enumerate(_ENUM[1]):
        enum.value.add(name=value, number=number)
    for message, fields in _MESSAGES.items():
        described = file.message_type.add(name=message)
        for name, (number, text) in fields.items():
            kind = text.removeprefix("repeated ")
            is_repeated = kind != text
            field = described.field.add(
                name=name,
                number=number,
                label=kinds.LABEL_REPEATED if is_repeated else kinds.LABEL_OPTIONAL,
            )
            if kind in _MESSAGES or kind == _ENUM[0]:
                field.type = kinds.TYPE_MESSAGE if kind in _MESSAGES else kinds.TYPE_ENUM
                field.type_name = f".{_PACKAGE}.{kind}"
            else:
                field.type = getattr(kinds, f"TYPE_{kind.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}"))
        for name in _MESSAGES
    }


def reader_of(rpc: Rpc) -> Callable[[bytes], Any]:
    """What makes an answer of its bytes."""
    if rpc.response == PublishResponse.__name__:
        return PublishResponse
    read: Callable[[bytes], Any] = messages()[rpc.response].FromString
    return read


def publish_request(topic: str, schema_id: str, events: Iterable[tuple[str, bytes]]) -> bytes:
    """A PublishRequest on the wire, of events by id and payload.

    Put together by hand: thousands of events a second are alike but for these two, and to make a
    message of each and have it encoded takes three times as long.
    https://protobuf.dev/programming-guides/encoding/, 2026-11-28
    """
    event_tag = _tag("PublishRequest", "events")
    id_tag, payload_tag = _tag("ProducerEvent", "id"), _tag("ProducerEvent", "payload")
    schema = _bytes_field("ProducerEvent", "schema_id", schema_id.encode())
    parts = [_bytes_field("PublishRequest", "topic_name", topic.encode())]
    heads: dict[int, tuple[bytes, bytes]] = {}  # by the size of the payload
    width = 0
    for text, payload in events:
        id_, size = text.encode(), len(payload)
        if len(id_) != width:
            width, heads = len(id_), {}
        head = heads.get(size)
        if head is None:
            start = id_tag + unsigned_varint(width)
            middle = schema + payload_tag + unsigned_varint(size)
            whole = len(start) + width + len(middle) + size
            head = heads[size] = event_tag + unsigned_varint(whole) + start, middle
        parts += head[0], id_, head[1], payload
    return b"".join(parts)


class PublishResponse:
    """The answer to a publish request, from the wire.

    Attributes:
        results: its messages, in their order.
        schema_id: of the event's definition of now.
    """

    __slots__ = ("_data", "results", "schema_id")

    def __init__(self, data: bytes) -> None:
        message = messages()["PublishResponse"].FromString(data)
        self._data = data
        self.results: Sequence[Any] = message.results
        self.schema_id: str = message.schema_id

    def is_all_published(self, ids: Sequence[str]) -> bool:
        """Whether it is the usual one: says of just these events, in their order, that they are
        published.

        Told by looking at the bytes, since a thousand results a second each made an object and
        asked for three fields cost more than all else about an answer. False says nothing.
        """
        data, count = self._data, len(self.results)
        if count != len(ids) or len(data) < 4:
            return False
        # Each result is: tag, size; tag, size, replay id; tag, size, key. Only sizes below 128
        # (one byte), the same in all results, are looked at here.
        size, replay = data[1] + 2, data[3]
        key = 6 + replay
        rows = data[: count * size]
        if not (data[1] < 0x80 and replay > 0 and key < size and len(rows) == count * size):
            return False
        result_tag, replay_tag, key_tag = _result_tags()
        frame = {
            0: result_tag,
            1: size - 2,
            2: replay_tag,
            3: replay,
            key - 2: key_tag,
            key - 1: size - key,
        }
        if any(rows[at::size] != bytes((byte,)) * count for at, byte in frame.items()):
            return False
        width = size - key
        keys = b"".join([rows[at : at + width] for at in range(key, len(rows), size)])
        return {*map(len, ids)} == {width} and keys == "".join(ids).encode()


@cache
def _result_tags() -> tuple[int, int, int]:
    """What stands before a result, its replay id, and its key."""
    fields = ("PublishResponse", "results"), ("PublishResult", "replay_id")
    result, replay, key = (
        _tag(*field)[0] for field in (*fields, ("PublishResult", "correlation_key"))
    )
    return result, replay, key


def _bytes_field(message: str, field: str, value: bytes) -> bytes:
    return _tag(message, field) + unsigned_varint(len(value)) + value


def _tag(message: str, field: str) -> bytes:
    """What stands before a field's length and bytes: its number, and that a length follows."""
    return unsigned_varint(_MESSAGES[message][field][0] << 3 | 2)
