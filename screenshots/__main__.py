"""Pictures of the real application on a real sandbox: `python -m screenshots` (or `make
screenshots`) writes them into this folder."""

from __future__ import annotations

import asyncio
import os
import re
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from textual.pilot import Pilot

from workbench.app.desk import Desk
from workbench.app.failed_stores import FailedStores
from workbench.app.settings import Settings
from workbench.sandbox import Sandbox
from workbench.sandbox.traffic import contacts
from workbench.tui.app import WorkbenchApp
from workbench.tui.config import State
from workbench.tui.screens.edit.screen import EditScreen
from workbench.tui.screens.place import PlaceScreen
from workbench.tui.screens.run.screen import RunScreen

FOLDER = Path(__file__).parent
FLOW = FOLDER.parent / "flows" / "salesforce_composite_upsert_contact.yaml"
EVENTS = 80
_WAIT_SECONDS = 30.0


async def until(pilot: Pilot[None], holds: Callable[[], bool]) -> None:
    """Wait for something; the pictures are of what happened, not of a moment."""
    async with asyncio.timeout(_WAIT_SECONDS):
        while not holds():
            await pilot.pause(0.05)
    await pilot.pause(0.6)  # the figures are drawn twice a second


def take(app: WorkbenchApp, name: str) -> None:
    app.clear_notifications()
    svg = app.export_screenshot(title="workbench")
    svg = re.sub(r"terminal-\d+-", "terminal-", svg)
    (FOLDER / f"{name}.svg").write_text(svg, encoding="utf-8")
    print(f"screenshots/{name}.svg")


async def drive(app: WorkbenchApp, pilot: Pilot[None]) -> None:
    await until(pilot, lambda: isinstance(app.screen, PlaceScreen) and app.screen.is_mounted)
    edit = app.screen
    assert isinstance(edit, EditScreen)
    await until(pilot, lambda: "PATCH" in edit.request_view.text)
    take(app, "edit")

    edit.editor.replace_all(edit.editor.text.replace("operation: upsert", "operation: upsrt"))
    await until(pilot, lambda: any(p.severity == "error" for p in edit.editor.problems))
    problem = next(p for p in edit.editor.problems if p.severity == "error")
    edit.editor.go_to(problem.line, problem.column)
    await until(pilot, lambda: edit.editor.problem_here() == problem)
    take(app, "edit-problem")
    await pilot.press("ctrl+r")
    await until(pilot, lambda: not any(p.severity == "error" for p in edit.editor.problems))
    edit.editor.go_to(32, 80)
    await pilot.press("enter", "b")
    await pilot.pause(0.3)
    take(app, "edit-completion")
    await pilot.press("escape", "backspace")
    edit.editor.replace_all(FLOW.read_text(encoding="utf-8"))

    await pilot.press("f5")
    await until(pilot, lambda: isinstance(app.screen, RunScreen))
    run = app.runs.run_of(app.path)
    assert run is not None
    await until(pilot, lambda: run.state == "running")
    file = app.file
    assert file is not None
    for event in contacts(EVENTS):
        await app.desk.publish(file.text, file.path, event.subject, event.data)

    def is_settled() -> bool:
        snapshot = run.snapshot()
        return snapshot is not None and snapshot.acked + snapshot.terminated >= EVENTS

    await until(pilot, is_settled)
    take(app, "run")
    await pilot.press("n", "n", "n")
    await until(pilot, lambda: True)
    take(app, "run-failure")
    await pilot.press("f4")
    await until(pilot, lambda: app.place == "failed")
    await pilot.pause(1.5)
    take(app, "failed")
    await pilot.press("f9", "t")
    await pilot.pause(2.0)
    take(app, "health")
    await pilot.press("f1")
    await pilot.pause(0.3)
    take(app, "help")
    await pilot.press("escape")
    run.stop()
    await run.wait()


async def main() -> None:
    async with Sandbox() as sandbox:
        settings = Settings(dict(os.environ), sandbox.environment)
        with tempfile.TemporaryDirectory() as folder:
            async with FailedStores(settings, Path(folder)) as stores:
                desk = Desk(settings, stores.of)
                app = WorkbenchApp(FLOW, desk, state=State(shows_files=True))
                async with app.run_test(size=(120, 40), notifications=True) as pilot:
                    await drive(app, pilot)
                await desk.aclose()


if __name__ == "__main__":
    os.environ.pop("NO_COLOR", None)
    sys.exit(asyncio.run(main()))
