"""The event that is previewed: made up, or taken from a failed batch."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from tests.tui.failures import batch, refused
from tests.tui.support import FLOW, FakeDesk, application, opened, write_flow
from workbench.app.preview import preview
from workbench.flow import parse
from workbench.model import Event
from workbench.tui.samples import made_up
from workbench.tui.screens.edit.screen import EditScreen
from workbench.tui.widgets.dialogs import ChooseDialog

FLOWS = Path(__file__).parents[2] / "flows"


def test_an_event_is_made_up_from_what_the_flow_reads() -> None:
    assert json.loads(made_up(FLOW).data) == {"id": "sample id", "name": "sample name"}
    assert "ExternalId__c" in json.loads(made_up("x").data)


@pytest.mark.parametrize("path", sorted(FLOWS.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_sample_flow_has_what_it_needs_in_the_event_that_is_made_up(path: Path) -> None:
    flow = parse(path.read_text()).bind({"NATS_URL": "nats://localhost"})
    event = Event(flow.source.subject, made_up(path.read_text()).data, {}, "crm", 1)
    made = preview(flow, event)
    assert not made.problems
    sent = b"".join(request.request.body for request in made.requests)
    assert (b"C-1001" in sent) == any(getattr(t, "external_id_field", None) for t in flow.sinks)


def test_a_made_up_event_holds_what_each_task_that_receives_it_needs() -> None:
    text = """
flow:
  tasks:
    - nats_jetstream_subscriber:
        stream:
          name: crm
        name: start
    - salesforce_restapi_composite:
        name: accounts
        sobject_type: Account
        external_id_field: Key__c
        payload:
          from_event: true
    - salesforce_pubsubapi_publisher:
        topic: /event/Answered__e
        payload:
          Message__c: "{{event.data.answered}}"
    - salesforce_restapi_composite:
        sobject_type: Lead
        depends_on:
          - start
        payload:
          LastName: "{{record.Name}} {{record.family}}"
"""
    assert list(json.loads(made_up(text).data).items()) == [
        ("Key__c", "C-1001"),
        ("Name", "Lovelace Ltd"),
        ("family", "sample family"),
    ]


async def test_an_open_failed_batch_of_this_flow_gives_the_event(tmp_path: Path) -> None:
    desk = FakeDesk()
    mine, other = batch(41, [refused(0, 7, "Lovelace")]), batch(42, [refused(0, 8)], flow="other")
    await desk.dead_letters.store([mine, other])
    app = application(write_flow(tmp_path), desk)
    async with opened(app, size=(120, 40)) as pilot:
        screen = app.screen
        assert isinstance(screen, EditScreen)
        screen.action_choose_event()
        await pilot.pause()
        assert isinstance(app.screen, ChooseDialog)
        app.screen.dismiss("failed")
        async with asyncio.timeout(20):
            while not (isinstance(app.screen, ChooseDialog) and len(app.screen._shown) == 1):
                await pilot.pause()
        assert app.screen._shown[0][0] == mine.id
        await pilot.press("enter")
        await pilot.pause()
        sample = screen.sample
        assert sample is not None
        assert (sample.origin, sample.data) == ("failed", mine.data)
        assert sample.event is not None
        assert sample.event.sequence == 41
        assert "failed" in str(screen.event_view.border_title)


async def test_without_any_it_says_so(tmp_path: Path) -> None:
    app = application(write_flow(tmp_path))
    async with opened(app, size=(120, 40)) as pilot:
        screen = app.screen
        assert isinstance(screen, EditScreen)
        screen.action_choose_event()
        await pilot.pause()
        app.screen.dismiss("failed")
        async with asyncio.timeout(20):
            while not app._notifications:
                await pilot.pause()
        assert "no open failed batch" in next(iter(app._notifications)).message
