"""The failure guide says of every code what the tables of the program do with it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from workbench.engine.gate import PauseCause
from workbench.salesforce import codes, pubsub_codes

PAGE = (Path(__file__).parents[2] / "docs" / "failures.md").read_text(encoding="utf-8")


def section(marker: str) -> str:
    """What stands between a marker and the next marker or heading."""
    found = re.search(rf"<!-- {re.escape(marker)} -->\n(.*?)(?=^#|^<!--|\Z)", PAGE, re.M | re.S)
    assert found, f"the failure guide has no section marked {marker!r}"
    return found[1]


def first_cells(text: str) -> list[str]:
    """The first cell of every row of the tables in a text, headings and rules left out."""
    rows = re.findall(r"^\| (.+?) \|", text, re.MULTILINE)
    return [cell for cell in rows if cell not in ("code", "status", "cause")]


def words(text: str) -> set[str]:
    return set(re.findall(r"`([\w.]+)`", text))


def named_in(marker: str) -> set[str]:
    return {word for cell in first_cells(section(marker)) for word in words(cell)}


@pytest.mark.parametrize("kind", list(codes.Kind), ids=str)
def test_every_code_stands_under_what_is_done_about_it(kind: codes.Kind) -> None:
    wanted = {
        code
        for row in codes.ROWS
        for code in row.codes.split()
        if row.kind is kind or (row.tries is not None and row.then is kind)
    }
    told = named_in(f"kind: {kind}")
    assert wanted <= told
    assert told <= wanted, "codes that the table does not have under this kind"


def test_every_text_that_stands_for_a_code_is_told() -> None:
    for row in codes.ROWS:
        if not row.codes:
            assert row.text in section(f"kind: {row.kind}")


def test_every_status_is_taken_for_what_the_table_says() -> None:
    told = {
        int(status): kind
        for statuses, kind in re.findall(
            r"^\| ([\d, ]+) \| ([\w ]+) \|", section("table: status"), re.MULTILINE
        )
        for status in statuses.split(",")
    }
    assert told == {status: str(kind) for status, kind in codes.STATUS_ROWS.items()}


@pytest.mark.parametrize(
    ("marker", "table"),
    [
        ("table: pubsub", pubsub_codes.CODE_ROWS),
        ("table: grpc", pubsub_codes.STATUS_ROWS),
    ],
)
def test_every_code_of_pubsub_is_taken_for_what_the_table_says(
    marker: str, table: dict[str, pubsub_codes.Kind]
) -> None:
    told = {
        code: kind
        for cell, kind in re.findall(r"^\| (`.+?) \| ([a-z ]+)", section(marker), re.MULTILINE)
        for code in words(cell)
    }
    assert {code: kind.strip() for code, kind in told.items()} == {
        code: str(kind) for code, kind in table.items()
    }


def test_every_pause_is_told() -> None:
    assert named_in("table: pauses") == {str(cause) for cause in PauseCause}


def test_every_code_of_our_own_is_told() -> None:
    root = Path(codes.__file__).parents[1]
    sources = "".join(
        path.read_text(encoding="utf-8")
        for folder in ("engine", "salesforce", "model")
        for path in (root / folder).glob("*.py")
    )
    told = named_in("table: own") - {"LIMIT_EXCEEDED"}
    unknown = {code for code in told if f'"{code}"' not in sources}
    assert not unknown, "codes that the program never gives"
    given = set(
        re.findall(r'(?:Refused|Suspect|Unsent|Unknown)\(\s*(?:[^()"]+, )?"([A-Z_]{5,})"', sources)
    )
    assert given <= told | words(PAGE)
