"""What we lean on inside nats-py is still there."""

from __future__ import annotations

import inspect
import subprocess
import sys
from importlib.metadata import version

from nats.aio.client import Client
from nats.aio.subscription import Subscription

from workbench.jetstream.client import NatsClient, parse_headers


def test_nats_py_is_the_release_that_was_read() -> None:
    assert version("nats-py") == "2.16.0", "read nats/aio/client.py again before moving on"


def test_the_methods_we_replace_have_the_signatures_we_know() -> None:
    for name, parameters in {
        "_connect_to_server": ["self", "s"],
        "_process_info": ["self", "info", "initial_connection"],
        "_process_err": ["self", "err_msg"],
        "_process_pong": ["self"],
        "_process_msg": ["self", "sid", "subject", "reply", "data", "headers"],
        "request": ["self", "subject", "payload", "timeout", "old_style", "headers"],
        "flush": ["self", "timeout"],
        "rtt": ["self", "timeout"],
    }.items():
        assert list(inspect.signature(getattr(Client, name)).parameters) == parameters
        assert getattr(NatsClient, name) is not getattr(Client, name)


def test_the_attributes_we_use_exist() -> None:
    client = Client()
    for name in (
        "_error_cb",
        "_flush_queue",
        "_flusher_task",
        "_max_pending_size",
        "_pending",
        "_pending_data_size",
        "_ping_interval_task",
        "_pings_outstanding",
        "_pongs",
        "_reading_task",
        "_reconnection_task",
        "_server_info",
        "_status",
        "_transport",
    ):
        assert hasattr(client, name), name
    assert Subscription(client, 7)._id == 7


def test_websockets_are_not_imported() -> None:
    script = (
        "import sys, workbench.jetstream\n"
        "assert 'aiohttp' not in sys.modules\n"
        "import aiohttp\n"
        "assert aiohttp.ClientSession\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_headers_of_stored_messages() -> None:
    raw = "NATS/1.0\r\nA: b\r\nC: å:d\r\n\r\n".encode()
    assert parse_headers(raw) == {"A": "b", "C": "å:d"}
    assert parse_headers(b"") == {}
