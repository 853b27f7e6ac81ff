"""Where each exception of httpcore2 goes, and what is loaded when."""

from __future__ import annotations

import subprocess
import sys
import zlib

import httpcore2
import pytest

from workbench.errors import TransportError
from workbench.salesforce.transport import translate

# Whether the request may have left when it is raised.
SENT = {
    "ConnectTimeout": False,
    "ConnectError": False,
    "PoolTimeout": False,
    "ProxyError": False,
    "UnsupportedProtocol": False,
    "ReadTimeout": True,
    "WriteTimeout": True,
    "ReadError": True,
    "WriteError": True,
    "NetworkError": True,
    "TimeoutException": True,
    "RemoteProtocolError": True,
    "LocalProtocolError": True,
    "ProtocolError": True,
}
# A connection carries one request at a time here, so it is always available.
NEVER = {"ConnectionNotAvailable"}


def exceptions() -> set[str]:
    found = {name: getattr(httpcore2, name) for name in dir(httpcore2)}
    return {name for name, v in found.items() if isinstance(v, type) and issubclass(v, Exception)}


def test_none_is_forgotten() -> None:
    assert exceptions() == SENT.keys() | NEVER


@pytest.mark.parametrize(("name", "is_sent"), SENT.items())
def test_each_says_whether_the_request_may_have_left(name: str, is_sent: bool) -> None:
    error = getattr(httpcore2, name)("why")
    found = translate(error, "https://acme.my.salesforce.com/services?secret=1")
    assert isinstance(found, TransportError)
    assert found.sent is is_sent
    assert "acme.my.salesforce.com" in str(found)


def test_an_answer_that_cannot_be_decompressed_came_after_the_request_left() -> None:
    found = translate(zlib.error("it is cut off"), "https://acme.my.salesforce.com/services")
    assert found.sent
    assert "decompressed" in str(found)


def test_a_certificate_that_fails_says_where_to_name_its_authority() -> None:
    error = httpcore2.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] self-signed certificate")
    found = translate(error, "https://localhost:1/x")
    assert "ca_file" in str(found)
    assert not found.sent


@pytest.mark.parametrize("name", ["CompositeSink", "SalesforceClient", "Session", "credentials"])
def test_importing_the_rest_half_loads_neither_grpc_nor_the_http_client(name: str) -> None:
    script = (
        f"from workbench.salesforce import {name}; import sys; "
        "print([m for m in ('grpc', 'httpcore2', 'fastavro', 'google.protobuf', 'cryptography') "
        "if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_the_door_opens_to_every_name_on_its_list() -> None:
    import workbench.salesforce as door

    for name in door.__all__:
        assert getattr(door, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        door.Nothing  # noqa: B018
