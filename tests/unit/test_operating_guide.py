"""The operating guide tells every log line and every metric, and none that is not there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from workbench.observe.metrics import Metrics

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
GUIDE = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")

# Streams, packages and attributes whose names begin as those of metrics do.
NO_METRICS = {"workbench_failed", "workbench_advisories"}


def table(marker: str) -> list[str]:
    """The first cells of the table below a marker."""
    found = re.search(rf"<!-- table: {marker} -->\n\n(.*?)\n\n", GUIDE, re.S)
    assert found, f"the operating guide has no table marked {marker!r}"
    return [line.split("|")[1] for line in found[1].splitlines()[2:]]


def words(cells: list[str]) -> set[str]:
    return {word for cell in cells for word in re.findall(r"`(\w+)`", cell)}


def metrics() -> set[str]:
    """The names under which Prometheus reads them."""
    text = Metrics(lambda: []).text().decode()
    return {
        name
        for name, kind in re.findall(r"^# TYPE (\w+) (\w+)$", text, re.MULTILINE)
        if not name.endswith("_created")
    }


def test_every_metric_is_told_and_no_other() -> None:
    assert words(table("metrics")) == metrics()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_metrics_in_the_documents_exist(page: Path) -> None:
    named = set(re.findall(r"\bworkbench_[a-z_]+", page.read_text(encoding="utf-8")))
    known = metrics()
    known |= {f"{name}_{part}" for name in known for part in ("sum", "count", "bucket")}
    assert named - NO_METRICS <= known


def test_every_log_line_is_told_and_no_other() -> None:
    package = ROOT / "workbench"
    log = (package / "observe" / "log.py").read_text(encoding="utf-8")
    app = "".join(path.read_text(encoding="utf-8") for path in (package / "app").glob("*.py"))
    level = r'(?:"(?:debug|info|warning|error)"|\blevel)'
    given = set(re.findall(rf'{level},\s+"(\w+)"(?!:)', log))
    given |= set(re.findall(rf'\.line\(\s*{level},\s+"(\w+)"', app))
    assert words(table("log")) == given - {"debug", "info", "warning", "error"}
