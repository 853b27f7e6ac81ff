"""A fresh NATS user key, in the text form that nats-server and its clients read.

The form (https://docs.nats.io/running-a-nats-service/configuration/securing_nats/auth_intro/nkey_auth
and https://github.com/nats-io/nkeys, 2026-11-23): prefix, 32 bytes, CRC-16 little-endian, base32.
"""

from __future__ import annotations

import base64
import binascii
import os

__all__ = ["new_user_key"]

_SEED = 18 << 3  # makes the text begin with S
_USER = 20 << 3  # ... with U


def new_user_key() -> tuple[str, str]:
    """(seed, public key): `SU...`, which is the secret, and `U...`, which the server is told."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    seed = os.urandom(32)
    public = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
    # A seed carries two prefixes, what it is and whose it is, in 5 bits each.
    seed_prefix = bytes([_SEED | _USER >> 5, (_USER & 31) << 3])
    return _encode(seed_prefix + seed), _encode(bytes([_USER]) + public)


def _encode(data: bytes) -> str:
    checksum = binascii.crc_hqx(data, 0).to_bytes(2, "little")
    return base64.b32encode(data + checksum).decode().rstrip("=")
