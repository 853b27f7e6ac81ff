"""Publishing to one topic: its definition, its stream, and what keeps both good while they run."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

from workbench.errors import AuthorizationError, RequestRefusedError
from workbench.salesforce.pubsub_channel import Channel
from workbench.salesforce.pubsub_codes import CallRefused, Kind
from workbench.salesforce.pubsub_endpoint import Endpoint
from workbench.salesforce.pubsub_schema import EventSchema, parse_schema
from workbench.salesforce.pubsub_stream import PublishStream
from workbench.salesforce.pubsub_wire import (
    GET_SCHEMA,
    GET_TOPIC,
    PUBLISH,
    PublishResponse,
    Rpc,
    messages,
)
from workbench.salesforce.session import Session

__all__ = ["Publisher"]

# A stream that sees no event for 70 s (by the document; 1,800 s by a live message) is closed by the
# service, and a connection may be cut unnoticed: after less than that, look before going on.
# https://developer.salesforce.com/docs/platform/pub-sub-api/references/methods/publishstream-rpc.html,
# 2026-11-23
IDLE_SECONDS = 60.0

# Tries to get a request onto a stream that takes it; each try before left it unpublished.
MAX_TRIES = 4

# Streams in a row that broke before they answered anything: something on the way can't do streams.
FRUITLESS_STREAMS = 3
UNARY_SECONDS = 60.0


_T = TypeVar("_T")


class _Once(Generic[_T]):
    """Does something once for all who ask for it while it is being done; they share what comes of
    it, an exception too. Who stops waiting does not stop it."""

    def __init__(self, do: Callable[[], Coroutine[Any, Any, _T]]) -> None:
        self._do = do
        self._task: asyncio.Task[_T] | None = None

    async def run(self) -> _T:
        if self._task is None:
            self._task = asyncio.create_task(self._do())
            self._task.add_done_callback(self._ended)
        return await asyncio.shield(self._task)

    def _ended(self, task: asyncio.Task[_T]) -> None:
        self._task = None
        if not task.cancelled():
            task.exception()  # every waiter may be gone; then nobody else looks at it

    async def aclose(self) -> None:
        """Stop it, if it is being done."""
        task = self._task
        if task is not None:
            task.cancel()
            await asyncio.wait((task,))


class Publisher:
    """One topic of one org. `schema` is the definition to encode by, None before `look_up`."""

    def __init__(
        self,
        session: Session,
        endpoint: Endpoint,
        topic: str,
        *,
        ca_file: str = "",
        answer_seconds: float = 60.0,
        idle_seconds: float = IDLE_SECONDS,
    ) -> None:
        self.topic = topic
        self.schema: EventSchema | None = None
        self.user_id = ""
        self.is_stale = False
        self.looked_up_at = -math.inf
        self._session = session
        self._channel = Channel(endpoint, ca_file)
        self._answer_seconds = answer_seconds
        self._idle_seconds = idle_seconds
        self._schemas: dict[str, EventSchema] = {}
        self._stream: PublishStream | None = None
        self._opening = _Once(self._open_stream)
        self._looking = _Once(self._look_up)
        self._heard_at = -math.inf
        self._fruitless = 0
        self._unary_until = -math.inf

    async def aclose(self) -> None:
        """End the stream and the connection; may be called twice."""
        await self._opening.aclose()
        await self._looking.aclose()
        stream, self._stream = self._stream, None
        if stream is not None:
            await stream.aclose()
        await self._channel.aclose()

    # -- topic and definition ----------------------------------------------------------------

    async def prepared(self) -> EventSchema:
        """The definition to encode by, looked up again where there is a reason to.

        Raises:
            As `look_up`.
        """
        schema = self.schema
        silence = asyncio.get_running_loop().time() - self._heard_at
        if schema is None or self.is_stale or silence > self._idle_seconds:
            return await self.look_up()
        return schema

    async def look_up(self) -> EventSchema:
        """Ask for the topic, and for its definition if it is a new one; whoever asks meanwhile
        shares what is found.

        Raises:
            AuthorizationError: no such topic, or no right to publish to it.
            RequestRefusedError: a topic that is none of an event's.
            CallRefused: no answer.
            ServerError: a definition that can't be read.
            And as `Session.identify`.
        """
        return await self._looking.run()

    async def _look_up(self) -> EventSchema:
        info = await self._ask(GET_TOPIC, topic_name=self.topic)
        token = await self._session.identify()
        if not info.can_publish:
            who = self._session.username or token.user_id
            raise AuthorizationError(
                f"{who} may not publish to {self.topic}: give the user the Create right on "
                "the platform event (changes take up to 10 minutes)",
                code="topic.meta.permission",
            )
        if not info.schema_id:
            raise RequestRefusedError(
                f"{self.topic} has no definition of its own, so nothing can be published to "
                "it; name an event's topic, such as /event/OrderStatus__e"
            )
        self.schema = await self._definition(info.schema_id)
        self.user_id = token.user_id
        self.is_stale = False
        self.looked_up_at = asyncio.get_running_loop().time()
        return self.schema

    async def _definition(self, schema_id: str) -> EventSchema:
        schema = self._schemas.get(schema_id)
        if schema is None:
            info = await self._ask(GET_SCHEMA, schema_id=schema_id)
            schema = self._schemas[schema_id] = parse_schema(info.schema_json, schema_id)
        return schema

    async def _ask(self, rpc: Rpc, **fields: str) -> Any:
        """A call that publishes nothing, so that its failure leaves nothing in doubt; with a new
        token if the first is refused."""
        request = messages()[rpc.request](**fields)
        token = await self._session.identify()
        try:
            answer = await self._channel.call(rpc, token, request)
        except CallRefused as refused:
            if refused.kind is not Kind.SESSION:
                raise self._stopped(_nothing_sent(refused)) from refused
            await self._session.renew(token)
            try:
                answer = await self._channel.call(rpc, await self._session.identify(), request)
            except CallRefused as again:
                raise self._stopped(_nothing_sent(again)) from again
        self._heard()
        return answer

    # -- publishing --------------------------------------------------------------------------

    async def publish(self, ids: list[str], request: bytes) -> PublishResponse:
        """Publish an encoded request with events of these ids; its answer.

        Sent again here only what certainly was not published: on a stream that had ended, or with
        a token that was refused.

        Raises:
            CallRefused: no answer.
            AuthorizationError: nothing can be published until a person acts.
            And as `Session.identify`.
        """
        is_renewed = False
        for tries in range(1, MAX_TRIES + 1):
            stream = await self._ready_stream()
            token = stream.token if stream else await self._session.identify()
            response: PublishResponse
            try:
                if stream is None:
                    response = await self._channel.call(
                        PUBLISH, token, request, self._answer_seconds
                    )
                else:
                    response = await stream.publish(ids, request, self._answer_seconds)
            except CallRefused as refused:
                self._count(stream, refused)
                is_session = refused.kind is Kind.SESSION and not is_renewed
                is_other_way = refused.kind is Kind.NO_STREAM and stream is not None
                if tries == MAX_TRIES or not (
                    is_session or is_other_way or refused.kind is Kind.REOPEN
                ):
                    raise self._stopped(refused) from refused
                if is_session:
                    is_renewed = True
                    await self._session.renew(token)
            else:
                self._fruitless = 0
                self._heard()
                self._compare(response)
                return response
        raise AssertionError("the last try returns or raises")

    async def _ready_stream(self) -> PublishStream | None:
        """The stream that takes requests now, opened if need be; None where unary calls do it."""
        now = asyncio.get_running_loop().time()
        if now < self._unary_until:
            return None
        stream = self._stream
        is_fresh = stream is not None and now - stream.last_used < self._idle_seconds
        if stream is not None and stream.is_open and (is_fresh or stream.is_busy):
            return stream
        return await self._opening.run()

    async def _open_stream(self) -> PublishStream:
        """A stream in place of the one that has ended, or was idle for too long."""
        stream, self._stream = self._stream, None
        if stream is not None and stream.is_open:
            await stream.aclose()
        token = await self._session.identify()
        await self._channel.connected()
        self._stream = PublishStream(self._channel, token)
        return self._stream

    def _count(self, stream: PublishStream | None, refused: CallRefused) -> None:
        """Note what a refusal says of streams as such."""
        if stream is None:
            return
        if refused.kind is Kind.NO_STREAM:
            self._unary_until = math.inf
        elif refused.kind is Kind.UNKNOWN and not stream.has_answered:
            self._fruitless += 1
            if self._fruitless >= FRUITLESS_STREAMS:
                self._fruitless = 0
                self._unary_until = asyncio.get_running_loop().time() + UNARY_SECONDS

    def _compare(self, response: PublishResponse) -> None:
        """A response names the event's definition of now: take another one up if it is known, have
        it looked up otherwise. What was encoded by the old one is published all the same."""
        if self.schema is not None and response.schema_id not in ("", self.schema.id):
            known = self._schemas.get(response.schema_id)
            if known is None:
                self.is_stale = True
            else:
                self.schema = known

    def _heard(self) -> None:
        self._heard_at = asyncio.get_running_loop().time()
        self._session.accepted()

    def _stopped(self, refused: CallRefused) -> CallRefused | AuthorizationError:
        """The refusal itself, or the sentence that ends the flow."""
        is_right = refused.kind is Kind.SESSION and refused.code == "PERMISSION_DENIED"
        if refused.kind is not Kind.STOP and not is_right:
            return refused
        return AuthorizationError(
            f"{self.topic}: {refused}; check the topic's name (/event/Name__e) and that the user "
            "may create that platform event and use the API",
            code=refused.code,
        )


def _nothing_sent(refused: CallRefused) -> CallRefused:
    """The failure of an inquiry: whatever became of that, no event has left."""
    if refused.kind is not Kind.UNKNOWN:
        return refused
    return CallRefused(str(refused), kind=Kind.UNSENT, code=refused.code)
