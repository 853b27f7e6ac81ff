"""The composite task's way into Salesforce: a batch out, one outcome per record back."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from workbench.errors import (
    AuthenticationError,
    AuthorizationError,
    RequestLimitError,
    ServerError,
    TransportError,
    UsageError,
)
from workbench.model import (
    Answer,
    Batch,
    Cause,
    Deferred,
    Exchange,
    Group,
    Outcome,
    Record,
    Refused,
    RolledBack,
    Unknown,
    Unsent,
)
from workbench.salesforce.client import SalesforceClient, is_stop, stop_error
from workbench.salesforce.codes import Suspect
from workbench.salesforce.operations import Body, CompositeSettings, field_of
from workbench.salesforce.request import (
    DEFAULT_API_VERSION,
    Request,
    RequestBuilder,
    id_of,
    normal_version,
)
from workbench.salesforce.results import read

__all__ = ["MAX_ISOLATING_REQUESTS", "CompositeSink", "key_of"]

# One culprit among 200 records is found by 16 requests; twice that finds two. More than that is
# no longer worth the org's calls: the engine sends the rest again.
MAX_ISOLATING_REQUESTS = 32

_NEEDS_ID = (Body.IDS_IN_QUERY, Body.IDS_IN_BODY)
_DIVISIBLE = (Body.RECORDS, Body.IDS_IN_QUERY)


def key_of(settings: CompositeSettings, record: Record) -> str | None:
    """What identifies the record in Salesforce; None where it has no identity yet.

    External ids match without case unless describe says otherwise, and Salesforce trims text, so
    they count as equal here when they differ by no more: at worst two rows take turns. Record
    ids are compared by their first 15 characters, which the 18-character form repeats; those are
    case-sensitive.
    """
    operation = settings.operation
    if operation == "upsert":
        key = settings.external_id_field or ""
        value = record[key] if key in record else field_of(record, key)
        if value is None:
            return None
        if type(value) is str:
            return value.strip().lower()
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        return str(value).lower()
    if operation in ("update", "delete"):
        return id_of(record)[:15] or None
    return None


def _texts_of(field: str, records: Sequence[Record]) -> list[str | None]:
    """`key_of` for a text in every record; raises KeyError or TypeError where one has none.

    Lowers all of them at once, and strips each only where there is white space at all.
    """
    text = "\0".join([record[field] for record in records]).lower()
    keys: list[str | None] = [*text.split("\0")]
    if len(keys) != len(records):  # a NUL within a key
        return [record[field].strip().lower() for record in records]
    return keys if text.split() == [text] else [key.strip() for key in text.split("\0")]


class CompositeSink:
    """Writes one task's batches; satisfies the engine's `Sink`.

    The client may be shared with other tasks; whoever made it opens and closes it. Without one,
    `request_of` still works, for preview and dry runs.
    """

    def __init__(
        self,
        client: SalesforceClient | None,
        settings: CompositeSettings,
        *,
        api_version: str | None = None,
    ) -> None:
        self._client = client
        self.settings = settings
        self.limits = settings.limits
        self._api_version = normal_version(api_version or DEFAULT_API_VERSION)
        self._builder: RequestBuilder | None = None

    def keys_of(self, records: Sequence[Record]) -> list[str | None]:
        """See `key_of`."""
        settings = self.settings
        if settings.operation == "upsert":
            # The usual record has its key as text under the very name the flow gives it.
            with contextlib.suppress(KeyError, TypeError):
                return _texts_of(settings.external_id_field or "", records)
        return [key_of(settings, record) for record in records]

    @property
    def builder(self) -> RequestBuilder:
        """Builds this task's requests for the API version that the client has found."""
        version = self._client.api_version if self._client else self._api_version
        if self._builder is None or self._builder.api_version != version:
            self._builder = RequestBuilder(self.settings, version)
        return self._builder

    def request_of(self, batch: Batch) -> Request:
        """The request that `write` would send, without the token; sends nothing."""
        return self.builder.build(batch)

    async def open(self) -> None:
        """Log in and find the API version; cheap when the client has done both.

        Raises:
            As `SalesforceClient.open`.
        """
        await self._open_client().open()

    async def probe(self) -> None:
        """Find out cheaply whether Salesforce answers us again and has calls left.

        Raises:
            SalesforceError: it does not, or has not.
        """
        await self._open_client().probe()

    async def write(self, batch: Batch) -> Answer:
        """Send a batch once and say what became of every record, in order.

        A request that is refused as a whole for what one record may hold is taken apart, with at
        most `MAX_ISOLATING_REQUESTS` further requests, as far as atomicity allows.

        Raises:
            AuthenticationError, AuthorizationError: nothing can be written until a person acts.
        """
        if self.settings.row.body in _NEEDS_ID and (faults := _id_faults(batch)):
            return await self._write_rest(batch, faults)
        answer = await self._exchange(batch)
        if not answer.is_all_written and any(
            type(outcome) is Suspect for outcome in answer.outcomes
        ):
            await self._isolate(batch, answer)
        return answer

    def _open_client(self) -> SalesforceClient:
        if self._client is None:
            raise UsageError("this sink was made without a client: it can show requests only")
        return self._client

    async def _exchange(self, batch: Batch) -> Answer:
        """One request and what its answer says; the records of a whole refusal may be suspects."""
        client = self._open_client()
        count = len(batch)
        started, clock = time.time(), time.perf_counter()
        try:
            await client.open()
            request = self.builder.build(batch)
        except (TransportError, ServerError, RequestLimitError) as error:
            return Answer(_not_sent(error, count))
        except TypeError as error:
            fault = Suspect("NOT_JSON", f"the record cannot be written as JSON: {error}")
            return Answer([fault] * count)
        try:
            reply = await client.call(request, self.settings.gzip_min_bytes)
        except (TransportError, ServerError, RequestLimitError) as error:
            lost = isinstance(error, TransportError) and error.sent
            return Answer(
                [Unknown(str(error))] * count if lost else _not_sent(error, count),
                _recorded(request, None, b"", started, clock, str(error)),
            )
        if is_stop(reply):
            raise stop_error(reply)
        used, limit = client.api_usage or (None, None)
        reading = read(self.builder, batch, reply)
        return Answer(
            reading.outcomes,
            _recorded(request, reply.status, reply.body, started, clock),
            reading.results,
            used,
            limit,
        )

    async def _write_rest(self, batch: Batch, faults: dict[int, Refused]) -> Answer:
        """Write what is left when some records have no usable id, which would shift the others."""
        outcomes: list[Outcome | None] = [faults.get(index) for index in range(len(batch))]
        results: list[Any] = [None] * len(batch)
        pieces = []
        for piece in _pieces_of(batch):
            left = [index for index in piece.indices if index not in faults]
            if not left:
                continue
            is_torn = len(left) < len(piece.indices) and not piece.is_divisible
            if is_torn or batch.is_atomic:
                for index in left:
                    outcomes[index] = RolledBack(
                        "ALL_OR_NONE_OPERATION_ROLLED_BACK",
                        "another record of the same transaction has no usable id",
                    )
            else:
                pieces.append(piece.only(left))
        answer = await self.write(_joined(batch, pieces)) if pieces else Answer([])
        _spread(answer.outcomes, pieces, outcomes)
        _spread(answer.results, pieces, results)
        answer.outcomes = [outcome for outcome in outcomes if outcome is not None]
        answer.results = results if answer.results else ()
        return answer

    async def _isolate(self, batch: Batch, answer: Answer) -> None:
        """Find the records for which a whole request was refused, by sending halves of it.

        Depth first, so that the first culprits are found soon. When the requests allowed are used
        up and nothing at all was accepted, the fault is the request's and all are refused;
        otherwise what was not looked at is put off, to be sent again. The answer's exchange stays
        that of the whole.
        """
        outcomes = list(answer.outcomes)
        results = list(answer.results) or [None] * len(outcomes)
        stack = self._smaller(batch, _pieces_of(batch), outcomes)
        is_any_accepted = not all(type(outcome) is Suspect for outcome in outcomes)
        sent, is_cut_short = 0, False
        while stack and sent < MAX_ISOLATING_REQUESTS and not is_cut_short:
            part = stack.pop()
            sent += 1
            try:
                partial = await self._exchange(_joined(batch, part))
            except (AuthenticationError, AuthorizationError) as error:
                # Others may be written by now and must keep their outcomes; the next write of
                # this task raises the same.
                partial = Answer([Unsent(str(error), error.code or "NOT_SENT")] * _count(part))
            _spread(partial.outcomes, part, outcomes)
            _spread(partial.results, part, results)
            answer.api_used = partial.api_used or answer.api_used
            stack += self._smaller(batch, part, outcomes)
            is_any_accepted |= not all(type(outcome) is Suspect for outcome in partial.outcomes)
            is_cut_short = _is_out_of_service(partial.outcomes[0])
        if is_any_accepted or is_cut_short:
            for index in (index for part in stack for index in _order(part)):
                outcomes[index] = _put_off(outcomes[index])
        answer.outcomes = [
            _convicted(outcome, is_any_accepted) if type(outcome) is Suspect else outcome
            for outcome in outcomes
        ]
        answer.results = results

    def _smaller(
        self, batch: Batch, part: Sequence[_Piece], outcomes: Sequence[Outcome]
    ) -> list[list[_Piece]]:
        """What to send next to find the culprits of a part, last first; nothing when it is found.

        A part refused as a whole is halved. Where a composite refused some of its collections,
        each of those is halved by itself.
        """
        if batch.is_atomic or self.settings.row.body not in _DIVISIBLE:
            return []
        suspects = [
            piece for piece in part if all(type(outcomes[i]) is Suspect for i in piece.indices)
        ]
        if len(suspects) == len(part):
            return _halves(suspects)
        return [half for piece in suspects for half in _halves([piece])]


@dataclass(frozen=True, slots=True)
class _Piece:
    """Part of one group of a batch: the records and where in the batch they stand."""

    all_or_none: bool
    indices: list[int]
    records: list[Record]

    @property
    def is_divisible(self) -> bool:
        return not self.all_or_none

    def only(self, indices: list[int]) -> _Piece:
        """The piece without the other records."""
        kept = dict(zip(self.indices, self.records, strict=True))
        return _Piece(self.all_or_none, indices, [kept[i] for i in indices])


def _pieces_of(batch: Batch) -> list[_Piece]:
    pieces, start = [], 0
    for group in batch.groups:
        end = start + len(group.records)
        pieces.append(_Piece(group.all_or_none, list(range(start, end)), group.records))
        start = end
    return pieces


def _halves(part: list[_Piece]) -> list[list[_Piece]]:
    """The two halves of a part, the second first; none when it cannot be divided further."""
    middle = len(part) // 2
    if middle:
        return [part[middle:], part[:middle]]
    piece = part[0] if part else None
    if piece is None or not piece.is_divisible or len(piece.indices) < 2:
        return []
    middle = len(piece.indices) // 2
    return [[piece.only(piece.indices[middle:])], [piece.only(piece.indices[:middle])]]


def _joined(batch: Batch, part: Sequence[_Piece]) -> Batch:
    """A batch of these pieces only."""
    groups = [Group(piece.records, piece.all_or_none) for piece in part]
    return Batch(batch.id, batch.task, groups, batch.is_atomic, batch.attempt, batch.least_attempt)


def _order(part: Sequence[_Piece]) -> list[int]:
    return [index for piece in part for index in piece.indices]


def _spread(values: Sequence[Any], part: Sequence[_Piece], places: list[Any]) -> None:
    """Put what came back for a part where its records stand in the batch; nothing for nothing."""
    if values:
        for index, value in zip(_order(part), values, strict=True):
            places[index] = value


def _count(part: Sequence[_Piece]) -> int:
    return sum(len(piece.indices) for piece in part)


def _is_out_of_service(outcome: Outcome) -> bool:
    """Whether asking on is useless for now."""
    match outcome:
        case Unsent() | Deferred(cause=Cause.OUTAGE | Cause.LIMIT):
            return True
        case _:
            return False


def _put_off(outcome: Outcome) -> Outcome:
    """For a record that was refused only together with others."""
    if not isinstance(outcome, Suspect):
        return outcome
    message = f"refused together with other records: {outcome.message}"
    return Deferred(outcome.code, message, Cause.CONTENTION, outcome.fields)


def _convicted(outcome: Refused, is_any_accepted: bool) -> Refused:
    """The culprit; the request is at fault only if it is nobody's in particular."""
    is_request_fault = outcome.is_request_fault and not is_any_accepted
    return Refused(outcome.code, outcome.message, outcome.fields, is_request_fault)


def _id_faults(batch: Batch) -> dict[int, Refused]:
    """The records whose id would be lost or taken for two in a list of ids, by their index."""
    faults = {}
    for index, record in enumerate(batch.records):
        record_id = id_of(record)
        if not record_id:
            faults[index] = Refused("MISSING_ARGUMENT", "the record has no Id", ("Id",))
        elif not (record_id.isascii() and record_id.isalnum()):
            faults[index] = Refused("MALFORMED_ID", f"{record_id!r} is no record id", ("Id",))
    return faults


def _not_sent(error: TransportError | ServerError | RequestLimitError, count: int) -> list[Outcome]:
    """No token, or no connection: nothing of the batch has left."""
    match error:
        case TransportError():
            return [Unsent(str(error))] * count
        case RequestLimitError():
            wait = error.retry_after_seconds
            return [Deferred(error.code, str(error), Cause.LIMIT, (), wait)] * count
        case ServerError():
            return [Deferred(error.code, str(error), Cause.OUTAGE)] * count


def _recorded(
    request: Request,
    status: int | None,
    body: bytes,
    started: float,
    clock: float,
    error: str | None = None,
) -> Exchange:
    return Exchange(
        method=request.method,
        target=request.target,
        request=request.body,
        status=status,
        response=body,
        started=started,
        duration_seconds=time.perf_counter() - clock,
        error=error,
    )
