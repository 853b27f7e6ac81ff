"""A sandbox, a flow on it, and what it failed to write."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from workbench.app.failed_desk import FailedDesk
from workbench.app.failed_stores import FailedStores
from workbench.app.flow_book import FlowBook
from workbench.app.flows import load_flow
from workbench.app.opening import open_flow
from workbench.app.replay_choice import ReplayRequest
from workbench.app.settings import Settings
from workbench.flow import Flow
from workbench.jetstream import Message, publish_all
from workbench.model import EntryFilter
from workbench.sandbox import Sandbox, SandboxOptions

FLOW_FILE = Path(__file__).parents[3] / "flows" / "salesforce_composite_upsert_contact.yaml"
SUBJECT = "crm.contacts.upsert"
OPEN = EntryFilter()
EVERY = EntryFilter(statuses=frozenset({"open", "claimed", "resolved", "discarded"}))

NEEDS_TITLE = {
    "object": "Contact",
    "validation_rules": [
        {
            "name": "title",
            "when": {"field": "Title", "is": "blank"},
            "message": "A contact needs a title.",
            "field": "Title",
        }
    ],
}


class World:
    """A sandbox, a flow file and the desk of its failed batches."""

    def __init__(self, sandbox: Sandbox, folder: Path) -> None:
        self.sandbox = sandbox
        self.settings = Settings(dict(os.environ), sandbox.environment)
        self.flow_file = folder / "flow.yaml"
        self.flow_file.write_text(FLOW_FILE.read_text())
        self.edit_flow("all_or_none: true", "all_or_none: false")
        self.stores = FailedStores(self.settings)

    @property
    def flow(self) -> Flow:
        return load_flow(self.flow_file, self.settings)

    @property
    def desk(self) -> FailedDesk:
        """A new one, as another person would have it."""
        book = FlowBook(self.settings, [self.flow_file])
        return FailedDesk(self.stores.of(self.flow), book)

    def edit_flow(self, old: str, new: str) -> None:
        text = self.flow_file.read_text()
        assert old in text
        self.flow_file.write_text(text.replace(old, new))

    async def rule(self, rule: dict[str, Any]) -> None:
        await self.sandbox.control("POST", "/emulator/rules", rule)

    async def no_rules(self) -> None:
        await self.sandbox.control("DELETE", "/emulator/rules")

    async def fault(self, fault: str) -> None:
        await self.sandbox.control("POST", "/emulator/faults", {"fault": fault})

    async def no_faults(self) -> None:
        await self.sandbox.control("DELETE", "/emulator/faults")

    async def rows(self) -> dict[str, dict[str, Any]]:
        """Contacts by external id."""
        rows = await self.sandbox.rows("Contact")
        return {row["ExternalId__c"]: row for row in rows}

    async def run(self, events: Sequence[Any]) -> None:
        """Publish events, run the flow until every one is settled, stop it."""
        async with open_flow(self.flow, self.stores.of(self.flow)) as opened:
            running = asyncio.create_task(opened.engine.run())
            data = [e if isinstance(e, bytes) else json.dumps(e).encode() for e in events]
            await publish_all(opened.connection, [Message(SUBJECT, item) for item in data])
            async with asyncio.timeout(30):
                while (await opened.source.info()).lag:  # noqa: ASYNC110 the server has no bell
                    await asyncio.sleep(0.02)
            opened.engine.stop()
            await running

    async def ids(self, wanted: EntryFilter = OPEN) -> list[str]:
        return [entry.id for entry in (await self.desk.page(wanted)).entries]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with Sandbox(SandboxOptions(pubsub=False)) as sandbox:
        world = World(sandbox, tmp_path)
        yield world
        await world.stores.aclose()


def contact(number: int, **more: Any) -> dict[str, Any]:
    return {"ExternalId__c": f"c{number:03}", "LastName": f"Name {number}", **more}


def request(*ids: str, **more: Any) -> ReplayRequest:
    return ReplayRequest(EntryFilter(ids=frozenset(ids)), **more)
