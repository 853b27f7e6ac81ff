"""`workbench demo`: everything at once, and the proof that nothing is missing."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from workbench.app.ledger import Ledger, balance
from workbench.app.settings import Settings, failed_folder
from workbench.cli import exits
from workbench.cli.options import open_sandbox
from workbench.errors import WorkbenchError
from workbench.observe import Snapshot

if TYPE_CHECKING:
    from workbench.sandbox import FaultSwitches

__all__ = ["command"]

# A Salesforce as it is on an ordinary day: it takes its time, holds a lock now and then, and is
# not there for a moment. Drawn from a seed, so that a demonstration can be repeated.
_FAULTS = ("latency:20ms-60ms,seed=1", "lock:0.0005,seed=1", "status:503:0.02,seed=1")

_EVENTS_PER_SECOND = 10.0

_KEY_FIELD = "ExternalId__c"


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What the demonstration came to."""

    flow: str
    snapshot: Snapshot
    ledger: Ledger
    seconds: float


@click.command("demo")
@click.option(
    "--events",
    metavar="N",
    type=click.IntRange(1),
    default=1_000,
    show_default=True,
    help="Events to publish.",
)
@click.option("--seed", metavar="N", default=1, show_default=True, help="Which sample events.")
@click.option(
    "--flow",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="A flow of Contact upserts by ExternalId__c  [default: the sample flow]",
)
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text")
@click.option("--summary", is_flag=True, help="No application, though there is a terminal.")
def command(events: int, seed: int, flow: Path | None, form: str, summary: bool) -> int:
    """Start a sandbox with sample flows and sample events, and show what becomes of them.

    In a terminal that is the application, with events that keep coming and switches for trouble.
    Without a terminal, or with --summary or --format json, one flow runs on N events and what
    became of them is summed up; --events and --flow are for that.

    The events are single contacts, lists, lists of several hundred, repeated keys, and every kind
    of trouble. The exit code is 0 only if each of them is accounted for: its records are in the
    emulator's table as the last event said, or it is kept as a failed batch.

    \b
    Examples:
      workbench demo
      workbench demo --summary --events 5000
    """
    is_terminal = sys.stdin.isatty() and sys.stdout.isatty()
    if is_terminal and not summary and form == "text":
        return asyncio.run(_show(seed))
    outcome = asyncio.run(_demonstrate(events, seed, flow))
    if form == "json":
        _say_json(outcome)
    else:
        _say_text(outcome)
    return exits.OK if outcome.ledger.is_balanced else exits.PROBLEMS


class Troubles:
    """The sandbox's switches as the application knows them: what goes wrong is told to whoever
    pressed the key, where an error of the sandbox's own would end the application."""

    def __init__(self, switches: FaultSwitches) -> None:
        self._switches = switches

    async def faults(self) -> Mapping[str, bool]:
        """Every switch, and whether it is on.

        Raises:
            WorkbenchError: the emulator does not answer.
        """
        with _told():
            return await self._switches.faults()

    async def switch(self, name: str, on: bool) -> None:
        """Switch one on or off.

        Raises:
            WorkbenchError: the emulator does not answer.
        """
        with _told():
            await self._switches.switch(name, on)


@contextmanager
def _told() -> Iterator[None]:
    from workbench.sandbox import SandboxError

    try:
        yield
    except SandboxError as error:
        raise WorkbenchError(str(error)) from error


async def _show(seed: int) -> int:
    """The application on the sample flows, with events that keep coming."""
    from workbench.app.background import keep_publishing, prepare_streams
    from workbench.app.failed_stores import FailedStores
    from workbench.app.flows import load_flow
    from workbench.app.publishing import Message
    from workbench.sandbox import FaultSwitches
    from workbench.sandbox.traffic import SAMPLE_FLOW, SAMPLE_FLOWS, everyday
    from workbench.tui import run

    click.echo("Starting nats-server and the Salesforce emulator ...", err=True)
    with tempfile.TemporaryDirectory(prefix="workbench-demo-") as name:
        folder = Path(shutil.copytree(SAMPLE_FLOWS, Path(name) / "flows"))
        paths = [folder / path.name for path in sorted(SAMPLE_FLOWS.iterdir())]
        async with open_sandbox() as sandbox:
            settings = Settings(dict(os.environ), sandbox.environment)
            flows = [load_flow(path, settings) for path in paths]
            await prepare_streams(flows)
            messages = (Message(event.subject, event.data, id=event.id) for event in everyday(seed))
            traffic = asyncio.create_task(
                keep_publishing(flows, messages, per_second=_EVENTS_PER_SECOND)
            )
            try:
                async with FailedStores(settings) as stores:
                    return await run(
                        folder / SAMPLE_FLOW.name,
                        settings,
                        dead_letters=stores.of,
                        faults=Troubles(FaultSwitches(sandbox)),
                    )
            finally:
                traffic.cancel()
                await asyncio.gather(traffic, return_exceptions=True)


async def _demonstrate(count: int, seed: int, path: Path | None) -> _Outcome:
    from workbench.app.flows import load_flow
    from workbench.app.publishing import Message
    from workbench.app.rehearsal import rehearse
    from workbench.sandbox import SandboxOptions
    from workbench.sandbox.traffic import SAMPLE_FLOW, contacts

    click.echo("Starting nats-server and the Salesforce emulator ...", err=True)
    async with open_sandbox(SandboxOptions(faults=_FAULTS, pubsub=False)) as sandbox:
        settings = Settings(dict(os.environ), sandbox.environment)
        flow = load_flow(path or SAMPLE_FLOW, settings)
        click.echo(f"Running {flow.name} on {count:,} events ...", err=True)
        events = list(contacts(count, seed))
        done = await rehearse(
            flow,
            failed_folder(settings) / "demo.jsonl",
            [Message(event.subject, event.data, id=event.id) for event in events],
        )
        rows = await sandbox.rows("Contact")
    published = {
        number: event.records for number, event in zip(done.sequences, events, strict=True)
    }
    ledger = balance(published, done.failed, rows, key_field=_KEY_FIELD, unsettled=done.unsettled)
    return _Outcome(flow.name, done.snapshot, ledger, done.seconds)


def _say_text(outcome: _Outcome) -> None:
    snapshot, ledger = outcome.snapshot, outcome.ledger
    per_request = snapshot.written / snapshot.requests if snapshot.requests else 0.0
    rows = [
        ("events", f"{ledger.events:,} published, {snapshot.acked:,} written, "
                   f"{ledger.failed_events:,} kept as failed batches"),
        ("records", f"{snapshot.written:,} written, {sum(snapshot.failures.values()):,} given up; "
                    f"{ledger.rows:,} contacts in the org"),
        *[(f"  {code}", f"{count:,}") for (_, code), count in sorted(snapshot.failures.items())],
        ("requests", f"{snapshot.requests:,}, {per_request:.1f} records written by each, "
                     f"{snapshot.retries:,} retries"),
        ("time", f"{outcome.seconds:.1f} s, {ledger.events / outcome.seconds:,.0f} events and "
                 f"{snapshot.written / outcome.seconds:,.0f} records a second"),
    ]  # fmt: skip
    click.echo(outcome.flow)
    width = max(len(name) for name, _ in rows) + 2
    for name, text in rows:
        click.echo(f"  {name:<{width}}{text}")
    if ledger.is_balanced:
        click.echo("Every event is accounted for: the org's table and the failed batches add up.")
        return
    click.echo(f"{len(ledger.problems)} things do not add up:")
    for problem in ledger.problems[:20]:
        click.echo(f"  {problem}")


def _say_json(outcome: _Outcome) -> None:
    from workbench.codec import encode_pretty

    snapshot, ledger = outcome.snapshot, outcome.ledger
    click.echo(
        encode_pretty(
            {
                "flow": outcome.flow,
                "events": ledger.events,
                "acked": snapshot.acked,
                "failed_events": ledger.failed_events,
                "records_written": snapshot.written,
                "records_failed": {c: n for (_, c), n in sorted(snapshot.failures.items())},
                "rows": ledger.rows,
                "requests": snapshot.requests,
                "retries": snapshot.retries,
                "redelivered": snapshot.redelivered,
                "seconds": round(outcome.seconds, 3),
                "is_accounted_for": ledger.is_balanced,
                "problems": list(ledger.problems),
            }
        )
    )
