"""Failed batches of a real run, written again on the real server and emulator."""

from __future__ import annotations

from tests.integration.failed.conftest import (
    EVERY,
    NEEDS_TITLE,
    World,
    contact,
    request,
)
from workbench.app.replay_choice import Edit, ReplayRequest
from workbench.model import EntryCounts, EntryFilter


async def test_only_what_failed_is_sent_again_and_the_entry_says_who_and_what(
    world: World,
) -> None:
    await world.rule(NEEDS_TITLE)
    await world.run([[contact(1, Title="x"), contact(2), contact(3)], contact(4)])
    async with world.desk as desk:
        assert await desk.counts() == EntryCounts(2, 3)
        (group,) = await desk.groups()
        assert (group.code, group.field) == ("FIELD_CUSTOM_VALIDATION_EXCEPTION", "Title")
        assert (group.entries, group.records) == (2, 3)
        assert await world.ids(group.filter) == await world.ids()
        patch = ({"op": "add", "path": "/Title", "value": "Dr"},)
        asked = ReplayRequest(group.filter, patch=patch)
        plan = await desk.dry_run(asked)
        assert (plan.entries, plan.records, plan.requests) == (2, 3, 1)
        assert plan.differences[0].lines == (
            '+ record 2 /Title: "Dr"',
            '+ record 3 /Title: "Dr"',
        )
        assert len(await world.rows()) == 1
        heard = []
        report = await desk.replay(asked, heard.append)
    assert report.is_all_resolved
    assert report.written == 3
    assert (heard[-1].done, heard[-1].total) == (2, 2)
    rows = await world.rows()
    assert {key: row["Title"] for key, row in rows.items()} == {
        "c001": "x", "c002": "Dr", "c003": "Dr", "c004": "Dr"
    }  # fmt: skip
    assert await world.ids() == []
    (large,) = [e for e in (await world.desk.page(EVERY)).entries if e.records == 3]
    entry = await world.desk.get(large.id)
    assert entry.state == "resolved"
    assert [record.outcome for record in entry.batch.records] == ["written"] * 3
    assert entry.batch.records[1].id == rows["c002"]["Id"]
    (deed,) = entry.history
    assert (deed.what, deed.digest) == ("replayed", world.flow.digest)
    assert "@" in deed.by
    assert deed.changes[0] == {"op": "add", "path": "/records/1/Title", "value": "Dr"}
    assert entry.summary.attempts == 2
    assert {attempt.by for attempt in entry.batch.attempts} == {"engine", deed.by}
    assert "Dr" in world.desk.describe(entry)


async def test_what_fails_again_has_one_more_attempt_and_stays_open(world: World) -> None:
    await world.rule(NEEDS_TITLE)
    await world.run([[contact(1), contact(2)]])
    (id,) = await world.ids()
    edited = {0: contact(1, Title="x")}
    async with world.desk as desk:
        report = await desk.replay(request(id, edits={id: Edit(edited)}))
        assert report.failed_again == [id]
        entry = await desk.get(id)
        assert entry.state == "open"
        assert entry.claim is None
        assert [r.outcome for r in entry.batch.records] == ["written", "refused"]
        assert entry.batch.records[0].record == edited[0]
        assert entry.summary.attempts == 2
        assert entry.history[0].what == "failed_again"
        await world.no_rules()
        report = await desk.replay(request(id))
    assert report.resolved == [id]
    assert set(await world.rows()) == {"c001", "c002"}


async def test_a_mended_flow_renders_anew_or_as_it_was(world: World) -> None:
    await world.run([{"LastName": "Berg", "Ext": "c001"}, {"LastName": "Dal", "Ext": "c002"}])
    first, second = await world.ids()
    world.edit_flow(
        "from_event: true",
        'ExternalId__c: "{{ event.data.Ext }}"\n          LastName: "{{ event.data.LastName }}"',
    )
    async with world.desk as desk:
        report = await desk.replay(request(first, with_flow="recorded"))
        assert report.failed_again == [first]
        plan = await desk.dry_run(request(first, second))
        assert plan.differences[0].lines[0] == '- record 1 /Ext: "c001"'
        report = await desk.replay(request(first, second))
    assert report.is_all_resolved
    assert set(await world.rows()) == {"c001", "c002"}


async def test_an_event_that_does_not_parse_is_mended_by_hand(world: World) -> None:
    await world.run([b'{"ExternalId__c": "c1", "LastName": '])
    (id,) = await world.ids()
    async with world.desk as desk:
        report = await desk.replay(request(id))
        assert report.skipped[0][0] == id
        assert "does not parse" in report.skipped[0][1]
        mended = Edit(data=b'{"ExternalId__c": "c1", "LastName": "Dal"}')
        report = await desk.replay(request(id, edits={id: mended}))
    assert report.resolved == [id]
    assert set(await world.rows()) == {"c1"}


async def test_a_canary_first(world: World) -> None:
    await world.rule(NEEDS_TITLE)
    await world.run([contact(n) for n in range(10)])
    await world.no_rules()
    async with world.desk as desk:
        report = await desk.replay(ReplayRequest(EntryFilter(), limit=3))
        assert len(report.resolved) == 3
        assert len(await world.rows()) == 3
        report = await desk.replay(ReplayRequest(EntryFilter()))
    assert len(report.resolved) == 7
    assert len(await world.rows()) == 10
