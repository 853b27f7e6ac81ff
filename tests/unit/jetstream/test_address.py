"""Server lists."""

from __future__ import annotations

import pytest

from workbench.errors import SettingsError
from workbench.jetstream.address import parse_servers


def test_a_list_with_and_without_scheme_and_port() -> None:
    servers = parse_servers("nats://a:1, b ,c:3,nats://[::1]:5,a:1")
    assert servers.addresses == ("nats://a:1", "nats://b:4222", "nats://c:3", "nats://[::1]:5")
    assert not servers.is_tls
    assert servers.credentials is None


def test_tls_anywhere_is_tls_everywhere() -> None:
    assert parse_servers("nats://a,tls://b").is_tls


def test_credentials_are_decoded_and_leave_the_addresses() -> None:
    servers = parse_servers("nats://us%40er:p%40ss%2F@host:4")
    assert servers.addresses == ("nats://host:4",)
    assert servers.credentials is not None
    assert (servers.credentials.user, servers.credentials.password) == ("us@er", "p@ss/")
    token = parse_servers("nats://t%23k@host").credentials
    assert token is not None
    assert token.token == "t#k"


@pytest.mark.parametrize(
    "url",
    [
        "",
        " , ",
        "ws://a",
        "http://a",
        "nats://",
        "nats://a:x",
        "nats://u:secret/x@host",
        "nats://u:secret@a,nats://u:other@b",
        "nats://a/path",
    ],
)
def test_what_is_no_server_list_is_refused_without_its_secret(url: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse_servers(url)
    assert "secret" not in str(caught.value)
