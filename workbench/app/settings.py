"""What a run is told from outside the flow file: environment, sandbox, overrides.

Everything below this package gets values; only here are variables and files looked at.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from workbench.errors import SettingsError

__all__ = [
    "Settings",
    "failed_folder",
    "parse_override",
    "parse_seconds",
    "read_env_file",
    "read_flow_file",
]

# Well above what the loader takes, so that it is the loader that refuses.
_MOST_FLOW_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Settings:
    """Where values come from that the flow file leaves open.

    Attributes:
        env: the environment variables that templates and credentials may use.
        sandbox: what a running sandbox wrote of itself (`NATS_URL=...`); empty when the flow is
            to reach what its file says.
        overrides: (dotted path, text) pairs that replace settings of the file, in order.
    """

    env: Mapping[str, str]
    sandbox: Mapping[str, str] = field(default_factory=dict)
    overrides: Sequence[tuple[str, str]] = ()

    @property
    def is_sandbox(self) -> bool:
        return bool(self.sandbox)

    @property
    def variables(self) -> Mapping[str, str]:
        """What `env` means in a flow: the sandbox's own variables go before the environment's."""
        return {**self.env, **self.sandbox}


def read_env_file(path: Path) -> dict[str, str]:
    """The `KEY=value` lines that `workbench sandbox --env FILE` wrote.

    Raises:
        SettingsError: no such file, or not one of a sandbox.
    """
    text = _read(path, "sandbox's environment file", "is `workbench sandbox --env` running?")
    values = {}
    for line in text.splitlines():
        key, equals, value = line.strip().partition("=")
        if equals and not key.startswith("#"):
            values[key.strip()] = value.strip()
    if "SF_CREDENTIALS" not in values:
        raise SettingsError(
            f"{path} does not name SF_CREDENTIALS, so it was not written by "
            "`workbench sandbox --env`"
        )
    return values


def read_flow_file(path: Path) -> bytes:
    """The bytes of a flow file; of one that is far too large, enough for the loader to say so.

    Raises:
        SettingsError: it is not there, or not readable.
    """
    try:
        with path.open("rb") as file:
            return file.read(_MOST_FLOW_BYTES)
    except OSError as error:
        raise _unreadable(path, "flow file", "is the path right?", error) from error


def parse_override(text: str) -> tuple[str, str]:
    """`path=value` of `--set` as a pair.

    Raises:
        SettingsError: there is no path or no `=`.
    """
    path, equals, value = text.partition("=")
    if not path.strip() or not equals:
        raise SettingsError(
            f"--set {text!r} is not of the form path=value, as in "
            "upsert_contacts.batch.max_in_flight=25"
        )
    return path.strip(), value


def failed_folder(settings: Settings) -> Path:
    """Where failed batches are kept unless an option says otherwise.

    Beside the sandbox's own files for a sandbox, which ends with them; else below
    `$XDG_STATE_HOME` (https://specifications.freedesktop.org/basedir-spec/latest/, 2026-11-23).
    """
    if settings.is_sandbox:
        return Path(settings.sandbox["SF_CREDENTIALS"]).parent / "failed"
    state = settings.env.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "workbench" / "failed"


def parse_seconds(option: str, text: str) -> float:
    """Seconds of a duration such as `30s` or `1m 30s`.

    Raises:
        SettingsError: it is none; the sentence names the option.
    """
    from workbench.flow.duration import PATTERN, parse_duration

    if not re.search(PATTERN, text):
        raise SettingsError(f"{option} {text!r} is no time; write it as 30s or 1m 30s")
    return parse_duration(text)


def _read(path: Path, what: str, hint: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise SettingsError(f"the {what} {path} is not UTF-8 text") from error
    except OSError as error:
        raise _unreadable(path, what, hint, error) from error


def _unreadable(path: Path, what: str, hint: str, error: OSError) -> SettingsError:
    if isinstance(error, FileNotFoundError):
        return SettingsError(f"the {what} {path} is not there; {hint}")
    return SettingsError(f"the {what} {path} can't be read: {error.strerror or error}")
