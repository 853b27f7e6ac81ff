"""Server lists as people write them, and what they say about credentials and TLS."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from workbench.errors import SettingsError
from workbench.jetstream.credentials import Credentials

__all__ = ["Servers", "parse_servers"]

DEFAULT_PORT = 4222


@dataclass(frozen=True, slots=True)
class Servers:
    """Where to connect: `addresses` are `nats://host:port` and hold no secret.

    `is_tls` is whether any of them was written `tls://`; `credentials` is what the URLs held,
    percent-decoded, or None.
    """

    addresses: tuple[str, ...]
    is_tls: bool
    credentials: Credentials | None


def parse_servers(url: str) -> Servers:
    """`nats://a:4222,tls://user:p%40ss@b` as addresses, and credentials apart.

    Raises:
        SettingsError: nothing to connect to, a scheme that is not ours, a bad port, or two URLs
            with different credentials. The message holds no secret.
    """
    parts = [part.strip() for part in url.split(",") if part.strip()]
    if not parts:
        raise SettingsError("url names no NATS server: write it as nats://host:4222")
    addresses: list[str] = []
    found: list[Credentials] = []
    is_tls = False
    for number, part in enumerate(parts, 1):
        text = part if "://" in part else f"nats://{part}"
        where = f"NATS URL number {number}" if len(parts) > 1 else "the NATS URL"
        try:
            split = urlsplit(text)
            host, port = split.hostname, split.port or DEFAULT_PORT
        except ValueError as error:
            raise SettingsError(
                f"{where} is not one (nats://host:port); a password in it must be percent-encoded"
            ) from error
        if split.scheme not in ("nats", "tls"):
            raise SettingsError(f"{where} starts with {split.scheme}://; use nats:// or tls://")
        if not host or split.path not in ("", "/"):
            raise SettingsError(
                f"{where} must be {split.scheme}://host:port; a password in it must be "
                "percent-encoded"
            )
        is_tls = is_tls or split.scheme == "tls"
        addresses.append(f"nats://[{host}]:{port}" if ":" in host else f"nats://{host}:{port}")
        if split.username and split.password is None:
            found.append(Credentials(token=unquote(split.username)))
        elif split.username:
            found.append(
                Credentials(user=unquote(split.username), password=unquote(split.password or ""))
            )
    if any(other != found[0] for other in found):
        raise SettingsError("the NATS URLs hold different credentials: give the same in each")
    return Servers(tuple(dict.fromkeys(addresses)), is_tls, found[0] if found else None)
