"""What we show a NATS server when connecting, and in a few words why it did not take us."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Mapping
from typing import Any

from workbench.errors import SettingsError
from workbench.jetstream.client import NatsClient
from workbench.jetstream.credentials import Credentials

__all__ = ["connect_options", "plain", "why_dropped", "why_failed"]


def connect_options(shown: Credentials, is_tls: bool) -> dict[str, Any]:
    """nats-py's options for what we show and how."""
    options: dict[str, Any] = {}
    if shown.jwt and shown.seed:
        from nats.aio.client import RawCredentials

        options["user_credentials"] = RawCredentials(
            "-----BEGIN NATS USER JWT-----\n"
            f"{shown.jwt}\n"
            "------END NATS USER JWT------\n\n"
            "-----BEGIN USER NKEY SEED-----\n"
            f"{shown.seed}\n"
            "------END USER NKEY SEED------\n"
        )
    elif shown.seed:
        options["nkeys_seed_str"] = shown.seed
    elif shown.user is not None:
        options["user"], options["password"] = shown.user, shown.password or ""
    elif shown.token is not None:
        options["token"] = shown.token
    if is_tls:
        options["tls"] = _ssl_context(shown)
        if shown.tls is not None:
            options["tls_hostname"] = shown.tls.hostname
            options["tls_handshake_first"] = shown.tls.is_handshake_first
    return options


def _ssl_context(shown: Credentials) -> ssl.SSLContext:
    tls = shown.tls
    try:
        context = ssl.create_default_context(cafile=str(tls.ca) if tls and tls.ca else None)
        if tls is not None and tls.cert is not None:
            context.load_cert_chain(tls.cert, tls.key)
    except (ssl.SSLError, OSError) as error:
        raise SettingsError(
            f"the TLS files of the NATS credentials can't be used: {error}"
        ) from error
    return context


def plain(error: BaseException) -> str:
    """nats-py's message without its decoration."""
    return str(error).removeprefix("nats: ").strip("'") or type(error).__name__


def _refused(shown: Credentials) -> str:
    if shown.kind == "none":
        return "it wants credentials and we have none; set credentials_path"
    given = {
        "nkey": "the nkey",
        "creds": "the .creds",
        "user": f"user {shown.user!r} or its password",
        "token": "the token",
    }[shown.kind]
    return f"it does not accept {given}"


def why_dropped(greeting: Mapping[str, Any], shown: Credentials) -> str:
    """Cut off between its INFO and its first PONG: its words were lost, but not what it wanted."""
    if greeting.get("tls_verify") and (shown.tls is None or shown.tls.cert is None):
        return "it wants a client certificate and we have none; set tls.cert and tls.key"
    if greeting.get("tls_verify"):
        return "it does not accept our client certificate"
    if greeting.get("auth_required"):
        return _refused(shown)
    return "it closed the connection during the handshake"


def _certificate_mend(error: ssl.SSLCertVerificationError) -> str:
    match error.verify_code:
        case 62 | 64:  # host name, IP address mismatch
            return "connect by a name that the certificate holds"
        case 9 | 10:  # not yet valid, expired
            return "the server needs one that is valid now, or this machine's clock is wrong"
        case _:
            return 'name its authority in the credentials file as {"tls": {"ca": "..."}}'


def why_failed(error: BaseException, shown: Credentials, client: NatsClient) -> str:
    """The reason in a few words, with the mend where there is one; most specific first."""
    text = str(error)
    if isinstance(error, ssl.SSLCertVerificationError):
        said = error.verify_message.rstrip(".")
        return f"its TLS certificate fails verification ({said}); {_certificate_mend(error)}"
    if isinstance(error, ssl.SSLError) and client.greeting.get("tls_verify"):
        return why_dropped(client.greeting, shown)
    if isinstance(error, ssl.SSLError):
        return f"the TLS handshake failed ({error.reason or text})"
    if isinstance(error, ConnectionError) and client.greeting:
        return why_dropped(client.greeting, shown)
    if isinstance(error, socket.gaierror):
        return "its name can't be resolved"
    if isinstance(error, ConnectionRefusedError) or "Connect call failed" in text:
        return "connection refused: nothing listens there"
    hint = ""
    if client.is_tls_wanted and not client.greeting:
        hint = '; if it expects TLS at once, set {"tls": {"handshake_first": true}}'
    if isinstance(error, TimeoutError):
        return f"it did not answer in time{hint}"
    lowered = text.lower()
    if "authorization violation" in lowered or "authentication" in lowered:
        return _refused(shown)
    if "offers no tls" in lowered:
        return "TLS was asked for and this server offers none; use nats:// only if that is meant"
    if "info message" in lowered:
        return f"what answers there is not a NATS server{hint}"
    return plain(error)
