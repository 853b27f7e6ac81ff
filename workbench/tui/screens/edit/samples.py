"""Choosing the event to preview."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from workbench import codec
from workbench.errors import SettingsError, WorkbenchError
from workbench.model import EntryFilter
from workbench.tui.files import read_bytes
from workbench.tui.samples import Sample, decoded
from workbench.tui.widgets.dialogs import AskDialog, Choice, ChooseDialog, TypeDialog

if TYPE_CHECKING:
    from workbench.tui.screens.edit.screen import EditScreen

__all__ = ["ask_file", "ask_text", "choose", "offer_captured"]

_MOST_BYTES = 8 * 1024 * 1024
_CAPTURED = 50
_EASY_BYTES = 2_000
_FAILED = 200


async def choose(screen: EditScreen) -> None:
    """Ask where the event comes from, and take it."""
    known = [
        Choice(f"known:{place}", f"{sample.origin}  {sample.label}", _begin(sample.data))
        for place, sample in enumerate(screen.samples)
    ]
    ways = [
        Choice("stream", "from the stream", f"the last {_CAPTURED} events; touches no durable"),
        Choice("failed", "from a failed batch", "an event of this flow that was not written"),
        Choice("file", "from a file", "the file's bytes are the event's data"),
        Choice("typed", "typed", "write or paste the data"),
    ]
    chosen = await screen.app.push_screen_wait(ChooseDialog("Event to preview", [*ways, *known]))
    if chosen is None:
        return
    if chosen.startswith("known:"):
        screen.use_sample(screen.samples[int(chosen.partition(":")[2])])
    elif chosen == "stream":
        await _capture(screen)
    elif chosen == "failed":
        await _choose_failed(screen)
    else:
        data = await (ask_file(screen) if chosen == "file" else ask_text(screen))
        if data is not None:
            screen.use_sample(Sample(*data))


async def offer_captured(screen: EditScreen) -> None:
    """Preview an event of the stream in place of the made-up one, where there is any; choosing
    says why there is none."""
    file = screen.file
    if file is None or file.is_new:
        return
    await screen.workbench.is_warm.wait()
    try:
        events = await screen.workbench.desk.peek(file.text, file.path, _CAPTURED)
    except WorkbenchError:
        return
    sample = screen.sample
    if events and file is screen.file and sample is not None and sample.origin == "made up":
        screen.use_events(events)
        easy = [place for place, event in enumerate(events) if _is_easy(event.data)]
        screen.show_sample(len(screen.samples) - len(events) + easy[-1] if easy else -1)


def _is_easy(data: bytes) -> bool:
    """Whether it shows at a glance what the flow does."""
    return len(data) < _EASY_BYTES and isinstance(decoded(data), (dict, list))


async def _capture(screen: EditScreen) -> None:
    file = screen.file
    if file is None:
        return
    screen.event_view.loading = True
    try:
        events = await screen.workbench.desk.peek(file.text, file.path, _CAPTURED)
    except WorkbenchError as error:
        screen.workbench.tell(f"no events: {error}", severity="error")
        return
    finally:
        screen.event_view.loading = False
    if events:
        screen.use_events(events)
    else:
        screen.workbench.tell("the stream holds no event for this flow yet", severity="warning")


async def _choose_failed(screen: EditScreen) -> None:
    """Ask for one of the flow's open failed batches, and take its event."""
    from workbench.app.replay_choice import event_of

    file, app = screen.file, screen.workbench
    if file is None:
        return
    try:
        desk = app.failed.desk_of(file)
        flow = app.desk.flow(file.saved, file.path).name
        page = await desk.page(EntryFilter(flow=flow), limit=_FAILED)
        choices = [
            Choice(e.id, f"{e.subject} {e.stream}:{e.sequence}", e.reason) for e in page.entries
        ]
        if not choices:
            app.tell("the flow has no open failed batch")
            return
        title = "Failed batch" if page.is_last else f"Failed batch (the {_FAILED} oldest)"
        chosen = await app.push_screen_wait(ChooseDialog(title, choices))
        if chosen is None:
            return
        failed = (await desk.get(chosen)).batch
    except WorkbenchError as error:
        app.tell(f"no failed batches: {error}", severity="error")
        return
    screen.use_sample(Sample.captured(event_of(failed), "failed"))


async def ask_file(screen: EditScreen) -> tuple[str, str, bytes] | None:
    """Origin, label and data of a file that is asked for."""

    def wrong(text: str) -> str:
        path = Path(text.strip())
        if not path.is_file():
            return f"{path} is no file"
        return "it is too large for one event" if path.stat().st_size > _MOST_BYTES else ""

    name = await screen.app.push_screen_wait(AskDialog("File with the event's data", "", wrong))
    if name is None:
        return None
    path = Path(name.strip())
    try:
        return "file", path.name, read_bytes(path, _MOST_BYTES)
    except SettingsError as error:
        screen.workbench.tell(str(error), severity="error")
        return None


async def ask_text(screen: EditScreen) -> tuple[str, str, bytes] | None:
    """Origin, label and data of what is typed."""

    def wrong(text: str) -> str:
        try:
            codec.decode(text.encode())
        except ValueError as error:
            return str(error)
        return ""

    start = screen.sample.data.decode("utf-8", "replace") if screen.sample else "{}"
    text = await screen.app.push_screen_wait(TypeDialog("The event's data", start, wrong))
    return None if text is None else ("typed", "by hand", text.encode())


def _begin(data: bytes) -> str:
    return " ".join(data[:200].decode("utf-8", "replace").split())
