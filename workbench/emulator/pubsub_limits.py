"""Sizes and times of the Pub/Sub API; tests and users may make them smaller."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["PubSubLimits"]

_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class PubSubLimits:
    """Sources (checked 2026-11-23), base https://developer.salesforce.com/docs/platform/pub-sub-api

    - sizes, credits: /guide/allocations.html, /guide/flow-control.html
    - 270 s keepalive, 60 s for more credit: /references/methods/subscribe-rpc.html; live servers
      were seen to send keepalives every 60 to 120 s (forcedotcom/pub-sub-api PR 31)
    - id of 36 characters: /references/methods/publishstream-rpc.html
    - 1,800 s of idleness: live text in pozil/pub-sub-api-node-client issue 94; the document says
      70 s
    - 1,800 s without a commit: seen live (wolverinefxcontrib-salesforcepubsub, docs/DECISIONS.md)
    """

    event_bytes: int = _MIB
    request_bytes: int = 4 * _MIB
    response_bytes: int = 3 * _MIB
    id_characters: int = 36
    credits: int = 100
    keepalive_seconds: float = 60.0
    fetch_seconds: float = 60.0
    """How long a subscription without credit may wait for the next request."""
    publish_idle_seconds: float = 1800.0
    commit_seconds: float = 1800.0
