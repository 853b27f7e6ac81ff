"""The topics of one org: which events there are, and their schemas, past and present.

The door to the bus for everything but gRPC: the REST half publishes here, the control endpoint
reads here.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from .avro import AvroError, EventSchema, event_schema
from .bus import Bus, BusEvent, ReplayIdError, replay_id
from .ids import IdMaker, long_id
from .objects import EventType

__all__ = ["ManagedSubscription", "Topic", "Topics"]


@dataclass(slots=True)
class Topic:
    """One topic as it is now; `schema` is replaced when the event's definition changes."""

    name: str
    schema: EventSchema
    can_publish: bool = True
    can_subscribe: bool = True


@dataclass(slots=True)
class ManagedSubscription:
    """One ManagedEventSubscription record, and how far its client has come.

    https://developer.salesforce.com/docs/atlas.en-us.api_meta.meta/api_meta/meta_managedeventsubscription.htm
    (2026-11-23)
    """

    id: str
    developer_name: str
    topic: str
    from_earliest: bool = False
    """`defaultReplay`: where a subscription without a commit starts."""
    recovers_from_earliest: bool = False
    """`errorRecoveryReplay`: where it goes on when its commit is past retention."""
    is_stopped: bool = False
    is_active: bool = False
    """A client holds it."""
    committed: bytes = b""

    def start(self, bus: Bus) -> int:
        """The position after which a client's stream begins."""
        from_earliest = self.from_earliest
        if self.committed:
            try:
                return bus.check(self.committed)
            except ReplayIdError:
                from_earliest = self.recovers_from_earliest
        return bus.earliest() if from_earliest else bus.tip


class Topics:
    """Every topic of an org, every schema its events ever had, its managed subscriptions.

    Each declared event comes with a managed subscription of its name without `__e`, from the
    earliest event on.
    """

    def __init__(self, bus: Bus, definitions: Iterable[EventType] = ()) -> None:
        self.bus = bus
        self._definitions = tuple(definitions)
        self._topics: dict[str, Topic] = {}
        self._schemas: dict[str, EventSchema] = {}
        self._subscriptions: dict[str, ManagedSubscription] = {}
        self._subscription_ids = IdMaker("18x")
        self.reset()

    def reset(self) -> None:
        """Go back to what is declared; events that are still on the bus must be cleared before."""
        self._schemas.clear()
        self._subscriptions.clear()
        for definition in self._definitions:
            topic = self.declare(definition.name, [(f.name, f.type) for f in definition.fields])
            self.subscribe(definition.name.removesuffix("__e"), topic.name, from_earliest=True)

    def declare(
        self,
        event: str,
        fields: Iterable[tuple[str, str]],
        *,
        can_publish: bool = True,
        can_subscribe: bool = True,
    ) -> Topic:
        """Add an event's topic, `/event/<name>`, or give an existing one a new definition.

        Schemas it had before stay known, as events published under them stay readable.
        """
        schema = event_schema(event, fields)
        self._schemas[schema.id] = schema
        name = f"/event/{event}"
        topic = self._topics.setdefault(name, Topic(name, schema))
        # Changed in place: open streams hold the topic.
        topic.schema, topic.can_publish, topic.can_subscribe = schema, can_publish, can_subscribe
        return topic

    def add_field(self, event: str, name: str, kind: str) -> EventSchema:
        """Add an optional field to an event, as an administrator would; its new schema.

        KeyError for an unknown event, ValueError for an unknown type or a field that it has.
        """
        topic = self._topics[f"/event/{event}"]
        topic.schema = topic.schema.with_field(name, kind)
        self._schemas[topic.schema.id] = topic.schema
        return topic.schema

    def get(self, name: str) -> Topic | None:
        """The topic of that name, `/event/<name>`; None when there is none."""
        return self._topics.get(name)

    def schema(self, schema_id: str) -> EventSchema | None:
        """The schema of that id, of whatever age; None when it never was."""
        return self._schemas.get(schema_id)

    def names(self) -> list[str]:
        return list(self._topics)

    def subscribe(
        self,
        developer_name: str,
        topic: str,
        *,
        from_earliest: bool = False,
        recovers_from_earliest: bool = False,
    ) -> ManagedSubscription:
        """Add a managed subscription, or replace the one of that name; KeyError for no topic."""
        subscription = ManagedSubscription(
            self._subscription_ids.next(),
            developer_name,
            self._topics[topic].name,
            from_earliest,
            recovers_from_earliest,
        )
        self._subscriptions[developer_name] = subscription
        return subscription

    def subscriptions(self) -> list[ManagedSubscription]:
        return list(self._subscriptions.values())

    def subscription(self, key: str) -> ManagedSubscription | None:
        """The managed subscription with this developer name, or id of 15 or 18 characters."""
        found = self._subscriptions.get(key)
        if found is None and (wanted := long_id(key)):
            found = next((s for s in self._subscriptions.values() if s.id == wanted), None)
        return found

    def problem(self, topic: Topic, schema_id: str, payload: bytes) -> str:
        """Why this payload is no event of the topic, in a sentence; empty when it is one."""
        schema = self._schemas.get(schema_id)
        if not schema_id:
            return "schema ID can't be blank"
        if schema is None:
            return f"schema id {schema_id!r} is unknown"
        if schema.event != topic.schema.event:
            return f"schema id {schema_id!r} belongs to {schema.event}, not to {topic.name}"
        try:
            values = schema.decode(payload)
        except AvroError as error:
            return str(error)
        # A datum has no way to leave a bare field out: blank is as near as it gets.
        if not values["CreatedById"]:
            return "required field CreatedById is missing"
        if schema is not topic.schema and not schema.resolves(payload, topic.schema):
            return f"schema id {schema_id!r} cannot be reconciled with {topic.schema.id!r}"
        return ""

    def publish_values(self, event: str, values: Mapping[str, Any], created_by: str) -> str:
        """Publish an event given by its fields, as REST's `sobjects/<Name>__e` does; its id.

        The system fields are filled in unless given. KeyError for an unknown event, AvroError for
        a field that the event has not, or that has another type.
        """
        topic = self._topics[f"/event/{event}"]
        now_ms = int(self.bus.now() * 1000)
        payload = topic.schema.encode({"CreatedDate": now_ms, "CreatedById": created_by, **values})
        id_ = str(uuid.uuid4())
        self.bus.publish(topic.name, [(id_, topic.schema.id, payload, ())])
        return id_

    def as_json(self, name: str, *, after: int = 0, limit: int = 1000) -> dict[str, Any]:
        """What the bus holds on a topic, decoded: `{"topic", "events", "next"}`, oldest first.

        `next` is the `after` of the next page. KeyError for an unknown topic.
        """
        topic = self._topics[name]
        events = self.bus.after(topic.name, max(after, self.bus.earliest()), limit)
        return {
            "topic": name,
            "schema_id": topic.schema.id,
            "events": [self._event_as_json(event) for event in events],
            "next": events[-1].position if events else after,
        }

    def _event_as_json(self, event: BusEvent) -> dict[str, Any]:
        return {
            "replay_id": replay_id(event.position).hex(),
            "id": event.id,
            "schema_id": event.schema_id,
            "fields": self._schemas[event.schema_id].decode(event.payload),
        }
