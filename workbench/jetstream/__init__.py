"""NATS JetStream: connection, provisioning, the engine's source, publishing and looking."""

from workbench.jetstream.connection import ApiError, Connection, OnChange, connect
from workbench.jetstream.credentials import Credentials, Tls
from workbench.jetstream.credentials import load as load_credentials
from workbench.jetstream.failed_store import JetStreamFailedStore
from workbench.jetstream.peek import peek, peek_last, peek_since
from workbench.jetstream.provision import (
    ConsumerSettings,
    Drift,
    Provisioned,
    StreamSettings,
    ack_wait_seconds,
    find_stream,
    provision,
)
from workbench.jetstream.publisher import Message, Published, publish, publish_all
from workbench.jetstream.snapshot import SourceInfo, source_info
from workbench.jetstream.source import JetStreamSource

__all__ = [
    "ApiError",
    "Connection",
    "ConsumerSettings",
    "Credentials",
    "Drift",
    "JetStreamFailedStore",
    "JetStreamSource",
    "Message",
    "OnChange",
    "Provisioned",
    "Published",
    "SourceInfo",
    "StreamSettings",
    "Tls",
    "ack_wait_seconds",
    "connect",
    "find_stream",
    "load_credentials",
    "peek",
    "peek_last",
    "peek_since",
    "provision",
    "publish",
    "publish_all",
    "source_info",
]
