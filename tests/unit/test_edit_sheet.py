"""Editing records of failed batches as one text, and the order in which entries are replayed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.tui.failures import batch, refused, unfit, written
from tests.tui.support import FLOW
from workbench.app.edit_sheet import EditSheet
from workbench.app.failed_desk import FailedDesk
from workbench.app.failed_edit import assigned, assignment
from workbench.app.flow_book import FlowBook
from workbench.app.flows import flow_of
from workbench.app.replay import select
from workbench.app.replay_choice import Edit, ReplayRequest
from workbench.app.settings import Settings
from workbench.errors import SettingsError
from workbench.model import EntryFilter, FailedBatch
from workbench.testing import MemoryFailedStore

LISTS = FLOW.partition("        payload:")[0] + "        payload: {from_event: true}\n"


async def desk_with(*batches: FailedBatch, flow: str = FLOW) -> FailedDesk:
    settings = Settings({"NATS_URL": "nats://127.0.0.1:4222"})
    book = FlowBook(settings, [])
    book.add(flow_of(flow, Path("contacts.yaml"), settings))
    store = MemoryFailedStore()
    await store.store(batches)
    return FailedDesk(store, book)


def id_of(sequence: int) -> str:
    return f"crm.{sequence}.contacts.upsert"


async def test_one_record_is_its_object_and_unchanged_is_no_edit() -> None:
    desk = await desk_with(batch(1, [refused(0, 1)]))
    sheet = await EditSheet.open(desk, [id_of(1)], {})
    record = json.loads(sheet.text)
    assert record == {"ExternalId__c": "C-1", "LastName": "refuse"}
    assert sheet.edits_of(sheet.text) == {}
    record["Title"] = "Dr"
    edits = sheet.edits_of(json.dumps(record))
    assert edits == {id_of(1): Edit({0: record})}
    again = await EditSheet.open(desk, [id_of(1)], edits)
    assert json.loads(again.text) == record
    assert again.edits_of(again.original) == {}
    checked = await again.check(again.text)
    assert (checked.problem, checked.warning) == ("", "")
    assert checked.difference == '+ record 1 /Title: "Dr"'


async def test_one_record_of_several_leaves_the_others_edits_alone() -> None:
    desk = await desk_with(batch(1, [written(0, 1), refused(1, 2), refused(2, 3)]), flow=LISTS)
    known = {id_of(1): Edit({2: {"LastName": "kept"}})}
    sheet = await EditSheet.open(desk, [id_of(1)], known, 1)
    assert sheet.name == f"record 2 of {id_of(1)}"
    edits = sheet.edits_of('{"LastName": "mended"}')
    assert edits[id_of(1)].records == {1: {"LastName": "mended"}, 2: {"LastName": "kept"}}
    with pytest.raises(SettingsError, match="written already"):
        await EditSheet.open(desk, [id_of(1)], {}, 0)


async def test_records_are_counted_from_one() -> None:
    desk = await desk_with(batch(1, [written(0, 1), refused(1, 2)]), flow=LISTS)
    entry = await desk.get(id_of(1))
    said = desk.describe(entry).partition("\nrecords\n")[2].splitlines()
    assert [line.split()[:2] for line in said[:3:2]] == [["1", "written"], ["2", "refused"]]
    plan = await desk.dry_run(ReplayRequest(EntryFilter(), edits={id_of(1): Edit({2: {}})}))
    assert plan.skipped == [(id_of(1), "record 3 is edited, and there are only 2")]


async def test_several_are_a_list_and_one_that_makes_no_record_is_only_warned_of() -> None:
    desk = await desk_with(batch(1, [refused(0, 1)]), unfit(5))
    sheet = await EditSheet.open(desk, [id_of(1), id_of(5)], {})
    items = json.loads(sheet.text)
    items[0]["record"]["LastName"] = "mended"
    checked = await sheet.check(json.dumps(items))
    assert not checked.problem
    assert "event.data.name" in checked.warning
    assert '+ record 1 /LastName: "mended"' in checked.difference
    assert list(sheet.edits_of(json.dumps(items))) == [id_of(1)]
    del items[0]["entry"]
    assert "was not there" in (await sheet.check(json.dumps(items))).problem


async def test_a_field_is_set_where_it_can_be() -> None:
    desk = await desk_with(
        batch(1, [refused(0, 1)]), batch(2, [refused(0, 2, code="OTHER", fields=())]), unfit(5)
    )
    meant = EntryFilter(code="FIELD_CUSTOM_VALIDATION_EXCEPTION", field="Title")
    ids = [id_of(1), id_of(2), id_of(5)]
    edits, skipped = await assigned(desk, ids, meant, {}, assignment("Title=Dr"))
    assert list(edits) == [id_of(1)]
    assert edits[id_of(1)].records[0]["Title"] == "Dr"
    assert [id for id, _ in skipped] == [id_of(5)]


@pytest.mark.parametrize("text", ["", "=", "Title", "=Dr"])
def test_what_is_no_assignment_says_so(text: str) -> None:
    with pytest.raises(SettingsError, match="FIELD=VALUE"):
        assignment(text)


async def test_named_entries_come_in_the_order_of_their_events() -> None:
    desk = await desk_with(*(batch(number, [refused(0, 1)]) for number in (100, 9, 10)))
    wanted = EntryFilter(ids=frozenset(map(id_of, (9, 10, 100))))
    assert [entry.sequence for entry in await select(desk.store, wanted)] == [9, 10, 100]
    assert [entry.sequence for entry in await select(desk.store, wanted, 2)] == [9, 10]
    assert [entry.sequence for entry in await select(desk.store, EntryFilter())] == [9, 10, 100]
