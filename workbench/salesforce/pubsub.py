"""The publisher task's way into Salesforce: a batch of platform events out, one outcome per event
back.

Importing this module imports neither gRPC nor protobuf; opening a sink does.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from workbench.errors import (
    AuthenticationError,
    AuthorizationError,
    RequestLimitError,
    RequestRefusedError,
    SalesforceError,
    ServerError,
    TransportError,
    UsageError,
)
from workbench.model import (
    AllWritten,
    Answer,
    Batch,
    Cause,
    Deferred,
    Exchange,
    Limits,
    Outcome,
    Record,
    Refused,
    Unsent,
)
from workbench.salesforce.client import SalesforceClient
from workbench.salesforce.pubsub_codes import CallRefused
from workbench.salesforce.pubsub_endpoint import DEFAULT_ENDPOINT, Endpoint
from workbench.salesforce.pubsub_request import (
    MAX_EVENTS,
    MAX_PUBLISH_BYTES,
    Publication,
    Reading,
    encode_records,
    new_ids,
    publications,
    read,
    shown,
    source_ids,
)
from workbench.salesforce.pubsub_wire import PUBLISH_STREAM
from workbench.salesforce.request import Request

if TYPE_CHECKING:
    from workbench.salesforce.pubsub_publisher import Publisher
    from workbench.salesforce.pubsub_schema import EventSchema

__all__ = ["PublisherSettings", "PublisherSink"]

# A definition that lacks a field is looked up again after this long, since somebody may have added
# the field meanwhile.
LOOK_AGAIN_SECONDS = 10.0

# Not now, or not so: what becomes of the events is an outcome.
_PASSING = (CallRefused, TransportError, ServerError, RequestLimitError, RequestRefusedError)

_ALLOCATION = "HourlyPublishedPlatformEvents"


@dataclass(frozen=True, slots=True)
class PublisherSettings:
    """What a publisher task says.

    `accept_duplicates` says that an event whose answer was lost is sent again. The API has nothing
    that recognises an event it has already, and a second one may ship an order twice where nobody
    sees it; a lost answer, kept as a failed batch, can be looked into and replayed. So the default
    is no. A killed process costs redelivery, and with it duplicates, whatever is said here.

    `flow` is the flow's name: together with the task, the topic and the place in the stream it
    makes the id of an event, which is the same whenever that event is published again.

    `answer_seconds` is how long a request may stay without an answer; after `idle_seconds` without
    a word from the service, the connection and the topic are looked at before events are sent.

    Raises:
        SettingsError: the endpoint is none.
    """

    topic: str
    endpoint: str = DEFAULT_ENDPOINT
    max_records: int = MAX_EVENTS
    accept_duplicates: bool = False
    flow: str = ""
    answer_seconds: float = 60.0
    idle_seconds: float = 60.0

    def __post_init__(self) -> None:
        Endpoint(self.endpoint)

    @property
    def limits(self) -> Limits:
        """What one request holds."""
        return Limits(
            max_records=min(self.max_records, MAX_EVENTS),
            max_groups=1,
            max_bytes=MAX_PUBLISH_BYTES,
            max_atomic_records=1,
            is_idempotent=self.accept_duplicates,
        )


class PublisherSink:
    """Publishes one task's events; satisfies the engine's `Sink`.

    The client gives the session, and may be shared with other tasks; whoever made it opens and
    closes it. Without one, `request_of` still works, for preview and dry runs.
    """

    def __init__(self, client: SalesforceClient | None, settings: PublisherSettings) -> None:
        self._client = client
        self.settings = settings
        self.limits = settings.limits
        self._publisher: Publisher | None = None
        self._is_limited = False

    def keys_of(self, records: Sequence[Record]) -> list[str | None]:
        """None: an event is no row, so no two are the same; `order_by` is the engine's."""
        return [None] * len(records)

    @property
    def schema(self) -> EventSchema | None:
        """The event's definition as last looked up; None before `open`."""
        return self._publisher.schema if self._publisher else None

    async def open(self) -> None:
        """Log in, look the topic and its definition up, and make sure that we may publish.

        Raises:
            AuthenticationError, AuthorizationError: no login, no such topic, or no right to it.
            RequestLimitError, ServerError, TransportError: not now.
            RequestRefusedError: the API refuses what is asked.
            SettingsError: the CA file or the key of the login can't be read.
        """
        try:
            await self._connected().look_up()
        except CallRefused as refused:
            raise refused.error() from refused

    async def aclose(self) -> None:
        """Close the stream and the connection; may be called twice."""
        publisher, self._publisher = self._publisher, None
        if publisher is not None:
            await publisher.aclose()

    async def probe(self) -> None:
        """Find out cheaply whether events can be published again; publishes nothing.

        Raises:
            SalesforceError: they can't.
        """
        await self.open()
        if self._is_limited and self._client is not None:
            await _probe_allocation(self._client)
        self._is_limited = False

    def request_of(self, batch: Batch) -> Request:
        """What `write` would send, as JSON in place of the wire's bytes; sends nothing.

        Once the sink is open each event also shows its encoded size, or what is wrong with it.
        """
        body: dict[str, Any] = {"topic_name": self.settings.topic}
        events: list[dict[str, Any]] = [{"fields": record} for record in batch.records]
        if self._publisher is not None and self._publisher.schema is not None:
            schema, user_id = self._publisher.schema, self._publisher.user_id
            body["schema_id"] = schema.id
            encoded = encode_records(schema, batch.records, _now_ms(), user_id)
            for event, item in zip(events, encoded, strict=True):
                if isinstance(item, Refused):
                    event["problem"] = f"{item.code}: {item.message}"
                else:
                    event["size_bytes"] = len(item)
        body["events"] = events
        return Request(PUBLISH_STREAM.name, PUBLISH_STREAM.path, {}, shown(body))

    async def write(self, batch: Batch) -> Answer:
        """Publish a batch once and say what became of every event, in order.

        Raises:
            AuthenticationError, AuthorizationError: nothing can be published until a person acts.
        """
        publisher, records = self._connected(), batch.records
        try:
            schema, encoded = await _encode(publisher, records)
        except _PASSING as error:
            return Answer([_not_sent(error)] * len(records))
        ids = self._ids_of(batch)
        parts = publications(encoded, ids)
        started, clock = time.time(), time.perf_counter()
        answers = [publisher.publish(p.ids, p.encode(publisher.topic, schema.id)) for p in parts]
        responses = await _all(answers)
        duration = time.perf_counter() - clock
        readings = [_read(part, said) for part, said in zip(parts, responses, strict=True)]
        if readings and all(reading.stop for reading in readings):
            raise next(reading.stop for reading in readings if reading.stop)
        publisher.is_stale |= any(reading.is_schema_refused for reading in readings)
        outcomes, results = _placed(encoded, parts, readings)
        if type(outcomes) is not AllWritten:
            self._is_limited |= any(map(_is_limit, outcomes))
        if not parts:
            return Answer(outcomes)
        lost = next((reading.error for reading in readings if reading.error), None)
        sent = [(part.ids, part.places) for part in parts]
        exchange = Exchange(
            method=PUBLISH_STREAM.name,
            target=PUBLISH_STREAM.path,
            request=partial(_sent, publisher.topic, schema.id, sent, records),
            status=None if lost else 200,  # gRPC answers every call that it answers with 200
            response=partial(_answered, results),
            started=started,
            duration_seconds=duration,
            error=lost,
        )
        return Answer(outcomes, exchange, results)

    def _ids_of(self, batch: Batch) -> list[str]:
        """An id for each event, always the same for what the stream delivers again."""
        if batch.origins is None:
            return new_ids(len(batch))
        scope = f"{self.settings.flow}\n{batch.task}\n{self.settings.topic}\n"
        return source_ids(scope, batch.origins())

    def _connected(self) -> Publisher:
        """The publisher, made when first asked for; it connects by itself."""
        if self._client is None:
            raise UsageError("this sink was made without a client: it can show requests only")
        if self._publisher is None:
            from workbench.salesforce.pubsub_publisher import Publisher

            session = self._client.session
            self._publisher = Publisher(
                session,
                Endpoint(self.settings.endpoint),
                self.settings.topic,
                ca_file=session.credentials.ca_file,
                answer_seconds=self.settings.answer_seconds,
                idle_seconds=self.settings.idle_seconds,
            )
        return self._publisher


async def _encode(
    publisher: Publisher, records: Sequence[Record]
) -> tuple[EventSchema, list[bytes | Refused]]:
    """Payloads or refusals, and by which definition; a field that is not in it may be a new one."""
    schema = await publisher.prepared()
    encoded = encode_records(schema, records, _now_ms(), publisher.user_id)
    faults = [item for item in encoded if type(item) is Refused]
    if any(fault.code == "INVALID_FIELD" for fault in faults):
        age = asyncio.get_running_loop().time() - publisher.looked_up_at
        if age > LOOK_AGAIN_SECONDS and await publisher.look_up() is not schema:
            return await _encode(publisher, records)
    return schema, encoded


async def _all(answers: list[Coroutine[Any, Any, Any]]) -> list[Any]:
    """What each gives or raises; the usual batch is one request, which costs no task."""
    if len(answers) != 1:
        return await asyncio.gather(*answers, return_exceptions=True)
    try:
        return [await answers[0]]
    except SalesforceError as error:
        return [error]


def _placed(
    encoded: Sequence[bytes | Refused], parts: Sequence[Publication], readings: Sequence[Reading]
) -> tuple[Sequence[Outcome], Sequence[Any]]:
    """Outcomes and results where their records stand in the batch."""
    if len(parts) == 1 and len(parts[0].places) == len(encoded):
        return readings[0].outcomes, readings[0].results
    outcomes: list[Any] = [*encoded]
    results: list[Any] = [None] * len(encoded)
    for part, reading in zip(parts, readings, strict=True):
        for place, outcome, result in zip(
            part.places, reading.outcomes, reading.results, strict=True
        ):
            outcomes[place] = outcome
            results[place] = result
    return outcomes, results


def _read(part: Publication, said: Any) -> Reading:
    """What a response, or what came in its place, makes of each event of a request."""
    count = len(part.ids)
    match said:
        case AuthenticationError() | AuthorizationError():
            # Other requests of the batch may be published and keep their outcomes; if so, the next
            # write raises the same.
            lost: Outcome = Unsent(str(said), said.code or "NOT_SENT")
            return Reading([lost] * count, [None] * count, error=str(said), stop=said)
        case CallRefused() | TransportError() | ServerError() | RequestLimitError():
            return Reading([_not_sent(said)] * count, [None] * count, error=str(said))
        case BaseException():
            raise said
        case _:
            return read(said, part.ids)


def _not_sent(error: SalesforceError) -> Outcome:
    """What the failure of a call makes of its events."""
    match error:
        case CallRefused():
            return error.outcome()
        case RequestLimitError():
            wait = error.retry_after_seconds
            return Deferred(error.code, str(error), Cause.LIMIT, (), wait)
        case ServerError():
            return Deferred(error.code, str(error), Cause.OUTAGE)
        case RequestRefusedError():
            return Refused(error.code, str(error), is_request_fault=True)
        case _:
            return Unsent(str(error))


async def _probe_allocation(client: SalesforceClient) -> None:
    """The hourly allocation as REST tells it, where the user may see it; costs an API call."""
    try:
        left = (await client.fetch("limits"))[_ALLOCATION]["Remaining"]
    except (RequestRefusedError, KeyError, TypeError):
        return
    if left <= 0:
        raise RequestLimitError(
            "the platform events that the org may publish in an hour are used up",
            code="LIMIT_EXCEEDED",
        )


def _sent(
    topic: str,
    schema_id: str,
    sent: Sequence[tuple[Sequence[str], Sequence[int]]],
    records: Sequence[Record],
) -> bytes:
    """The events that left as JSON, from their ids and places, request by request."""
    events = [
        {"id": id_, "fields": records[place]}
        for ids, places in sent
        for id_, place in zip(ids, places, strict=True)
    ]
    return shown({"topic_name": topic, "schema_id": schema_id, "events": events})


def _answered(results: Sequence[Any]) -> bytes:
    return shown({"results": list(results)})


def _is_limit(outcome: Outcome) -> bool:
    return type(outcome) is Deferred and outcome.cause is Cause.LIMIT


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
