"""The REST API of one org for one user: session, connections, version, and the calls left."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workbench import codec
from workbench.errors import (
    AuthorizationError,
    RequestLimitError,
    RequestRefusedError,
    SalesforceError,
    ServerError,
)
from workbench.model import Cause, Deferred, Unknown
from workbench.salesforce.codes import Kind, Situation, kind_of, request_outcome
from workbench.salesforce.credentials import Credentials
from workbench.salesforce.grants import Token
from workbench.salesforce.request import (
    DEFAULT_API_VERSION,
    MAX_API_VERSION,
    Request,
    compressed,
    normal_version,
)
from workbench.salesforce.results import errors_of, parse_limit_info, retry_after
from workbench.salesforce.session import Session
from workbench.salesforce.transport import Reply, Timeouts, Transport

__all__ = ["SalesforceClient"]

# Refusals that look like an expired session and are none: a new token would be refused as well.
# Seen by jsforce (src/http-api.ts), which loops for ever without them.
_POLICY_TEXTS = (
    "this session is not valid for use with the rest api",
    "connected app is not attached to agent",
)

_JSON = {"Accept": "application/json", "Accept-Encoding": "gzip"}
_LIMITS = "DailyApiRequests"


class SalesforceClient:
    """One login and one pool of connections, shared by the tasks that use the same credentials.

    Args:
        max_in_flight: requests in flight at once, over all tasks that share the client.
        api_version: the flow's, used as it is; None takes the newest that the org and workbench
            both know.
    """

    def __init__(
        self,
        credentials: Credentials,
        *,
        max_in_flight: int = 8,
        api_version: str | None = None,
        timeouts: Timeouts | None = None,
    ) -> None:
        self._transport = Transport(
            max_connections=max_in_flight + 1,  # one for probes and looks beside the writes
            timeouts=timeouts,
            ca_file=credentials.ca_file,
        )
        self.session = Session(credentials, self._transport)
        self._version = normal_version(api_version) if api_version else None
        self.usage: dict[str, tuple[int, int]] = {}

    @property
    def api_version(self) -> str:
        """Such as `68.0`; the default until `open` has asked the org."""
        return self._version or DEFAULT_API_VERSION

    @property
    def api_usage(self) -> tuple[int, int] | None:
        """The org's daily calls (used, limit) as last told; it lags behind. None if never told."""
        return self.usage.get("api-usage")

    async def open(self) -> Token:
        """Log in and find the API version; cheap when both are done.

        Raises:
            AuthenticationError, AuthorizationError: see `Session.token`.
            SettingsError: the private key or the CA file cannot be used.
            RequestLimitError, ServerError, TransportError: not now; `sent` is False.
        """
        token = await self.session.token()
        if self._version is None:
            self._version = await self._discover(token)
        return token

    async def aclose(self) -> None:
        """Close the connections; the session stays valid for other processes of the user."""
        await self._transport.aclose()

    async def _discover(self, token: Token) -> str:
        """The list of versions needs no token and costs no call."""
        reply = await self._transport.send("GET", token.instance_url + "/services/data", _JSON)
        try:
            offered = [float(row["version"]) for row in codec.decode(reply.body)]
        except (ValueError, KeyError, TypeError) as error:
            raise ServerError(
                f"{token.instance_url} did not list its API versions (HTTP {reply.status}); "
                "set api_version in the flow to do without",
                status=reply.status,
            ) from error
        usable = [version for version in offered if version <= float(MAX_API_VERSION)]
        return normal_version(max(usable, default=float(DEFAULT_API_VERSION)))

    async def call(self, request: Request, gzip_min_bytes: int | None = None) -> Reply:
        """Send with the token; after a 401 once again with a new one.

        Returns the answer whatever its status, a second 401 included.

        Raises:
            AuthenticationError, AuthorizationError: nothing can be sent until a person acts.
            RequestLimitError, ServerError: no token for now; the request did not leave.
            TransportError: no usable answer; `sent` tells whether the request left.
        """
        token = await self.open()
        body: bytes | None = request.body or None
        headers: dict[str, str] = {**request.headers}
        if body and gzip_min_bytes is not None and len(body) >= gzip_min_bytes:
            body = compressed(body)
            headers["Content-Encoding"] = "gzip"
        reply = await self._send(token, request, headers, body)
        if reply.status == 401:
            _raise_policy(reply)
            token = await self.session.renew(token)
            reply = await self._send(token, request, headers, body)
        if reply.status != 401:
            self.session.accepted()
        info = reply.headers.get("Sforce-Limit-Info")
        if info:
            self.usage.update(parse_limit_info(info))
        return reply

    async def _send(
        self, token: Token, request: Request, headers: dict[str, str], body: bytes | None
    ) -> Reply:
        headers["Authorization"] = f"Bearer {token.access_token}"
        return await self._transport.send(
            request.method, token.instance_url + request.target, headers, body
        )

    async def fetch(self, path: str, headers: Mapping[str, str] = _JSON) -> Any:
        """The decoded answer of a GET below `/services/data/vNN.0/`.

        Raises:
            RequestRefusedError: 4xx.
            RequestLimitError: a limit of the org.
            ServerError: 5xx, or an answer that is no JSON.
            And as `call`.
        """
        await self.open()
        target = f"/services/data/v{self.api_version}/{path}"
        reply = await self.call(Request("GET", target, headers, b""))
        if reply.status >= 300:
            raise error_of(reply)
        try:
            return codec.decode(reply.body)
        except ValueError as error:
            raise ServerError(f"GET {target}: {error}", status=reply.status) from error

    async def fetch_usage(self) -> tuple[int, int] | None:
        """The org's daily calls (used, limit), asked for now; costs a call.

        None where the user may not see the org's limits ("View Setup and Configuration").

        Raises:
            As `fetch`, but for a refusal of the resource itself.
        """
        try:
            value = await self.fetch("limits")
            total, left = value[_LIMITS]["Max"], value[_LIMITS]["Remaining"]
        except (RequestRefusedError, KeyError, TypeError):
            return None
        self.usage["api-usage"] = (total - left, total)
        return self.usage["api-usage"]

    async def probe(self) -> None:
        """Find out whether Salesforce answers and has calls left; writes nothing.

        Raises:
            SalesforceError: it does not, or has not.
        """
        usage = await self.fetch_usage()
        if usage is not None and usage[0] >= usage[1]:
            raise RequestLimitError(
                f"all {usage[1]} API calls of the org's last 24 hours are used up",
                code="REQUEST_LIMIT_EXCEEDED",
                status=403,
            )


def _raise_policy(reply: Reply) -> None:
    text = reply.body.decode("utf-8", "replace")
    if any(phrase in text.lower() for phrase in _POLICY_TEXTS):
        errors = errors_of(reply)
        raise AuthorizationError(
            f"a policy of the org refuses this session: "
            f"{errors[0].message if errors else text[:200]}; allow API access for the user and "
            "the connected app, or use another app",
            code=errors[0].code if errors else "",
            status=401,
        )


def error_of(reply: Reply) -> SalesforceError:
    """The exception for an answer that is not a success, by the table of codes."""
    errors = errors_of(reply)
    outcome = request_outcome(reply.status, errors, Situation(is_idempotent=True))
    said = f"{errors[0].code}: {errors[0].message}" if errors else "no reason given"
    message = f"Salesforce answered {reply.status} ({said})"
    code, status = (errors[0].code if errors else ""), reply.status
    if is_stop(reply):
        return stop_error(reply)
    match outcome:
        case Deferred(cause=Cause.LIMIT | Cause.CONTENTION):
            return RequestLimitError(
                message, code=code, status=status, retry_after_seconds=retry_after(reply)
            )
        case Deferred() | Unknown():
            return ServerError(message, code=code, status=status)
        case _:
            return RequestRefusedError(message, code=code, status=status)


def is_stop(reply: Reply) -> bool:
    """Whether the answer says that nothing can be written until a person acts."""
    errors = errors_of(reply) if reply.status >= 400 else []
    return bool(errors) and kind_of(errors[0], Situation()) is Kind.STOP


def stop_error(reply: Reply) -> AuthorizationError:
    """The sentence for an answer that `is_stop`."""
    error = errors_of(reply)[0]
    return AuthorizationError(
        f"Salesforce refuses every call of this user: {error.code}: {error.message}",
        code=error.code,
        status=reply.status,
    )
