"""The table of assumptions is one that people can read."""

from __future__ import annotations

from workbench.emulator.assumptions import ASSUMPTIONS, as_markdown


def test_every_line_says_what_it_rests_on() -> None:
    assert all(
        a.behaviour and a.rests_on and a.mark in ("doc", "obs", "unsure") for a in ASSUMPTIONS
    )
    assert len({a.behaviour for a in ASSUMPTIONS}) == len(ASSUMPTIONS)


def test_the_table_has_a_row_for_each() -> None:
    lines = as_markdown().splitlines()
    assert len(lines) == len(ASSUMPTIONS) + 2
    assert all(line.count(" | ") == 3 for line in lines[2:])
