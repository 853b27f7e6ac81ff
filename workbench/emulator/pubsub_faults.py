"""What the `pubsub-...` faults do to a call; their texts are read by faults.py."""

from __future__ import annotations

import asyncio
from itertools import count

import grpc

from .org import Org
from .pubsub_call import Call
from .pubsub_refusals import CODE_PREFIX, Cause, Refusal
from .topics import Topic, Topics

__all__ = ["PubSubFaults"]

# The code that goes with a status drawn by a fault; a status not named here comes without one.
_CAUSES = {
    "CANCELLED": Cause.SWEEPER,
    "INTERNAL": Cause.UNAVAILABLE,  # seen in a live outage: pozil/pub-sub-api-node-client issue 64
    "NOT_FOUND": Cause.TOPIC_NOT_FOUND,
    "PERMISSION_DENIED": Cause.TOPIC_PERMISSION,
    "RESOURCE_EXHAUSTED": Cause.PROTECTION,
    "UNAUTHENTICATED": Cause.AUTH,
    "UNAVAILABLE": Cause.UNAVAILABLE,
}


class PubSubFaults:
    """Each method asks whether its fault happens now, and makes it happen."""

    def __init__(self, org: Org) -> None:
        self._org = org
        self._faults = org.faults
        self._new_fields = count(1)

    async def refuse(self, call: Call, topic: Topic | None = None) -> None:
        """Raise Refusal when the call is to end before anything is done, or hang for ever."""
        event = topic.schema.event if topic else ""
        if self._draw("pubsub-stall", call, event):
            await asyncio.Event().wait()
        if self._draw("pubsub-expire", call, event):
            self._org.sessions.revoke(call.token)
            raise Refusal.of(Cause.AUTH)
        if self._draw("pubsub-reset", call, event):
            raise Refusal.of(Cause.RST_STREAM)
        fault = self._faults.draw("pubsub-status", path=call.method, object=event)
        if fault is not None:
            raise _refusal(fault.value)

    async def slow_or_refuse(self, call: Call, topic: Topic | None = None) -> None:
        """For calls that do nothing: `refuse`, then wait out the latency."""
        await self.refuse(call, topic)
        await asyncio.sleep(self.latency(call, topic))

    def lose_answer(self, call: Call, topic: Topic) -> None:
        """Raise Refusal when the work is done and the answer is to be lost."""
        if self._draw("pubsub-drop", call, topic.schema.event):
            raise Refusal.of(Cause.RST_STREAM)

    def latency(self, call: Call, topic: Topic | None = None) -> float:
        """Seconds by which the answer comes later."""
        return self._seconds("pubsub-latency", call, topic)

    def lateness(self, call: Call, topic: Topic) -> float:
        """Seconds in which later answers of the stream may overtake this one."""
        return self._seconds("pubsub-late", call, topic)

    def spoils_events(self) -> bool:
        """Whether `spoil_event` need be asked at all."""
        return self._faults.any("pubsub-event")

    def spoil_event(self, call: Call, topic: Topic) -> str:
        """What is wrong with this event by way of a fault; empty when nothing is."""
        fault = self._faults.draw("pubsub-event", path=call.method, object=topic.schema.event)
        return f"{fault.value}: the event was refused by a fault" if fault else ""

    def doubles(self, call: Call, topic: Topic) -> bool:
        """Whether the events come twice on the bus."""
        return self._draw("pubsub-double", call, topic.schema.event)

    def change_schema(self, call: Call, topics: Topics, topic: Topic) -> None:
        """Perhaps add a field to the topic's event, as an administrator would."""
        if self._draw("pubsub-schema", call, topic.schema.event):
            topics.add_field(topic.schema.event, f"Added{next(self._new_fields)}__c", "text")

    def _draw(self, kind: str, call: Call, event: str) -> bool:
        return self._faults.draw(kind, path=call.method, object=event) is not None

    def _seconds(self, kind: str, call: Call, topic: Topic | None) -> float:
        event = topic.schema.event if topic else ""
        fault = self._faults.draw(kind, path=call.method, object=event)
        return fault.seconds() if fault else 0.0


def _refusal(status: str) -> Refusal:
    cause = _CAUSES.get(status)
    code = CODE_PREFIX + cause.value[0] if cause else ""
    return Refusal(grpc.StatusCode[status], code, f"{status} was asked for by a fault.")
