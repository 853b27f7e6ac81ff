"""What comes from outside the flow file: a sentence for everything that can be wrong with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench.app.settings import Settings, parse_override, read_env_file
from workbench.errors import SettingsError


def test_the_sandbox_goes_before_the_environment() -> None:
    settings = Settings({"NATS_URL": "nats://real", "HOME": "/h"}, {"NATS_URL": "nats://sandbox"})
    assert settings.variables == {"NATS_URL": "nats://sandbox", "HOME": "/h"}


def test_an_environment_file_is_read(tmp_path: Path) -> None:
    file = tmp_path / "sandbox.env"
    file.write_text("NATS_URL=nats://h:1\nSF_CREDENTIALS=/s\nNATS_CREDENTIALS=/n\nSF_X=a=b\n\n")
    values = read_env_file(file)
    assert values["NATS_URL"] == "nats://h:1"
    assert values["SF_X"] == "a=b"


def test_a_missing_environment_file_says_what_writes_it(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="is `workbench sandbox --env` running"):
        read_env_file(tmp_path / "none.env")


def test_some_other_file_is_no_environment_file(tmp_path: Path) -> None:
    file = tmp_path / "other.env"
    file.write_text("NATS_URL=nats://h:1\n")
    with pytest.raises(SettingsError, match="does not name SF_CREDENTIALS"):
        read_env_file(file)
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(SettingsError, match="not UTF-8 text"):
        read_env_file(file)


def test_an_override_keeps_every_equals_sign_but_the_first() -> None:
    assert parse_override("task.payload.x=a=b") == ("task.payload.x", "a=b")
    assert parse_override("task.x=") == ("task.x", "")


@pytest.mark.parametrize("text", ["task.x", "=value", " =value", ""])
def test_what_is_no_override_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="path=value"):
        parse_override(text)
