"""`workbench test FLOW...`: the cases beside flow files, on the sandbox."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from workbench.cli import exits
from workbench.cli.options import Target, flow_argument, open_settings, target_options

if TYPE_CHECKING:
    from workbench.app.flow_tests import Case
    from workbench.app.settings import Settings

__all__ = ["command"]


@click.command("test")
@flow_argument
@click.option(
    "-k", "pattern", metavar="TEXT", default="", help="Only cases whose name has this in it."
)
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text")
@target_options
def command(flows: tuple[Path, ...], pattern: str, form: str, target: Target) -> int:
    """Run the cases beside flow files: event in, requests, outcomes and rows out.

    The cases of flows/x.yaml are in flows/x.test.yaml, or in YAML files in the folder flows/x.test.
    A sandbox is started for cases that do not give Salesforce's answers themselves; it is emptied
    before each, also one named by --sandbox-env. `workbench failed export --as-test ID` makes a
    case of a failure. The exit code is 1 when a case does not hold, or there is none.

    \b
    Examples:
      workbench test flows/*.yaml
      workbench test contacts.yaml -k email
    """
    import asyncio

    return asyncio.run(_test(flows, pattern, form, target))


async def _test(flows: tuple[Path, ...], pattern: str, form: str, target: Target) -> int:
    from workbench.app.flow_tests import cases_of, load_cases

    cases: list[tuple[Path, Case]] = []
    for path in flows:
        found = [case for file in cases_of(path) for case in load_cases(file)]
        if not found:
            beside = path.with_suffix(".test.yaml")
            click.echo(f"workbench: {path} has no cases: write them in {beside}", err=True)
        cases += [(path, case) for case in found if pattern.lower() in case.name.lower()]
    if not cases:
        return exits.PROBLEMS
    is_own = target.sandbox_env is None and _any_needs_sandbox(cases, target)
    async with open_settings(dataclasses.replace(target, sandbox=is_own)) as settings:
        results = [await _result(path, case, settings) for path, case in cases]
    _say(results, form)
    return exits.OK if all(result["is_passed"] for result in results) else exits.PROBLEMS


def _any_needs_sandbox(cases: list[tuple[Path, Case]], target: Target) -> bool:
    import os

    from workbench.app.flow_test_run import needs_sandbox
    from workbench.app.settings import Settings

    settings = Settings(dict(os.environ), {}, target.overrides)
    return any(needs_sandbox(_flow(path, settings), case) for path, case in cases)


def _flow(path: Path, settings: Settings) -> Any:
    from workbench.app.flows import load_flow

    # No stream is read, so the usual variable for its address need not be set.
    env = {"NATS_URL": "nats://localhost:4222", **settings.env}
    return load_flow(path, dataclasses.replace(settings, env=env))


async def _result(path: Path, case: Case, settings: Settings) -> dict[str, Any]:
    from workbench.app.flow_test_run import run_case
    from workbench.errors import SettingsError, WorkbenchError

    try:
        differences = await run_case(_flow(path, settings), case, settings)
    except SettingsError:
        raise
    except WorkbenchError as error:
        differences = [str(error)]
    return {
        "flow": str(path),
        "file": case.file,
        "name": case.name,
        "is_passed": not differences,
        "differences": differences,
    }


def _say(results: list[dict[str, Any]], form: str) -> None:
    from workbench.codec import encode

    if form == "json":
        for result in results:
            click.echo(encode(result).decode())
        return
    for result in results:
        word = "ok    " if result["is_passed"] else "FAILED"
        click.echo(f"{word}  {result['file']}: {result['name']}")
        for line in result["differences"]:
            click.echo(f"        {line}")
    passed = sum(result["is_passed"] for result in results)
    click.echo(f"{passed} of {len(results)} cases hold")
