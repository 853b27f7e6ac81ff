"""What the documents show is true of the program: flows parse, links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from workbench.flow import check

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]


def snippets(language: str) -> list[tuple[str, str]]:
    return [
        (f"{page.relative_to(ROOT)}:{text.count(chr(10), 0, match.start()) + 1}", match[1])
        for page in PAGES
        for text in [page.read_text(encoding="utf-8")]
        for match in re.finditer(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    ]


@pytest.mark.parametrize("snippet", snippets("yaml"), ids=lambda snippet: snippet[0])
def test_yaml_in_the_documents_is_yaml_and_its_flows_have_no_errors(
    snippet: tuple[str, str],
) -> None:
    place, text = snippet
    value = yaml.safe_load(text)
    if isinstance(value, dict) and "flow" in value:
        problems = check(text, place)
        assert not [problem for problem in problems if problem.severity == "error"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_the_documents_lead_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    targets = [t for t in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in t]
    missing = [t for t in targets if not (page.parent / t.partition("#")[0]).exists()]
    assert not missing


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
