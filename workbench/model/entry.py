"""A failed batch as the store keeps it: where it stands, who has it in hand, what was done to it.

Every change is a pure function from one entry to the next, so that all stores share them and need
only be able to replace an entry by its successor, if it is still the one that was read.
"""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from typing import Any

from workbench import codec
from workbench.errors import ClaimedError
from workbench.model.entry_list import EntryGroup, EntrySummary, State
from workbench.model.failed import Attempt, FailedBatch, FailedRecord

__all__ = ["Claim", "Deed", "Entry"]


@dataclass(frozen=True, slots=True)
class Claim:
    """Somebody has the entry in hand, until `until` (seconds since the epoch) unless renewed.

    `owner` is unique to one replay, `by` is for people (user@host), `since` is ISO 8601, UTC.
    Clocks of machines that share a store must agree to within the lease.
    """

    owner: str
    by: str
    since: str
    until: float


@dataclass(frozen=True, slots=True)
class Deed:
    """Something done to an entry: `replayed` (all of it is written), `failed_again`, `unfinished`
    (whoever replayed it died over it), `discarded`, or `stored_again` (the stream delivered the
    event once more after the entry was closed).

    `at` is ISO 8601, UTC; `changes` is a JSON Patch (RFC 6902) from what had failed to what was
    sent, on `{"data": ..., "records": [...]}`; `digest` the version of the flow it was done with.
    """

    what: str
    by: str
    at: str
    note: str = ""
    digest: str = ""
    changes: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True, slots=True)
class Entry:
    """A failed batch in a store. `revision` is the store's own; a change needs the latest."""

    batch: FailedBatch
    state: State = "open"
    claim: Claim | None = None
    history: tuple[Deed, ...] = ()
    revision: int = 0

    @property
    def id(self) -> str:
        return self.batch.id

    @property
    def summary(self) -> EntrySummary:
        """What a list shows of it."""
        batch, claim = self.batch, self.claim
        return EntrySummary(
            id=batch.id,
            flow=batch.flow,
            task=batch.task,
            kind=batch.kind,
            reason=batch.reason,
            subject=batch.subject,
            stream=batch.stream,
            sequence=batch.sequence,
            failed_at=batch.failed_at,
            state=self.state,
            claimed_by=claim.by if claim else "",
            claimed_until=claim.until if claim else 0.0,
            records=len(batch.records),
            failed=len(batch.failures),
            groups=_groups(batch),
            attempts=len({(a.time, a.request_line, a.by) for a in batch.attempts}),
            size_bytes=len(batch.data),
            operation=str(batch.settings.get("operation", "publish")),
            digest=batch.digest,
            revision=self.revision,
        )

    @property
    def is_unfinished(self) -> bool:
        """Whether a replay of it ended without a word since anything else was learned of it."""
        return bool(self.history) and self.history[-1].what == "unfinished"

    # -- changes -----------------------------------------------------------------------------

    def stored(self, batch: FailedBatch) -> Entry:
        """The same failure once more: newest outcomes, all attempts, none of them twice."""
        known = {_same(attempt): attempt for attempt in self.batch.attempts}
        more = {_same(attempt): attempt for attempt in batch.attempts}
        if more.keys() <= known.keys() and more and self.state != "open":
            return self  # the confirmation of an earlier store was lost, and it is closed since
        if not batch.records:  # delivered until its deliveries ran out, say: what is known stays
            batch = replace(batch, records=self.batch.records)
        merged = replace(batch, attempts=tuple({**known, **more}.values()))
        if merged == self.batch:
            return self  # only the confirmation of the first store was lost
        entry = replace(self, batch=merged)
        if self.state == "open":
            return entry
        deed = Deed("stored_again", "engine", batch.failed_at, "the event failed once more")
        return replace(entry, state="open", history=(*self.history, deed))

    def claimed(self, claim: Claim, now: float) -> Entry:
        """In the hands of `claim.owner`.

        Raises:
            ClaimedError: somebody else has it, or it is closed.
        """
        self._check_open()
        mine = self.claim is not None and self.claim.owner == claim.owner
        history = self.history
        if self.claim is not None and not mine:
            if self.claim.until > now:
                raise self._taken(self.claim)
            note = "begun and not ended: what was written of it is not known"
            history = (*history, Deed("unfinished", self.claim.by, self.claim.since, note))
        return replace(self, claim=claim, history=history)

    def released(self, owner: str) -> Entry:
        """In nobody's hands, if it was in `owner`'s."""
        if self.claim is None or self.claim.owner != owner:
            return self
        return replace(self, claim=None)

    def replayed(
        self,
        owner: str,
        deed: Deed,
        records: Sequence[FailedRecord],
        attempts: Sequence[Attempt],
        kind: str = "",
        reason: str = "",
    ) -> Entry:
        """After a replay: resolved where the deed says `replayed`, else open with more attempts
        and, where said, another `kind` and `reason`.

        Raises:
            ClaimedError: it is no longer in `owner`'s hands.
        """
        self._check_open()
        if self.claim is None:
            raise ClaimedError(self.id, "", "", f"{self.id} is no longer claimed by this replay")
        if self.claim.owner != owner:
            raise self._taken(self.claim)
        batch = replace(
            self.batch,
            records=tuple(records),
            attempts=(*self.batch.attempts, *attempts),
            kind=kind or self.batch.kind,
            reason=reason or self.batch.reason,
        )
        state: State = "resolved" if deed.what == "replayed" else "open"
        history = (*self.history, deed)
        return replace(self, batch=batch, state=state, claim=None, history=history)

    def discarded(self, deed: Deed, now: float) -> Entry:
        """Closed without having been written.

        Raises:
            ClaimedError: somebody has it in hand, or it is closed already.
        """
        self._check_open()
        if self.claim is not None and self.claim.until > now:
            raise self._taken(self.claim)
        return replace(self, state="discarded", claim=None, history=(*self.history, deed))

    def _check_open(self) -> None:
        if self.state != "open":
            last = self.history[-1] if self.history else Deed(self.state, "somebody", "some time")
            raise ClaimedError(
                self.id, last.by, last.at, f"{self.id} was {self.state} by {last.by} at {last.at}"
            )

    def _taken(self, claim: Claim) -> ClaimedError:
        free = datetime.fromtimestamp(claim.until, UTC).strftime("%H:%M:%S")
        sentence = (
            f"{self.id} is being replayed by {claim.by} since {claim.since}; "
            f"if that ended without a word, it is free at {free} UTC"
        )
        return ClaimedError(self.id, claim.by, claim.since, sentence)

    # -- JSON --------------------------------------------------------------------------------

    def head_json(self) -> dict[str, Any]:
        """Everything but the failed batch itself."""
        return {
            "state": self.state,
            "claim": None if self.claim is None else _object(self.claim),
            "history": [_object(deed) for deed in self.history],
        }

    def to_json(self) -> dict[str, Any]:
        """The failed batch's JSON object with the entry's own fields beside it."""
        return {**self.batch.to_json(), "entry": self.head_json()}

    def encode(self, batch: bytes) -> bytes:
        """The text of `to_json`; `batch` is that of the failed batch without its data."""
        data = base64.b64encode(self.batch.data)
        is_fresh = self.state == "open" and self.claim is None and not self.history
        head = _FRESH if is_fresh else codec.encode(self.head_json())
        return b'%b,"data_base64":"%b","entry":%b}' % (batch[:-1], data, head)

    @classmethod
    def from_json(cls, value: Mapping[str, Any], revision: int = 0) -> Entry:
        """The inverse of `to_json`; also reads a bare failed batch, which is open.

        Raises:
            ValueError: not an entry, or written by a newer workbench.
        """
        given = dict(value)
        head = given.pop("entry", {})
        return cls.of_head(FailedBatch.from_json(given), head, revision)

    @classmethod
    def of_head(cls, batch: FailedBatch, head: Mapping[str, Any], revision: int) -> Entry:
        """An entry of its parts; `head` as `head_json` gives it."""
        try:
            claim = head.get("claim")
            return cls(
                batch,
                head.get("state", "open"),
                None if claim is None else Claim(**claim),
                tuple(
                    Deed(**{**deed, "changes": tuple(deed["changes"])})
                    for deed in head.get("history", ())
                ),
                revision,
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not an entry of failed batches: {error}") from error


def _groups(batch: FailedBatch) -> tuple[EntryGroup, ...]:
    """How the records failed; an entry without records counts by its kind."""
    if not batch.records:
        return (EntryGroup(batch.kind.upper(), "", 1),)
    counted = Counter((record.code, ",".join(record.fields)) for record in batch.failures)
    return tuple(EntryGroup(code, name, count) for (code, name), count in counted.items())


def _same(attempt: Attempt) -> tuple[Any, ...]:
    """What tells attempts at one event in one task apart."""
    results = str(list(attempt.results))
    return attempt.time, attempt.request_line, attempt.status, attempt.by, results


def _object(value: Claim | Deed) -> dict[str, Any]:
    return {item.name: getattr(value, item.name) for item in fields(value)}


_FRESH = codec.encode({"state": "open", "claim": None, "history": []})
"""The head of an entry that nobody has had in hand yet."""
