"""The Pub/Sub half of the emulator: gRPC on loopback, plaintext and TLS.

The only module of the emulator, with its `pubsub_...` neighbours, that needs grpc.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import grpc

from .certificates import TlsFiles
from .descriptors import MESSAGES, METHODS, SERVICE
from .org import Org
from .pubsub_call import Call, Oversize, authenticate, named_topic
from .pubsub_faults import PubSubFaults
from .pubsub_limits import PubSubLimits
from .pubsub_managed import ManagedSubscriber
from .pubsub_publish import Publisher
from .pubsub_refusals import Cause, Refusal
from .pubsub_subscribe import Subscriber

__all__ = ["PubSubLimits", "PubSubServer"]

_OPTIONS = (
    # So that we and not grpc answer a request that is too large.
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.max_concurrent_streams", 1000),
    ("grpc.so_reuseport", 0),
    # Which pings the real server bears is unknown; this one bears all.
    ("grpc.http2.max_ping_strikes", 0),
)


class PubSubServer:
    """Serves one org's platform events.

    Args:
        org: whose sessions, faults and topics are used.
        tls: what to serve TLS with; None for no TLS listener.
        port, tls_port: 0 for free ones.
    """

    def __init__(
        self,
        org: Org,
        *,
        tls: TlsFiles | None = None,
        port: int = 0,
        tls_port: int = 0,
        limits: PubSubLimits | None = None,
    ) -> None:
        self.org = org
        self.topics = org.topics
        self.limits = limits or PubSubLimits()
        self.port = port
        self.tls_port = tls_port
        self._tls = tls
        org.state_parts["bus"] = self._state
        self._server: Any = None
        self._faults = PubSubFaults(org)
        self._publisher = Publisher(self.topics, self._faults, self.limits)
        self._subscriber = Subscriber(self.topics, self._faults, self.limits)
        self._managed = ManagedSubscriber(self.topics, self._faults, self.limits)

    @property
    def address(self) -> str:
        """`127.0.0.1:port`, plaintext."""
        return f"127.0.0.1:{self.port}"

    @property
    def tls_address(self) -> str | None:
        """`localhost:port`, TLS; None without a certificate."""
        return f"localhost:{self.tls_port}" if self._tls else None

    async def start(self) -> None:
        """Listen. OSError when a port is taken."""
        server = grpc.aio.server(options=_OPTIONS)
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(SERVICE, self._handlers()),)
        )
        self.port = _listen(server.add_insecure_port, self.port)
        if self._tls:
            pair = (self._tls.key.read_bytes(), self._tls.certificate.read_bytes())
            credentials = grpc.ssl_server_credentials((pair,))
            self.tls_port = _listen(
                lambda address: server.add_secure_port(address, credentials), self.tls_port
            )
        await server.start()
        self._server = server

    async def aclose(self) -> None:
        """Cut every stream and stop listening. May be called twice."""
        server, self._server = self._server, None
        if server is not None:
            await server.stop(grace=None)

    def _state(self) -> dict[str, Any]:
        bus = self.topics.bus
        held = {name: bus.count(name) for name in self.topics.names()}
        return {"events": held, "published_last_hour": bus.published_last_hour()}

    def _handlers(self) -> dict[str, Any]:
        unary = {
            "GetTopic": self._get_topic,
            "GetSchema": self._get_schema,
            "Publish": self._publisher.publish,
        }
        streams = {
            "PublishStream": self._publisher.publish_stream,
            "Subscribe": self._subscriber.subscribe,
            "ManagedSubscribe": self._managed.subscribe,
        }
        handlers = {}
        for method, (request, response, is_stream) in METHODS.items():
            if is_stream:
                make = grpc.stream_stream_rpc_method_handler
                behavior: Any = self._stream(method, streams[method])
            else:
                make = grpc.unary_unary_rpc_method_handler
                behavior = self._unary(method, unary[method])
            handlers[method] = make(
                behavior,
                request_deserializer=self._reader(MESSAGES[request]),
                response_serializer=MESSAGES[response].SerializeToString,
            )
        return handlers

    def _reader(self, message_class: Any) -> Callable[[bytes], Any]:
        limit = self.limits.request_bytes
        parse = message_class.FromString

        def read(data: bytes) -> Any:
            return parse(data) if len(data) <= limit else Oversize()

        return read

    def _unary(
        self, method: str, answer: Callable[[Call, Any], Awaitable[Any]]
    ) -> Callable[[Any, Any], Awaitable[Any]]:
        async def behave(request: Any, context: Any) -> Any:
            call = Call(method, context)
            try:
                self._authenticate(call)
                if isinstance(request, Oversize):
                    raise Refusal.of(Cause.UPSTREAM_RESET)
                return await answer(call, request)
            except Refusal as refusal:
                await _abort(call, refusal)

        return behave

    def _stream(
        self, method: str, run: Callable[[Call], Awaitable[None]]
    ) -> Callable[[Any, Any], Awaitable[None]]:
        async def behave(_requests: Any, context: Any) -> None:
            call = Call(method, context)
            try:
                self._authenticate(call)
                await run(call)
            except Refusal as refusal:
                await _abort(call, refusal)

        return behave

    def _authenticate(self, call: Call) -> None:
        metadata = call.context.invocation_metadata() or ()
        call.token = authenticate(metadata, self.org.sessions, self.org.id)

    async def _get_topic(self, call: Call, request: Any) -> Any:
        topic = named_topic(self.topics, request.topic_name, blank=Cause.TOPIC_EMPTY)
        await self._faults.slow_or_refuse(call, topic)
        return MESSAGES["TopicInfo"](
            topic_name=topic.name,
            tenant_guid=f"CORE/prod/{self.org.id}",
            can_publish=topic.can_publish,
            can_subscribe=topic.can_subscribe,
            schema_id=topic.schema.id,
            rpc_id=call.rpc_id,
        )

    async def _get_schema(self, call: Call, request: Any) -> Any:
        if not request.schema_id:
            raise Refusal.of(Cause.SCHEMA_EMPTY)
        await self._faults.slow_or_refuse(call)
        schema = self.topics.schema(request.schema_id)
        if schema is None:
            raise Refusal.of(Cause.SCHEMA_UNKNOWN, request.schema_id)
        return MESSAGES["SchemaInfo"](
            schema_json=schema.json, schema_id=schema.id, rpc_id=call.rpc_id
        )


def _listen(add_port: Callable[[str], int], port: int) -> int:
    try:
        return add_port(f"127.0.0.1:{port}")
    except RuntimeError as error:
        raise OSError(f"Pub/Sub cannot listen on 127.0.0.1:{port}: is the port taken?") from error


async def _abort(call: Call, refusal: Refusal) -> None:
    await call.context.abort(
        refusal.status, refusal.details(call.rpc_id), refusal.trailers(call.rpc_id)
    )
