"""What every store of failed batches promises, asked of memory, of a file and of JetStream."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from workbench.app.failed_desk import FailedDesk
from workbench.app.flow_book import FlowBook
from workbench.app.settings import Settings
from workbench.errors import ClaimedError, DeadLetterError, DeadLetterRefused, NotKeptError
from workbench.failed import Claimant, FailedStore, FileStore, file_store
from workbench.jetstream import Connection, JetStreamFailedStore, connect
from workbench.model import (
    Attempt,
    Deed,
    EntryCounts,
    EntryFilter,
    FailedBatch,
    FailedRecord,
    failed_id,
)
from workbench.sandbox.nats import NatsServer
from workbench.testing import MemoryFailedStore

EVERY = EntryFilter(statuses=frozenset({"open", "claimed", "resolved", "discarded"}))
NOW = 1_800_000_000.0


def batch(sequence: int = 1, *codes: str, **changes: Any) -> FailedBatch:
    """A failed batch with a record for each code; an empty code is a written record."""
    codes = codes or ("REQUIRED_FIELD_MISSING",)
    flow, task = changes.get("flow", "crm contacts"), changes.get("task", "upsert")
    records = tuple(
        FailedRecord(i, {"ExternalId__c": f"e{i}"}, "refused" if code else "written", code,
                     "says no" if code else "", ("LastName",) if code else ())
        for i, code in enumerate(codes)
    )  # fmt: skip
    settings: dict[str, Any] = {
        "id": failed_id("crm", sequence, flow, task),
        "flow": flow,
        "task": task,
        "kind": "refused",
        "reason": "says no",
        "subject": "crm.contacts.upsert",
        "stream": "crm",
        "sequence": sequence,
        "num_delivered": 1,
        "timestamp": "2026-11-23T10:00:00.000+00:00",
        "headers": {"a": "b"},
        "data": b"[1, 2\xff]",
        "digest": "d1",
        "settings": {"name": task, "operation": "upsert"},
        "records": records,
        "attempts": (attempt("10:00:01"),),
        "failed_at": f"2026-11-23T10:00:{sequence % 60:02}.000+00:00",
    }
    return FailedBatch(**{**settings, **changes})


def attempt(time: str) -> Attempt:
    return Attempt(f"2026-11-23T{time}.000+00:00", "POST /composite", 200, ({"success": False},))


@pytest.fixture(
    params=["memory", "file", "compacted file", "jetstream", "jetstream of nats-server 2.10"]
)
async def store(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    nats_server: NatsServer,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[FailedStore]:
    if request.param == "memory":
        yield MemoryFailedStore()
    elif "file" in request.param:
        if "compacted" in request.param:  # as often as it can be
            monkeypatch.setattr(file_store, "COMPACT_FROM_BYTES", 0)
        yield FileStore(tmp_path / "failed.jsonl")
    else:
        if "2.10" in request.param:  # what newer servers offer is then not used
            monkeypatch.setattr(Connection, "version", (2, 10, 0))
        connection = await connect(nats_server.url)
        yield JetStreamFailedStore(connection, f"failed-{uuid.uuid4().hex}")
        await connection.aclose()


async def listed(store: FailedStore, wanted: EntryFilter = EVERY) -> list[str]:
    found, after = [], 0
    while True:
        page = await store.page(wanted, after, 2)
        found += [entry.id for entry in page.entries]
        after = page.next
        if page.is_last:
            return found


async def test_nothing_is_kept_at_first(store: FailedStore) -> None:
    assert await listed(store) == []
    assert await store.counts() == EntryCounts(0, 0)
    with pytest.raises(NotKeptError):
        await store.get(batch().id)
    with pytest.raises(NotKeptError):
        await store.get("no such thing")


async def test_what_is_stored_comes_back_whole(store: FailedStore) -> None:
    given = batch(7, "A", "", input={"id": "x"}, origin={"host": "h"})
    await store.store([given])
    entry = await store.get(given.id)
    assert entry.batch == given
    assert entry.state == "open"
    assert await store.counts() == EntryCounts(1, 1)


async def test_an_event_of_which_no_record_was_made_counts_as_one(store: FailedStore) -> None:
    await store.store([batch(7, "A", "A"), batch(8, records=(), attempts=(), kind="unfit")])
    assert (await store.counts()).records == len(batch(7, "A", "A").failures) + 1


@pytest.mark.parametrize("size", [100_000, 1_048_576])
async def test_an_event_as_large_as_the_server_takes_is_kept_whole(
    store: FailedStore, size: int
) -> None:
    records = tuple(
        FailedRecord(i, {"Description": "x" * 1000}, "refused", "A", "é" * 300) for i in range(1000)
    )
    given = batch(1, data=b"\xfe" * size, records=records)
    await store.store([given])
    assert (await store.get(given.id)).batch == given
    claimant = Claimant(store)
    await claimant.claim(given.id, NOW)
    await store.store([replace(given, attempts=(attempt("11:00:00"),))])
    entry = await store.get(given.id)
    assert entry.batch == replace(given, attempts=(*given.attempts, attempt("11:00:00")))
    assert entry.claim is not None
    (summary,) = (await store.page(EVERY)).entries
    assert summary == entry.summary
    assert (summary.size_bytes, summary.failed) == (size, 1000)


async def test_what_was_changed_in_many_records_is_kept(store: FailedStore) -> None:
    records = tuple(FailedRecord(i, {"x": "x" * 900}, "refused", "A") for i in range(1000))
    await store.store([batch(1, records=records)])
    changes = tuple(
        {"op": "add", "path": f"/records/{n}/Description", "value": "y" * 1_500}
        for n in range(1000)
    )
    claimant = Claimant(store, by="me@host")
    await claimant.claim(batch(1).id, NOW)
    mine = replace(attempt("12:00:00"), by="me@host", changes=changes)
    deed = Deed("failed_again", "me@host", "2027-01-15T08:00:00.000+00:00", "", "d2", changes)
    await claimant.conclude(batch(1).id, deed, records, (mine,))
    entry = await claimant.claim(batch(1).id, NOW)
    assert entry.batch.attempts[1].changes == changes
    assert [deed.what for deed in entry.history] == ["failed_again"]


async def test_what_the_server_would_not_take_is_refused_before_it_is_sent(
    nats_server: NatsServer, tmp_path: Path
) -> None:
    connection = await connect(nats_server.url)
    store = JetStreamFailedStore(connection, f"failed-{uuid.uuid4().hex}")
    with pytest.raises(DeadLetterRefused, match="max_payload"):
        await store.store([batch(1, data=b"x" * 2_000_000)])
    await store.store([batch(2)])
    assert connection.is_connected
    await connection.aclose()


async def test_the_same_failure_twice_is_one_entry_with_both_attempts(store: FailedStore) -> None:
    first = batch(1, "A", "B")
    again = replace(
        batch(1, "", "C"), attempts=(attempt("10:00:01"), attempt("10:05:00")), num_delivered=2
    )
    await store.store([first])
    await store.store([again])
    await store.store([again, again])
    entry = await store.get(first.id)
    assert [a.time[11:19] for a in entry.batch.attempts] == ["10:00:01", "10:05:00"]
    assert [r.code for r in entry.batch.records] == ["", "C"]
    assert await listed(store) == [first.id]
    assert await store.counts() == EntryCounts(1, 1)


async def test_what_is_known_of_the_records_is_not_forgotten(store: FailedStore) -> None:
    await store.store([batch(1, "A")])
    await store.store([batch(1, records=(), attempts=(), kind="undecided")])
    entry = await store.get(batch(1).id)
    assert entry.batch.kind == "undecided"
    assert [record.code for record in entry.batch.records] == ["A"]
    assert len(entry.batch.attempts) == 1


async def test_many_at_once_some_of_them_known(store: FailedStore) -> None:
    await store.store([batch(n) for n in range(1, 4)])
    await store.store([replace(batch(n), kind="exhausted") for n in range(1, 301)])
    assert sorted(await listed(store)) == sorted(batch(n).id for n in range(1, 301))
    assert (await store.get(batch(2).id)).batch.kind == "exhausted"
    assert (await store.counts()).entries == 300


async def test_an_event_of_another_time_with_the_same_place_is_another_entry(
    store: FailedStore,
) -> None:
    old = batch(1)
    new = replace(old, timestamp="2027-01-01T00:00:00.000+00:00", data=b"{}")
    await store.store([old])
    await store.store([new])
    await store.store([new])
    ids = await listed(store)
    assert len(ids) == 2
    assert {(await store.get(id)).batch.data for id in ids} == {old.data, new.data}
    assert (await store.get(old.id)).batch == old


async def test_pages_are_told_by_filters(store: FailedStore) -> None:
    await store.store(
        [
            batch(1, "A", "A"),
            batch(2, "B", flow="other"),
            batch(3, "A", task="second", subject="crm.leads.upsert"),
            batch(4, "B"),
            batch(5, records=(), kind="unfit"),
        ]
    )

    async def found(**wanted: Any) -> list[int]:
        return [int(id.split(".")[1]) for id in await listed(store, EntryFilter(**wanted))]

    assert await found() == [1, 2, 3, 4, 5]
    assert await found(flow="other") == [2]
    assert await found(flow="crm contacts", task="upsert") == [1, 4, 5]
    assert await found(code="b") == [2, 4]
    assert await found(code="UNFIT") == [5]
    assert await found(field="lastname", task="second") == [3]
    assert await found(field="Phone") == []
    assert await found(subject="crm.*.upsert", code="A") == [1, 3]
    assert await found(subject="crm.leads.>") == [3]
    assert await found(since="2026-11-23T10:00:03", until="2026-11-23T10:00:05") == [3, 4]
    assert await found(ids=frozenset({batch(4).id})) == [4]
    assert await found(statuses=frozenset({"resolved"})) == []


async def test_whoever_keeps_asking_hears_of_every_change(store: FailedStore) -> None:
    await store.store([batch(1), batch(2), batch(3)])
    page = await store.page(EVERY)
    assert page.is_last
    assert (await store.page(EVERY, page.next)).entries == ()
    await Claimant(store).discard(batch(2).id, "made twice", NOW)
    await store.store([batch(4)])
    page = await store.page(EVERY, page.next)
    assert [(e.sequence, e.state) for e in page.entries] == [(2, "discarded"), (4, "open")]
    assert await listed(store) == [batch(n).id for n in (1, 3, 2, 4)]


async def test_of_two_who_claim_one_wins_and_the_other_is_told(store: FailedStore) -> None:
    await store.store([batch(1)])
    people = [Claimant(store, by=f"p{n}@host") for n in range(5)]
    results = await asyncio.gather(
        *(person.claim(batch(1).id, NOW) for person in people), return_exceptions=True
    )
    (winner,) = [n for n, result in enumerate(results) if not isinstance(result, BaseException)]
    for result in results:
        if isinstance(result, BaseException):
            assert isinstance(result, ClaimedError)
            assert f"by p{winner}@host since 2027-01-15" in str(result)
    (summary,) = (await store.page(EVERY)).entries
    assert summary.status(NOW) == "claimed"
    await people[winner].release(batch(1).id)
    await people[(winner + 1) % 5].claim(batch(1).id, NOW)


async def test_a_dead_owner_loses_its_claim_and_what_it_did_is_told_as_unknown(
    store: FailedStore,
) -> None:
    await store.store([batch(1)])
    dead, living = Claimant(store, by="dead@host"), Claimant(store, by="living@host")
    await dead.claim(batch(1).id, NOW)
    await dead.claim(batch(1).id, NOW + 50)
    with pytest.raises(ClaimedError):
        await living.claim(batch(1).id, NOW + 80)
    entry = await living.claim(batch(1).id, NOW + 111)
    assert entry.is_unfinished
    assert entry.history[0].by == "dead@host"
    done = Deed("replayed", "dead@host", "2027-01-15T08:02:00.000+00:00")
    with pytest.raises(ClaimedError):
        await dead.conclude(batch(1).id, done, (), ())
    assert (await store.get(batch(1).id)).state == "open"


async def test_resolved_and_discarded_entries_keep_who_when_and_what(store: FailedStore) -> None:
    await store.store([batch(1, "A", "A"), batch(2)])
    claimant = Claimant(store, by="me@host")
    await claimant.claim(batch(1).id, NOW)
    written = tuple(FailedRecord(n, {}, "written", id=f"003{n}") for n in range(2))
    changes = ({"op": "add", "path": "/records/0/LastName", "value": "Berg"},)
    deed = Deed("replayed", "me@host", "2027-01-15T08:00:00.000+00:00", "", "d2", changes)
    await claimant.conclude(batch(1).id, deed, written, (attempt("12:00:00"),))
    await claimant.discard(batch(2).id, "a test event", NOW)
    entry = await store.get(batch(1).id)
    assert (entry.state, entry.claim, entry.history) == ("resolved", None, (deed,))
    assert len(entry.batch.attempts) == 2
    other = await store.get(batch(2).id)
    assert (other.state, other.history[0].note) == ("discarded", "a test event")
    assert await store.counts() == EntryCounts(0, 0)
    for closed in (batch(1), batch(2)):
        with pytest.raises(ClaimedError, match="by me@host at 2027"):
            await claimant.claim(closed.id, NOW)
    await store.store([replace(batch(2), attempts=(attempt("13:00:00"),))])
    reopened = await store.get(batch(2).id)
    assert reopened.state == "open"
    assert [deed.what for deed in reopened.history] == ["discarded", "stored_again"]


async def test_two_stores_of_one_place_see_each_other(
    tmp_path: Path, nats_server: NatsServer
) -> None:
    connection = await connect(nats_server.url)
    name = f"failed-{uuid.uuid4().hex}"
    pairs: list[tuple[FailedStore, FailedStore]] = [
        (FileStore(tmp_path / "f.jsonl"), FileStore(tmp_path / "f.jsonl")),
        (JetStreamFailedStore(connection, name), JetStreamFailedStore(connection, name)),
    ]
    for one, other in pairs:
        await one.store([batch(1)])
        await other.store([batch(2)])
        assert await listed(one) == await listed(other) == [batch(1).id, batch(2).id]
        await Claimant(other).discard(batch(1).id, "x", NOW)
        assert await one.counts() == EntryCounts(1, 1)
    await connection.aclose()


async def test_what_the_stream_has_discarded_is_not_counted_any_longer(
    nats_server: NatsServer,
) -> None:
    connection = await connect(nats_server.url)
    name = f"failed-{uuid.uuid4().hex}"
    store = JetStreamFailedStore(connection, name)
    desk = FailedDesk(store, FlowBook(Settings({})))
    await store.store([batch(n) for n in range(1, 6)])
    assert (await store.counts()).entries == 5
    assert [group.entries for group in await desk.groups()] == [5]
    await connection.api(f"STREAM.PURGE.{name}", {"seq": 4})  # as max_age would
    assert (await store.counts()).entries == 2
    await desk.groups()
    assert [group.entries for group in await desk.groups()] == [2]
    await connection.api(f"STREAM.DELETE.{name}")
    assert await store.counts() == EntryCounts(0, 0)
    with pytest.raises(DeadLetterError):
        await store.store([batch(9)])
    await store.store([batch(9)])
    assert (await store.counts()).entries == 1
    await desk.groups()
    assert [group.entries for group in await desk.groups()] == [1]
    await connection.aclose()


async def test_a_large_entry_that_lost_its_event_is_told_of(nats_server: NatsServer) -> None:
    connection = await connect(nats_server.url)
    name = f"failed-{uuid.uuid4().hex}"
    store = JetStreamFailedStore(connection, name, max_age_seconds=3_600)
    await store.store([batch(1, data=b"x" * 300_000)])
    info = await connection.api(f"STREAM.INFO.{name}")
    assert info["config"]["max_age"] == 3_600_000_000_000
    assert info["config"]["max_msgs_per_subject"] == 1
    await connection.api(
        f"STREAM.PURGE.{name}", {"filter": f"workbench.failed_in.{name}.*.*.*.*.event"}
    )
    with pytest.raises(NotKeptError, match="no longer whole"):
        await store.get(batch(1).id)
    assert len((await store.page(EVERY)).entries) == 1
    await connection.aclose()


async def test_a_stream_that_is_something_else_is_refused(nats_server: NatsServer) -> None:
    connection = await connect(nats_server.url)
    name = f"other-{uuid.uuid4().hex}"
    await connection.api(f"STREAM.CREATE.{name}", {"name": name, "subjects": [f"{name}.>"]})
    with pytest.raises(DeadLetterRefused, match=r"set flow\.failed\.stream"):
        await JetStreamFailedStore(connection, name).store([batch(1)])
    await connection.aclose()


@pytest.mark.parametrize("seed", range(8))
async def test_all_stores_come_to_the_same_whatever_is_done(
    seed: int, tmp_path: Path, nats_server: NatsServer
) -> None:
    """Random stores, claims, releases, conclusions and discards, by three people in turn."""
    connection = await connect(nats_server.url)
    stores: list[FailedStore] = [
        MemoryFailedStore(),
        FileStore(tmp_path / "failed.jsonl"),
        JetStreamFailedStore(connection, f"failed-{uuid.uuid4().hex}"),
    ]
    told = []
    for store in stores:
        rng = random.Random(seed)
        people = [
            Claimant(store, by=f"p{n}@host", owner=f"o{n}", lease_seconds=30) for n in range(3)
        ]
        said: list[str] = []
        for step in range(60):
            said.append(await _something(rng, store, rng.choice(people), NOW + step * 5))
        page = await store.page(EVERY)
        entries = [replace(await store.get(e.id), revision=0) for e in page.entries]
        told.append((said, entries, await store.counts()))
    assert told[0] == told[1] == told[2]
    await connection.aclose()


async def _something(rng: random.Random, store: FailedStore, person: Claimant, now: float) -> str:
    """Do one thing to one of five entries; what came of it in words."""
    given = batch(rng.randrange(5), *rng.choices(["A", "B", ""], k=2))
    given = replace(given, attempts=(attempt(f"1{rng.randrange(3)}:00:00"),))
    deed = Deed(rng.choice(["replayed", "failed_again"]), person.by, str(now))
    try:
        match rng.randrange(5):
            case 0:
                await store.store([given, replace(given, attempts=(attempt("20:00:00"),))])
            case 1:
                await person.claim(given.id, now)
            case 2:
                await person.release(given.id)
            case 3:
                await person.conclude(given.id, deed, given.records, given.attempts)
            case _:
                await person.discard(given.id, "enough", now)
    except NotKeptError:
        return "not kept"
    except ClaimedError as error:
        return str(error)
    return "done"
