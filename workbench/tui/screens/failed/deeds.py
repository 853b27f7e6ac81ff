"""What is done to failed batches from the screen: editing, trying, replaying, discarding, taking
them out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from workbench.app.edit_sheet import EditSheet
from workbench.app.target import Target
from workbench.errors import WorkbenchError
from workbench.model import EntryFilter
from workbench.tui.files import write_bytes
from workbench.tui.requests import pretty
from workbench.tui.screens.failed.edit_dialog import EditDialog
from workbench.tui.screens.failed.replay_dialog import ReplayDialog
from workbench.tui.widgets.dialogs import AskDialog, ReadDialog

if TYPE_CHECKING:
    from workbench.app.failed_desk import FailedDesk
    from workbench.app.replay_choice import ReplayRequest
    from workbench.app.replay_plan import Plan
    from workbench.tui.screens.failed.screen import FailedScreen

__all__ = ["discard", "dry_run", "edit", "export", "make_test", "replay", "set_field"]

_DRAFTS = 50
_MANY = 300


async def edit(screen: FailedScreen, desk: FailedDesk) -> None:
    """Edit the record at hand, or all records of what is chosen."""
    ids, index = screen.edit_place()
    sheet = await EditSheet.open(desk, ids, screen.edits, index)
    key = (tuple(ids), index)
    draft = screen.drafts.get(key)

    title = f"Edit {sheet.name}" + ("  (your draft)" if draft is not None else "")
    text = sheet.text if draft is None else draft
    left = await screen.app.push_screen_wait(EditDialog(title, text, sheet.original, sheet.check))
    screen.drafts.pop(key, None)
    if left.is_taken:
        screen.take_edits(sheet.edits_of(left.text))
    elif left.text != sheet.text:
        screen.drafts[key] = left.text
        while len(screen.drafts) > _DRAFTS:
            del screen.drafts[next(iter(screen.drafts))]


async def set_field(screen: FailedScreen, desk: FailedDesk) -> None:
    """Set one field of all records of what is chosen that failed as the group did."""
    from workbench.app.failed_edit import assigned, assignment

    def wrong(text: str) -> str:
        try:
            assignment(text)
        except WorkbenchError as error:
            return str(error)
        return ""

    ids, meant = screen.chosen_ids(), screen.meant
    how = f" that failed with {meant.code} {meant.field}".rstrip() if meant.code else ""
    title = f"Set FIELD=VALUE in the records{how}"
    text = await screen.app.push_screen_wait(
        AskDialog(title, f"{meant.field}=" if meant.field else "", wrong, is_begun=True)
    )
    if text is None:
        return
    before = screen.edits
    _tell_long(screen, ids, "changing")
    edits, skipped = await assigned(desk, ids, meant, before, assignment(text))
    screen.take_edits(edits)
    count = sum(len(edit.records) for id, edit in screen.edits.items() if edit != before.get(id))
    screen.workbench.tell(f"{text}: {_records(count)} edited; d shows what would be sent")
    _tell_skipped(screen, skipped)


async def dry_run(screen: FailedScreen, desk: FailedDesk) -> None:
    """Show the requests that a replay would send, and how they differ from what was sent."""
    ids = screen.chosen_ids()
    _tell_long(screen, ids, "rendering")
    plan = await desk.dry_run(_request(screen, ids))
    title = f"Dry run of {len(ids):,}: nothing is sent"
    buttons = [("replay", "Replay …")] if plan.entries else []
    dialog = ReadDialog(title, _plan_text(plan), buttons, grammar="")
    if await screen.app.push_screen_wait(dialog) == "replay":
        await replay(screen, desk)


async def replay(screen: FailedScreen, desk: FailedDesk) -> None:
    """Say what a replay would do, ask, and begin it."""
    from workbench.app.replay_session import ReplaySession

    app = screen.workbench
    if app.failed.is_replaying:
        app.tell("a replay is not at its end: go on with it (p), or end it (c)", severity="warning")
        return
    ids = screen.chosen_ids()
    dialog = ReplayDialog(
        desk,
        _request(screen, ids),
        _targets(screen, desk, ids),
        is_unsaved=app.file is not None and app.file.is_dirty,
    )
    decision = await app.push_screen_wait(dialog)
    if decision is not None:
        app.failed.replay(ReplaySession(desk, decision.request, ids, trial=decision.trial))
        screen.figures()


def _targets(screen: FailedScreen, desk: FailedDesk, ids: list[str]) -> list[Target]:
    """Where the flows of these entries write; those that are not found are told by the plan."""
    wanted = set(ids)
    names = dict.fromkeys(entry.flow for entry in desk.entries() if entry.id in wanted)
    targets: dict[tuple[str, str, str], Target] = {}
    for name in names:
        try:
            target = screen.workbench.desk.target(desk.flows.flow(name))
        except WorkbenchError:
            continue
        targets[target.org, target.user, target.kind] = target
    return list(targets.values())


async def discard(screen: FailedScreen, desk: FailedDesk) -> None:
    """Close what is chosen without writing it, for a reason that is kept."""
    ids = screen.chosen_ids()
    what = ids[0] if len(ids) == 1 else f"{len(ids):,} failed batches"
    reason = await screen.app.push_screen_wait(
        AskDialog(f"Discard {what}, never to be written, because", "", _no_reason)
    )
    if reason is None:
        return
    _tell_long(screen, ids, "closing")
    result = await desk.discard(EntryFilter(ids=frozenset(ids)), reason.strip())
    screen.workbench.tell(f"{len(result.discarded):,} discarded")
    _tell_skipped(screen, result.skipped)


def _tell_skipped(screen: FailedScreen, skipped: Sequence[tuple[str, str]]) -> None:
    """One notice, however many there are."""
    if skipped:
        id, why = skipped[0]
        more = f", and {len(skipped) - 1:,} more" if len(skipped) > 1 else ""
        screen.workbench.tell(f"left alone: {id}: {why}{more}", severity="warning")


def _tell_long(screen: FailedScreen, ids: Sequence[str], doing: str) -> None:
    """Say what is begun, where it takes long enough to wonder."""
    if len(ids) >= _MANY:
        screen.workbench.tell(f"{doing} {len(ids):,} entries …; c ends it")


def _records(count: int) -> str:
    return f"{count:,} record" if count == 1 else f"{count:,} records"


def _no_reason(text: str) -> str:
    return "" if text.strip() else "say why: the reason is kept with it"


async def export(screen: FailedScreen, desk: FailedDesk) -> None:
    """Write what is chosen to a file, a JSON object a line."""
    ids = screen.chosen_ids()
    name = f"failed-{ids[0]}.jsonl" if len(ids) == 1 else f"failed-{len(ids)}.jsonl"
    path = await screen.app.push_screen_wait(
        AskDialog(f"Write {len(ids):,} as JSON lines to", name, _wrong_path)
    )
    if path is None:
        return
    place = Path(path.strip())
    count = size = 0
    try:
        with _created(place) as file:
            async for line in desk.export(EntryFilter(ids=frozenset(ids))):
                size += file.write(line + b"\n")
                count += 1
    except OSError as error:
        screen.workbench.tell(f"{place}: {error.strerror}", severity="error")
    else:
        screen.workbench.tell(
            f"{count:,} {'entry' if count == 1 else 'entries'}, {size:,} bytes written to {place}"
        )


async def make_test(screen: FailedScreen, desk: FailedDesk) -> None:
    """Make a flow test of the entry at hand."""
    entry = screen.entry_list.current
    if entry is None:
        return
    text = await desk.test_case(entry.id)
    path = await screen.app.push_screen_wait(
        AskDialog("Write it as a flow test to", f"{entry.flow}.test.yaml", _wrong_path)
    )
    if path is not None:
        write_bytes(Path(path.strip()), text.encode())
        screen.workbench.tell(f"written to {path}: workbench test runs it")


def _created(place: Path) -> BinaryIO:
    return place.open("xb")


def _wrong_path(text: str) -> str:
    path = Path(text.strip())
    if not text.strip() or path.is_dir():
        return "give the name of a file"
    return f"{path} exists already" if path.exists() else ""


def _request(screen: FailedScreen, ids: list[str]) -> ReplayRequest:
    from workbench.app.replay_choice import ReplayRequest

    wanted = EntryFilter(ids=frozenset(ids))
    edits = {id: edit for id, edit in screen.edits.items() if id in wanted.ids}
    return ReplayRequest(wanted, edits=edits)


def _plan_text(plan: Plan) -> str:
    lines = [f"// it would be: {plan.sentence()}"]
    lines += [f"✗ {id}: left alone: {why}" for id, why in plan.skipped[:50]]
    for difference in plan.differences:
        if difference.lines:
            lines += ["", f"// {difference.id} differs from what was sent", *difference.lines]
        else:
            lines += ["", f"// {difference.id}: as it was sent"]
    for number, request in enumerate(plan.shown, 1):
        head = f"// request {number} of {plan.requests}, task {request.task}, {request.records} "
        lines += [
            "",
            head + ("record" if request.records == 1 else "records"),
            f"{request.method} {request.target}",
            pretty(request.body),
        ]
    if plan.requests > len(plan.shown):
        more = plan.requests - len(plan.shown)
        lines += ["", f"// and {more:,} more {'request' if more == 1 else 'requests'}"]
    return "\n".join(lines)
