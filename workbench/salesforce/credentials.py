"""The credentials file: what it may hold, and which way of logging in follows from it.

```json
{"client_id": "…", "client_secret": "…", "login_url": "https://MYDOMAIN.my.salesforce.com"}
```
logs in by client credentials; with `username` and `password` by username-password; with
`username` and `private_key` (PEM text) or `private_key_path` by JWT bearer; `access_token` with
`instance_url` is used as it is.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import Any

from workbench import codec
from workbench.errors import SettingsError
from workbench.salesforce.hosts import HostKind, check_url, kind_of_host

__all__ = ["CredentialFacts", "Credentials", "Grant", "describe", "parse", "read"]

DEFAULT_LOGIN_URL = "https://login.salesforce.com"

_SECRETS = {"client_secret", "password", "security_token", "private_key", "access_token"}
_PLACEHOLDER = "your_"


class Grant(StrEnum):
    """How a login is made."""

    PASSWORD = "username-password"
    CLIENT_CREDENTIALS = "client credentials"
    JWT_BEARER = "JWT bearer"
    READY_TOKEN = "ready-made access token"


@dataclass(frozen=True, slots=True, repr=False)
class Credentials:
    """What a credentials file says, checked. Its repr shows no secret.

    `source` names the file for errors; `login_url` and `instance_url` carry no trailing slash;
    `private_key` is PEM text whichever way it was given; `ca_file` is a bundle of further
    certificate authorities to trust.
    """

    source: str
    client_id: str = ""
    client_secret: str = ""
    username: str = ""
    password: str = ""
    security_token: str = ""
    login_url: str = DEFAULT_LOGIN_URL
    instance_url: str = ""
    access_token: str = ""
    private_key: str = ""
    audience: str = ""
    scope: str = ""
    ca_file: str = ""

    @property
    def grant(self) -> Grant:
        """The way of logging in that follows from what the file holds."""
        if self.access_token and not self.client_id:
            return Grant.READY_TOKEN
        if self.private_key:
            return Grant.JWT_BEARER
        return Grant.PASSWORD if self.username else Grant.CLIENT_CREDENTIALS

    def __repr__(self) -> str:
        shown = {
            field.name: "***" if field.name in _SECRETS else getattr(self, field.name)
            for field in fields(self)
            if getattr(self, field.name)
        }
        inside = ", ".join(f"{name}={value!r}" for name, value in shown.items())
        return f"Credentials({inside})"


_KEYS = {field.name for field in fields(Credentials)} - {"source"} | {"private_key_path"}


def read(path: str | os.PathLike[str]) -> Credentials:
    """The credentials in a JSON file; paths inside it are relative to its folder.

    Raises:
        SettingsError: it cannot be read, is not a JSON object, or lacks what a login needs.
    """
    file = Path(path)
    try:
        data = file.read_bytes()
    except OSError as error:
        raise SettingsError(
            f"the Salesforce credentials file {str(path)!r} cannot be read: "
            f"{error.strerror or error}; set credentials_path to a file that exists"
        ) from error
    try:
        value = codec.decode(data)
    except ValueError as error:
        raise SettingsError(f"the Salesforce credentials file {str(path)!r}: {error}") from error
    return parse(value, source=str(path), folder=file.parent)


def parse(value: Any, *, source: str, folder: Path | None = None) -> Credentials:
    """Credentials from a decoded JSON object; `source` names it in errors.

    Unknown keys are left alone, because other tools keep theirs in the same file.

    Raises:
        SettingsError: not an object, a value that is no text, a placeholder, or a gap.
    """
    where = f"the Salesforce credentials file {source!r}"
    if not isinstance(value, dict):
        raise SettingsError(f"{where} must hold one JSON object with client_id and so on")
    given: dict[str, str] = {}
    for key in (key for key in value if key in _KEYS):  # in the file's order
        text = value[key]
        if text is None or text == "":
            continue
        if not isinstance(text, str):
            raise SettingsError(f"{where}: {key} must be a text in quotes")
        if text.startswith(_PLACEHOLDER):
            raise SettingsError(
                f"{where} still holds the placeholder {text!r} for {key}; "
                "put in the value of your own org, or run with --sandbox, which needs none"
            )
        given[key] = text if key in _SECRETS else text.strip()
    _load_private_key(given, where, folder)
    for key in ("login_url", "instance_url"):
        if key in given:
            given[key] = check_url(given[key], f"{where}, {key}")
    if "ca_file" in given:
        given["ca_file"] = _existing(given["ca_file"], folder, f"{where}, ca_file")
    credentials = Credentials(source=source, **given)
    _check_complete(credentials, where)
    return credentials


def _load_private_key(given: dict[str, str], where: str, folder: Path | None) -> None:
    path = given.pop("private_key_path", None)
    if path is None or "private_key" in given:
        return
    file = _existing(path, folder, f"{where}, private_key_path")
    given["private_key"] = Path(file).read_text(encoding="utf-8", errors="replace")


def _existing(path: str, folder: Path | None, where: str) -> str:
    file = (folder or Path()) / path
    if not file.is_file():
        raise SettingsError(f"{where}: there is no file {str(file)!r}")
    return str(file)


def _check_complete(credentials: Credentials, where: str) -> None:
    grant = credentials.grant
    required: tuple[str, ...]
    match grant:
        case Grant.READY_TOKEN:
            required = ("access_token", "instance_url")
        case Grant.JWT_BEARER:
            required = ("client_id", "username")
        case Grant.PASSWORD:
            # A connected app may be set not to ask for its secret in this flow.
            required = ("client_id", "username", "password")
        case Grant.CLIENT_CREDENTIALS:
            required = ("client_id", "client_secret")
    missing = [key for key in required if not getattr(credentials, key)]
    if missing:
        raise SettingsError(
            f"{where} lacks {' and '.join(missing)}: login by {grant.value} needs "
            f"{', '.join(required)}"
        )
    if grant is Grant.CLIENT_CREDENTIALS and kind_of_host(credentials.login_url) in (
        HostKind.LOGIN,
        HostKind.TEST,
    ):
        raise SettingsError(
            f"{where}: login by client credentials works on the org's own host only; "
            "set login_url to https://MYDOMAIN.my.salesforce.com"
        )


@dataclass(frozen=True, slots=True)
class CredentialFacts:
    """What checking a flow may say about its credentials, without logging in.

    `warnings` are whole sentences, empty when nothing is doubtful.
    """

    grant: Grant
    login_url: str
    host: HostKind
    username: str
    is_readable_by_others: bool
    warnings: tuple[str, ...]


def describe(path: str | os.PathLike[str]) -> CredentialFacts:
    """The facts about a credentials file.

    Raises:
        SettingsError: as `read`.
    """
    credentials = read(path)
    host = kind_of_host(credentials.login_url)
    mode = os.stat(path).st_mode
    is_open = os.name == "posix" and bool(mode & (stat.S_IRGRP | stat.S_IROTH))
    warnings = []
    if is_open:
        warnings.append(
            f"{str(path)!r} can be read by other users of this machine: chmod 600 {path}"
        )
    if credentials.grant is Grant.PASSWORD and host is not HostKind.LOOPBACK:
        warnings.append(
            "username-password login is refused by default in orgs created since Summer '23 and "
            "is deprecated; client credentials on the My Domain host replace it"
        )
    if host is HostKind.OTHER:
        warnings.append(f"{credentials.login_url} is not a host name of Salesforce's")
    return CredentialFacts(
        grant=credentials.grant,
        login_url=credentials.login_url,
        host=host,
        username=credentials.username,
        is_readable_by_others=is_open,
        warnings=tuple(warnings),
    )
