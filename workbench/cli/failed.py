"""`workbench failed`: look at what could not be written, write it again, or close it."""

from __future__ import annotations

import csv
import io
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from workbench.cli import exits
from workbench.cli.failed_options import (
    Place,
    filter_options,
    is_selective,
    open_desk,
    place_options,
)
from workbench.cli.failed_replay import replay
from workbench.codec import encode_pretty
from workbench.errors import SettingsError
from workbench.model import EntryFilter, EntrySummary

if TYPE_CHECKING:
    from workbench.app.failed_desk import EntryGroupCount, FailedDesk

__all__ = ["command"]

_AT_ONCE = 200


@click.group("failed")
def command() -> None:
    """Failed batches: what could not be written, with all that is needed to write it again.

    \b
    workbench failed list --group-by code    what is wrong, and how often
    workbench failed list --code CODE        which events
    workbench failed show ID                 what was sent, what came back
    workbench failed replay --code CODE --set Title=Dr --dry-run
    """


# -- list --------------------------------------------------------------------------------------


@command.command("list", short_help="Which events failed, or how many alike.")
@filter_options
@click.option(
    "--group-by", type=click.Choice(["code", "field", "flow"]), help="Count what failed alike."
)
@click.option("--format", "form", type=click.Choice(["table", "json", "csv"]), default="table")
@place_options
def list_command(
    wanted: EntryFilter, limit: int | None, group_by: str | None, form: str, place: Place
) -> int:
    """List failed batches, the longest unchanged first; JSON comes as one object per line.

    \b
    Examples:
      workbench failed list --group-by code --since 2h
      workbench failed list --code STRING_TOO_LONG --limit 5
      workbench failed list --status resolved --format csv
    """
    import asyncio

    async def run() -> None:
        async with open_desk(place) as desk:
            if group_by:
                groups = await desk.groups(group_by, wanted)  # type: ignore[arg-type]
                _say_rows(_GROUP_COLUMNS, [_group_row(g) for g in groups[:limit]], form, True)
            else:
                await _list(desk, wanted, limit, form)

    asyncio.run(run())
    return exits.OK


async def _list(desk: FailedDesk, wanted: EntryFilter, limit: int | None, form: str) -> None:
    after, left, is_first = 0, limit, True
    while left is None or left > 0:
        size = _AT_ONCE if left is None else min(left, _AT_ONCE)
        page = await desk.page(wanted, after, size)
        if page.entries or is_first:
            _say_rows(_COLUMNS, [_row(entry) for entry in page.entries], form, is_first)
        after, is_first = page.next, False
        left = None if left is None else left - len(page.entries)
        if page.is_last:
            return


_COLUMNS = ("id", "failed_at", "status", "flow", "task", "failed", "records", "code", "field",
            "attempts", "subject", "reason")  # fmt: skip
_NARROW = ("id", "failed_at", "status", "failed", "code", "field")
_GROUP_COLUMNS = ("flow", "task", "code", "field", "entries", "records", "first", "last")


def _row(entry: EntrySummary) -> dict[str, str | int]:
    codes = dict.fromkeys(group.code for group in entry.groups)
    fields = dict.fromkeys(group.field for group in entry.groups if group.field)
    return {
        "id": entry.id,
        "failed_at": entry.failed_at,
        "status": entry.status(time.time()),
        "flow": entry.flow,
        "task": entry.task,
        "failed": entry.failed,
        "records": entry.records,
        "code": ",".join(codes),
        "field": ",".join(fields),
        "attempts": entry.attempts,
        "subject": entry.subject,
        "reason": entry.reason,
    }


def _group_row(group: EntryGroupCount) -> dict[str, str | int]:
    return {name: getattr(group, name) for name in _GROUP_COLUMNS}


def _say_rows(
    columns: Sequence[str], rows: Sequence[dict[str, str | int]], form: str, is_first: bool
) -> None:
    from workbench.codec import encode

    if form == "json":
        for row in rows:
            click.echo(encode(row).decode())
        return
    if form == "csv":
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, lineterminator="\n")
        if is_first:
            writer.writeheader()
        writer.writerows(rows)
        click.echo(text.getvalue(), nl=False)
        return
    if not rows:
        click.echo("No failed batches.", err=True)
        return
    shown = [name for name in columns if name in _NARROW or columns is _GROUP_COLUMNS]
    shown = [name for name in shown if any(row[name] != "" for row in rows)]
    cells = [[_cell(name, row) for name in shown] for row in rows]
    titles = [name.replace("_", " ").upper() for name in shown]
    widths = [max(map(len, column)) for column in zip(titles, *cells, strict=True)]
    for line in [titles, *cells] if is_first else cells:
        padded = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        click.echo("  ".join(padded).rstrip())


def _cell(name: str, row: dict[str, str | int]) -> str:
    value = str(row[name])
    if name in ("failed_at", "first", "last"):
        value = value[:19].replace("T", " ")
    if name == "failed" and row["records"]:
        return f"{value} of {row['records']}"
    return "".join(c if c.isprintable() else "?" for c in value)


# -- show, export, discard ---------------------------------------------------------------------


@command.command("show", short_help="One of them whole: records, request, answer, history.")
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@click.option("--all-records", is_flag=True, help="Every record, however many there are.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text")
@place_options
def show(ids: tuple[str, ...], all_records: bool, form: str, place: Place) -> int:
    """Show a failed batch whole: records, codes, what was sent, what came back, what was done.

    ID is what `workbench failed list` and the log line `failed` say.
    """
    import asyncio

    async def run() -> None:
        async with open_desk(place) as desk:
            for id in ids:
                entry = await desk.get(id)
                if form == "json":
                    click.echo(encode_pretty(entry.to_json()))
                else:
                    click.echo(desk.describe(entry, all_records=all_records) + "\n")

    asyncio.run(run())
    return exits.OK


@command.command("export", short_help="Write them to standard output, or one as a test case.")
@filter_options
@click.option("--as-test", is_flag=True, help="One entry as a case for `workbench test`, in YAML.")
@place_options
def export(wanted: EntryFilter, limit: int | None, as_test: bool, place: Place) -> int:
    """Write failed batches to standard output as JSON Lines, complete enough to import elsewhere.

    With --as-test, ID becomes a test case: append it to the `cases` of a file beside the flow,
    `flows/x.test.yaml` for `flows/x.yaml`.

    \b
    Examples:
      workbench failed export --status open --status claimed > failed.jsonl
      workbench failed export --as-test ID
    """
    import asyncio

    if as_test and len(wanted.ids) != 1:
        raise SettingsError("--as-test makes a case of one failed batch: name its id")

    async def run() -> None:
        async with open_desk(place) as desk:
            if as_test:
                (id,) = wanted.ids
                click.echo(await desk.test_case(id), nl=False)
                return
            count = 0
            async for line in desk.export(wanted):
                if limit is not None and count == limit:
                    break
                click.echo(line.decode())
                count += 1

    asyncio.run(run())
    return exits.OK


@command.command("discard", short_help="Close them without writing them.")
@filter_options
@click.option("--reason", required=True, help="Why; it is kept with the entry.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@place_options
def discard(wanted: EntryFilter, limit: int | None, reason: str, yes: bool, place: Place) -> int:
    """Close failed batches without writing them; they are kept, with the reason.

    Names ID..., or all that fit the filters. Exit code 1 when one was left as it was.

    \b
    Examples:
      workbench failed discard ID --reason "test data"
      workbench failed discard --code DUPLICATES_DETECTED --reason "known twins" --yes
    """
    import asyncio

    if not reason.strip():
        raise SettingsError("--reason must say why: it is all that will be known later")
    if yes and not is_selective(wanted):
        raise SettingsError("that would discard every failed batch: name ids, or filter")

    async def run() -> int:
        from workbench.app.replay import select

        async with open_desk(place) as desk:
            chosen = await select(desk.store, wanted, limit)
            if not chosen:
                click.echo("No failed batches.", err=True)
                return exits.OK
            records = sum(entry.failed for entry in chosen)
            question = f"Discard {len(chosen):,} failed batches with {records:,} records?"
            if not yes and not (sys.stdin.isatty() and click.confirm(question, err=True)):
                if not sys.stdin.isatty():
                    raise SettingsError(f"{question} There is nobody to ask: add --yes")
                return exits.PROBLEMS
            ids = frozenset(entry.id for entry in chosen)
            result = await desk.discard(EntryFilter(ids=ids), reason)
            for _, why in result.skipped:
                click.echo(f"workbench: {why}", err=True)
            click.echo(f"{len(result.discarded):,} discarded")
            return exits.PROBLEMS if result.skipped else exits.OK

    return asyncio.run(run())


command.add_command(replay)
