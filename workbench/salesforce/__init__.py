"""Salesforce: login and session, the composite REST sink, the Pub/Sub publisher.

The door is lazy: a name is imported when it is first asked for, so that a flow without platform
events loads no gRPC and one without REST no HTTP client.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workbench.salesforce.client import SalesforceClient
    from workbench.salesforce.composite import CompositeSink, key_of
    from workbench.salesforce.credentials import Credentials, Grant
    from workbench.salesforce.describe import Describer
    from workbench.salesforce.operations import CompositeSettings
    from workbench.salesforce.pubsub import PublisherSettings, PublisherSink
    from workbench.salesforce.request import Request, RequestBuilder
    from workbench.salesforce.session import Session
    from workbench.salesforce.transport import Timeouts, Transport

__all__ = [
    "CompositeSettings",
    "CompositeSink",
    "Credentials",
    "Describer",
    "Grant",
    "PublisherSettings",
    "PublisherSink",
    "Request",
    "RequestBuilder",
    "SalesforceClient",
    "Session",
    "Timeouts",
    "Transport",
    "key_of",
]

_HOMES = {
    "CompositeSettings": "operations",
    "CompositeSink": "composite",
    "Credentials": "credentials",
    "Describer": "describe",
    "Grant": "credentials",
    "PublisherSettings": "pubsub",
    "PublisherSink": "pubsub",
    "Request": "request",
    "RequestBuilder": "request",
    "SalesforceClient": "client",
    "Session": "session",
    "Timeouts": "transport",
    "Transport": "transport",
    "key_of": "composite",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{home}"), name)
