"""Credentials files in every form, and what is said of the ones in none."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path

import nkeys
import pytest

from workbench.errors import SettingsError
from workbench.jetstream.credentials import Tls, load

SEED = nkeys.encode_seed(bytes(range(32)), nkeys.PREFIX_BYTE_USER).decode()
ACCOUNT_SEED = nkeys.encode_seed(bytes(range(32)), nkeys.PREFIX_BYTE_ACCOUNT).decode()
CREDS = f"""-----BEGIN NATS USER JWT-----
eyJ0eXAi.eyJqdGki.c2ln
------END NATS USER JWT------

************************* IMPORTANT *************************
-----BEGIN USER NKEY SEED-----
{SEED}
------END USER NKEY SEED------
"""


def _file(folder: Path, content: object) -> Path:
    path = folder / "credentials"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_the_form_of_the_seed_flows(tmp_path: Path) -> None:
    found = load(_file(tmp_path, {"nkey": {"seed": SEED + "\n"}}))
    assert (found.kind, found.seed) == ("nkey", SEED)


def test_user_and_password_and_token(tmp_path: Path) -> None:
    found = load(_file(tmp_path, {"user": "u", "password": "p"}))
    assert (found.kind, found.user, found.password) == ("user", "u", "p")
    assert load(_file(tmp_path, {"token": "t"})).kind == "token"


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
@pytest.mark.parametrize("bom", ["", "﻿"])
def test_a_creds_file_whatever_its_line_ends(tmp_path: Path, ends: str, bom: str) -> None:
    path = tmp_path / "user.creds"
    path.write_bytes((bom + CREDS.replace("\n", ends)).encode())
    found = load(path)
    assert (found.kind, found.jwt, found.seed) == ("creds", "eyJ0eXAi.eyJqdGki.c2ln", SEED)


def test_creds_named_or_held_in_json(tmp_path: Path) -> None:
    (tmp_path / "user.creds").write_text(CREDS)
    assert load(_file(tmp_path, {"creds": "user.creds"})).seed == SEED
    assert load(_file(tmp_path, {"creds": CREDS})).kind == "creds"


def test_tls_files_are_taken_from_beside_the_file(tmp_path: Path) -> None:
    for name in ("ca.pem", "me.pem", "me.key"):
        (tmp_path / name).touch()
    setting = {"ca": "ca.pem", "cert": "me.pem", "key": "me.key", "handshake_first": True}
    found = load(_file(tmp_path, {"token": "t", "tls": setting}))
    assert found.tls == Tls(
        tmp_path / "ca.pem", tmp_path / "me.pem", tmp_path / "me.key", None, True
    )


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "neither JSON nor a .creds file"),
        ("{nkey", "neither JSON nor a .creds file"),
        ([1], "must hold a JSON object"),
        ({}, "holds no credentials"),
        ({"nkey": SEED}, '{"nkey": {"seed": "SU..."}}'),
        ({"nkey": {"seed": "SUNOT"}}, "starts with SU and has 58 characters"),
        ({"nkey": {"seed": ACCOUNT_SEED}}, "starts with SA, a user's with SU"),
        ({"nkey": {"seed": SEED[:-1] + ("A" if SEED[-1] != "A" else "B")}}, "checksum"),
        ({"user": "u"}, "both user and password"),
        ({"user": "u", "password": "p", "token": "t"}, "not several"),
        ({"pasword": "p"}, "unknown key 'pasword'"),
        ({"tls": {"ca": "nope.pem"}}, "which does not exist"),
        ({"tls": {"caa": "nope.pem"}}, "unknown key 'tls.caa'"),
        ({"token": 7}, "token in the NATS credentials file"),
        ({"creds": "none.creds"}, "none.creds does not exist"),
        (CREDS.partition("*****")[0], "no whole USER NKEY SEED block"),
        (CREDS[CREDS.index("-----BEGIN USER") :], "no whole NATS USER JWT block"),
    ],
)
def test_what_is_wrong_is_said_with_the_path_and_without_the_secret(
    tmp_path: Path, content: object, said: str
) -> None:
    path = _file(tmp_path, content)
    with pytest.raises(SettingsError) as caught:
        load(path)
    assert said in str(caught.value)
    assert str(tmp_path) in str(caught.value)
    assert SEED not in str(caught.value)


def test_a_missing_file_names_the_path_and_the_form(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"/none\.json does not exist: create it, or correct"):
        load(tmp_path / "none.json")


def test_binary_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SettingsError, match="not a text file"):
        load(path)


def test_secrets_stay_out_of_repr(tmp_path: Path) -> None:
    secret = base64.b64encode(os.urandom(9)).decode()
    for content in ({"user": "u", "password": secret}, {"token": secret}):
        assert secret not in repr(load(_file(tmp_path, content)))
    assert SEED not in repr(load(_file(tmp_path, CREDS)))
