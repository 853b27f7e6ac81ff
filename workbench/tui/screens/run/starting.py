"""Starting and stopping a run; asking first where that writes into an org that is real."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.app.target import Target
from workbench.errors import FlowError, WorkbenchError
from workbench.tui.elsewhere import ATTACHED
from workbench.tui.widgets.dialogs import ConfirmDialog

if TYPE_CHECKING:
    from workbench.tui.app import WorkbenchApp

__all__ = ["start_run", "stop_run"]


async def start_run(app: WorkbenchApp) -> bool:
    """Start the flow at hand as it stands in the editor; whether it was started."""
    file = app.file
    if file is None or app.runs.is_running(file.path):
        return file is not None
    if app.elsewhere.is_attached:
        app.tell(f"{ATTACHED}; Detach, in the palette, lets it start here", severity="warning")
        return False
    try:
        flow = app.desk.flow(file.text, file.path)
        target = app.desk.target(flow)
        if not target.is_harmless and not await app.push_screen_wait(
            _question(target, file.is_dirty)
        ):
            return False
        app.runs.start(file.text, file.path)
    except FlowError as error:
        first = next((p for p in error.problems if p.severity == "error"), None)
        app.tell(f"it can't run: {first or error}", severity="error")
        return False
    except WorkbenchError as error:
        app.tell(f"it can't run: {error}", severity="error")
        return False
    app.update_status()
    return True


def _question(target: Target, is_unsaved: bool) -> ConfirmDialog:
    org = target.org or "an org that is not known"
    lines = [
        f"flow      {target.flow}{' (with changes that are not saved)' if is_unsaved else ''}",
        f"does      {', '.join(target.tasks)}",
        f"org       {org}",
        f"kind      {target.kind or 'not known'}",
        f"user      {target.user or 'not told by the credentials'}",
        f"events    {target.subject}",
        f"NATS      {target.nats}",
        "",
        "This is not the sandbox: records will be written there, and events acknowledged.",
    ]
    if target.problem:
        lines.append(f"! {target.problem}")
    name = target.org.removeprefix("https://").split(".")[0] if target.org else "write"
    return ConfirmDialog("Write to a real org?", lines, "Start writing", typed=name)


async def stop_run(app: WorkbenchApp) -> None:
    """Drain and stop; asked again, end without waiting, after a question."""
    run = app.runs.run_of(app.path)
    if run is None or run.is_over:
        return
    if run.state not in ("draining", "opening"):
        run.stop()
        app.tell(f"{run.flow.name}: draining; what is in flight is awaited")
        app.update_status()
        return
    snapshot = run.snapshot()
    held = snapshot.held_events if snapshot else 0
    lines = [
        f"{held} {'event is' if held == 1 else 'events are'} still held.",
        "Ending now leaves requests in flight without waiting for their answers:",
        "their events will be delivered again. Nothing is lost.",
    ]
    if await app.push_screen_wait(
        ConfirmDialog("End without waiting?", lines, "End now", no="Wait")
    ):
        run.hurry()
