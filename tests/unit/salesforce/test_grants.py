"""What is posted for a token, and what its refusals are turned into."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import parse_qs

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from workbench.errors import (
    AuthenticationError,
    AuthorizationError,
    RequestLimitError,
    ServerError,
    SettingsError,
    TransportError,
)
from workbench.salesforce import credentials
from workbench.salesforce.grants import form_of, login_refusal, long_id, token_of

MY_DOMAIN = "https://acme.my.salesforce.com"


def given(**value: str) -> credentials.Credentials:
    value.setdefault("login_url", MY_DOMAIN)
    return credentials.parse(value, source="c.json")


PASSWORD = given(client_id="app", client_secret="s&c", username="u@x", password="p w")
CLIENT = given(client_id="app", client_secret="s&c")


def form(found: credentials.Credentials, now: float = 1000.0) -> dict[str, str]:
    return {key: value[0] for key, value in parse_qs(form_of(found, now).decode()).items()}


def test_username_password_goes_in_the_body_with_the_token_appended() -> None:
    found = given(
        client_id="app", client_secret="s&c", username="u@x", password="p w", security_token="TOK"
    )
    assert form(found) == {
        "grant_type": "password",
        "client_id": "app",
        "client_secret": "s&c",
        "username": "u@x",
        "password": "p wTOK",
    }


def test_client_credentials() -> None:
    assert form(CLIENT) == {
        "grant_type": "client_credentials",
        "client_id": "app",
        "client_secret": "s&c",
    }


def pem(key: Any) -> str:
    return str(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ).decode()
    )


def decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


@pytest.mark.parametrize(
    ("login_url", "audience", "expected"),
    [
        ("https://login.salesforce.com", "", "https://login.salesforce.com"),
        ("https://test.salesforce.com", "", "https://test.salesforce.com"),
        ("https://a--b.sandbox.my.salesforce.com", "", "https://test.salesforce.com"),
        (MY_DOMAIN, "", "https://login.salesforce.com"),
        (MY_DOMAIN, "https://own.example", "https://own.example"),
    ],
)
def test_jwt_is_signed_and_names_the_login_host(
    login_url: str, audience: str, expected: str
) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    found = given(
        client_id="app",
        username="u@x",
        private_key=pem(key),
        login_url=login_url,
        audience=audience,
    )
    fields = form(found, now=1000.9)
    assert fields["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
    head, claims, signature = fields["assertion"].split(".")
    assert json.loads(decoded(head)) == {"alg": "RS256"}
    assert json.loads(decoded(claims)) == {
        "iss": "app",
        "sub": "u@x",
        "aud": expected,
        "exp": 1180,
    }
    key.public_key().verify(
        decoded(signature), f"{head}.{claims}".encode(), padding.PKCS1v15(), hashes.SHA256()
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("hunter2", "PEM form"),
        (pem(ec.generate_private_key(ec.SECP256R1())), "not an RSA key"),
    ],
    ids=["no-pem", "no-rsa"],  # a key made anew names the test anew in each process
)
def test_a_key_that_cannot_sign_is_named_but_not_shown(text: str, said: str) -> None:
    found = given(client_id="app", username="u@x", private_key=text)
    with pytest.raises(SettingsError, match=said) as error:
        form_of(found, 0.0)
    assert "hunter2" not in str(error.value)
    assert error.value.__cause__ is None


class TestTokens:
    def test_org_and_user_come_from_the_identity_url(self) -> None:
        body = {
            "access_token": "T",
            "instance_url": MY_DOMAIN + "/",
            "id": "https://login.salesforce.com/id/00D000000000062EAA/005000000000062EAA",
        }
        token = token_of(json.dumps(body).encode(), MY_DOMAIN)
        assert (token.org_id, token.user_id) == ("00D000000000062EAA", "005000000000062EAA")
        assert token.instance_url == MY_DOMAIN
        assert "T" not in repr(token).replace("Token", "")

    def test_the_shortest_answer_will_do(self) -> None:
        body = {"access_token": "00D000000000062!AQ", "instance_url": MY_DOMAIN}
        token = token_of(json.dumps(body).encode(), MY_DOMAIN)
        assert token.org_id == "00D000000000062EAA"
        assert token.user_id == ""

    @pytest.mark.parametrize("body", [b"<html>", b"[]", b"{}", b"null", b'{"access_token":"x"}'])
    def test_what_is_no_token_is_no_answer(self, body: bytes) -> None:
        with pytest.raises(TransportError, match="no token"):
            token_of(body, MY_DOMAIN)

    def test_a_token_is_not_sent_in_the_open(self) -> None:
        body = {"access_token": "T", "instance_url": "http://acme.my.salesforce.com"}
        with pytest.raises(SettingsError, match="unencrypted"):
            token_of(json.dumps(body).encode(), MY_DOMAIN)


@pytest.mark.parametrize(
    ("short", "suffix"),
    [
        ("001D000000K0fXO", "IAZ"),
        ("003D000000QV9n2", "IAD"),
        ("00558000001N0Ke", "AAK"),
        ("80120000000test", "AAA"),
    ],
)
def test_ids_get_the_documented_suffix(short: str, suffix: str) -> None:
    assert long_id(short) == short + suffix
    assert long_id(short + suffix) == short + suffix
    assert long_id("nothing") == ""


REFUSALS: list[tuple[credentials.Credentials, int, str, str, type[Exception], str]] = [
    (PASSWORD, 400, "invalid_grant", "authentication failure", AuthenticationError, "Summer '23"),
    (
        PASSWORD,
        400,
        "invalid_grant",
        "user hasn't approved this consumer",
        AuthorizationError,
        "pre-authorize",
    ),
    (
        PASSWORD,
        400,
        "invalid_grant",
        "Audience validation failed",
        AuthenticationError,
        "audience",
    ),
    (CLIENT, 400, "invalid_grant", "no client credentials user enabled", AuthorizationError, "run"),
    (
        CLIENT,
        400,
        "invalid_grant",
        "request not supported on this domain",
        AuthenticationError,
        "MYDOMAIN",
    ),
    (CLIENT, 400, "invalid_client_id", "client identifier invalid", AuthenticationError, "client_"),
    (CLIENT, 401, "invalid_client", "invalid client credentials", AuthenticationError, "client_"),
    (
        PASSWORD,
        400,
        "unsupported_grant_type",
        "grant type not supported",
        AuthorizationError,
        "enable",
    ),
    (PASSWORD, 400, "inactive_user", "user is inactive", AuthenticationError, "deactivated"),
    (PASSWORD, 400, "invalid_grant", "ip restricted", AuthorizationError, "IP"),
    (PASSWORD, 403, "", "Login Rate Exceeded", RequestLimitError, "too many logins"),
    (PASSWORD, 429, "", "", RequestLimitError, "too many logins"),
    (PASSWORD, 503, "", "", ServerError, "in trouble"),
    (CLIENT, 400, "", "", AuthenticationError, "Login History"),
]


@pytest.mark.parametrize(("found", "status", "error", "text", "kind", "mend"), REFUSALS)
def test_a_refused_login_says_what_to_change(
    found: credentials.Credentials,
    status: int,
    error: str,
    text: str,
    kind: type[Exception],
    mend: str,
) -> None:
    body = json.dumps({"error": error, "error_description": text} if error or text else {})
    refusal = login_refusal(found, status, body.encode())
    assert type(refusal) is kind
    assert mend in str(refusal)
    assert (refusal.code, refusal.status) == (error, status)
    for secret in ("s&c", "p w"):
        assert secret not in str(refusal)


def test_a_web_page_instead_of_a_refusal_is_told_by_its_status() -> None:
    assert "HTTP 404" in str(login_refusal(CLIENT, 404, b"<html>"))
