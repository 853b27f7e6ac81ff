"""What the user set, and what the application remembers.

The settings are `config.toml` in the platform's place for configuration; what is remembered
(`state.json`) lies in its place for state and may be deleted at any time.
"""

from __future__ import annotations

import json
import os
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from workbench.errors import SettingsError
from workbench.tui.actions import ACTIONS

__all__ = [
    "Config",
    "State",
    "config_path",
    "load_config",
    "load_state",
    "save_state",
    "state_path",
]

_MAX_BYTES = 256 * 1024
_MODIFIERS = frozenset(("ctrl", "shift", "alt", "super", "hyper", "meta"))


@dataclass(frozen=True, slots=True)
class Config:
    """`config.toml`.

    Attributes:
        theme: a theme's name; empty for the one chosen last, or our own.
        frames_per_second: how often moving panes are drawn; 0 chooses 10, or 5 over SSH.
        kept_events: rows that the list of events remembers.
        keys: other keys for actions, by the action's id.
    """

    theme: str = ""
    frames_per_second: int = 0
    kept_events: int = 20_000
    keys: Mapping[str, str] = field(default_factory=dict)

    @property
    def frame_seconds(self) -> float:
        default = 5 if os.environ.get("SSH_CONNECTION") else 10
        return 1 / (self.frames_per_second or default)


@dataclass(slots=True)
class State:
    """What is remembered from one time to the next."""

    theme: str = ""
    last_file: str = ""
    shows_files: bool = True


def config_path(env: Mapping[str, str] = os.environ) -> Path:
    """Where `config.toml` is looked for."""
    return _place(env, "XDG_CONFIG_HOME", ".config", "APPDATA") / "config.toml"


def state_path(env: Mapping[str, str] = os.environ) -> Path:
    """Where `state.json` is kept."""
    return _place(env, "XDG_STATE_HOME", ".local/state", "LOCALAPPDATA") / "state.json"


def _place(env: Mapping[str, str], variable: str, default: str, windows: str) -> Path:
    given = env.get(variable, "")
    if Path(given).is_absolute():  # the XDG specification: relative ones are to be ignored
        return Path(given) / "workbench"
    if sys.platform == "win32" and env.get(windows):
        return Path(env[windows]) / "workbench"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "workbench"
    return Path.home() / default / "workbench"


def load_config(path: Path) -> Config:
    """The settings; a file that is not there means that nothing is set.

    Raises:
        SettingsError: the file can't be read, or a setting in it is wrong.
    """
    try:
        text = path.read_bytes()[:_MAX_BYTES].decode()
        values = tomllib.loads(text)
    except FileNotFoundError:
        return Config()
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{path}: {error}; correct or remove it") from error
    known = {item.name for item in fields(Config)}
    for name in values:
        if name not in known:
            raise SettingsError(
                f"{path}: no setting {name!r}; there are {', '.join(sorted(known))}"
            )
    return Config(
        theme=_typed(path, values, "theme", str, ""),
        frames_per_second=_number(path, values, "frames_per_second", 0, 0, 60),
        kept_events=_number(path, values, "kept_events", 20_000, 100, 1_000_000),
        keys=_keys(path, _typed(path, values, "keys", dict, {})),
    )


def _typed(path: Path, values: Mapping[str, Any], name: str, kind: type, default: Any) -> Any:
    value = values.get(name, default)
    if type(value) is not kind:
        wanted = {str: "a text", int: "a whole number", dict: "a table"}[kind]
        raise SettingsError(f"{path}: {name} must be {wanted}")
    return value


def _number(
    path: Path, values: Mapping[str, Any], name: str, default: int, least: int, most: int
) -> int:
    value: int = _typed(path, values, name, int, default)
    if not least <= value <= most:
        raise SettingsError(f"{path}: {name} must be from {least} to {most}")
    return value


def _keys(path: Path, table: Mapping[str, Any]) -> dict[str, str]:
    known = {action.id for action in ACTIONS}
    for name, keys in table.items():
        if name not in known:
            raise SettingsError(f"{path}: no action {name!r}; docs/keys.md lists them all")
        if not isinstance(keys, str) or not keys.strip():
            raise SettingsError(f"{path}: the keys of {name!r} must be a text, as in 'ctrl+s,f12'")
        for key in keys.split(","):
            if not _is_key(key.strip()):
                raise SettingsError(
                    f"{path}: {name!r} has no key {key.strip()!r}; keys are written as 'f5', "
                    "'ctrl+s', 'shift+up' or 'question_mark', several with commas between"
                )
    return dict(table)


def _is_key(name: str) -> bool:
    """Whether a terminal may send it, by the names that Textual gives to keys."""
    from textual.keys import KEY_NAME_REPLACEMENTS, Keys, key_to_character

    *modifiers, key = name.split("+") if name != "+" else [name]
    named = {known.value.rpartition("+")[2] for known in Keys} | {*KEY_NAME_REPLACEMENTS.values()}
    is_named = len(key) == 1 or key in named or key_to_character(key) is not None
    return is_named and _MODIFIERS.issuperset(modifiers)


def load_state(path: Path) -> State:
    """What was remembered; nothing, where that is missing or of no use."""
    try:
        values = json.loads(path.read_bytes()[:_MAX_BYTES])
    except (OSError, ValueError):
        return State()
    state = State()
    if isinstance(values, dict):
        for item in fields(State):
            value = values.get(item.name)
            if type(value) is type(getattr(state, item.name)):
                setattr(state, item.name, value)
    return state


def save_state(path: Path, state: State) -> None:
    """Remember; a disk that refuses is no reason to disturb anybody."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        part.write_text(json.dumps(asdict(state), indent=2) + "\n", encoding="utf-8")
        part.replace(path)
    except OSError:
        return
