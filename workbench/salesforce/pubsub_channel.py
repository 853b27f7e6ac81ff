"""The border to gRPC: one connection to the Pub/Sub API, its calls, and what their errors mean.

grpc takes some 70 ms to import: who may do without imports this module, and `pubsub_stream`, late.
"""

from __future__ import annotations

import asyncio
import pkgutil
import ssl
from pathlib import Path
from typing import Any

from workbench.errors import SettingsError, UsageError
from workbench.salesforce.grants import Token
from workbench.salesforce.pubsub_codes import CODE_PREFIX, CallRefused, Kind, kind_of
from workbench.salesforce.pubsub_endpoint import Endpoint
from workbench.salesforce.pubsub_grpc import grpc
from workbench.salesforce.pubsub_wire import GET_TOPIC, Rpc, reader_of

__all__ = ["MAX_REQUEST_BYTES", "Channel", "metadata_of", "trusted_roots"]

# Above it the service's proxy tears the stream down, which looks like an outage.
# https://developer.salesforce.com/docs/platform/pub-sub-api/guide/allocations.html, 2026-11-23
MAX_REQUEST_BYTES = 4 * 1024 * 1024

CONNECT_SECONDS = 10.0
CALL_SECONDS = 30.0

_OPTIONS: tuple[tuple[str, Any], ...] = (
    ("grpc.max_send_message_length", MAX_REQUEST_BYTES),
    ("grpc.primary_user_agent", "workbench"),
    # What pings the service bears is not documented; a minute is cautious.
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.http2.max_pings_without_data", 0),
    # Whether to send again is decided with the outcomes in hand, never by the library.
    ("grpc.enable_retries", 0),
    ("grpc.service_config_disable_resolution", 1),
    ("grpc.initial_reconnect_backoff_ms", 500),
    ("grpc.min_reconnect_backoff_ms", 500),
    ("grpc.max_reconnect_backoff_ms", 10_000),
    ("grpc.use_local_subchannel_pool", 1),
)


def metadata_of(token: Token) -> tuple[tuple[str, str], ...]:
    """The headers of every call; keys must be lower case.

    https://developer.salesforce.com/docs/platform/pub-sub-api/guide/rpc-method-headers.html,
    2026-11-23
    """
    return (
        ("accesstoken", token.access_token),
        ("instanceurl", token.instance_url),
        ("tenantid", token.org_id),
    )


class Channel:
    """One HTTP/2 connection, made when first used and again after it was lost."""

    def __init__(self, endpoint: Endpoint, ca_file: str = "") -> None:
        self.endpoint = endpoint
        self._ca_file = ca_file
        self._channel: Any = None
        self._calls: dict[str, Any] = {}
        self._is_closed = False

    async def call(
        self, rpc: Rpc, token: Token, request: Any, timeout_seconds: float = CALL_SECONDS
    ) -> Any:
        """One unary call; `request` is a message, or one already encoded.

        Raises:
            CallRefused: no answer; `UNSENT` where there was no connection.
        """
        data = request if isinstance(request, bytes) else request.SerializeToString()
        make = self._open().unary_unary
        await self.connected()
        try:
            return await self._method(rpc, make)(
                data, metadata=metadata_of(token), timeout=timeout_seconds
            )
        except grpc.aio.AioRpcError as error:
            raise self.refused(rpc, error) from error

    def stream(self, rpc: Rpc, token: Token) -> Any:
        """A bidirectional call that takes encoded requests; call `connected` before."""
        return self._method(rpc, self._open().stream_stream)(metadata=metadata_of(token))

    async def connected(self) -> None:
        """Return once there is a connection.

        Raises:
            CallRefused: of kind `UNSENT`, since there is none.
        """
        channel, ready = self._open(), grpc.ChannelConnectivity.READY
        state = channel.get_state(try_to_connect=True)
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                while state is not ready:
                    if state is grpc.ChannelConnectivity.TRANSIENT_FAILURE:
                        raise self._unreachable(await self._why())
                    await channel.wait_for_state_change(state)
                    state = channel.get_state(try_to_connect=True)
        except TimeoutError as error:
            raise self._unreachable(f"no connection within {CONNECT_SECONDS:g} s") from error

    async def aclose(self) -> None:
        """Close the connection and cut every call; may be called twice."""
        self._is_closed = True
        channel, self._channel = self._channel, None
        if channel is not None:
            await channel.close()

    def refused(self, rpc: Rpc, error: Any) -> CallRefused:
        """Our error for one of grpc's."""
        status, details = error.code().name, error.details() or "no reason given"
        trailers = dict(error.trailing_metadata() or ())
        code = str(trailers.get("error-code", ""))
        shown = code.removeprefix(CODE_PREFIX)
        return CallRefused(
            f"{rpc.name} at {self.endpoint.target} ended with {status}"
            f"{f' ({shown})' if shown else ''}: {details}",
            kind=kind_of(status, code),
            code=shown or status,
        )

    async def _why(self) -> str:
        """Why there is no connection: only a call that fails by it can tell."""
        # Without a token nothing of ours could come of it, should the connection be there by now.
        try:
            await self._method(GET_TOPIC, self._open().unary_unary)(b"", timeout=CONNECT_SECONDS)
        except grpc.aio.AioRpcError as error:
            return str(error.details() or error.code().name)
        return "it answers now"

    def _unreachable(self, why: str) -> CallRefused:
        return CallRefused(
            f"the Pub/Sub API at {self.endpoint.target} can't be reached: {why}", kind=Kind.UNSENT
        )

    def _method(self, rpc: Rpc, make: Any) -> Any:
        method = self._calls.get(rpc.name)
        if method is None:
            method = self._calls[rpc.name] = make(rpc.path, response_deserializer=reader_of(rpc))
        return method

    def _open(self) -> Any:
        if self._is_closed:
            raise UsageError("this connection to the Pub/Sub API was closed; open a new one")
        if self._channel is None:
            # A proxy of the environment is for Salesforce, never for this machine's sandbox.
            options = (*_OPTIONS, ("grpc.enable_http_proxy", int(not self.endpoint.is_loopback)))
            target = self.endpoint.target
            if self.endpoint.is_tls:
                roots = grpc.ssl_channel_credentials(trusted_roots(self._ca_file))
                self._channel = grpc.aio.secure_channel(target, roots, options=options)
            else:
                self._channel = grpc.aio.insecure_channel(target, options=options)
        return self._channel


def trusted_roots(ca_file: str) -> bytes | None:
    """PEM of the certificate authorities to trust: the system's, or where it has no file of them
    those that come with grpc, and those of `ca_file`. None for those of grpc alone.

    Raises:
        SettingsError: `ca_file` can't be read.
    """
    shared = _system_roots()
    if not ca_file:
        return shared
    try:
        own = Path(ca_file).read_bytes()
    except OSError as error:
        raise SettingsError(f"ca_file {ca_file!r} can't be read: {error.strerror}") from error
    bundled = shared or pkgutil.get_data("grpc._cython", "_credentials/roots.pem") or b""
    return bundled + b"\n" + own


def _system_roots() -> bytes | None:
    """One file of all of them: where OpenSSL looks for it, or in its folder by Debian's name."""
    paths = ssl.get_default_verify_paths()
    for file in (paths.cafile, f"{paths.capath}/ca-certificates.crt"):
        if file and Path(file).is_file():
            return Path(file).read_bytes()
    return None
