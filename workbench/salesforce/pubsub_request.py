"""From records to publish requests, and from answers to outcomes; pure."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, overload

from workbench import codec
from workbench.errors import SalesforceError
from workbench.model import AllWritten, Origin, Outcome, Record, Refused, Unknown, Written
from workbench.salesforce.pubsub_codes import EventKind, event_kind, event_outcome
from workbench.salesforce.pubsub_schema import EventSchema
from workbench.salesforce.pubsub_wire import PublishResponse, publish_request

__all__ = [
    "MAX_EVENTS",
    "MAX_EVENT_BYTES",
    "MAX_PUBLISH_BYTES",
    "Publication",
    "Reading",
    "encode_records",
    "new_ids",
    "publications",
    "read",
    "shown",
    "source_ids",
]

# Recommended sizes; an event above the first is refused by the service.
# https://developer.salesforce.com/docs/platform/pub-sub-api/guide/allocations.html, 2026-11-23
MAX_EVENT_BYTES = 1024 * 1024
MAX_PUBLISH_BYTES = 3_000_000
MAX_EVENTS = 200

# What an event adds to a request beside its payload: id, schema id, tags and lengths.
_EVENT_OVERHEAD = 80


_ID_ENDS = [f"{number:08x}" for number in range(MAX_EVENTS)]
_HEX = [f"{number:03x}" for number in range(0x1000)]


@dataclass(slots=True)
class Publication:
    """One PublishRequest: the events at these places of the batch, their ids and payloads."""

    places: list[int] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    payloads: list[bytes] = field(default_factory=list)

    def encode(self, topic: str, schema_id: str) -> bytes:
        """The message as it goes over the wire."""
        return publish_request(topic, schema_id, zip(self.ids, self.payloads, strict=True))


def new_ids(count: int) -> list[str]:
    """Ids for events that nobody can name: UUIDs, alike but for their end."""
    start = str(uuid.uuid4())[:28]
    ends = _ID_ENDS[:count] if count <= MAX_EVENTS else [f"{n:08x}" for n in range(count)]
    return [start + end for end in ends]


def source_ids(scope: str, origins: Iterable[Origin]) -> list[str]:
    """Ids that are the same whenever the same event of the stream is published again for the same
    `scope` (who publishes it where), so that subscribers know what they have had.

    UUIDs of version 8, whose bits are ours to choose: the low 12 bits of the record's place in its
    event and of the event's sequence as they are, the rest from SHA-256 of everything else.
    Salesforce itself does not look at them.
    """
    digest = sha256(scope.encode())
    known: tuple[str, str, int, int] | None = None
    start = ""
    ids = []
    for stream, branch, sequence, first, count in origins:
        tail = _HEX[sequence & 0xFFF]
        for place in (first,) if count == 1 else range(first, first + count):
            source = stream, branch, sequence >> 12, place
            if source != known:  # as a rule the place is 0 and the rest is the same for long
                known = source
                source = stream, branch, sequence >> 12, place >> 12
                start = _id_head(digest.copy(), repr(source)) + _HEX[place & 0xFFF]
            ids.append(start + tail)
    return ids


def _id_head(digest: Any, source: str) -> str:
    """All of a UUID but its last six digits."""
    digest.update(source.encode())
    text = digest.hexdigest()
    return f"{text[:8]}-{text[8:12]}-8{text[13:16]}-a{text[17:20]}-{text[20:26]}"


def encode_records(
    schema: EventSchema, records: Sequence[Record], created_ms: int, user_id: str
) -> list[bytes | Refused]:
    """The payload of each record, or why it can't be published: its own fault.

    An unknown field is the flow's fault rather than the record's where no record of these is
    without fault.
    """
    payloads = schema.encode(records, schema.stamp(created_ms, user_id))
    encoded = [
        _fault(schema, record)
        if payload is None
        else _too_large(payload)
        if len(payload) > MAX_EVENT_BYTES
        else payload
        for payload, record in zip(payloads, records, strict=True)
    ]
    if any(type(item) is bytes for item in encoded):
        return encoded
    return [
        Refused(item.code, item.message, item.fields, is_request_fault=True)
        if isinstance(item, Refused) and item.code == "INVALID_FIELD"
        else item
        for item in encoded
    ]


def _fault(schema: EventSchema, record: Record) -> Refused:
    faults = schema.faults(record)
    names = tuple(dict.fromkeys(fault.field for fault in faults))
    return Refused(faults[0].code, "; ".join(fault.message for fault in faults), names)


def _too_large(payload: bytes) -> Refused:
    return Refused(
        "EVENT_TOO_LARGE",
        f"the event has {len(payload)} bytes; Salesforce takes {MAX_EVENT_BYTES} at most",
    )


def publications(
    encoded: Sequence[bytes | Refused], ids: Sequence[str], max_bytes: int = MAX_PUBLISH_BYTES
) -> list[Publication]:
    """The sound ones of these, in order, in as few requests as their sizes allow."""
    payloads = [payload for payload in encoded if type(payload) is bytes]
    total = sum(map(len, payloads)) + len(payloads) * _EVENT_OVERHEAD
    if 0 < len(payloads) == len(encoded) and total <= max_bytes:
        return [Publication(list(range(len(payloads))), list(ids), payloads)]
    made: list[Publication] = []
    current = Publication()
    size = 0
    for place, payload in enumerate(encoded):
        if isinstance(payload, Refused):
            continue
        size += len(payload) + _EVENT_OVERHEAD
        if size > max_bytes and current.places:
            made.append(current)
            current = Publication()
            size = len(payload) + _EVENT_OVERHEAD
        current.places.append(place)
        current.ids.append(ids[place])
        current.payloads.append(payload)
    if current.places:
        made.append(current)
    return made


@dataclass(slots=True)
class Reading:
    """What became of one request: an outcome and the service's own result for each of its events,
    in its order.

    `error` is why there was no answer; `stop` the same where nothing can be published until a
    person acts.
    """

    outcomes: Sequence[Outcome]
    results: Sequence[Any]
    is_schema_refused: bool = False
    error: str | None = None
    stop: SalesforceError | None = None


class _Rows(Sequence[dict[str, Any]]):
    """The results of events that are published, as JSON objects, each made when asked for."""

    __slots__ = ("_results",)

    def __init__(self, results: Sequence[Any]) -> None:
        self._results = results

    def __len__(self) -> int:
        return len(self._results)

    @overload
    def __getitem__(self, index: int) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, index: slice) -> list[dict[str, Any]]: ...
    def __getitem__(self, index: int | slice) -> dict[str, Any] | list[dict[str, Any]]:
        if isinstance(index, slice):
            return [_row(result) for result in self._results[index]]
        return _row(self._results[index])


def _row(result: Any) -> dict[str, Any]:
    return {
        "id": result.correlation_key,
        "success": True,
        "created": True,
        "replay_id": result.replay_id.hex(),
        "errors": [],
    }


def read(response: PublishResponse, ids: Sequence[str]) -> Reading:
    """Match results with events by their ids; an event without a result is unknown."""
    given = response.results
    if response.is_all_published(ids):
        rows = _Rows(given)
        return Reading(AllWritten(rows), rows)
    sound = [result for result in given if result.replay_id and not result.HasField("error")]
    written = {result.correlation_key: result for result in sound}
    refused = {result.correlation_key: result.error for result in given if result.HasField("error")}
    outcomes: list[Outcome] = []
    results: list[Any] = []
    reading = Reading(outcomes, results)
    for id_ in ids:
        if id_ in refused:
            error = refused[id_]
            outcomes.append(event_outcome(error.msg))
            said = {"code": int(error.code), "msg": error.msg}
            results.append({"id": id_, "success": False, "errors": [said]})
            reading.is_schema_refused |= event_kind(error.msg) is EventKind.SCHEMA
        elif id_ in written:
            row = _row(written[id_])
            outcomes.append(Written(id_, True, row))
            results.append(row)
        else:
            outcomes.append(Unknown("the answer holds no result for this event"))
            results.append(None)
    return reading


def shown(value: Any) -> bytes:
    """A request or answer as JSON for people, since the wire's bytes tell them nothing."""
    try:
        return codec.encode(value)
    except TypeError:  # a number or text that JSON has no form for
        return codec.encode(repr(value))
