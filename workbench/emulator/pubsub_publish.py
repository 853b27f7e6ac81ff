"""Publish and PublishStream."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

from .bus import Publication, replay_id
from .descriptors import ERROR_PUBLISH, MESSAGES
from .pubsub_call import Call, named_topic
from .pubsub_faults import PubSubFaults
from .pubsub_limits import PubSubLimits
from .pubsub_refusals import Cause, Refusal
from .topics import Topic, Topics

__all__ = ["Publisher"]

_Response = MESSAGES["PublishResponse"]

# Requests of one stream that may wait for their answers to leave: bounds the memory of a client
# that sends without reading.
_UNANSWERED = 256


class Publisher:
    """Puts events on the bus; what is wrong with one event is said in its own result."""

    def __init__(self, topics: Topics, faults: PubSubFaults, limits: PubSubLimits) -> None:
        self._topics = topics
        self._faults = faults
        self._limits = limits

    async def publish(self, call: Call, request: Any) -> Any:
        """The unary rpc. Its events are on the bus before a slow answer leaves."""
        topic = self._topic(request.topic_name)
        delay = self._faults.latency(call, topic)
        response = await self._answer(call, request, topic)
        if delay:
            await asyncio.sleep(delay)
        return response

    async def publish_stream(self, call: Call) -> None:
        """The streaming rpc: one response a request, in their order unless a fault says else."""
        outbox = _Outbox()
        reader = asyncio.create_task(self._read_requests(call, outbox))
        try:
            while (answer := await outbox.get()) is not None:
                if isinstance(answer, Exception):
                    raise answer
                await call.context.write(answer)
        finally:
            reader.cancel()
            await asyncio.gather(reader, return_exceptions=True)

    async def _read_requests(self, call: Call, outbox: _Outbox) -> None:
        loop = asyncio.get_running_loop()
        topic: Topic | None = None
        last_valid = loop.time()
        delay = 0.0
        try:
            while True:
                await outbox.room()
                try:
                    async with asyncio.timeout_at(last_valid + self._limits.publish_idle_seconds):
                        request = await call.read()
                except TimeoutError:
                    raise Refusal.of(Cause.SWEEPER, self._limits.publish_idle_seconds) from None
                if request is None:
                    break
                topic = self._stream_topic(topic, request)
                delay = self._faults.latency(call, topic)
                response = await self._answer(call, request, topic)
                if any(result.replay_id for result in response.results):
                    last_valid = loop.time()
                outbox.put(response, delay, late=self._faults.lateness(call, topic))
        except Exception as error:
            outbox.put(error, delay)
        else:
            outbox.end()

    def _stream_topic(self, topic: Topic | None, request: Any) -> Topic:
        """The topic of a stream's request: the first fixes it, later ones may leave it out."""
        if topic is None:
            return self._topic(request.topic_name)
        if request.topic_name not in ("", topic.name):
            raise Refusal.of(Cause.PUBLISH_MISMATCH, topic.name, request.topic_name)
        return topic

    def _topic(self, name: str) -> Topic:
        topic = named_topic(self._topics, name, blank=Cause.PUBLISH_TOPIC_EMPTY)
        if not topic.can_publish:
            raise Refusal.of(Cause.TOPIC_PERMISSION, name)
        return topic

    async def _answer(self, call: Call, request: Any, topic: Topic) -> Any:
        """Publish one request's events and answer it; Refusal where the whole call fails.

        A fault may also refuse the call after the events are on the bus: the answer was lost.
        """
        if request.auth_refresh:
            raise Refusal.of(Cause.AUTH_REFRESH)
        if not request.events:
            raise Refusal.of(Cause.EVENT_COUNT)
        await self._faults.refuse(call, topic)
        self._faults.change_schema(call, self._topics, topic)
        response = self._put_on_bus(call, request, topic)
        self._faults.lose_answer(call, topic)
        return response

    def _put_on_bus(self, call: Call, request: Any, topic: Topic) -> Any:
        bus = self._topics.bus
        response = _Response(schema_id=topic.schema.id, rpc_id=call.rpc_id)
        spoils = self._faults.spoils_events()
        room = bus.remaining_allocation()
        accepted: list[Publication] = []
        results = []
        for event in request.events:
            id_ = event.id
            problem = self._faults.spoil_event(call, topic) if spoils else ""
            problem = problem or self._problem(topic, event)
            if not problem and len(accepted) >= room:
                # Assumed: an event's own error, with the word of the other APIs' SaveResult.
                problem = "LIMIT_EXCEEDED: the hourly event publishing limit is used up"
            result = response.results.add(correlation_key=id_)
            if problem:
                result.error.code = ERROR_PUBLISH
                result.error.msg = problem
                continue
            if not id_:
                result.correlation_key = id_ = str(uuid.uuid4())
            headers = tuple((header.key, header.value) for header in event.headers)
            accepted.append((id_, event.schema_id, event.payload, headers))
            results.append(result)
        for result, position in zip(results, bus.publish(topic.name, accepted), strict=True):
            result.replay_id = replay_id(position)
        if self._faults.doubles(call, topic):
            bus.publish(topic.name, accepted)
        return response

    def _problem(self, topic: Topic, event: Any) -> str:
        """What is wrong with this event, in a sentence; empty when nothing is.

        Assumed: the sentences; no source shows those of real failures.
        """
        payload = event.payload
        if len(payload) > self._limits.event_bytes:
            return f"the event has {len(payload)} bytes; the limit is {self._limits.event_bytes}"
        if len(event.id) > self._limits.id_characters:
            return f"the id is longer than {self._limits.id_characters} characters"
        return self._topics.problem(topic, event.schema_id, payload)


class _Outbox:
    """The answers of one stream on their way out, each after its delay.

    An exception ends the stream with it, None without one. No answer overtakes an earlier one, but
    for those put with `late`.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._queue: asyncio.Queue[Any] = asyncio.Queue()
        self._room = asyncio.Semaphore(_UNANSWERED)
        self._waiting = 0
        self._due = 0.0
        self._late_due = 0.0

    async def room(self) -> None:
        """Wait until one more request may be read."""
        await self._room.acquire()

    def put(self, answer: Any, delay: float = 0.0, *, late: float = 0.0) -> None:
        """Queue an answer, `delay` seconds from now and at least after those put before."""
        now = self._loop.time()
        if late:
            self._late_due = max(self._late_due, now + delay + late)
            self._loop.call_at(now + delay + late, self._queue.put_nowait, answer)
        elif delay or self._waiting:
            # Timers of the same moment run in no particular order, hence the microsecond.
            self._due = max(now + delay, self._due + 1e-6)
            self._waiting += 1
            self._loop.call_at(self._due, self._release, answer)
        else:
            self._queue.put_nowait(answer)

    def end(self) -> None:
        """End the stream after everything put before, late or not."""
        due = max(self._due, self._late_due, self._loop.time()) + 1e-6
        self._loop.call_at(due, self._queue.put_nowait, None)

    def _release(self, answer: Any) -> None:
        self._waiting -= 1
        self._queue.put_nowait(answer)

    async def get(self) -> Any:
        answer = await self._queue.get()
        self._room.release()
        return answer
