"""Ids and their checksum."""

from __future__ import annotations

import pytest

from workbench.emulator.ids import IdMaker, checksum, long_id, short_id


@pytest.mark.parametrize(
    ("short", "end"),
    [
        ("001D000000K0fXO", "IAZ"),
        ("003D000000QV9n2", "IAD"),
        ("00558000001N0Ke", "AAK"),
        ("80120000000test", "AAA"),
    ],
)
def test_the_checksum_is_that_of_documented_ids(short: str, end: str) -> None:
    assert checksum(short) == end
    assert long_id(short) == short + end
    assert long_id(short + end) == short + end
    assert short_id(short + end) == short


@pytest.mark.parametrize(
    "text", ["", "001D000000K0fX", "001D000000K0fXOIAA", "001D000000K0f!O", None, 15, "é" * 15]
)
def test_what_is_no_id(text: object) -> None:
    assert long_id(text) is None


def test_ids_are_never_given_out_twice() -> None:
    maker = IdMaker("003")
    made = [maker.next() for _ in range(5000)]
    assert len(set(made)) == 5000
    assert all(long_id(i) == i and i.startswith("003") for i in made)
