"""What the benchmarks make of their measurements."""

from __future__ import annotations

import pytest

from bench.answering_server import steady


def test_a_rate_leaves_out_how_a_run_begins_and_ends() -> None:
    begins = [0.1 * number for number in range(10)]
    middle = [1.0 + 0.01 * number for number in range(81)]
    ends = [1.8 + 0.5 * number for number in range(1, 10)]
    assert steady([*begins, *middle, *ends]) == pytest.approx(100.0)


@pytest.mark.parametrize("times", [[], [1.0]])
def test_too_few_answers_have_no_rate(times: list[float]) -> None:
    assert steady(times) == 0.0
