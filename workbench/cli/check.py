"""`workbench check`: every problem of flow files at once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from workbench.app.settings import Settings
from workbench.cli import exits
from workbench.cli.options import Target, flow_argument, target_options, with_settings
from workbench.errors import Problem, SettingsError
from workbench.model import counted

__all__ = ["command"]

_COLOURS = {"error": "red", "warning": "yellow", "info": "blue"}


@click.command("check")
@flow_argument
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "github"]),
    default="text",
    show_default=True,
    help="For people, for programs, or as annotations of a GitHub workflow.",
)
@target_options
def command(flows: tuple[Path, ...], form: str, target: Target) -> int:
    """Check flow files and report every problem at once, by file, line and column.

    Nothing is connected to and nothing is run. The exit code is 1 when there are errors, 0 when
    there are only warnings, 2 when a file can't be read.

    \b
    Examples:
      workbench check flows/*.yaml
      workbench check flows/*.yaml --format github
    """
    return with_settings(target, lambda settings: _check(flows, form, settings))


def _check(flows: Sequence[Path], form: str, settings: Settings) -> int:
    from workbench.app.flows import check_flow

    problems: list[Problem] = []
    unreadable: list[SettingsError] = []
    for flow in flows:
        try:
            problems += check_flow(flow, settings)
        except SettingsError as error:
            unreadable.append(error)
    {"text": _say_text, "json": _say_json, "github": _say_github}[form](problems)
    if form == "text" and len(unreadable) < len(flows):
        click.echo(_summary(len(flows) - len(unreadable), problems), err=True)
    for reason in unreadable:
        click.echo(f"workbench: {reason}", err=True)
    if unreadable:
        return exits.USAGE
    has_errors = any(problem.severity == "error" for problem in problems)
    return exits.PROBLEMS if has_errors else exits.OK


def _summary(files: int, problems: Sequence[Problem]) -> str:
    severities = [problem.severity for problem in problems]
    nouns = {"error": "error", "warning": "warning", "info": "note"}
    said = [counted(severities.count(s), noun) for s, noun in nouns.items() if s in severities]
    return f"{counted(files, 'file')}: {', '.join(said) or 'no problems'}"


def _say_text(problems: Sequence[Problem]) -> None:
    for problem in problems:
        place = f"{problem.file}:{problem.line}:{problem.column}" if problem.line else problem.file
        severity = click.style(problem.severity, fg=_COLOURS[problem.severity], bold=True)
        mend = f" (did you mean {problem.fix!r}?)" if problem.fix else ""
        path = f"  [{problem.path}]" if problem.path else ""
        click.echo(f"{place}: {severity}: {problem.message}{mend}{path}")


def _say_json(problems: Sequence[Problem]) -> None:
    from dataclasses import asdict

    from workbench.codec import encode_pretty

    click.echo(encode_pretty([asdict(problem) for problem in problems]))


def _say_github(problems: Sequence[Problem]) -> None:
    """Workflow commands; the escapes are GitHub's (https://docs.github.com/en/actions/
    reference/workflows-and-actions/workflow-commands, 2026-11-23)."""
    words = {"error": "error", "warning": "warning", "info": "notice"}
    for problem in problems:
        mend = f" (did you mean {problem.fix!r}?)" if problem.fix else ""
        place = f"file={_property(problem.file)}"
        if problem.line:
            place += f",line={problem.line},col={problem.column}"
        click.echo(f"::{words[problem.severity]} {place}::{_data(problem.message + mend)}")


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
