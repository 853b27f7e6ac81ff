"""An operator, an account with JetStream and a user, as `nsc` would make them, for `.creds`."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import time
from typing import Any

import nkeys


class _Key:
    def __init__(self, prefix: int) -> None:
        self.seed = nkeys.encode_seed(os.urandom(32), prefix).decode()
        self.pair = nkeys.from_seed(bytearray(self.seed.encode()))
        self.public = self.pair.public_key.decode()

    def sign(self, subject: str, name: str, nats: dict[str, Any]) -> str:
        """A JWT in which this key says that `subject` is what `nats` says."""
        claims = {"iat": int(time.time()), "iss": self.public, "name": name, "sub": subject}
        claims["nats"] = {"version": 2, **nats}
        digest = hashlib.sha256(json.dumps(claims).encode()).digest()
        claims["jti"] = base64.b32encode(digest).decode().rstrip("=")
        head = _text(json.dumps({"typ": "JWT", "alg": "ed25519-nkey"}).encode())
        body = f"{head}.{_text(json.dumps(claims).encode())}"
        return f"{body}.{_text(self.pair.sign(body.encode()))}"


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def operator() -> tuple[str, str]:
    """A server configuration that trusts one operator, and the text of a user's .creds file."""
    root, system, account, user = (
        _Key(prefix)
        for prefix in (
            nkeys.PREFIX_BYTE_OPERATOR,
            nkeys.PREFIX_BYTE_ACCOUNT,
            nkeys.PREFIX_BYTE_ACCOUNT,
            nkeys.PREFIX_BYTE_USER,
        )
    )
    limits = {
        "subs": -1, "conn": -1, "leaf": -1, "imports": -1, "exports": -1, "data": -1,
        "payload": -1, "wildcards": True,
    }  # fmt: skip
    storage = {"mem_storage": -1, "disk_storage": -1, "streams": -1, "consumer": -1}
    system_jwt = root.sign(system.public, "SYS", {"type": "account", "limits": limits})
    account_jwt = root.sign(
        account.public, "A", {"type": "account", "limits": {**limits, **storage}}
    )
    user_jwt = account.sign(
        user.public, "u", {"type": "user", "subs": -1, "data": -1, "payload": -1}
    )
    operator_jwt = root.sign(
        root.public, "O", {"type": "operator", "system_account": system.public}
    )
    config = (
        f"operator: {operator_jwt}\nsystem_account: {system.public}\nresolver: MEMORY\n"
        f"resolver_preload {{ {account.public}: {account_jwt}\n {system.public}: {system_jwt} }}\n"
    )
    creds = (
        f"-----BEGIN NATS USER JWT-----\n{user_jwt}\n------END NATS USER JWT------\n\n"
        f"-----BEGIN USER NKEY SEED-----\n{user.seed}\n------END USER NKEY SEED------\n"
    )
    return config, creds
