"""One call in progress: who makes it, and how it is read, answered and ended."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import grpc

from .ids import long_id, short_id
from .pubsub_refusals import Cause, Refusal
from .sessions import Sessions
from .topics import Topic, Topics

__all__ = ["Call", "Oversize", "authenticate", "named_topic"]

_HEADERS = ("accesstoken", "instanceurl", "tenantid")


class Oversize:
    """Stands in for a request above the hard limit: the proxy never lets it through."""


@dataclass(slots=True)
class Call:
    """`method` is the rpc's bare name; `rpc_id` stands in its responses and its error."""

    method: str
    context: Any
    token: str = field(default="", repr=False)
    rpc_id: str = field(default_factory=lambda: str(uuid.uuid4()))

    async def read(self) -> Any:
        """The next request of a stream; None when the client has sent its last."""
        request = await self.context.read()
        if request is grpc.aio.EOF:
            return None
        if isinstance(request, Oversize):
            raise Refusal.of(Cause.UPSTREAM_RESET)
        return request


def authenticate(metadata: Iterable[tuple[str, Any]], sessions: Sessions, org_id: str) -> str:
    """The access token of a call whose three headers are in order; Refusal otherwise.

    https://developer.salesforce.com/docs/platform/pub-sub-api/guide/rpc-method-headers.html
    (checked 2026-11-23). Assumed: the instance url is judged by its form only.
    """
    values = dict(metadata)
    for header in _HEADERS:
        if not str(values.get(header, "")).strip():
            raise Refusal.of(Cause.HEADERS, f"The header {header} is missing or blank.")
    if not _is_origin(values["instanceurl"]):
        raise Refusal.of(
            Cause.HEADERS, "The header instanceurl must be the scheme and host of the org, no path."
        )
    if not _is_tenant(values["tenantid"], org_id) or sessions.check(values["accesstoken"]) is None:
        raise Refusal.of(Cause.AUTH)
    return str(values["accesstoken"])


def named_topic(topics: Topics, name: str, *, blank: Cause) -> Topic:
    """The topic of that name; Refusal for an unknown one, with the cause `blank` for no name."""
    if not name:
        raise Refusal.of(blank)
    topic = topics.get(name)
    if topic is None:
        raise Refusal.of(
            Cause.TOPIC_NOT_FOUND if name.startswith("/") else Cause.TOPIC_PERMISSION, name
        )
    return topic


def _is_origin(text: str) -> bool:
    """Scheme and host, perhaps a port, and no path but a slash."""
    try:
        url = urlsplit(text)
    except ValueError:
        return False
    return url.scheme in ("http", "https") and bool(url.hostname) and not url.path.strip("/")


def _is_tenant(text: str, org_id: str) -> bool:
    """`{OrgId}` or `core/{Subdomain}/{OrgId}`, with 15 or 18 characters."""
    parts = text.split("/")
    if len(parts) not in (1, 3) or (len(parts) == 3 and parts[0].lower() != "core"):
        return False
    given = long_id(parts[-1])
    return given is not None and short_id(given) == short_id(org_id)
