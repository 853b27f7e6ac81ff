"""`workbench failed replay`: say what will happen, ask, write again, say what came of it."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from workbench.cli import exits
from workbench.cli.failed_options import (
    Place,
    filter_options,
    is_selective,
    open_desk,
    place_options,
)
from workbench.codec import decode, encode_pretty
from workbench.errors import SettingsError
from workbench.model import EntryFilter, counted

if TYPE_CHECKING:
    from workbench.app.failed_desk import FailedDesk
    from workbench.app.replay_choice import ReplayRequest
    from workbench.app.replay_plan import Plan
    from workbench.app.replay_report import Progress, Report

__all__ = ["replay"]

_SHOWN_SKIPPED = 20


@click.command("replay", short_help="Write them again, by the same path as the flow.")
@filter_options
@click.option(
    "--only-failed",
    "which",
    flag_value="failed",
    help="Only records not written; the default where rows are independent.",
)
@click.option(
    "--all-records",
    "which",
    flag_value="all",
    help="All records of the event; the default with all_or_none.",
)
@click.option(
    "--set",
    "sets",
    metavar="FIELD=VALUE",
    multiple=True,
    help="Set a field of the records that are meant; the value is JSON, or else a text.",
)
@click.option(
    "--patch",
    "patch_file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="A JSON Patch (RFC 6902) for each record that is meant.",
)
@click.option("--edit", is_flag=True, help="Edit the records in $EDITOR first.")
@click.option(
    "--with",
    "with_flow",
    type=click.Choice(["current", "recorded"]),
    default="current",
    show_default=True,
    help="The task as its file is now, or as it was then.",
)
@click.option(
    "--flow-file",
    "flow_files",
    metavar="PATH",
    multiple=True,
    type=click.Path(path_type=Path),
    help="A flow file, or a folder of them, to replay with  [default: the folder flows, else this "
    "one]",
)
@click.option("--dry-run", is_flag=True, help="Show requests and differences; send nothing.")
@click.option(
    "--accept-duplicates", is_flag=True, help="Replay also creates that may be written already."
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text")
@place_options
def replay(
    wanted: EntryFilter,
    limit: int | None,
    which: Literal["failed", "all"] | None,
    sets: tuple[str, ...],
    patch_file: Path | None,
    edit: bool,
    with_flow: Literal["current", "recorded"],
    flow_files: tuple[Path, ...],
    dry_run: bool,
    accept_duplicates: bool,
    yes: bool,
    form: str,
    place: Place,
) -> int:
    """Write failed batches again, by the same path as the flow.

    Names ID..., or all that fit the filters. --set and --patch change the records that failed as
    --code and --field say, all chosen ones without these. With --limit N the first N are a trial:
    the rest follows when you agree, or with --yes when all of the trial was written.

    Exit code 0 only if all that was chosen is written now; 1 if some is still open.

    \b
    Examples:
      workbench failed replay ID --dry-run
      workbench failed replay --code INVALID_EMAIL_ADDRESS --set Email=null
      workbench failed replay --flow contacts --since 2h --limit 10
    """
    import asyncio

    from workbench.app.failed_edit import assignment
    from workbench.app.replay_choice import ReplayRequest

    if not (wanted.ids or is_selective(wanted)) and not (yes or dry_run or sys.stdin.isatty()):
        raise SettingsError("that would replay every failed batch: name ids, filter, or add --yes")
    request = ReplayRequest(
        wanted,
        patch=[*_patch(patch_file), *map(assignment, sets)],
        which=which or "default",
        with_flow=with_flow,
        accept_duplicates=accept_duplicates,
    )

    async def run() -> int:
        async with open_desk(place, flow_files) as desk:
            session = _Session(desk, request, yes, form)
            return await session.run(limit, edit, dry_run)

    return asyncio.run(run())


class _Session:
    """One replay, with its questions and answers."""

    def __init__(self, desk: FailedDesk, request: ReplayRequest, yes: bool, form: str) -> None:
        self.desk = desk
        self.request = request
        self.yes = yes
        self.is_json = form == "json"

    async def run(self, limit: int | None, edit: bool, dry_run: bool) -> int:
        from workbench.app.replay import select

        chosen = [entry.id for entry in await select(self.desk.store, self.request.wanted)]
        if not chosen:
            click.echo("No failed batches.", err=True)
            return exits.OK
        self._only(chosen)
        if edit:
            await self._edit(chosen[:limit])
        if dry_run:
            self._only(chosen[:limit])
            plan = await self.desk.dry_run(self.request)
            _say_plan(plan, self.is_json)
            return exits.PROBLEMS if plan.skipped else exits.OK
        if limit is None or limit >= len(chosen):
            return exits.OK if await self._replay(chosen, "Replay?") else exits.PROBLEMS
        trial = await self._replay(chosen[:limit], f"Replay these {limit} first?")
        rest = chosen[limit:]
        if trial is None or (not trial and self.yes):
            click.echo(f"workbench: {len(rest):,} more are left as they were", err=True)
            return exits.PROBLEMS
        others = await self._replay(rest, f"Replay the other {len(rest):,}?")
        return exits.OK if trial and others else exits.PROBLEMS

    async def _replay(self, ids: list[str], question: str) -> bool | None:
        """Whether all of them are resolved now; None where somebody said no."""
        self._only(ids)
        plan = await self.desk.dry_run(self.request, ask_org=True)
        click.echo(plan.sentence(), err=True)
        told: Sequence[tuple[str, str]] = ()
        if plan.entries and not self.yes:
            told = plan.skipped[:_SHOWN_SKIPPED]
            for id, why in told:
                click.echo(f"  {id}: left alone: {_about(id, why)}", err=True)
            if not _agreed(question):
                return None
        report = await self._carry_out()
        if self.is_json:
            click.echo(encode_pretty({"plan": _plan_json(plan), "report": _report_json(report)}))
        else:
            _say_report(report, told)
        return report.is_all_resolved

    async def _carry_out(self) -> Report:
        """Replay; a first Ctrl-C ends it in order."""
        import asyncio
        import signal

        stop, loop = asyncio.Event(), asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        is_shown = sys.stderr.isatty() and not self.is_json

        def progress(at: Progress) -> None:
            if not at.last_id:  # about the replay as a whole: a pause
                click.echo(f"workbench: {at.note}", err=True)
            elif is_shown:
                line = f"{at.done} of {at.total}: {at.resolved} written, {at.failed} failed again"
                click.echo(f"\r{line:<70}", nl=at.done == at.total, err=True)

        try:
            return await self.desk.replay(self.request, progress, stop)
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)

    def _only(self, ids: list[str]) -> None:
        """Mean exactly these entries; code and field still say which of their records."""
        wanted = self.request.wanted
        named = EntryFilter(code=wanted.code, field=wanted.field, ids=frozenset(ids))
        self.request = dataclasses.replace(self.request, wanted=named)

    async def _edit(self, ids: list[str]) -> None:
        """Let the records be edited in $EDITOR; those taken out are sent as they were."""
        from workbench.app.failed_edit import editable, edited

        items = await editable(self.desk, ids, self.request)
        text = encode_pretty(items) + "\n"
        while True:
            try:
                changed = click.edit(text, extension=".json", require_save=False)
            except click.ClickException as error:
                raise SettingsError(
                    f"nothing was changed, as the editor failed ({error.message}): set $EDITOR to "
                    "one that runs in this terminal"
                ) from error
            try:
                edits = edited(items, changed if changed is not None else text)
                break
            except SettingsError as error:
                if not sys.stdin.isatty():
                    raise
                click.echo(f"workbench: {error}", err=True)
                click.confirm("Edit again?", default=True, abort=True, err=True)
                text = changed or text
        self.request = dataclasses.replace(self.request, edits=edits)


def _agreed(question: str) -> bool:
    if not sys.stdin.isatty():
        raise SettingsError("there is nobody to ask: add --yes to write, or --dry-run to look")
    return click.confirm(question, err=True)


def _patch(path: Path | None) -> list[dict[str, Any]]:
    if path is None:
        return []
    from workbench.app.failed_edit import read_patch

    return read_patch(path)


# -- words -------------------------------------------------------------------------------------


def _say_plan(plan: Plan, is_json: bool) -> None:
    if is_json:
        click.echo(encode_pretty({"plan": _plan_json(plan)}))
        return
    for number, request in enumerate(plan.shown, 1):
        click.echo(
            f"# task {request.task}: request {number} of {plan.requests}, "
            f"{counted(request.records, 'record')}\n{request.method} {request.target}\n"
        )
        if request.body:
            click.echo(_readable(request.body) + "\n")
    for difference in plan.differences:
        click.echo(f"# {difference.id}" + ("" if difference.lines else ": as it was sent"))
        for line in difference.lines:
            click.echo(f"  {line}")
    for id, why in plan.skipped:
        click.echo(f"# {id}: left alone: {_about(id, why)}")
    click.echo(f"\nNothing is sent. It would be: {plan.sentence()}")


def _about(id: str, why: str) -> str:
    """The sentence without the id that it may begin with: that stands before it."""
    return f"it {why.removeprefix(f'{id} ')}" if why.startswith(f"{id} ") else why


def _readable(body: bytes) -> str:
    try:
        return encode_pretty(decode(body))
    except ValueError:
        return body.decode("utf-8", "backslashreplace")


def _say_report(report: Report, told: Sequence[tuple[str, str]]) -> None:
    """What became of the entries, but for what was `told` before."""
    for id, why in report.skipped:
        if (id, why) not in told:
            click.echo(f"{id}: left alone: {_about(id, why)}")
    for id, why in report.unrecorded:
        click.echo(f"{id}: {why}")
    for id in report.failed_again:
        click.echo(f"{id}: failed again: {report.reasons.get(id, '')}".removesuffix(": "))
    if report.stopped:
        click.echo(f"stopped: {report.stopped}; {report.left:,} left as they were")
    click.echo(
        f"{len(report.resolved):,} resolved, {len(report.failed_again):,} failed again, "
        f"{len(report.skipped) + len(report.unrecorded) + report.left:,} other; "
        f"{report.written:,} records written"
    )


def _plan_json(plan: Plan) -> dict[str, Any]:
    value = dataclasses.asdict(plan)
    for request in value["shown"]:
        request["body"] = request["body"].decode("utf-8", "backslashreplace")
    return value


def _report_json(report: Report) -> dict[str, Any]:
    return {**dataclasses.asdict(report), "is_all_resolved": report.is_all_resolved}
