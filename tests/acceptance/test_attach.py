"""The application attached to a flow that a real headless process runs."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Callable
from pathlib import Path

from textual.pilot import Pilot

from tests.acceptance.conftest import COMPOSITE_FLOW, Program, RunningSandbox, Start
from workbench.app.desk import Desk
from workbench.app.failed_stores import FailedStores
from workbench.app.publishing import publish_events
from workbench.app.settings import Settings
from workbench.jetstream import Message
from workbench.tui.app import WorkbenchApp
from workbench.tui.config import Config, State
from workbench.tui.screens.failed.screen import FailedScreen
from workbench.tui.screens.run.screen import RunScreen
from workbench.tui.status import elsewhere_word

_SUBJECT = "crm.contacts.upsert"


def is_event(name: str) -> Callable[[str], bool]:
    return lambda line: f'"event":"{name}"' in line


async def until(pilot: Pilot[None], is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not is_so():
            await pilot.pause(0.05)


async def test_it_watches_what_a_headless_process_runs(
    start: Start, sandbox: RunningSandbox, tmp_path: Path
) -> None:
    flow = tmp_path / "contacts.yaml"
    flow.write_bytes(COMPOSITE_FLOW.read_bytes())
    program: Program = start("--headless", flow, "--sandbox-env", sandbox.env_file)
    await asyncio.to_thread(program.wait_for, is_event("started"))
    settings = Settings({}, sandbox.environment)
    data = [{"ExternalId__c": f"A-{n}", "LastName": "Lovelace"} for n in (1, 2)]
    data[1]["Email"] = "nope"
    messages = [Message(_SUBJECT, json.dumps(row).encode()) for row in data]
    await publish_events(messages, settings)
    await asyncio.to_thread(program.wait_for, is_event("failed"))

    async with FailedStores(settings) as stores:
        desk = Desk(settings, stores.of)
        app = WorkbenchApp(flow, desk, config=Config(), state=State(), is_attached=True)
        async with app.run_test(size=(120, 40)) as pilot:
            await until(pilot, lambda: app.place == "edit" and app.elsewhere.pullers > 0)
            assert "runs elsewhere" in elsewhere_word(app.elsewhere)[0]
            await pilot.press("f3")
            screen = app.screen
            assert isinstance(screen, RunScreen)
            await until(pilot, lambda: screen.event_list.count == 2)
            store = screen.store
            assert store is not None
            await until(pilot, lambda: {row.state for row in store.rows()} == {"settled"})
            await pilot.press("f5")
            assert app.runs.active() == []

            await pilot.press("f4")
            failed = app.screen
            assert isinstance(failed, FailedScreen)
            await until(pilot, lambda: failed.entry_list.current is not None)

            program.signal(signal.SIGTERM)
            assert await asyncio.to_thread(program.wait) == 0
            await until(pilot, lambda: "nobody pulls" in elsewhere_word(app.elsewhere)[0])
        await desk.aclose()
