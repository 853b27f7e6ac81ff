"""Who we are to a NATS server: the credentials file in each form that it may have.

Forms, in JSON (one of the first five, with or without `tls`):

    {"nkey": {"seed": "SU..."}}
    {"user": "u", "password": "p"}
    {"token": "t"}
    {"creds": "/path/to/user.creds"}        or the text of such a file
    {"jwt": "ey...", "nkey": {"seed": "SU..."}}
    {"tls": {"ca": "ca.pem", "cert": "me.pem", "key": "me.key", "hostname": "nats.example.org",
             "handshake_first": false}}

or a `.creds` file as `nsc` writes it. Relative paths are taken from the credentials file.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workbench import codec
from workbench.errors import SettingsError

__all__ = ["Credentials", "Tls", "load", "parse"]

_JWT = re.compile(r"-{3,}BEGIN NATS USER JWT-{3,}\s+(\S+)\s+-{3,}END NATS USER JWT-{3,}")
_SEED = re.compile(r"-{3,}BEGIN USER NKEY SEED-{3,}\s+(\S+)\s+-{3,}END USER NKEY SEED-{3,}")
_SEED_FORM = re.compile(r"S[A-Z][A-Z2-7]{56}")
_KEYS = frozenset({"nkey", "user", "password", "token", "creds", "jwt", "tls"})
_TLS_KEYS = frozenset({"ca", "cert", "key", "hostname", "handshake_first"})


@dataclass(frozen=True, slots=True)
class Tls:
    """How to speak TLS. `ca` None means the system's; `cert` and `key` are ours, PEM files."""

    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    hostname: str | None = None
    is_handshake_first: bool = False


@dataclass(frozen=True, slots=True)
class Credentials:
    """What to show the server; all None means nothing. Secrets stay out of `repr`."""

    user: str | None = None
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    seed: str | None = field(default=None, repr=False)
    jwt: str | None = field(default=None, repr=False)
    tls: Tls | None = None

    @property
    def kind(self) -> str:
        """What they are, for messages: `nkey`, `creds`, `user`, `token`, or `none`."""
        if self.jwt:
            return "creds"
        if self.seed:
            return "nkey"
        if self.user:
            return "user"
        return "token" if self.token else "none"


def load(path: Path | str) -> Credentials:
    """Read a credentials file.

    Raises:
        SettingsError: it is missing, unreadable or in no form that we know; names the path and
            never quotes the file.
    """
    file = Path(path)
    try:
        text = file.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise SettingsError(
            f"the NATS credentials file {file} does not exist: create it, or correct "
            'credentials_path (its form: {"nkey": {"seed": "SU..."}})'
        ) from None
    except UnicodeDecodeError:
        raise SettingsError(f"the NATS credentials file {file} is not a text file") from None
    except OSError as error:
        raise SettingsError(
            f"the NATS credentials file {file} can't be read: {error.strerror or error}"
        ) from None
    return parse(text, file)


def parse(text: str, file: Path) -> Credentials:
    """The credentials in a text; `file` is where it came from, for messages and relative paths.

    Raises:
        SettingsError: it is in no form that we know.
    """
    is_json = text.lstrip().startswith("{")
    if not is_json and ("BEGIN NATS USER JWT" in text or "BEGIN USER NKEY SEED" in text):
        return _from_creds(text, file)
    try:
        value = codec.decode(text)
    except ValueError as error:
        raise SettingsError(
            f"the NATS credentials file {file} is neither JSON nor a .creds file: {error}"
        ) from None
    if not isinstance(value, dict):
        raise SettingsError(f"the NATS credentials file {file} must hold a JSON object")
    _known(value, _KEYS, file, "")
    tls = _tls(value["tls"], file) if value.get("tls") is not None else None
    if value.get("creds") is not None:
        return _from_creds_setting(_text(value, "creds", file), file, tls)
    seed = _seed_of(value, file)
    jwt = _text(value, "jwt", file)
    if jwt and not seed:
        raise SettingsError(f"the NATS credentials file {file} has a jwt but no nkey.seed")
    user, password = _text(value, "user", file), _text(value, "password", file)
    if (user is None) != (password is None):
        raise SettingsError(f"the NATS credentials file {file} needs both user and password")
    token = _text(value, "token", file)
    forms = [form for form in (seed, user, token) if form]
    if len(forms) > 1:
        raise SettingsError(
            f"the NATS credentials file {file} must hold one of nkey, user or token, not several"
        )
    if not forms and tls is None:
        raise SettingsError(
            f"the NATS credentials file {file} holds no credentials: give nkey.seed, "
            "user and password, token, creds or tls"
        )
    return Credentials(user=user, password=password, token=token, seed=seed, jwt=jwt, tls=tls)


def _from_creds_setting(setting: str | None, file: Path, tls: Tls | None) -> Credentials:
    text = setting or ""
    is_text = "BEGIN NATS USER JWT" in text
    found = _from_creds(text, file) if is_text else load(file.parent / text)
    if found.kind != "creds":
        raise SettingsError(f"creds in the NATS credentials file {file} is not a .creds file")
    return Credentials(seed=found.seed, jwt=found.jwt, tls=tls)


def _from_creds(text: str, file: Path) -> Credentials:
    """The two blocks of a .creds file, whatever its line ends and surroundings."""
    jwt, seed = _JWT.search(text), _SEED.search(text)
    if jwt is None or seed is None:
        missing = "NATS USER JWT" if jwt is None else "USER NKEY SEED"
        raise SettingsError(
            f"the NATS credentials file {file} has no whole {missing} block: "
            "write it anew with `nsc generate creds`"
        )
    return Credentials(seed=_checked_seed(seed[1], file), jwt=jwt[1])


def _seed_of(value: Mapping[str, Any], file: Path) -> str | None:
    nkey = value.get("nkey")
    if nkey is None:
        return None
    seed = nkey.get("seed") if isinstance(nkey, dict) else None
    if not isinstance(seed, str) or not seed.strip():
        raise SettingsError(
            f"the NATS credentials file {file} must give the nkey as "
            '{"nkey": {"seed": "SU..."}}'
        )
    return _checked_seed(seed.strip(), file)


def _checked_seed(seed: str, file: Path) -> str:
    if not _SEED_FORM.fullmatch(seed):
        hint = "a user seed starts with SU and has 58 characters"
        raise SettingsError(f"the nkey seed in the NATS credentials file {file} is not one: {hint}")
    raw = base64.b32decode(seed + "=" * (-len(seed) % 8))
    if binascii.crc_hqx(raw[:-2], 0) != int.from_bytes(raw[-2:], "little"):
        raise SettingsError(
            f"the nkey seed in the NATS credentials file {file} is damaged: its checksum is wrong"
        )
    if not seed.startswith("SU"):
        raise SettingsError(
            f"the nkey seed in the NATS credentials file {file} is not a user's "
            f"(it starts with {seed[:2]}, a user's with SU)"
        )
    return seed


def _tls(value: Any, file: Path) -> Tls:
    if not isinstance(value, dict):
        raise SettingsError(f"tls in the NATS credentials file {file} must be an object")
    _known(value, _TLS_KEYS, file, "tls.")
    paths: dict[str, Path | None] = {}
    for key in ("ca", "cert", "key"):
        text = _text(value, key, file)
        paths[key] = file.parent / text if text else None
        path = paths[key]
        if path is not None and not path.is_file():
            raise SettingsError(f"tls.{key} in {file} names {path}, which does not exist")
    if (paths["cert"] is None) != (paths["key"] is None):
        raise SettingsError(f"tls in {file} needs both cert and key")
    return Tls(
        **paths,
        hostname=_text(value, "hostname", file),
        is_handshake_first=value.get("handshake_first") is True,
    )


def _known(value: Mapping[str, Any], keys: frozenset[str], file: Path, where: str) -> None:
    for key in value:
        if key not in keys:
            raise SettingsError(
                f"the NATS credentials file {file} has an unknown key {where + key!r}; "
                f"known are {', '.join(sorted(keys))}"
            )


def _text(value: Mapping[str, Any], key: str, file: Path) -> str | None:
    found = value.get(key)
    if found is None:
        return None
    if not isinstance(found, str) or not found:
        raise SettingsError(f"{key} in the NATS credentials file {file} must be a text")
    return found
