"""Where the Pub/Sub API is, and whether it may be spoken to in plain text."""

from __future__ import annotations

from urllib.parse import urlsplit

from workbench.errors import SettingsError
from workbench.salesforce.hosts import is_loopback

__all__ = ["DEFAULT_ENDPOINT", "Endpoint"]

# https://developer.salesforce.com/docs/platform/pub-sub-api/guide/pub-sub-endpoints.html,
# 2026-11-23; 443 serves the same, for networks that let nothing else out.
DEFAULT_ENDPOINT = "api.pubsub.salesforce.com:7443"
DEFAULT_PORT = 7443


class Endpoint:
    """Where the API is. `host:port` means TLS, except on this machine, where it means plain text
    (the sandbox); `https://localhost:port` is TLS there too.

    Raises:
        SettingsError: no host, a port that is none, or plain text to another machine.
    """

    def __init__(self, text: str) -> None:
        url = text if "://" in text else f"//{text}"
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port or DEFAULT_PORT
        except ValueError as error:
            raise SettingsError(f"endpoint {text!r}: {error}") from error
        if not host or parts.path.strip("/") or parts.scheme not in ("", "http", "https"):
            raise SettingsError(
                f"endpoint {text!r} is no host and port; write it as {DEFAULT_ENDPOINT}"
            )
        self.is_loopback = is_loopback(url)
        if parts.scheme == "http" and not self.is_loopback:
            raise SettingsError(
                f"endpoint {text!r} would send the session unencrypted; leave http:// out "
                "(plain text is allowed only to this machine, as for the sandbox)"
            )
        self.is_tls = parts.scheme == "https" or not self.is_loopback
        self.target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
