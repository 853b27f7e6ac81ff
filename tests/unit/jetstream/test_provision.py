"""What needs no server in provisioning."""

from __future__ import annotations

import pytest

from workbench.jetstream.provision import ack_wait_seconds, subject_covers, subjects_overlap
from workbench.jetstream.stored import nanoseconds_of


@pytest.mark.parametrize(
    ("one", "other", "overlap"),
    [
        ("crm.a", "crm.>", True),
        ("crm", "crm.>", False),
        ("crm.*.x", "crm.a.*", True),
        ("crm.*", "crm.a.b", False),
        (">", "a.b.c", True),
        ("a.b", "a.c", False),
        ("a.>", "a.b.>", True),
        ("a.*.c", "a.b.d", False),
        ("a", "a", True),
    ],
)
def test_subjects_that_overlap(one: str, other: str, overlap: bool) -> None:
    assert subjects_overlap(one, other) is overlap
    assert subjects_overlap(other, one) is overlap


@pytest.mark.parametrize(
    ("pattern", "subject", "covers"),
    [
        ("crm.>", "crm.a", True),
        ("crm.>", "crm.*.b", True),
        ("crm.>", "crm.>", True),
        ("crm.>", "crm", False),
        ("crm.*", "crm.>", False),
        ("crm.*", "crm.*", True),
        ("crm.a", "crm.*", False),
        ("*.*", "crm.a.b", False),
        ("crm.a.b", "crm.a", False),
        ("a", "a", True),
    ],
)
def test_subjects_that_cover(pattern: str, subject: str, covers: bool) -> None:
    assert subject_covers(pattern, subject) is covers


@pytest.mark.parametrize(
    ("timeout", "backoff", "wait"),
    [
        (120.0, (10.0, 30.0), 10.0),
        (5.0, (10.0,), 5.0),
        (120.0, (), 120.0),
        (None, (1.0,), 1.0),
        (None, (), 30.0),
    ],
)
def test_ack_wait(timeout: float | None, backoff: tuple[float, ...], wait: float) -> None:
    assert ack_wait_seconds(timeout, backoff) == wait


def test_server_times() -> None:
    assert nanoseconds_of("1970-01-01T00:00:01Z") == 1_000_000_000
    assert nanoseconds_of("2026-11-23T17:06:52.5914Z") % 1_000_000_000 == 591_400_000
