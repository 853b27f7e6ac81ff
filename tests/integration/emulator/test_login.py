"""Tokens by every grant, refusals in OAuth's shape, sessions and their end."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import time

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from workbench.emulator import Emulator
from workbench.emulator.ids import long_id

from .conftest import Client, Reply, code

JWT = "urn:ietf:params:oauth:grant-type:jwt-bearer"


def form(emulator: Emulator, **changes: str) -> dict[str, str]:
    given = {
        "grant_type": "password",
        "client_id": emulator.client_id,
        "client_secret": emulator.client_secret,
        "username": emulator.username,
        "password": emulator.password,
    }
    return given | changes


def assertion(emulator: Emulator, **changes: object) -> str:
    claims = {
        "iss": emulator.client_id,
        "sub": emulator.username,
        "aud": "https://login.salesforce.com",
        "exp": int(time.time()) + 180,
    }
    return jwt.encode(claims | changes, emulator.jwt_private_key, algorithm="RS256")


async def test_a_token_answer_has_the_documented_fields(client: Client, emulator: Emulator) -> None:
    reply = await client.token(**form(emulator))
    assert reply.status == 200
    body = reply.body
    assert set(body) == {
        "access_token",
        "instance_url",
        "id",
        "token_type",
        "issued_at",
        "signature",
    }
    assert body["token_type"] == "Bearer"
    assert body["instance_url"] == emulator.login_url
    assert abs(int(body["issued_at"]) / 1000 - time.time()) < 60
    org_id, user_id = body["id"].split("/")[-2:]
    assert long_id(org_id) == org_id
    assert user_id.startswith("005")
    assert body["access_token"].split("!")[0] == org_id[:15]
    signed = (body["id"] + body["issued_at"]).encode()
    digest = hmac.new(emulator.client_secret.encode(), signed, hashlib.sha256).digest()
    assert body["signature"] == base64.b64encode(digest).decode()


async def test_client_credentials_may_stand_in_the_body_or_in_basic(
    client: Client, emulator: Emulator
) -> None:
    grant = {"grant_type": "client_credentials"}
    in_body = await client.token(
        **grant, client_id=emulator.client_id, client_secret=emulator.client_secret
    )
    assert in_body.status == 200
    assert in_body.body["scope"] == "api"
    pair = f"{emulator.client_id}:{emulator.client_secret}".encode()
    header = {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}
    url = "/services/oauth2/token"
    in_header = await client.call("POST", url, data=grant, headers=header)
    assert in_header.status == 200


async def test_a_signed_assertion_is_a_login(client: Client, emulator: Emulator) -> None:
    reply = await client.token(grant_type=JWT, assertion=assertion(emulator))
    assert reply.status == 200
    client.headers["Authorization"] = f"Bearer {reply.body['access_token']}"
    assert (await client.call("GET", "limits")).status == 200


async def test_a_certificate_of_ones_own_can_be_registered_while_it_runs(
    client: Client, emulator: Emulator
) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    claims = {
        "iss": emulator.client_id,
        "sub": emulator.username,
        "aud": emulator.login_url,
        "exp": time.time() + 60,
    }
    signed = jwt.encode(claims, key, algorithm="RS256")
    assert (await client.token(grant_type=JWT, assertion=signed)).status == 400
    added = await client.call("POST", "/emulator/jwt-certificates", data=pem)
    assert added.status == 201
    assert (await client.token(grant_type=JWT, assertion=signed)).status == 200
    refused = await client.call("POST", "/emulator/jwt-certificates", data=b"rubbish")
    assert refused.status == 400


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"exp": 1}, "invalid_grant"),
        ({"aud": "https://example.com"}, "invalid_grant"),
        ({"iss": "someone"}, "invalid_client_id"),
        ({"sub": "nobody@example.com"}, "invalid_grant"),
    ],
)
async def test_an_assertion_that_claims_the_wrong_thing_is_refused(
    client: Client, emulator: Emulator, changes: dict[str, object], error: str
) -> None:
    reply = await client.token(grant_type=JWT, assertion=assertion(emulator, **changes))
    assert (reply.status, reply.body["error"]) == (400, error)


async def test_an_assertion_signed_by_a_stranger_is_refused(
    client: Client, emulator: Emulator
) -> None:
    head, claims, _ = assertion(emulator).split(".")
    forged = ".".join((head, claims, base64.urlsafe_b64encode(b"x" * 256).decode().rstrip("=")))
    for text in (forged, "rubbish", "a.b.c", ""):
        reply = await client.token(grant_type=JWT, assertion=text)
        assert (reply.status, reply.body["error"]) == (400, "invalid_grant")


@pytest.mark.parametrize(
    ("changes", "error", "description"),
    [
        ({"password": "wrong"}, "invalid_grant", "authentication failure"),
        ({"username": "wrong"}, "invalid_grant", "authentication failure"),
        ({"client_id": "wrong"}, "invalid_client_id", "client identifier invalid"),
        ({"client_secret": "wrong"}, "invalid_client", "invalid client credentials"),
        ({"grant_type": "magic"}, "unsupported_grant_type", "grant type not supported"),
    ],
)
async def test_a_refused_login_is_an_object_and_no_array(
    client: Client, emulator: Emulator, changes: dict[str, str], error: str, description: str
) -> None:
    reply = await client.token(**form(emulator, **changes))
    assert reply.status == 400
    assert reply.body == {"error": error, "error_description": description}


async def test_credentials_in_the_query_string_are_not_read(
    client: Client, emulator: Emulator
) -> None:
    query = "&".join(f"{k}={v}" for k, v in form(emulator).items())
    reply = await client.call("POST", f"/services/oauth2/token?{query}")
    assert reply.status == 400
    assert (await client.call("GET", "/services/oauth2/token")).status == 405


async def test_both_schemes_of_authorization_are_understood(client: Client) -> None:
    token = client.headers["Authorization"].removeprefix("Bearer ")
    for header in (f"OAuth {token}", f"bearer {token}", f"Bearer {token}"):
        reply = await client.call("GET", "limits", headers={"Authorization": header})
        assert reply.status == 200, header


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("Bearer nonsense", "INVALID_SESSION_ID"),
        ("", "INVALID_SESSION_ID"),
        ("Digest x", "INVALID_AUTH_HEADER"),
        ("Bearer", "INVALID_AUTH_HEADER"),
    ],
)
async def test_a_call_without_a_good_session_is_401(
    client: Client, header: str, expected: str
) -> None:
    reply = await client.call("GET", "limits", headers={"Authorization": header})
    assert (reply.status, code(reply)) == (401, expected)
    assert "api-usage=" in reply.headers["Sforce-Limit-Info"]


async def test_a_revoked_token_is_good_for_nothing(client: Client) -> None:
    token = client.headers["Authorization"].removeprefix("Bearer ")
    revoked = await client.call("POST", "/services/oauth2/revoke", data={"token": token})
    assert revoked.status == 200
    assert (await client.call("GET", "limits")).status == 401
    again = await client.call("POST", "/services/oauth2/revoke", data={"token": token})
    assert again.status == 400


async def test_userinfo_and_the_identity_url_tell_org_and_user(client: Client) -> None:
    info = (await client.call("GET", "/services/oauth2/userinfo")).body
    path = f"/id/{info['organization_id']}/{info['user_id']}"
    identity = (await client.call("GET", path)).body
    assert info["sub"].endswith(path)
    assert identity["username"] == info["preferred_username"]
    bad = await client.call(
        "GET", "/services/oauth2/userinfo", headers={"Authorization": "Bearer x"}
    )
    assert (bad.status, bad.raw) == (403, b"Bad_OAuth_Token")


async def test_the_app_may_ask_how_long_a_token_lives(client: Client, emulator: Emulator) -> None:
    app = {"client_id": emulator.client_id, "client_secret": emulator.client_secret}
    token = (await client.token(grant_type="client_credentials", **app)).body["access_token"]

    async def ask(**form: str) -> Reply:
        url = f"{emulator.login_url}/services/oauth2/introspect"
        return await client.call("POST", url, data=form)

    told = (await ask(token=token, token_type_hint="access_token", **app)).body
    assert (told["active"], told["username"]) == (True, emulator.username)
    assert 7_190 < told["exp"] - told["iat"] <= 7_200
    emulator.org.sessions.revoke(token)
    assert (await ask(token=token, **app)).body == {"active": False}
    assert (await ask(token=token)).body["error"] == "invalid_client_id"


async def test_soap_login_gives_a_session_and_says_no_in_a_fault(
    client: Client, emulator: Emulator
) -> None:
    def envelope(password: str) -> str:
        return (
            '<se:Envelope xmlns:se="http://schemas.xmlsoap.org/soap/envelope/"><se:Body>'
            '<login xmlns="urn:partner.soap.sforce.com">'
            f"<username>{emulator.username}</username><password>{password}</password>"
            "</login></se:Body></se:Envelope>"
        )

    async def log_in(text: str, version: str = "60.0") -> tuple[int, str]:
        headers = {"Content-Type": "text/xml", "SOAPAction": "login"}
        path = f"/services/Soap/u/{version}"
        reply = await client.call("POST", path, data=text.encode(), headers=headers)
        return reply.status, reply.raw.decode()

    status, text = await log_in(envelope(emulator.password))
    assert status == 200
    token = re.search(r"<sessionId>(.+)</sessionId>", text)
    assert token is not None
    reply = await client.call("GET", "limits", headers={"Authorization": f"Bearer {token[1]}"})
    assert reply.status == 200
    status, text = await log_in(envelope("wrong"))
    assert status == 500
    assert "INVALID_LOGIN" in text
    assert "UNSUPPORTED_API_VERSION" in (await log_in(envelope(emulator.password), "65.0"))[1]
    assert (await log_in("<!DOCTYPE x>"))[0] == 500
