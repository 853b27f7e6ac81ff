"""Platform events over HTTP: publishing one as a row, finding managed subscriptions, and what the
control endpoint says of them.

    GET    /emulator/events                    topics, their schema ids, how many events each holds
    GET    /emulator/events/NAME               the events, decoded, oldest first (?after=&limit=)
    POST   /emulator/events/NAME/fields        {"name": "Carrier__c", "type": "text"}: the event
                                               gets a field, so its topic a new schema
    POST   /emulator/events/NAME/rights        {"can_publish": false}, or can_subscribe: what the
                                               user may do with the topic
    DELETE /emulator/events                    forget all events
    GET    /emulator/subscriptions             managed subscriptions
    POST   /emulator/subscriptions             {"developer_name": "Orders", "event": NAME}, and if
                                               wanted from_earliest, recovers_from_earliest: add one

NAME is that of the event, `OrderStatus__e`, or of its topic, `event/OrderStatus__e`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from .api import Answer, Call
from .avro import AvroError
from .control import body_object, number, refuse
from .fields import Field
from .objects import EventType
from .org import Org
from .refusals import ApiError, RowError
from .topics import ManagedSubscription, Topics

__all__ = ["create", "events_control", "tooling_query"]

_SUBSCRIPTION_QUERY = re.compile(
    r"select\s.+?\sfrom\s+ManagedEventSubscription"
    r"(\s+where\s+(DeveloperName|Id)\s*=\s*'(?P<key>\w+)')?(\s+limit\s+\d+)?",
    re.IGNORECASE | re.DOTALL,
)
MOST_EVENTS = 10_000
"""Events of one page of /emulator/events/NAME."""


def create(call: Call, event: EventType) -> Answer:
    """POST sobjects/X__e: publish one event.

    https://developer.salesforce.com/docs/atlas.en-us.platform_events.meta/platform_events/platform_events_publish_api.htm
    (2026-11-23). Unlike rows, an event is only queued, and the answer says so in its errors.
    """
    values = _values(event, call.object_body())
    if call.org.bus.remaining_allocation() == 0:
        raise ApiError(400, "LIMIT_EXCEEDED", "The hourly event publishing limit is used up", [])
    try:
        id_ = call.org.topics.publish_values(event.name, values, call.user.id)
    except AvroError as error:
        raise ApiError(400, "INVALID_FIELD", str(error)) from None
    queued = {"statusCode": "OPERATION_ENQUEUED", "message": id_, "fields": []}
    row = call.org.event_ids.next()
    return Answer(201, {"id": row, "success": True, "errors": [queued]}, rows=1)


def tooling_query(call: Call) -> Answer:
    """GET tooling/query?q=...: managed subscriptions by id or developer name, nothing else.

    That is the question a client asks before ManagedSubscribe
    (pozil/pub-sub-api-node-client, read 2026-11-23).
    """
    match = _SUBSCRIPTION_QUERY.fullmatch(call.query.get("q", "").strip())
    if match is None:
        raise ApiError(
            400,
            "MALFORMED_QUERY",
            "Here the tooling API answers only SELECT ... FROM ManagedEventSubscription "
            "[WHERE DeveloperName|Id = '...'] [LIMIT n]",
        )
    key = match["key"]
    if key is None:
        found = call.org.topics.subscriptions()
    else:
        one = call.org.topics.subscription(key)
        found = [] if one is None else [one]
    records = [_record(call, subscription) for subscription in found]
    body = {
        "size": len(records),
        "totalSize": len(records),
        "done": True,
        "queryLocator": None,
        "entityTypeName": "ManagedEventSubscription",
        "records": records,
    }
    return Answer(200, body, rows=len(records))


def _record(call: Call, subscription: ManagedSubscription) -> dict[str, Any]:
    path = f"{call.root}/tooling/sobjects/ManagedEventSubscription/{subscription.id}"
    return {
        "attributes": {"type": "ManagedEventSubscription", "url": path},
        "Id": subscription.id,
        "DeveloperName": subscription.developer_name,
        "Metadata": {
            "label": subscription.developer_name,
            "topicName": subscription.topic,
            "state": "STOP" if subscription.is_stopped else "RUN",
            "defaultReplay": "EARLIEST" if subscription.from_earliest else "LATEST",
            "errorRecoveryReplay": (
                "EARLIEST" if subscription.recovers_from_earliest else "LATEST"
            ),
        },
    }


def _values(event: EventType, body: Mapping[str, Any]) -> dict[str, Any]:
    """The body's values as the event's Avro fields want them; names match in any case."""
    fields = {field.name.lower(): field for field in event.fields}
    values = {}
    for name, value in body.items():
        if name == "attributes":
            continue
        field = fields.get(name.lower())
        if field is None:
            raise ApiError(
                400,
                "INVALID_FIELD",
                f"No such column '{name}' on sobject of type {event.name}",
            )
        values[field.name] = None if value is None else _value(field, value)
    return values


def _value(field: Field, value: Any) -> Any:
    if value == "" and field.type in ("text", "textarea"):
        return value  # an event keeps what a row would turn into null
    try:
        checked = field.checker()(value)
    except RowError as error:
        raise error.as_api_error() from error
    if checked is None:
        return None
    if field.type in ("date", "datetime"):
        moment = datetime.fromisoformat(checked)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return round(moment.timestamp() * 1000)
    return float(checked) if field.type == "number" else checked


def events_control(
    org: Org, method: str, parts: list[str], query: Mapping[str, str], body: bytes
) -> Answer | None:
    """Answer a call under /emulator/events or /emulator/subscriptions; None for others.

    `parts` is the path after /emulator. Raises ApiError with one sentence on what is wrong.
    """
    if parts[1:2] == ["event"]:
        parts = [parts[0], *parts[2:]]
    topics = org.topics
    match method, parts:
        case "GET", ["events"]:
            return Answer(200, {"topics": [_topic(topics, name) for name in topics.names()]})
        case "GET", ["events", name]:
            after = number(query, "after", 0)
            limit = min(number(query, "limit", MOST_EVENTS), MOST_EVENTS)
            return Answer(200, topics.as_json(_known(topics, name), after=after, limit=limit))
        case "POST", ["events", name, "fields"]:
            return _add_field(topics, _known(topics, name), body)
        case "POST", ["events", name, "rights"]:
            return _set_rights(topics, _known(topics, name), body)
        case "DELETE", ["events"]:
            org.bus.clear()
            return Answer(200, {"topics": [_topic(topics, name) for name in topics.names()]})
        case "GET", ["subscriptions"]:
            return Answer(200, {"subscriptions": [_shown(s) for s in topics.subscriptions()]})
        case "POST", ["subscriptions"]:
            return _subscribe(topics, body)
    return None


def _topic(topics: Topics, name: str) -> dict[str, Any]:
    topic = topics.get(name)
    assert topic is not None
    held = topics.bus.count(name)
    return {
        "topic": name,
        "schema_id": topic.schema.id,
        "events": held,
        "can_publish": topic.can_publish,
        "can_subscribe": topic.can_subscribe,
    }


def _add_field(topics: Topics, topic: str, body: bytes) -> Answer:
    given = _texts(body, "name", "type")
    try:
        event = topic.removeprefix("/event/")
        topics.add_field(event, given["name"], given["type"])
    except ValueError as error:
        raise refuse(400, str(error)) from None
    return Answer(201, _topic(topics, topic))


def _set_rights(topics: Topics, name: str, body: bytes) -> Answer:
    given = _texts(body, flags=("can_publish", "can_subscribe"))
    topic = topics.get(name)
    assert topic is not None
    topic.can_publish = given.get("can_publish", topic.can_publish)
    topic.can_subscribe = given.get("can_subscribe", topic.can_subscribe)
    return Answer(200, _topic(topics, name))


def _subscribe(topics: Topics, body: bytes) -> Answer:
    flags = ("from_earliest", "recovers_from_earliest")
    given = _texts(body, "developer_name", "event", flags=flags)
    made = topics.subscribe(
        given["developer_name"],
        _known(topics, given["event"].removeprefix("/event/")),
        **{flag: given[flag] for flag in flags if flag in given},
    )
    return Answer(201, _shown(made))


def _shown(subscription: ManagedSubscription) -> dict[str, Any]:
    return {
        "id": subscription.id,
        "developer_name": subscription.developer_name,
        "topic": subscription.topic,
        "is_active": subscription.is_active,
        "committed": subscription.committed.hex() or None,
    }


def _known(topics: Topics, event: str) -> str:
    topic = f"/event/{event}"
    if topics.get(topic) is None:
        raise refuse(404, f"there is no event {event}; there are {', '.join(topics.names())}")
    return topic


def _texts(body: bytes, *names: str, flags: tuple[str, ...] = ()) -> dict[str, Any]:
    """The body's object: a text for every one of `names`, true or false for each flag given."""
    given = body_object(body)
    fits = set(names) <= set(given) <= {*names, *flags}
    fits = fits and all(isinstance(given[name], str) for name in names)
    fits = fits and all(isinstance(given[flag], bool) for flag in flags if flag in given)
    if not fits:
        texts = f" the texts {' and '.join(names)}" if names else ""
        perhaps = f" perhaps {' and '.join(flags)}, true or false" if flags else ""
        raise refuse(
            400, f"the body is an object with{texts}{' and' * bool(names and flags)}{perhaps}"
        )
    return given
