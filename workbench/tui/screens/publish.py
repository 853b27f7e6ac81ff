"""Sending a test event to the flow's subject."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench import codec
from workbench.errors import WorkbenchError
from workbench.tui.samples import Sample, made_up
from workbench.tui.widgets.dialogs import AskDialog, ConfirmDialog, TypeDialog

if TYPE_CHECKING:
    from workbench.tui.app import WorkbenchApp

__all__ = ["publish"]


async def publish(app: WorkbenchApp) -> None:
    """Ask for subject and data, beginning with the event at hand, and publish with confirmation.

    Data that are no JSON may be sent, to see what the flow does with them, after a question; and
    so may anything to a NATS that is not the sandbox's. What is not published after all is asked
    for again as it was typed.
    """
    file = app.file
    if file is None:
        app.tell("open a flow first: the event goes to its subject", severity="warning")
        return
    try:
        flow = app.desk.flow(file.text, file.path)
    except WorkbenchError as error:
        app.tell(f"the flow does not load: {error}", severity="error")
        return
    subject = await app.push_screen_wait(
        AskDialog("Publish to subject", _concrete(flow.source.subject), _wrong_subject)
    )
    if subject is None:
        return
    start = _sample_at_hand(app) or made_up(file.text)
    typed = start.data.decode("utf-8", "replace")
    title = f"Data of the event for {subject}"
    while True:
        answer = await app.push_screen_wait(TypeDialog(title, typed))
        if answer is None:
            return
        typed = answer
        doubts = _doubts(app, typed, flow.source.url)
        dialog = ConfirmDialog("Publish all the same?", doubts, "Publish")
        if doubts and not await app.push_screen_wait(dialog):
            continue
        app.tell(f"publishing to {subject.strip()} …")
        try:
            said = await app.desk.publish(file.text, file.path, subject.strip(), typed.encode())
        except WorkbenchError as error:
            app.tell(str(error), severity="error")
        else:
            app.tell(said)
            return


def _doubts(app: WorkbenchApp, typed: str, url: str) -> list[str]:
    """What speaks against publishing it."""
    doubts = []
    try:
        codec.decode(typed.encode())
    except ValueError as error:
        doubts.append(f"As JSON it is wrong: {error}")
    if not app.desk.is_sandbox:
        doubts.append(f"This is not the sandbox: the event is published to {url}.")
    return doubts


def _concrete(subject: str) -> str:
    """A subject that one can publish to, for one that may hold wildcards."""
    return ".".join("test" if part in ("*", ">") else part for part in subject.split("."))


def _wrong_subject(text: str) -> str:
    parts = text.strip().split(".")
    if not all(parts) or any(c.isspace() for c in text.strip()):
        return "words joined by dots, without spaces"
    return "wildcards can't be published to" if {"*", ">"} & set(parts) else ""


def _sample_at_hand(app: WorkbenchApp) -> Sample | None:
    from workbench.tui.screens.edit.screen import EditScreen
    from workbench.tui.screens.run.screen import RunScreen

    screen = next((s for s in app.screen_stack if isinstance(s, (EditScreen, RunScreen))), None)
    if isinstance(screen, EditScreen):
        return screen.sample
    row = screen.event_list.current if isinstance(screen, RunScreen) else None
    return Sample.captured(row.event) if row is not None and row.event is not None else None
