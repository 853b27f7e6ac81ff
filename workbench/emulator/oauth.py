"""Logging in: the token endpoint with its three grants; revoke, introspect, userinfo, identity."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote

import orjson

from .api import Answer
from .certificates import rsa_public_key
from .faults import Fault
from .ids import long_id
from .refusals import ApiError

if TYPE_CHECKING:
    from .org import Org
    from .sessions import User

__all__ = [
    "bearer_token",
    "identity",
    "introspect",
    "login_fault",
    "revoke",
    "token",
    "userinfo",
]

JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
LOGIN_HOSTS = ("https://login.salesforce.com", "https://test.salesforce.com")
"""Audiences that a JWT may name, besides the address at which the emulator was reached."""

_LOGIN_FAULTS = {
    "grant": (400, "invalid_grant", "authentication failure"),
    "client": (400, "invalid_client_id", "client identifier invalid"),
    "user": (400, "invalid_grant", "no client credentials user enabled"),
    "rate": (403, "invalid_grant", "login rate exceeded"),
}


def refuse(error: str, description: str, status: int = 400) -> ApiError:
    """A refusal in OAuth's own shape, an object and no array."""
    return ApiError(status, body={"error": error, "error_description": description})


def login_fault(fault: Fault) -> ApiError:
    """What a `login` fault answers."""
    status, error, description = _LOGIN_FAULTS[fault.value]
    return refuse(error, description, status)


def token(org: Org, base_url: str, headers: Mapping[str, str], body: bytes) -> Answer:
    """POST /services/oauth2/token.

    Raises:
        ApiError: credentials refused, with `error` and `error_description`.
    """
    form = _form(body)
    grant = form.get("grant_type", "")
    if grant == JWT_BEARER:
        user = _jwt_user(org, base_url, form.get("assertion", ""))
    elif grant in ("password", "client_credentials"):
        _check_client(org, headers, form)
        user = org.user
        if grant == "password":
            _check_password(org, form)
    else:
        raise refuse("unsupported_grant_type", "grant type not supported")
    answer = _token_answer(org, base_url, user)
    if grant != "password":
        answer["scope"] = "api"
    return Answer(200, answer, {"Cache-Control": "no-cache, no-store"})


def revoke(org: Org, query: Mapping[str, str], body: bytes) -> Answer:
    """POST (or GET) /services/oauth2/revoke."""
    if not org.sessions.revoke(_form(body).get("token") or query.get("token", "")):
        raise refuse("unsupported_token_type", "this token type is not supported")
    return Answer(200)


def introspect(org: Org, base_url: str, headers: Mapping[str, str], body: bytes) -> Answer:
    """POST /services/oauth2/introspect, by the connected app only.

    https://help.salesforce.com/s/articleView?id=xcloud.remoteaccess_oidc_token_introspection_endpoint.htm
    (2026-11-28)

    Raises:
        ApiError: the app's credentials are refused.
    """
    form = _form(body)
    _check_client(org, headers, form)
    ages = org.sessions.ages(form.get("token", ""))
    if ages is None:
        return Answer(200, {"active": False})
    since, left = ages
    now = time.time()
    return Answer(
        200,
        {
            "active": True,
            "scope": "api",
            "client_id": org.credentials.client_id,
            "username": org.user.username,
            "sub": _identity_url(org, base_url, org.user),
            "token_type": "access_token",
            "exp": int(now + left),
            "iat": int(now - since),
            "nbf": int(now - since),
        },
    )


def userinfo(org: Org, base_url: str, user: User) -> Answer:
    """GET /services/oauth2/userinfo."""
    return Answer(
        200,
        {
            "sub": _identity_url(org, base_url, user),
            "user_id": user.id,
            "organization_id": org.id,
            "preferred_username": user.username,
            "nickname": user.username,
            "name": user.name,
            "email": user.email,
            "email_verified": True,
            "zoneinfo": "Etc/UTC",
            "user_type": "STANDARD",
            "language": "en_US",
            "locale": "en_US",
            "active": True,
            "urls": _urls(base_url),
        },
    )


def identity(org: Org, base_url: str, user: User, path: str) -> Answer:
    """GET /id/<org>/<user>."""
    parts = [p for p in path.split("/") if p]
    if len(parts) != 3 or long_id(parts[1]) != org.id or long_id(parts[2]) != user.id:
        raise ApiError(404, "NOT_FOUND", "The requested resource does not exist")
    return Answer(
        200,
        {
            "id": _identity_url(org, base_url, user),
            "asserted_user": True,
            "user_id": user.id,
            "organization_id": org.id,
            "username": user.username,
            "nick_name": user.username,
            "display_name": user.name,
            "email": user.email,
            "active": True,
            "user_type": "STANDARD",
            "language": "en_US",
            "locale": "en_US",
            "urls": _urls(base_url),
        },
    )


def bearer_token(headers: Mapping[str, str]) -> str | None:
    """The token of an Authorization header; None without one.

    Raises:
        ApiError: 401, the header is of another form.
    """
    header = headers.get("authorization")
    if not header:
        return None
    scheme, _, value = header.partition(" ")
    if scheme.lower() not in ("bearer", "oauth") or not value.strip():
        raise ApiError(401, "INVALID_AUTH_HEADER", "INVALID_HEADER_TYPE")
    return value.strip()


def _form(body: bytes) -> dict[str, str]:
    return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))


def _token_answer(org: Org, base_url: str, user: User) -> dict[str, Any]:
    identity_url = _identity_url(org, base_url, user)
    issued_at = str(int(time.time() * 1000))
    key = org.credentials.client_secret.encode()
    digest = hmac.new(key, (identity_url + issued_at).encode(), hashlib.sha256).digest()
    return {
        "access_token": org.sessions.issue(user),
        "instance_url": base_url,
        "id": identity_url,
        "token_type": "Bearer",
        "issued_at": issued_at,
        "signature": base64.b64encode(digest).decode(),
    }


def _identity_url(org: Org, base_url: str, user: User) -> str:
    return f"{base_url}/id/{org.id}/{user.id}"


def _urls(base_url: str) -> dict[str, str]:
    rest = f"{base_url}/services/data/v{{version}}/"
    return {
        "rest": rest,
        "sobjects": f"{rest}sobjects/",
        "query": f"{rest}query/",
        "recent": f"{rest}recent/",
    }


def _check_client(org: Org, headers: Mapping[str, str], form: Mapping[str, str]) -> None:
    client_id, secret = form.get("client_id"), form.get("client_secret")
    scheme, _, value = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            text = base64.b64decode(value.strip(), validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            raise refuse("invalid_client", "invalid client credentials") from None
        given_id, _, given_secret = text.partition(":")
        client_id = client_id or unquote(given_id)
        secret = secret or unquote(given_secret)
    if not _same(client_id, org.credentials.client_id):
        raise refuse("invalid_client_id", "client identifier invalid")
    if not _same(secret, org.credentials.client_secret):
        raise refuse("invalid_client", "invalid client credentials")


def _check_password(org: Org, form: Mapping[str, str]) -> None:
    username_fits = _same(form.get("username", "").lower(), org.credentials.username.lower())
    if not username_fits or not _same(form.get("password"), org.credentials.password):
        raise refuse("invalid_grant", "authentication failure")


def _same(given: str | None, wanted: str) -> bool:
    return given is not None and hmac.compare_digest(given.encode(), wanted.encode())


def _jwt_user(org: Org, base_url: str, assertion: str) -> User:
    parts = assertion.split(".")
    try:
        header, claims = (orjson.loads(_unbase64(p)) for p in parts[:2])
        signature = _unbase64(parts[2])
    except (ValueError, IndexError):
        raise refuse("invalid_grant", "invalid assertion") from None
    if not isinstance(header, dict) or not isinstance(claims, dict) or len(parts) != 3:
        raise refuse("invalid_grant", "invalid assertion")
    if claims.get("iss") != org.credentials.client_id:
        raise refuse("invalid_client_id", "client identifier invalid")
    if header.get("alg") != "RS256" or not _is_signed(org, ".".join(parts[:2]).encode(), signature):
        raise refuse("invalid_grant", "invalid assertion")
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    known = {*LOGIN_HOSTS, base_url}
    if not any(isinstance(a, str) and _site(a) in known for a in audiences):
        raise refuse("invalid_grant", "audience is invalid")
    if _moment(claims.get("exp")) < time.time():
        raise refuse("invalid_grant", "expired authorization code")
    subject = claims.get("sub") or claims.get("prn")
    if not isinstance(subject, str) or subject.lower() != org.credentials.username.lower():
        raise refuse("invalid_grant", "user hasn't approved this consumer")
    return org.user


def _moment(value: Any) -> float:
    """Epoch seconds; simple-salesforce sends them as a text, and real orgs let it in."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return 0.0


def _site(url: str) -> str:
    match = re.match(r"https?://[^/]+", url)
    return match[0] if match else url


def _unbase64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _is_signed(org: Org, signed: bytes, signature: bytes) -> bool:
    """True where one of the registered keys, certificates or plain public keys, made it."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding

    for pem in org.credentials.jwt_certificates:
        try:
            rsa_public_key(pem).verify(signature, signed, padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature:
            continue
        return True
    return False
