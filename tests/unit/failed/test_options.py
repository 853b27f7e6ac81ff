"""What the command line says of times, fields and edited records."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from workbench.app.failed_edit import assignment, edited
from workbench.app.replay_choice import Edit
from workbench.cli.failed_options import point_in_time
from workbench.codec import encode
from workbench.errors import SettingsError

ITEMS: list[dict[str, Any]] = [
    {"entry": "a", "index": 0, "failed": "", "record": {"x": 1}},
    {"entry": "a", "index": 4, "failed": "", "record": {"x": 2}},
    {"entry": "b", "failed": "no JSON", "event": "{oops"},
]


def test_points_in_time() -> None:
    assert point_in_time("--since", None) == ""
    assert point_in_time("--since", "2026-11-23T10:00") == "2026-11-23T10:00:00.000+00:00"
    assert point_in_time("--since", "2026-11-23T10:00+02:00") == "2026-11-23T08:00:00.000+00:00"
    assert point_in_time("--since", "2026-11-23") == "2026-11-23T00:00:00.000+00:00"
    ago = datetime.fromisoformat(point_in_time("--since", "2h"))
    assert timedelta(0) <= datetime.now(UTC) - timedelta(hours=2) - ago < timedelta(minutes=1)
    with pytest.raises(SettingsError, match="neither a time"):
        point_in_time("--since", "yesterday")


@pytest.mark.parametrize(
    ("text", "path", "value"),
    [
        ("Title=Dr", "/Title", "Dr"),
        ("Phone=+4722123456", "/Phone", "+4722123456"),
        ("Zip=01234", "/Zip", "01234"),
        ("Amount=12.5", "/Amount", 12.5),
        ('Code="12"', "/Code", "12"),
        ("Email=null", "/Email", None),
        ("Name=a=b", "/Name", "a=b"),
        ("/Account/Name=x", "/Account/Name", "x"),
    ],
)
def test_assignments(text: str, path: str, value: Any) -> None:
    assert assignment(text) == {"op": "add", "path": path, "value": value}


def test_an_assignment_without_a_value_is_told() -> None:
    with pytest.raises(SettingsError, match="FIELD=VALUE"):
        assignment("Title")


def test_what_was_edited() -> None:
    changed = [
        {**ITEMS[0], "record": {"x": 7}},
        {**ITEMS[2], "event": "{}"},
    ]
    assert edited(ITEMS, encode(changed).decode()) == {
        "a": Edit({0: {"x": 7}, 4: {"x": 2}}),
        "b": Edit(data=b"{}"),
    }


@pytest.mark.parametrize(
    "text", ["{", "{}", "[1]", '[{"entry": "a", "index": 9, "record": {}}]',
             '[{"entry": "a", "index": 0, "record": 1}]'],
)  # fmt: skip
def test_what_was_edited_wrongly_is_told(text: str) -> None:
    with pytest.raises(SettingsError):
        edited(ITEMS, text)
