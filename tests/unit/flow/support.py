"""Flow texts for the tests, built from the smallest sound one."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

from workbench.errors import Problem
from workbench.flow import Flow, check, parse
from workbench.model import Event

ROOT = Path(__file__).parents[3]
SEEDS = sorted((ROOT / "flows").glob("salesforce_*.yaml"))

SUBSCRIBER = """\
- nats_jetstream_subscriber:
    name: source
    subject: crm.contacts
"""
UPSERT = """\
- salesforce_restapi_composite:
    name: upsert
    operation: upsert
    credentials_path: /etc/sfdc.json
    sobject_type: Contact
    external_id_field: Ext__c
    payload: {from_event: true}
"""


def flow_text(tasks: str = "", *, source: str = "", flow: str = "") -> str:
    """A flow of a subscriber (with `source` added to it) and `tasks` (an upsert by default)."""
    parts = [
        "flow:\n  name: test\n",
        textwrap.indent(textwrap.dedent(flow), "  "),
        "  tasks:\n",
        textwrap.indent(SUBSCRIBER, "    "),
        textwrap.indent(textwrap.dedent(source).rstrip() + "\n", "        ") if source else "",
        textwrap.indent(textwrap.dedent(tasks) or UPSERT, "    "),
    ]
    return "".join(parts)


def composite(settings: str) -> str:
    """A flow whose one sink has these settings besides name, credentials and object."""
    head = "- salesforce_restapi_composite:\n    name: sink\n    credentials_path: /c\n"
    body = head + "    sobject_type: Contact\n" + textwrap.indent(textwrap.dedent(settings), "    ")
    return flow_text(body)


def publisher(settings: str) -> str:
    """A flow whose one sink publishes platform events with these settings."""
    head = "- salesforce_pubsubapi_publisher:\n    name: sink\n    credentials_path: /c\n"
    body = head + "    topic: /event/E__e\n" + textwrap.indent(textwrap.dedent(settings), "    ")
    return flow_text(body)


def bound(text: str, env: dict[str, str] | None = None) -> Flow:
    return parse(text).bind(env or {})


def render(text: str, data: Any, env: dict[str, str] | None = None) -> list[dict[str, Any]]:
    """The records of the flow's first sink for this data."""
    event = Event("crm.contacts", b"", {"K": "v"}, "crm", 7, 2, 1_700_000_000_123_456_789)
    return bound(text, env).sinks[0].render(event, data)


def codes(text: str | bytes, **more: Any) -> list[str]:
    return [problem.code for problem in check(text, **more)]


def errors(text: str | bytes) -> list[Problem]:
    return [problem for problem in check(text) if problem.severity == "error"]
