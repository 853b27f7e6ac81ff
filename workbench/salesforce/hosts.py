"""What the host part of a Salesforce URL tells: whether it may be spoken to, and what org it is."""

from __future__ import annotations

from enum import StrEnum
from urllib.parse import urlsplit

from workbench.errors import SettingsError

__all__ = ["HostKind", "check_url", "is_loopback", "kind_of_host"]

_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


class HostKind(StrEnum):
    """What a host name says about the org behind it."""

    LOGIN = "login host of production orgs"
    TEST = "login host of sandboxes"
    MY_DOMAIN = "My Domain of a production or Developer Edition org"
    SANDBOX = "My Domain of a sandbox"
    DEVELOPER = "My Domain of a Developer Edition org"
    SCRATCH = "My Domain of a scratch org"
    PLAYGROUND = "My Domain of a Trailhead playground"
    LOOPBACK = "this machine"
    OTHER = "not a host name of Salesforce's"


# Partitioned My Domain names: help.salesforce.com, article "My Domain URL Formats", 2026-11-23.
_PARTITIONS = {
    "sandbox": HostKind.SANDBOX,
    "develop": HostKind.DEVELOPER,
    "scratch": HostKind.SCRATCH,
    "trailblaze": HostKind.PLAYGROUND,
}


def is_loopback(url: str) -> bool:
    """Whether the URL's host is this machine by name or address."""
    return (urlsplit(url).hostname or "") in _LOOPBACK


def check_url(url: str, where: str) -> str:
    """The URL without a trailing slash, once it is known to be safe to send a secret to.

    Raises:
        SettingsError: no URL, or plain http to anything but this machine; `where` names the place.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise SettingsError(
            f"{where}: {url!r} is not a web address; "
            "write it as https://MYDOMAIN.my.salesforce.com or https://login.salesforce.com"
        )
    if parts.scheme == "http" and not is_loopback(url):
        raise SettingsError(
            f"{where}: {url!r} would send secrets unencrypted; use https "
            "(plain http is allowed only for this machine, as for the sandbox)"
        )
    return f"{parts.scheme}://{parts.netloc}"


def kind_of_host(url: str) -> HostKind:
    """What kind of org, or login host, the URL belongs to."""
    host = (urlsplit(url).hostname or "").lower()
    if is_loopback(url):
        return HostKind.LOOPBACK
    if host == "login.salesforce.com":
        return HostKind.LOGIN
    if host == "test.salesforce.com":
        return HostKind.TEST
    if not host.endswith((".salesforce.com", ".force.com", ".salesforce.mil")):
        return HostKind.OTHER
    for label, kind in _PARTITIONS.items():
        if f".{label}.my." in host:
            return kind
    return HostKind.SANDBOX if "--" in host else HostKind.MY_DOMAIN
