"""Options that the commands on failed batches share: which store, and which entries of it."""

from __future__ import annotations

import functools
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from workbench.cli.options import Target, open_settings, sandbox_options
from workbench.errors import SettingsError
from workbench.model import EntryFilter

if TYPE_CHECKING:
    from workbench.app.failed_desk import FailedDesk

__all__ = [
    "Place",
    "filter_options",
    "is_selective",
    "open_desk",
    "place_options",
    "point_in_time",
]

_Function = TypeVar("_Function", bound=Callable[..., Any])

_STATUSES = ("open", "claimed", "resolved", "discarded")


@dataclass(frozen=True, slots=True)
class Place:
    """Which store of failed batches is meant."""

    target: Target
    stream: str
    url: str | None
    credentials: Path | None
    failed_dir: Path | None


def place_options(function: _Function) -> _Function:
    """Give a command the options that name the store, as `place`."""

    @functools.wraps(function)
    def with_place(
        *args: Any,
        target: Target,
        stream: str,
        url: str | None,
        credentials: Path | None,
        failed_dir: Path | None,
        **more: Any,
    ) -> Any:
        place = Place(target, stream, url, credentials, failed_dir)
        return function(*args, place=place, **more)

    for option in (
        click.option(
            "--failed-dir",
            metavar="FOLDER",
            type=click.Path(path_type=Path, file_okay=False),
            help="Failed batches that are kept in files, as `--headless --failed-dir` does.",
        ),
        click.option(
            "--credentials",
            metavar="FILE",
            type=click.Path(path_type=Path),
            help="NATS credentials  [default: $NATS_CREDENTIALS, else none]",
        ),
        click.option(
            "--url",
            metavar="URL",
            help="The NATS server  [default: $NATS_URL, else nats://localhost:4222]",
        ),
        click.option(
            "--stream",
            metavar="NAME",
            default="workbench_failed",
            show_default=True,
            help="The stream that keeps them (`failed.stream` of the flow).",
        ),
    ):
        with_place = option(with_place)
    return sandbox_options(with_place)  # type: ignore[return-value]


def _text(name: str, meaning: str) -> Callable[[Any], Any]:
    return click.option(name, metavar=name.strip("-").upper(), default="", help=meaning)


def filter_options(function: _Function) -> _Function:
    """Give a command `ID...` and the filters, as `wanted`, and `--limit`, as `limit`."""

    @functools.wraps(function)
    def with_filter(
        *args: Any,
        ids: tuple[str, ...],
        since: str | None,
        until: str | None,
        statuses: tuple[str, ...],
        flow: str,
        task: str,
        code: str,
        field: str,
        subject: str,
        **more: Any,
    ) -> Any:
        wanted = EntryFilter(
            flow,
            task,
            code,
            field,
            subject,
            point_in_time("--since", since),
            point_in_time("--until", until),
            frozenset(ids),
            frozenset(statuses or ("open", "claimed")),
        )
        return function(*args, wanted=wanted, **more)

    for option in (
        click.option(
            "--status",
            "statuses",
            type=click.Choice(_STATUSES),
            multiple=True,
            help="May be given several times  [default: open and claimed]",
        ),
        click.option("--limit", metavar="N", type=click.IntRange(min=1), help="At most so many."),
        click.option("--until", metavar="TIME", help="Failed before; as --since."),
        click.option(
            "--since",
            metavar="TIME",
            help="Failed since: 2026-11-23T10:00, in UTC unless it says more; or 2h for two hours "
            "ago.",
        ),
        _text("--subject", "The event's subject; * and > as in NATS."),
        _text("--field", "A field that a record failed for."),
        _text("--code", "A code that a record failed with."),
        _text("--task", "A task's name."),
        _text("--flow", "A flow's name."),
    ):
        with_filter = option(with_filter)
    return click.argument("ids", metavar="[ID]...", nargs=-1)(with_filter)  # type: ignore[return-value]


def is_selective(wanted: EntryFilter) -> bool:
    """Whether it says more than a status, so that not every failed batch is meant."""
    return wanted != EntryFilter(statuses=wanted.statuses)


def point_in_time(option: str, text: str | None) -> str:
    """An ISO time as failed batches carry it, of a time or of how long ago; empty for nothing.

    Raises:
        SettingsError: it is neither.
    """
    if not text:
        return ""
    try:
        when = datetime.fromisoformat(text)
        if when.tzinfo is None:
            when = when.replace(tzinfo=UTC)
    except ValueError:
        from workbench.app.settings import parse_seconds

        try:
            seconds = parse_seconds(option, text)
        except SettingsError as error:
            raise SettingsError(
                f"{option} {text!r} is neither a time (2026-11-23T10:00) nor how long ago (2h)"
            ) from error
        when = datetime.fromtimestamp(time.time() - seconds, tz=UTC)
    return when.astimezone(UTC).isoformat(timespec="milliseconds")


@asynccontextmanager
async def open_desk(place: Place, flow_files: tuple[Path, ...] = ()) -> AsyncIterator[FailedDesk]:
    """The failed batches of a place; what fell back into files is told of on stderr.

    Args:
        flow_files: what to replay with; none for where flows usually are.
    """
    from workbench.app.failed_desk import FailedDesk
    from workbench.app.failed_stores import FailedStores
    from workbench.app.flow_book import FlowBook

    async with (
        open_settings(place.target) as settings,
        FailedStores(settings, place.failed_dir) as stores,
    ):
        store = stores.named(
            place.stream,
            url=place.url,
            credentials_path=str(place.credentials) if place.credentials else None,
        )
        async with FailedDesk(store, FlowBook(settings, flow_files)) as desk:
            yield desk
        if place.failed_dir is None and (count := (await stores.files.counts()).entries):
            folder = stores.files.path.parent
            click.echo(
                f"workbench: {count:,} more failed batches are kept in files, as JetStream refused "
                f"them: --failed-dir {folder}",
                err=True,
            )
