"""Subscribe, and what it shares with ManagedSubscribe: events given out against credit."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from .bus import BusEvent, ReplayIdError, replay_id
from .descriptors import CUSTOM, EARLIEST, MESSAGES
from .pubsub_call import Call, named_topic
from .pubsub_faults import PubSubFaults
from .pubsub_limits import PubSubLimits
from .pubsub_refusals import Cause, Refusal
from .topics import Topic, Topics

__all__ = ["Feed", "Subscriber"]


class Feed:
    """One stream of a topic's events: its position, its credit, and the loop that sends.

    `response_class` is FetchResponse or ManagedFetchResponse; `on_request` takes each further
    request of the client, adds credit and raises Refusal for what is wrong with it.
    """

    def __init__(
        self,
        call: Call,
        topics: Topics,
        topic: Topic,
        position: int,
        *,
        response_class: Any,
        faults: PubSubFaults,
        limits: PubSubLimits,
    ) -> None:
        self.call = call
        self.topic = topic
        self.pending = 0
        self.extra: dict[str, Any] = {}
        """Fields of the next response, sent without waiting for events."""
        self.deadline: float | None = None
        """Loop time at which `on_deadline` is raised."""
        self.on_deadline: Refusal | None = None
        self._bus = topics.bus
        self._position = position
        self._response_class = response_class
        self._faults = faults
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._last_sent = self._loop.time()
        self._error: Exception | None = None
        self._has_ended = False
        self._wake = self._bus.watch(topic.name)

    def add_credit(self, requested: int) -> None:
        """Credits add up, to the cap."""
        self.pending = min(self.pending + requested, self._limits.credits)

    async def run(self, on_request: Callable[[Any], None]) -> None:
        """Send until the client is done or the stream is refused."""
        reader = asyncio.create_task(self._read(on_request))
        try:
            while True:
                self._wake.clear()
                if self._error is not None:
                    raise self._error
                if await self._send_events():
                    continue
                if self._has_ended and self.pending == 0:
                    return
                await self._wait()
        finally:
            self._bus.unwatch(self.topic.name, self._wake)
            reader.cancel()
            await asyncio.gather(reader, return_exceptions=True)

    async def _read(self, on_request: Callable[[Any], None]) -> None:
        try:
            while (request := await self.call.read()) is not None:
                on_request(request)
                self._wake.set()
        except Exception as error:
            self._error = error
        self._has_ended = True
        self._wake.set()

    async def _send_events(self) -> bool:
        """Send what there is and may be sent; False when that is nothing."""
        events = self._next_events()
        if not events and not self.extra:
            return False
        await self._send(events)
        return True

    def _next_events(self) -> list[BusEvent]:
        if self.pending == 0:
            return []
        events = self._bus.after(self.topic.name, self._position, self.pending)
        size = 0
        for index, event in enumerate(events):
            size += len(event.payload)
            if size > self._limits.response_bytes:
                return events[: max(index, 1)]
        return events

    async def _wait(self) -> None:
        """Until there may be something to send; a keepalive, or the end, when nothing comes."""
        has_credit = self.pending > 0
        patience = self._limits.keepalive_seconds if has_credit else self._limits.fetch_seconds
        due = self._last_sent + patience
        if self.deadline is not None:
            due = min(due, self.deadline)
        try:
            async with asyncio.timeout_at(due):
                await self._wake.wait()
        except TimeoutError:
            await self._on_silence()

    async def _on_silence(self) -> None:
        if self.deadline is not None and self._loop.time() >= self.deadline:
            assert self.on_deadline is not None
            raise self.on_deadline
        if self.pending == 0:
            # Assumed: the status; a client that was slow for 60 s saw this one
            # (forcedotcom/pub-sub-api issue 28).
            raise Refusal.of(Cause.RST_STREAM)
        if not await self._send_events():
            await self._send([])

    def _latest(self, events: list[BusEvent]) -> int:
        """From where a client may go on: the tip, unless that would skip what is not sent yet."""
        if events:
            return events[-1].position
        if self._bus.after(self.topic.name, self._position, 1):
            return self._position
        return self._bus.tip

    async def _send(self, events: list[BusEvent]) -> None:
        await self._faults.refuse(self.call, self.topic)
        delay = self._faults.latency(self.call, self.topic)
        if delay:
            await asyncio.sleep(delay)
        response = self._response_class(
            rpc_id=self.call.rpc_id,
            latest_replay_id=replay_id(self._latest(events)),
            **self.extra,
        )
        self.extra = {}
        for event in events:
            consumed = response.events.add(replay_id=replay_id(event.position))
            consumed.event.id = event.id
            consumed.event.schema_id = event.schema_id
            consumed.event.payload = event.payload
            for key, value in event.headers:
                consumed.event.headers.add(key=key, value=value)
        if events:
            self._position = events[-1].position
            self.pending -= len(events)
        response.pending_num_requested = self.pending
        await self.call.context.write(response)
        self._last_sent = self._loop.time()


class Subscriber:
    """The Subscribe rpc."""

    def __init__(self, topics: Topics, faults: PubSubFaults, limits: PubSubLimits) -> None:
        self._topics = topics
        self._faults = faults
        self._limits = limits

    async def subscribe(self, call: Call) -> None:
        first = await call.read()
        if first is None:
            return
        topic = self._topic(first.topic_name)
        self._check_count(first)
        await self._faults.refuse(call, topic)
        feed = Feed(
            call,
            self._topics,
            topic,
            self._start(first),
            response_class=MESSAGES["FetchResponse"],
            faults=self._faults,
            limits=self._limits,
        )
        feed.add_credit(first.num_requested)

        def on_request(request: Any) -> None:
            if request.topic_name not in ("", topic.name):
                raise Refusal.of(Cause.FETCH_MISMATCH, topic.name, request.topic_name)
            self._check_count(request)
            feed.add_credit(request.num_requested)

        await feed.run(on_request)

    def _topic(self, name: str) -> Topic:
        topic = named_topic(self._topics, name, blank=Cause.TOPIC_EMPTY)
        if not topic.can_subscribe:
            raise Refusal.of(Cause.CANNOT_SUBSCRIBE, name)
        return topic

    def _check_count(self, request: Any) -> None:
        if request.num_requested <= 0:
            raise Refusal.of(Cause.FETCH_COUNT, request.num_requested)

    def _start(self, request: Any) -> int:
        """The position after which the subscription begins."""
        bus = self._topics.bus
        if request.replay_preset == EARLIEST:
            return bus.earliest()
        if request.replay_preset != CUSTOM:
            return bus.tip
        if not request.replay_id:
            raise Refusal.of(Cause.REPLAY_MISSING)
        try:
            return bus.check(request.replay_id)
        except ReplayIdError as error:
            raise Refusal.of(Cause.REPLAY_CORRUPTED, error) from None
