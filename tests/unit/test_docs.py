"""What the documents show is true of the program: flows parse, links lead somewhere."""

from __future__ import annotations

import doctest
import importlib
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent, indent

import click
import pytest
import yaml

from workbench.flow import check

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]


WITH_EXAMPLES = [
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in sorted((ROOT / "workbench").rglob("*.py"))
    if ">>>" in path.read_text(encoding="utf-8")
]


def snippets(language: str) -> list[tuple[str, str]]:
    return [
        (f"{page.relative_to(ROOT)}:{text.count(chr(10), 0, match.start()) + 1}", dedent(match[2]))
        for page in PAGES
        for text in [page.read_text(encoding="utf-8")]
        for match in re.finditer(
            rf"^( *)```{language}\n(.*?)^\1```", text, re.MULTILINE | re.DOTALL
        )
    ]


SOURCE = """\
- nats_jetstream_subscriber: {name: source, subject: a.b}
"""
SINK = """\
- salesforce_pubsubapi_publisher:
    {name: sink, credentials_path: c.json, topic: /event/A__e, payload: {from_event: true}}
"""


def whole_flow(tasks: str) -> str:
    """A flow of the tasks in a snippet, with what it takes to be one put around them."""
    is_source = tasks.lstrip().startswith("- nats_jetstream_subscriber")
    body = tasks + SINK if is_source else SOURCE + tasks
    return "flow:\n  name: snippet\n  tasks:\n" + indent(body, "    ")


@pytest.mark.parametrize("snippet", snippets("yaml"), ids=lambda snippet: snippet[0])
def test_yaml_in_the_documents_is_yaml_and_its_flows_have_no_errors(
    snippet: tuple[str, str],
) -> None:
    place, text = snippet
    value = yaml.safe_load(text)
    if isinstance(value, list):
        text = whole_flow(text)
    if isinstance(value, list) or (isinstance(value, dict) and "flow" in value):
        problems = check(text, place)
        assert not [problem for problem in problems if problem.severity == "error"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_the_documents_lead_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    targets = [t for t in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in t]
    missing = [t for t in targets if not (page.parent / t.partition("#")[0]).exists()]
    assert not missing


def anchors(page: Path) -> set[str]:
    """Where links into a page may lead: its headings, as GitHub names them."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_to_headings_lead_to_one(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    targets = [t for t in re.findall(r"\]\(([^)\s]*#[^)\s]+)\)", text) if "://" not in t]
    for target in targets:
        path, _, anchor = target.partition("#")
        assert anchor in anchors(page.parent / path if path else page), target


def test_the_exit_codes_in_the_readme_are_those_of_the_program() -> None:
    from workbench.cli import exits

    codes = {
        int(code)
        for code in re.findall(
            r"^\| (\d+) \|", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE
        )
    }
    assert codes == {
        exits.OK,
        exits.PROBLEMS,
        exits.USAGE,
        exits.CONNECTION,
        exits.REFUSED,
        exits.INTERRUPTED,
    }


def command_lines() -> Iterator[tuple[str, list[str]]]:
    """Every call of `workbench` in a shell snippet: where, and its arguments."""
    for place, text in snippets("sh"):
        for line in text.replace("\\\n", " ").splitlines():
            lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
            lexer.whitespace_split = True
            words = list(lexer)
            starts = [0, *(i + 1 for i, word in enumerate(words) if set(word) <= set("|&;()<>"))]
            for start, end in zip(starts, [*(i - 1 for i in starts[1:]), len(words)], strict=True):
                if words[start:end] and words[start] == "workbench":
                    yield f"{place}: {line.strip()}", words[start + 1 : end]


@pytest.mark.parametrize("line", list(command_lines()), ids=lambda line: line[0])
def test_commands_in_the_documents_are_understood(line: tuple[str, list[str]]) -> None:
    from workbench.cli.root import _root, _with_command

    arguments = _with_command(line[1])
    command: click.Command | None = _root
    while isinstance(command, click.Group) and not arguments[0].startswith("-"):
        command = command.get_command(click.Context(command), arguments.pop(0))
    assert command is not None
    try:
        command.make_context("workbench", arguments)
    except click.exceptions.Exit:  # --help and --version do what they say
        pass
    except click.BadParameter as error:
        # The files that a document speaks of are the reader's.
        if not (error.param and isinstance(error.param.type, click.File | click.Path)):
            raise


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples_in_docstrings_hold(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0
