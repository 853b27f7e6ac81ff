"""Records on their way to Salesforce, and what became of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, overload

__all__ = [
    "AllWritten",
    "Answer",
    "Batch",
    "Cause",
    "Deferred",
    "Exchange",
    "Group",
    "Limits",
    "Origin",
    "Outcome",
    "Record",
    "Refused",
    "RolledBack",
    "Unknown",
    "Unsent",
    "Written",
]

Record = dict[str, Any]
"""One rendered row for one sObject, or one platform event's fields: a JSON object."""

Origin = tuple[str, str, int, int, int]
"""Where records come from: stream, upstream task ("" for the source), sequence of the event, place
of the first record among those that the event gives in this task, and how many follow each other.
"""


class Cause(StrEnum):
    """Why a record was deferred; what the engine does differs by it."""

    CONTENTION = "contention"
    """A lock, a race, a busy server: the record again after a short wait."""
    DEPENDENCY = "dependency"
    """What it points to is not there yet, or is held: again later, a bounded number of times."""
    OUTAGE = "outage"
    """The server answered 5xx, or is in maintenance: the whole flow waits and probes."""
    LIMIT = "limit"
    """A limit of the org: the whole flow waits, longer, and probes."""


@dataclass(slots=True)
class Written:
    """In Salesforce, by Salesforce's own word for the whole transaction.

    `created` is None where the operation does not tell; `data` is the retrieved row for `get`,
    and the result as Salesforce gave it otherwise.
    """

    id: str
    created: bool | None = None
    data: Any = None


@dataclass(frozen=True, slots=True)
class Refused:
    """Not written, by its own fault or the request's; sending the same again gets the same answer.

    `is_request_fault` marks what every record of this flow would meet (unknown field or object,
    missing right): a row of those pauses the flow.
    """

    code: str
    message: str
    fields: tuple[str, ...] = ()
    is_request_fault: bool = False


@dataclass(frozen=True, slots=True)
class RolledBack:
    """Not written because a neighbour in the same transaction failed."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Deferred:
    """Not written now; the same record may well be written later.

    `retry_after_seconds` is what the server asked for, where it did.
    """

    code: str
    message: str
    cause: Cause = Cause.CONTENTION
    fields: tuple[str, ...] = ()
    retry_after_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Unsent:
    """Certainly never left this machine (no connection, no token)."""

    message: str
    code: str = "NOT_SENT"


@dataclass(frozen=True, slots=True)
class Unknown:
    """It left, and no answer that can be trusted came: it may or may not be written."""

    message: str
    code: str = "NO_ANSWER"


Outcome = Written | Refused | RolledBack | Deferred | Unsent | Unknown


@dataclass(slots=True)
class Group:
    """Records that share one sObject collection; `all_or_none` is that collection's own flag."""

    records: list[Record]
    all_or_none: bool = False


@dataclass(slots=True)
class Batch:
    """What leaves in one request: one or several groups, in order.

    `is_atomic` binds the groups together: all of them are written or none is. `attempt` counts
    from 1 the times that any of its records may have been sent before and now, redeliveries
    included; `least_attempt` those that each of them may have been. `origins`, where the records
    come from a stream, names all of them for ever, the same in every delivery.
    """

    id: str
    task: str
    groups: list[Group]
    is_atomic: bool = False
    attempt: int = 1
    least_attempt: int = 1
    origins: Callable[[], list[Origin]] | None = field(default=None, repr=False, compare=False)

    def __len__(self) -> int:
        return sum(len(group.records) for group in self.groups)

    @property
    def records(self) -> list[Record]:
        """All records, in the order their outcomes come back."""
        return [record for group in self.groups for record in group.records]


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and its answer as they went over the wire; never holds a header with a secret.

    `target` is the path with query (`/services/data/v65.0/composite/sobjects`), or the rpc for
    gRPC; bodies are what was meant before compression, or what makes them when they are asked for;
    `status` is None when nothing came back, and `error` then says why. `started` is seconds since
    the epoch.
    """

    method: str
    target: str
    request: bytes | Callable[[], bytes]
    status: int | None
    response: bytes | Callable[[], bytes]
    started: float
    duration_seconds: float
    error: str | None = None

    @property
    def request_body(self) -> bytes:
        return self.request if isinstance(self.request, bytes) else self.request()

    @property
    def response_body(self) -> bytes:
        return self.response if isinstance(self.response, bytes) else self.response()


class AllWritten(Sequence[Outcome]):
    """The outcomes of a batch that Salesforce wrote whole, each made when it is asked for.

    Nearly every batch is one, and nearly nobody asks for its outcomes one by one. `rows` are the
    server's results, one per record, which may themselves be read only then: objects with `id` and
    perhaps `created`.
    """

    __slots__ = ("_rows",)

    def __init__(self, rows: Sequence[dict[str, Any]]) -> None:
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, index: int) -> Outcome: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Outcome]: ...
    def __getitem__(self, index: int | slice) -> Outcome | Sequence[Outcome]:
        if isinstance(index, slice):
            return [_written(row) for row in self._rows[index]]
        return _written(self._rows[index])

    def __eq__(self, other: object) -> bool:
        """Equal to any sequence of the same outcomes."""
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]  # it is a list in all but cost


def _written(row: dict[str, Any]) -> Written:
    return Written(row.get("id") or "", row.get("created"), row)


@dataclass(slots=True)
class Answer:
    """What became of a batch: one outcome per record, in the batch's order, always all of them.

    `exchange` is None when nothing was sent. `results` is the server's own result for each record,
    parallel to `outcomes`, or empty where it gave none. `api_used` and `api_limit` are the org's
    daily calls as last told by the server, None where it did not tell.
    """

    outcomes: Sequence[Outcome]
    exchange: Exchange | None = None
    results: Sequence[Any] = ()
    api_used: int | None = None
    api_limit: int | None = None

    @property
    def is_all_written(self) -> bool:
        """Whether that is known without a look at every outcome; False says nothing."""
        return type(self.outcomes) is AllWritten


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request of a sink can hold; the batcher keeps to it.

    Attributes:
        max_records: records in one group.
        max_groups: groups in one request, for events that keep their own atomicity.
        max_bytes: encoded size of the records of one request, roughly.
        max_atomic_records: the largest event that can be written all-or-none (groups bound
            together).
        is_idempotent: whether sending the same record twice is harmless.
        is_one_event: whether a request may hold records of one event only.
    """

    max_records: int = 200
    max_groups: int = 5
    max_bytes: int = 4_000_000
    max_atomic_records: int = 1_000
    is_idempotent: bool = True
    is_one_event: bool = False
