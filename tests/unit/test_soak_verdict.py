"""The verdict of the long run: what is flat is flat, what grows is told."""

from __future__ import annotations

from dataclasses import replace

from bench.soak import Sample, judge

FLAT = [Sample(n / 2, 60.0 + n % 3, 15 + n % 4, 20 + n % 5, 40, n, n, 0) for n in range(80)]


def test_flat_samples_have_no_fault() -> None:
    # What is taken at the beginning only is no growth.
    assert judge([*(replace(sample, memory_mb=40.0) for sample in FLAT[:10]), *FLAT[10:]]) == []


def test_each_thing_that_grows_is_told() -> None:
    growing = [replace(s, memory_mb=50 + n, files=10 + n, tasks=20 + n) for n, s in enumerate(FLAT)]
    told = judge(growing)
    assert [sentence.partition(" grew ")[0] for sentence in told] == ["memory", "files", "tasks"]
    assert "from 79.5 to 119.5 MB" in told[0]


def test_too_few_samples_tell_nothing() -> None:
    assert judge(FLAT[:3]) == ["there are too few samples to tell"]
