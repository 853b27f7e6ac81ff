"""What is posted to the token endpoint, and what its refusals mean in the org's own terms.

Everything here is pure but for the clock that dates a JWT, which is passed in.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

from workbench import codec
from workbench.errors import (
    AuthenticationError,
    AuthorizationError,
    RequestLimitError,
    SalesforceError,
    ServerError,
    SettingsError,
    TransportError,
)
from workbench.salesforce.credentials import Credentials, Grant
from workbench.salesforce.hosts import HostKind, check_url, kind_of_host

__all__ = ["TOKEN_PATH", "Token", "form_of", "login_refusal", "long_id", "token_of"]

TOKEN_PATH = "/services/oauth2/token"
_JWT_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"

# Salesforce's ceiling is given as 3 to 5 minutes; the shorter one works with both.
# https://help.salesforce.com/s/articleView?id=sf.remoteaccess_oauth_jwt_flow.htm, 2026-11-23
JWT_LIFETIME_SECONDS = 180


@dataclass(frozen=True, slots=True, repr=False)
class Token:
    """A session: what goes into the `Authorization` header, and where the API lives.

    `org_id` and `user_id` have 18 characters and are empty where the answer did not tell.
    """

    access_token: str
    instance_url: str
    org_id: str = ""
    user_id: str = ""

    def __repr__(self) -> str:
        return f"Token(***, {self.instance_url!r}, org_id={self.org_id!r})"


def form_of(credentials: Credentials, now: float) -> bytes:
    """The form-encoded body that asks for a token; `now` is seconds since the epoch.

    Raises:
        SettingsError: the private key cannot be used.
    """
    fields: dict[str, str]
    if credentials.grant is Grant.JWT_BEARER:
        fields = {"grant_type": _JWT_GRANT, "assertion": _assertion(credentials, now)}
    else:
        fields = {"client_id": credentials.client_id}
        if credentials.client_secret:
            fields["client_secret"] = credentials.client_secret
        if credentials.grant is Grant.PASSWORD:
            fields["grant_type"] = "password"
            fields["username"] = credentials.username
            fields["password"] = credentials.password + credentials.security_token
        else:
            fields["grant_type"] = "client_credentials"
    if credentials.scope:
        fields["scope"] = credentials.scope
    return urlencode(fields).encode()


def _assertion(credentials: Credentials, now: float) -> str:
    """A JWT signed with RS256.

    `aud` names the login host, also when the token is asked for on a My Domain host.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import padding, rsa

    where = f"the private key in {credentials.source!r}"
    try:
        key = serialization.load_pem_private_key(credentials.private_key.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # The library's own text may quote what it read.
        raise SettingsError(
            f"{where} is not an unencrypted private key in PEM form, as `openssl genrsa` writes it"
        ) from None
    if not isinstance(key, rsa.RSAPrivateKey):
        raise SettingsError(f"{where} is not an RSA key; Salesforce accepts RS256 only")
    claims = {
        "iss": credentials.client_id,
        "sub": credentials.username,
        "aud": credentials.audience or _audience(credentials.login_url),
        "exp": int(now) + JWT_LIFETIME_SECONDS,
    }
    signed = _base64url(codec.encode({"alg": "RS256"})) + b"." + _base64url(codec.encode(claims))
    signature = key.sign(signed, padding.PKCS1v15(), hashes.SHA256())
    return (signed + b"." + _base64url(signature)).decode()


def _base64url(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def _audience(login_url: str) -> str:
    kind = kind_of_host(login_url)
    if kind in (HostKind.TEST, HostKind.SANDBOX, HostKind.SCRATCH):
        return "https://test.salesforce.com"
    return "https://login.salesforce.com"


def token_of(body: bytes, login_url: str) -> Token:
    """The token in a 200 answer of the token endpoint.

    Only `access_token` and `instance_url` are there in every form of it that has been seen.

    Raises:
        TransportError: it is no token answer at all, as from a captive portal.
        SettingsError: its instance_url is nothing a token may be sent to.
    """
    try:
        value = codec.decode(body)
        access_token, instance_url = value["access_token"], value["instance_url"]
        identity = value.get("id") or ""
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise TransportError(
            f"{login_url} answered a login with something that is no token; "
            "is login_url a Salesforce host?",
            sent=True,
        ) from error
    # `id` ends in /id/<org>/<user>; https://developer.salesforce.com/docs/atlas.en-us.mobile_sdk.
    # meta/mobile_sdk/oauth_using_identity_urls.htm, 2026-11-23. Classic tokens also begin with
    # the org's 15 characters and "!".
    parts = urlsplit(identity).path.rstrip("/").split("/")
    org, user = parts[-2:] if len(parts) >= 3 else ("", "")
    return Token(
        access_token=access_token,
        instance_url=check_url(instance_url, f"the instance_url that {login_url} gave"),
        org_id=long_id(org) or org_of_token(access_token),
        user_id=long_id(user),
    )


def org_of_token(access_token: str) -> str:
    """The org id in front of the `!` of a classic access token; empty for other kinds."""
    head, mark, _ = access_token.partition("!")
    return long_id(head) if mark and head.startswith("00D") else ""


_SUFFIX = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"


def long_id(text: str) -> str:
    """The 18-character form of a record id; empty for what is no id.

    Bit k of each suffix character says whether character k of its block of five is a capital:
    `001D000000K0fXO` becomes `001D000000K0fXOIAZ`.
    """
    if len(text) == 18:
        return text
    if len(text) != 15 or not text.isalnum():
        return ""
    blocks = (text[start : start + 5] for start in (0, 5, 10))
    return text + "".join(
        _SUFFIX[sum(1 << place for place, letter in enumerate(block) if "A" <= letter <= "Z")]
        for block in blocks
    )


@dataclass(frozen=True, slots=True)
class _Refusal:
    """`error` is the OAuth error, `text` a pattern in its description; `mend` ends the sentence."""

    error: str
    text: str
    kind: type[SalesforceError]
    mend: str


# https://help.salesforce.com/s/articleView?id=sf.remoteaccess_oauth_flow_errors.htm, 2026-11-23;
# the texts are those seen by other clients. First match wins.
_REFUSALS = (
    _Refusal(
        "",
        "login rate exceeded",
        RequestLimitError,
        "too many logins of this user within the hour; wait, and look for jobs that log in anew "
        "each time",
    ),
    _Refusal(
        "invalid_grant",
        "hasn't approved this consumer|user is not admin approved",
        AuthorizationError,
        "pre-authorise the user: set the app's permitted users to 'Admin approved users are "
        "pre-authorized' and give it the user's profile or permission set",
    ),
    _Refusal(
        "invalid_grant|invalid_assertion",
        "audience",
        AuthenticationError,
        "the JWT names another login host than the org's; set audience to "
        "https://test.salesforce.com for sandboxes, https://login.salesforce.com otherwise",
    ),
    _Refusal(
        "",
        "no client credentials user enabled",
        AuthorizationError,
        "choose a run-as user in the app's policies (Client Credentials Flow > Run As)",
    ),
    _Refusal(
        "",
        "not supported on this domain",
        AuthenticationError,
        "log in on the org's own host; set login_url to https://MYDOMAIN.my.salesforce.com",
    ),
    _Refusal(
        "",
        "ip restricted|ip address",
        AuthorizationError,
        "the user's or the app's IP ranges do not hold this machine; relax the app's IP policy "
        "or add the address",
    ),
    _Refusal(
        "invalid_client_id|invalid_client",
        "",
        AuthenticationError,
        "client_id or client_secret is not that of an app this org knows; copy both from the "
        "app's OAuth settings (a new app needs up to ten minutes to become known)",
    ),
    _Refusal(
        "unsupported_grant_type|invalid_request|unauthorized_client",
        "",
        AuthorizationError,
        "the app does not allow this way of logging in; enable the flow in its OAuth settings",
    ),
    _Refusal(
        "inactive_user|inactive_org",
        "",
        AuthenticationError,
        "the user or the org is deactivated, locked or expired",
    ),
)

# The same words for a wrong password and for a flow that the org blocks: only the org's Login
# History tells them apart.
_PASSWORD_MEND = (
    "username, password or security token (append it, or set security_token) is wrong, or the "
    "org blocks this flow, as orgs created since Summer '23 do by default: see the user's Login "
    "History, and allow it in Setup > OAuth and OpenID Connect Settings, or better, log in by "
    "client credentials on the org's My Domain host"
)


def login_refusal(credentials: Credentials, status: int, body: bytes) -> SalesforceError:
    """The error for an answer of the token endpoint that is not 200; repeats no secret."""
    try:
        value = codec.decode(body)
        error, text = str(value.get("error", "")), str(value.get("error_description", ""))
    except (ValueError, AttributeError):
        error, text = "", ""
    said = ": ".join(part for part in (error, text) if part) or f"HTTP {status}"
    who = f" of {credentials.username}" if credentials.username else ""
    start = f"login{who} by {credentials.grant.value} at {credentials.login_url} failed ({said})"
    if status >= 500:
        return ServerError(f"{start}; Salesforce is in trouble", code=error, status=status)
    for row in _REFUSALS:
        if row.error and not re.fullmatch(row.error, error):
            continue
        if re.search(row.text, text, re.IGNORECASE):
            return row.kind(f"{start}: {row.mend}", code=error, status=status)
    if not error and status == 429:
        return RequestLimitError(f"{start}: too many logins", status=status)
    if credentials.grant is Grant.PASSWORD:
        return AuthenticationError(f"{start}: {_PASSWORD_MEND}", code=error, status=status)
    mend = "see the Login History of the user the app runs as"
    return AuthenticationError(f"{start}: {mend}", code=error, status=status)
