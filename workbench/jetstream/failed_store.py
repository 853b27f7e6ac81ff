"""Failed batches in a stream of their own: they survive the machine and are shared by all.

Subjects are `workbench.failed.<flow>.<task>.<id>.<part>`, one message each:

- `head`: the entry's JSON. A small entry is all in there, readable with `nats stream get`. Of a
  large one it holds the summary and where the rest is. It is written last: without it there is no
  entry, and it is replaced only by who has read the one before (expected last sequence), which is
  what makes claims exclusive.
- `<generation>.event`: the bytes of a large entry's event, alone, so that one of `max_payload`
  fits.
- `<generation>.<n>`: the rest of a large entry's JSON, in pieces. A generation is written once;
  the head says which one holds.

No message carries a `Nats-Msg-Id`: the duplicate window can swallow nothing.
"""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from workbench import codec
from workbench.errors import DeadLetterError, DeadLetterRefused, NotKeptError, StreamError
from workbench.jetstream.connection import ApiError, Connection, RightMissing
from workbench.jetstream.failed_stream import FailedStream
from workbench.jetstream.pipeline import WRONG_LAST_SEQUENCE, Write, put_all
from workbench.jetstream.stored import STREAM_NOT_FOUND
from workbench.model import (
    Entry,
    EntryCounts,
    EntryFilter,
    EntryPage,
    EntrySummary,
    Event,
    FailedBatch,
    FailedText,
    rival_id,
    safe_name,
)

__all__ = ["SMALL_BYTES", "JetStreamFailedStore"]

SMALL_BYTES = 128 * 1024
"""Entries up to this size are one message."""

_PART_BYTES = 512 * 1024
_READ_AT_ONCE = 100

_AGAIN_AT_ONCE = 16

_STORES_AT_ONCE = 4
"""More would only wait in the server's queue, where they can run out of time, and be encoded in
memory meanwhile."""

_PASSING = (0, 10008, 10009, 10023, STREAM_NOT_FOUND)
"""err_codes of what goes by: system temporarily unavailable, no quorum, insufficient resources
(https://github.com/nats-io/nats-server/blob/main/server/errors.json, 2026-11-23)."""

_TRIES = 20
"""How often a change is begun anew because somebody else was faster each time."""


class JetStreamFailedStore:
    """A store of failed batches (`workbench.failed.FailedStore`, met by shape).

    The stream is made when something is first stored; reading never makes it. Closing the
    connection is left to whoever opened it.

    Args:
        stream: its name; `workbench_failed` unless the flow says otherwise.
        max_age_seconds: after which it forgets entries; None leaves the stream as it is.
        replicas: likewise.
    """

    def __init__(
        self,
        connection: Connection,
        stream: str = "workbench_failed",
        *,
        max_age_seconds: float | None = None,
        replicas: int | None = None,
    ) -> None:
        self._connection = connection
        self._stream = FailedStream(connection, stream, max_age_seconds, replicas)
        self._turns = asyncio.Semaphore(_STORES_AT_ONCE)
        self._text = FailedText()
        # By id: revision, and what it adds to `EntryCounts.records` if it is open
        self._counted: dict[str, tuple[int, int | None]] = {}
        self._counted_to = 0
        self._counting = asyncio.Lock()

    # -- storing -----------------------------------------------------------------------------

    async def store(self, batches: Sequence[FailedBatch]) -> None:
        """See `FailedStore.store`: one round trip for all of them where none is there yet."""
        if not batches:
            return
        try:
            await self._stream.ensure()
            first = {batch.id: batch for batch in reversed(batches)}
            twice = [batch for batch in batches if first[batch.id] is not batch]
            async with self._turns:
                known = await self._create([Entry(batch) for batch in reversed(first.values())])
            for start in range(0, len(known), _AGAIN_AT_ONCE):
                some = known[start : start + _AGAIN_AT_ONCE]
                await asyncio.gather(*map(self._store_again, some))
            for batch in twice:
                await self._store_again(batch)
        except DeadLetterError:
            raise
        except StreamError as error:
            if isinstance(error, ApiError) and error.code == 503:
                self._stream.doubt()  # somebody deleted it; the next store makes it anew
            raise self._not_done(f"keep {len(batches)} failed batches", error) from error

    async def _create(self, entries: Sequence[Entry]) -> list[FailedBatch]:
        """Write entries that are not there; returns those that were."""
        heads: list[Write] = []
        rest: list[Write] = []
        most = self._connection.max_payload
        for entry in entries:
            head, more = self._writes(entry, 0, most)
            heads.append(head)
            rest += more
        if rest:
            for answer in await put_all(self._connection, rest):
                if isinstance(answer, ApiError):
                    raise answer
        known = []
        answers = await put_all(self._connection, heads)
        for entry, head, answer in zip(entries, heads, answers, strict=True):
            if isinstance(answer, ApiError):
                if answer.err_code != WRONG_LAST_SEQUENCE:
                    raise answer
                known.append(entry.batch)
                await self._forget(_rest(head))
        return known

    async def _store_again(self, batch: FailedBatch) -> None:
        """An id that is there already: the same failure once more, or an event of another time."""
        head = await self._head(batch.id)
        if head is None:  # discarded meanwhile
            await self._create([Entry(batch)])
            return
        known = await self._entry(head)
        if known.batch.timestamp == batch.timestamp:
            await self.change(batch.id, lambda entry: entry.stored(batch))
            return
        rival = dataclasses.replace(batch, id=rival_id(batch))
        if await self._create([Entry(rival)]):
            await self.change(rival.id, lambda entry: entry.stored(rival))

    # -- reading -----------------------------------------------------------------------------

    async def page(self, wanted: EntryFilter, after: int = 0, limit: int = 200) -> EntryPage:
        """See `FailedStore.page`; the server looks for flow and task, we for the rest.

        `next` is a sequence of the stream.
        """
        found: list[EntrySummary] = []
        subject = self._subject_of(wanted)
        try:
            while True:
                heads = await self._stream.read(subject, after + 1, _READ_AT_ONCE)
                now = time.time()
                for head in heads:
                    summary = _summary(head)
                    if wanted.fits(summary, now):
                        if len(found) == limit:
                            return EntryPage(tuple(found), after, False)
                        found.append(summary)
                    after = head.sequence
                if len(heads) < _READ_AT_ONCE:
                    return EntryPage(tuple(found), after, True)
        except StreamError as error:
            raise self._not_done("read the failed batches", error) from error

    async def get(self, id: str) -> Entry:
        """See `FailedStore.get`."""
        try:
            head = await self._head(id)
            if head is None:
                raise self._not_kept(id)
            return await self._entry(head)
        except StreamError as error:
            raise self._not_done(f"read {id}", error) from error

    async def counts(self) -> EntryCounts:
        """See `FailedStore.counts`: one request, and what changed since the last time."""
        every = EntryFilter(statuses=frozenset({"open", "claimed", "resolved", "discarded"}))
        async with self._counting:
            try:
                state = await self._stream.state()
            except StreamError as error:
                raise self._not_done("count the failed batches", error) from error
            if not state or state["last_seq"] < self._counted_to or not state["messages"]:
                self._counted, self._counted_to = {}, 0
            while state and state["last_seq"] > self._counted_to:
                page = await self.page(every, self._counted_to, 1_000)
                for entry in page.entries:
                    failed = max(entry.failed, 1) if entry.state == "open" else None
                    self._counted[entry.id] = (entry.revision, failed)
                self._counted_to = page.next
                if page.is_last:
                    self._counted_to = max(page.next, state["last_seq"])
                    break
            first = state["first_seq"] if state else 0
            gone = [id for id, (revision, _) in self._counted.items() if revision < first]
            for id in gone:  # discarded by age
                del self._counted[id]
            still_open = [failed for _, failed in self._counted.values() if failed is not None]
            return EntryCounts(len(still_open), sum(still_open))

    # -- changing ----------------------------------------------------------------------------

    async def change(self, id: str, step: Callable[[Entry], Entry]) -> Entry:
        """See `FailedStore.change`."""
        try:
            for _ in range(_TRIES):
                head = await self._head(id)
                if head is None:
                    raise self._not_kept(id)
                known = await self._entry(head)
                entry = step(known)
                if entry is known:
                    return entry
                stored = await self._replace(known, entry, head)
                if stored is not None:
                    return stored
        except StreamError as error:
            raise self._not_done(f"change {id}", error) from error
        raise DeadLetterError(f"{id} is changed by others all the time; try again")

    async def _replace(self, known: Entry, entry: Entry, old: Event) -> Entry | None:
        """Write the successor of an entry; None if somebody else was faster."""
        manifest = codec.decode(old.data)
        if entry.batch is known.batch and "rest" in manifest:
            # Only where it stands has changed: what is large stays as it is.
            head = Write(old.subject, _head_text(entry, manifest["rest"]), old.sequence)
            more: list[Write] = []
        else:
            head, more = self._writes(entry, old.sequence, self._connection.max_payload)
        if more:
            for answer in await put_all(self._connection, more):
                if isinstance(answer, ApiError):
                    raise answer
        (answer,) = await put_all(self._connection, [head])
        if isinstance(answer, ApiError):
            if answer.err_code == WRONG_LAST_SEQUENCE:
                if more:
                    await self._forget(_rest(head))
                return None
            raise answer
        if _rest(old) != _rest(head):
            await self._forget(_rest(old))
        return dataclasses.replace(entry, revision=answer)

    async def _forget(self, rest: str) -> None:
        """Remove what no head tells of any longer."""
        if rest:
            await self._stream.purge(f"{rest}.*")

    # -- messages ----------------------------------------------------------------------------

    def _writes(self, entry: Entry, revision: int, most: int) -> tuple[Write, list[Write]]:
        """The head that makes an entry true, and what must be stored before it; `most` is what one
        message may hold."""
        base = self._place_of(entry.id)
        text = self._text.of(entry.batch)
        room = min(SMALL_BYTES, most - 1024)
        if len(text) + len(entry.batch.data) < room:
            whole = entry.encode(text)
            if len(whole) <= room:
                return Write(f"{base}.head", whole, revision), []
        generation = str(time.time_ns())
        size = min(_PART_BYTES, most)
        pieces = [text[start : start + size] for start in range(0, len(text), size)]
        writes = [
            Write(f"{base}.{generation}.{number}", piece) for number, piece in enumerate(pieces)
        ]
        rest = {"generation": generation, "parts": len(pieces)}
        return Write(f"{base}.head", _head_text(entry, rest), revision), [
            Write(f"{base}.{generation}.event", entry.batch.data),
            *writes,
        ]

    async def _entry(self, head: Event) -> Entry:
        """The whole entry that a head tells of."""
        value = codec.decode(head.data)
        if "rest" not in value:
            return Entry.from_json(value, head.sequence)
        rest = value["rest"]
        base = f"{_base(head)}.{rest['generation']}"
        subjects = [f"{base}.event", *(f"{base}.{number}" for number in range(rest["parts"]))]
        found = await asyncio.gather(*map(self._stream.last, subjects))
        if None in found:
            raise NotKeptError(
                f"{value['summary']['id']} is no longer whole: the stream has discarded part of "
                "it for its limits"
            )
        event, *parts = [message.data for message in found if message is not None]
        batch = FailedBatch.from_json(codec.decode(b"".join(parts)), event)
        return Entry.of_head(batch, value["entry"], head.sequence)

    async def _head(self, id: str) -> Event | None:
        return await self._stream.last(f"{self._base_of(id)}.head")

    def _base_of(self, id: str) -> str:
        """Where an entry lies: ids are safe but for their dots, which would be tokens."""
        parts = id.split(".")
        if len(parts) < 4 or not all(parts) or any(safe_name(part) != part for part in parts):
            raise NotKeptError(f"{id!r} is no id of a failed batch")
        return self._place_of(id)

    def _place_of(self, id: str) -> str:
        flow, task = id.split(".", 4)[2:4]
        return f"{self._stream.prefix}.{flow}.{task}.{id.replace('.', '~')}"

    def _subject_of(self, wanted: EntryFilter) -> str:
        flow = safe_name(wanted.flow) if wanted.flow else "*"
        task = safe_name(wanted.task) if wanted.task else "*"
        return f"{self._stream.prefix}.{flow}.{task}.*.head"

    # -- saying no ---------------------------------------------------------------------------

    def _not_kept(self, id: str) -> NotKeptError:
        return NotKeptError(f"stream {self._stream.name!r} keeps no failed batch {id}")

    def _not_done(self, what: str, error: StreamError) -> DeadLetterError:
        sentence = f"cannot {what} in stream {self._stream.name!r}: {error}"
        is_final = isinstance(error, RightMissing) or (
            isinstance(error, ApiError) and error.err_code not in _PASSING and error.code != 503
        )
        return (DeadLetterRefused if is_final else DeadLetterError)(sentence)


def _head_text(entry: Entry, rest: Mapping[str, Any]) -> bytes:
    """The head of a large entry. What was changed by hand is told by its attempts as well, and is
    left out of the head where it would be too large for one message."""
    value = {"summary": entry.summary.to_json(), "entry": entry.head_json(), "rest": rest}
    text = codec.encode(value)
    if len(text) > SMALL_BYTES:
        for deed in value["entry"]["history"]:
            deed["changes"] = []
        text = codec.encode(value)
    return text


def _base(head: Event | Write) -> str:
    return head.subject.removesuffix(".head")


def _rest(head: Event | Write) -> str:
    """Where the rest of a large entry lies; empty of a small one."""
    rest = codec.decode(head.data).get("rest") if head.data else None
    return f"{_base(head)}.{rest['generation']}" if rest else ""


def _summary(head: Event) -> EntrySummary:
    value: Mapping[str, Any] = codec.decode(head.data)
    if "rest" in value:
        return EntrySummary.from_json(value["summary"], head.sequence)
    return Entry.from_json(value, head.sequence).summary
