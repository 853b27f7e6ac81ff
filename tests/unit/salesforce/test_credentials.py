"""What a credentials file may hold, and what is told about it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from workbench.errors import SettingsError
from workbench.salesforce import credentials
from workbench.salesforce.credentials import Grant
from workbench.salesforce.hosts import HostKind, kind_of_host

SEED = {
    "client_id": "your_connected_app_client_id",
    "client_secret": "your_connected_app_client_secret",
    "username": "your_username",
    "password": "your_password",
    "login_url": "https://login.salesforce.com",
}
FILLED = {
    **SEED,
    "client_id": "3MVG9",
    "client_secret": "s3cret",
    "username": "ada@example.com",
    "password": "pa55",
}
MY_DOMAIN = "https://acme.my.salesforce.com"


def parse(**value: Any) -> credentials.Credentials:
    return credentials.parse(value, source="c.json")


def test_the_seeds_form_logs_in_by_username_password() -> None:
    found = parse(**FILLED)
    assert found.grant is Grant.PASSWORD
    assert found.login_url == "https://login.salesforce.com"


def test_placeholders_of_the_seed_are_named() -> None:
    with pytest.raises(SettingsError, match="placeholder 'your_") as error:
        parse(**SEED)
    assert "--sandbox" in str(error.value)


def test_without_username_it_is_client_credentials() -> None:
    found = parse(client_id="a", client_secret="b", login_url=MY_DOMAIN + "/")
    assert found.grant is Grant.CLIENT_CREDENTIALS
    assert found.login_url == MY_DOMAIN


@pytest.mark.parametrize("host", ["https://login.salesforce.com", "https://test.salesforce.com"])
def test_client_credentials_need_the_orgs_own_host(host: str) -> None:
    with pytest.raises(SettingsError, match=r"MYDOMAIN\.my\.salesforce\.com"):
        parse(client_id="a", client_secret="b", login_url=host)


def test_a_private_key_makes_it_jwt(tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_text("PEM")
    found = credentials.parse(
        {"client_id": "a", "username": "u", "private_key_path": "key.pem"},
        source="c.json",
        folder=tmp_path,
    )
    assert found.grant is Grant.JWT_BEARER
    assert found.private_key == "PEM"


def test_a_ready_token_needs_its_instance() -> None:
    found = parse(access_token="00D!x", instance_url=MY_DOMAIN)
    assert found.grant is Grant.READY_TOKEN
    with pytest.raises(SettingsError, match="lacks instance_url"):
        parse(access_token="00D!x")


@pytest.mark.parametrize(
    ("value", "gap"),
    [
        ({}, "client_id and client_secret"),
        ({"client_id": "a"}, "client_secret"),
        ({"client_id": "a", "username": "u"}, "password"),
        ({"username": "u", "private_key": "k"}, "client_id"),
    ],
)
def test_a_gap_is_named(value: dict[str, str], gap: str) -> None:
    with pytest.raises(SettingsError, match=f"lacks {gap}"):
        parse(**value)


@pytest.mark.parametrize(
    "url", ["login.salesforce.com", "ftp://x", "", "https://", "http://login.salesforce.com"]
)
def test_a_login_url_must_be_safe(url: str) -> None:
    if url:
        with pytest.raises(SettingsError, match="login_url"):
            parse(**{**FILLED, "login_url": url})
    else:
        assert parse(**{**FILLED, "login_url": url}).login_url == "https://login.salesforce.com"


@pytest.mark.parametrize("url", ["http://localhost:1", "http://127.0.0.1:1", "http://[::1]:1"])
def test_plain_http_is_for_this_machine(url: str) -> None:
    assert parse(**{**FILLED, "login_url": url}).login_url == url


def test_a_repr_shows_no_secret() -> None:
    shown = repr(parse(**FILLED, security_token="tok3n"))
    assert "ada@example.com" in shown
    for secret in ("s3cret", "pa55", "tok3n"):
        assert secret not in shown


@pytest.mark.parametrize("value", [[], "text", 7, None])
def test_only_an_object_will_do(value: Any) -> None:
    with pytest.raises(SettingsError, match="one JSON object"):
        credentials.parse(value, source="c.json")


def test_a_value_must_be_text() -> None:
    with pytest.raises(SettingsError, match="client_id must be a text"):
        parse(**{**FILLED, "client_id": 7})


def test_keys_of_other_tools_are_left_alone() -> None:
    assert parse(**FILLED, comment="x", api={"v": 1}).username == "ada@example.com"


class TestFiles:
    def test_a_missing_file_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(SettingsError, match=r"absent\.json.*No such file"):
            credentials.read(tmp_path / "absent.json")

    def test_no_json_is_placed_by_line(self, tmp_path: Path) -> None:
        file = tmp_path / "c.json"
        file.write_text("{\n oops")
        with pytest.raises(SettingsError, match="line 2"):
            credentials.read(file)

    def test_a_missing_ca_file_is_named(self, tmp_path: Path) -> None:
        file = tmp_path / "c.json"
        file.write_text(json.dumps({**FILLED, "ca_file": "ca.pem"}))
        with pytest.raises(SettingsError, match=r"ca_file: there is no file"):
            credentials.read(file)
        (tmp_path / "ca.pem").write_text("x")
        assert credentials.read(file).ca_file == str(tmp_path / "ca.pem")

    def test_facts_for_the_check(self, tmp_path: Path) -> None:
        file = tmp_path / "c.json"
        file.write_text(json.dumps(FILLED))
        file.chmod(0o644)
        facts = credentials.describe(file)
        assert facts.grant is Grant.PASSWORD
        assert facts.host is HostKind.LOGIN
        assert facts.username == "ada@example.com"
        assert facts.is_readable_by_others
        assert len(facts.warnings) == 2
        assert "chmod 600" in facts.warnings[0]
        assert "Summer '23" in facts.warnings[1]

    def test_nothing_doubtful_says_nothing(self, tmp_path: Path) -> None:
        file = tmp_path / "c.json"
        file.write_text(
            json.dumps({"client_id": "a", "client_secret": "b", "login_url": MY_DOMAIN})
        )
        file.chmod(0o600)
        facts = credentials.describe(file)
        assert facts.warnings == ()
        assert not facts.is_readable_by_others


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("https://login.salesforce.com", HostKind.LOGIN),
        ("https://test.salesforce.com", HostKind.TEST),
        ("https://acme.my.salesforce.com", HostKind.MY_DOMAIN),
        ("https://acme--uat.sandbox.my.salesforce.com", HostKind.SANDBOX),
        ("https://acme--uat.my.salesforce.com", HostKind.SANDBOX),
        ("https://acme-dev-ed.develop.my.salesforce.com", HostKind.DEVELOPER),
        ("https://x.scratch.my.salesforce.com", HostKind.SCRATCH),
        ("https://x.trailblaze.my.salesforce.com", HostKind.PLAYGROUND),
        ("http://127.0.0.1:8080", HostKind.LOOPBACK),
        ("https://example.com", HostKind.OTHER),
        ("https://evil-salesforce.com", HostKind.OTHER),
    ],
)
def test_hosts_tell_the_kind_of_org(url: str, kind: HostKind) -> None:
    assert kind_of_host(url) is kind
