"""HTTP in front of the org: sockets, bodies, sessions, metering, and the faults of a call.

The order in which a data call meets things: latency, drop-before, status and limit faults, then
the session, the policy, the daily limit, then the work, then drop and truncate.
"""

from __future__ import annotations

import asyncio
import gzip
import logging
import re
import socket
import ssl
import time
from collections.abc import Mapping
from typing import Any

import orjson
from aiohttp import web

from . import metadata, oauth, soap
from .api import Answer, Call, dispatch, not_found, split_path
from .control import control
from .fault_answers import (
    daily_limit_refusal,
    limit_refusal,
    own_failure,
    policy_refusal,
    status_refusal,
)
from .faults import Fault
from .org import Org
from .refusals import ApiError

__all__ = ["HttpServer", "listen"]

LOOPBACK = "127.0.0.1"
MOST_BODY_BYTES = 50 * 1024 * 1024
"""Of a request, unpacked; see EXCEEDED_MAX_SIZE_REQUEST at
https://developer.salesforce.com/docs/atlas.en-us.api.meta/api/sforce_api_calls_concepts_core_data_objects.htm
(2026-11-23)"""
MOST_URI_BYTES = 16_384
"""https://developer.salesforce.com/docs/atlas.en-us.salesforce_app_limits_cheatsheet.meta/salesforce_app_limits_cheatsheet/salesforce_app_limits_platform_api.htm
(2026-11-23)"""
GZIP_FROM_BYTES = 1_024
"""Smaller answers gain nothing from gzip."""
_JSON = {"Content-Type": "application/json;charset=UTF-8"}
_EVERY_ANSWER = {"Cache-Control": "no-cache,must-revalidate,max-age=0,no-store"}

_HOST = re.compile(r"[A-Za-z0-9.\-]+(:\d{1,5})?|\[[0-9A-Fa-f:]+\](:\d{1,5})?")


class HttpServer:
    """Serves one org on any number of sockets."""

    def __init__(self, org: Org) -> None:
        self.org = org
        self._runner: web.ServerRunner | None = None

    async def start(self, sockets: list[tuple[socket.socket, ssl.SSLContext | None]]) -> None:
        """Serve on listening sockets, with TLS where a context is given."""
        server = web.Server(
            self._handle,
            access_log=None,
            max_line_size=4 * MOST_URI_BYTES,
            max_field_size=4 * MOST_URI_BYTES,
            keepalive_timeout=3_600,
            logger=_quiet_logger(),
        )
        # Not 0: that would mean to wait for as long as the slowest answer takes.
        self._runner = web.ServerRunner(server, handle_signals=False, shutdown_timeout=0.01)
        await self._runner.setup()
        for listening, context in sockets:
            site = web.SockSite(self._runner, listening, ssl_context=context)
            await site.start()

    async def aclose(self) -> None:
        """Stop listening and cut what is open. May be called twice."""
        runner, self._runner = self._runner, None
        if runner is not None:
            server = runner.server
            if server is not None:
                for connection in list(server.connections):
                    connection.force_close()
            await runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        started = time.perf_counter()
        exchange = _Exchange(self.org, request)
        try:
            answer = await exchange.answer()
        except ApiError as error:
            answer = Answer(error.status, error.body, error.headers)
        except Exception:
            logging.getLogger(__name__).exception("The emulator failed at %s", request.path)
            answer = Answer(500, own_failure().body)
        response = exchange.respond(answer)
        if not exchange.is_control:
            self.org.requests.append(
                {
                    "at": self.org.now_text(),
                    "method": request.method,
                    "path": exchange.path,
                    "status": 0 if exchange.is_dropped else answer.status,
                    "records": answer.rows,
                    "failed": answer.failed_rows,
                    "ms": round((time.perf_counter() - started) * 1000, 3),
                    "fault": exchange.fault_text,
                }
            )
        if exchange.is_truncated:
            return await exchange.send_half(response)
        return response


class _Exchange:
    """One request on its way through."""

    def __init__(self, org: Org, request: web.BaseRequest) -> None:
        self.org = org
        self.request = request
        raw_path, _, _ = request.raw_path.partition("?")
        # The Salesforce CLI keeps an instance url that ends in a slash and adds /services to it.
        self.raw_path = "/" + raw_path.lstrip("/")
        self.path = "/" + request.path.lstrip("/")
        self.headers: Mapping[str, str] = {k.lower(): v for k, v in request.headers.items()}
        self.is_control = self.path == "/emulator" or self.path.startswith("/emulator/")
        self.is_data = self.path.startswith("/services/data/")
        self.is_dropped = False
        self.is_truncated = False
        self.is_half_read = False
        self.is_metered = False
        self.fault_text: str | None = None

    @property
    def base_url(self) -> str:
        """Scheme and host as the client reached us: what it gets as its instance_url."""
        host = self.request.headers.get("Host", "")
        if not _HOST.fullmatch(host):
            transport = self.request.transport
            name = transport.get_extra_info("sockname") if transport else (LOOPBACK, 0)
            host = f"{name[0]}:{name[1]}"
        return f"{'https' if self.request.secure else 'http'}://{host}"

    async def answer(self) -> Answer:
        """Do what is asked.

        Raises:
            ApiError: refused.
        """
        body = await self._body()
        if self.is_control:
            return control(self.org, self.request.method, self.path, self.request.query, body)
        if self.path.rstrip("/") == "/services/data":
            return self._versions()
        if len(self.request.raw_path) > MOST_URI_BYTES:
            raise ApiError(414, "URI_TOO_LONG", "The URI is too long")
        fault = self._draw("latency")
        if fault is not None:
            await asyncio.sleep(fault.seconds())
        if self._draw("drop-before") is not None:
            return self._drop()
        answer = self._work(body)
        if self._draw("drop") is not None:
            self._drop()
        elif self._draw("truncate") is not None:
            self.is_truncated = True
        return answer

    def respond(self, answer: Answer) -> web.Response:
        """The HTTP form of an answer, packed if the client can unpack it."""
        headers = {**_EVERY_ANSWER, **answer.headers}
        if self.is_metered:
            headers["Sforce-Limit-Info"] = self.org.usage.header()
        if answer.body is None:
            payload = b""
        elif isinstance(answer.body, bytes):
            payload = answer.body
            headers.setdefault("Content-Type", "text/plain;charset=UTF-8")
        else:
            payload = orjson.dumps(answer.body)
            headers.update(_JSON)
        if len(payload) >= GZIP_FROM_BYTES and "gzip" in self.headers.get("accept-encoding", ""):
            payload = gzip.compress(payload, compresslevel=1)
            headers["Content-Encoding"] = "gzip"
        if self.is_dropped and self.request.transport is not None:
            self.request.transport.abort()
        response = web.Response(status=answer.status, body=payload, headers=headers)
        if self.is_half_read:
            response.force_close()
        return response

    async def send_half(self, whole: web.Response) -> web.StreamResponse:
        """Promise the whole body, send half, hang up. Of no body there is no half: just hang up."""
        payload = whole.body if isinstance(whole.body, bytes) else b""
        if not payload and self.request.transport is not None:
            self.request.transport.abort()
            return whole
        response = web.StreamResponse(status=whole.status, headers=whole.headers)
        response.content_length = len(payload)
        await response.prepare(self.request)
        await response.write(payload[: len(payload) // 2])
        if self.request.transport is not None:
            self.request.transport.close()
        return response

    def _work(self, body: bytes) -> Answer:
        if self.is_data:
            return self._data(body)
        path = self.path.rstrip("/")
        if path == "/services/oauth2/token":
            self._need_method("POST")
            self._meet_status()
            if (fault := self._draw("login")) is not None:
                raise oauth.login_fault(fault)
            return oauth.token(self.org, self.base_url, self.headers, body)
        if path == "/services/oauth2/revoke":
            return oauth.revoke(self.org, self.request.query, body)
        if path == "/services/oauth2/introspect":
            self._need_method("POST")
            return oauth.introspect(self.org, self.base_url, self.headers, body)
        if path == "/services/oauth2/userinfo":
            return self._userinfo()
        if path.startswith("/id/"):
            return oauth.identity(self.org, self.base_url, self._user(), path)
        if path.startswith("/services/Soap/u/"):
            return self._soap(body)
        raise not_found()

    def _data(self, body: bytes) -> Answer:
        self.org.calls += 1
        self.is_metered = True
        self._meet_status()
        if (fault := self._draw("limit")) is not None:
            raise limit_refusal(fault)
        user = self._user()
        usage = self.org.usage
        if usage.used >= usage.limit:
            raise daily_limit_refusal()
        usage.used += 1
        version, segments = split_path(self.raw_path)
        method = self.request.method
        if method == "POST" and "_HttpMethod" in self.request.query:
            method = self.request.query["_HttpMethod"]
        call = Call(
            org=self.org,
            user=user,
            method=method,
            version=version,
            segments=segments,
            query=self.request.query,
            body=self._json(body) if method in ("POST", "PATCH", "PUT") else None,
            headers=self.headers,
            base_url=self.base_url,
        )
        self._check_accept()
        return dispatch(call)

    def _json(self, body: bytes) -> Any:
        kind = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind and kind != "application/json" and body:
            raise ApiError(
                415,
                "UNSUPPORTED_MEDIA_TYPE",
                f"Content-Type {kind} is not supported here; send application/json",
            )
        if not body:
            return None
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise ApiError(
                400,
                "JSON_PARSER_ERROR",
                f"{error.msg} at [line:{error.lineno}, column:{error.colno}]",
            ) from None

    def _check_accept(self) -> None:
        accept = self.headers.get("accept", "*/*").lower()
        if accept and not any(kind in accept for kind in ("*/*", "json", "application/*")):
            raise ApiError(406, "NOT_ACCEPTABLE", "Only JSON can be answered here")

    def _user(self) -> Any:
        """The caller.

        Raises:
            ApiError: 401, or what a policy fault says.
        """
        if self._draw("expire") is not None:
            self.org.sessions.expire_all()
        token = oauth.bearer_token(self.headers)
        user = self.org.sessions.check(token) if token else None
        if user is None:
            raise ApiError(401, "INVALID_SESSION_ID", "Session expired or invalid")
        if (fault := self._draw("policy")) is not None:
            raise policy_refusal(fault)
        return user

    def _userinfo(self) -> Answer:
        token = oauth.bearer_token(self.headers)
        user = self.org.sessions.check(token) if token else None
        if user is None:
            return Answer(403, b"Bad_OAuth_Token")
        return oauth.userinfo(self.org, self.base_url, user)

    def _soap(self, body: bytes) -> Answer:
        self._need_method("POST")
        if self._draw("login") is not None:
            status, text = soap.refused_login()
        else:
            status, text = soap.login(self.org, self.base_url, self.path, body)
        return Answer(status, text.encode(), {"Content-Type": "text/xml;charset=UTF-8"})

    def _versions(self) -> Answer:
        self._need_method("GET", "HEAD")
        return Answer(200, metadata.versions())

    def _need_method(self, *methods: str) -> None:
        if self.request.method not in methods:
            raise ApiError(
                405,
                "METHOD_NOT_ALLOWED",
                f"HTTP Method '{self.request.method}' not allowed. Allowed are {','.join(methods)}",
                headers={"Allow": ", ".join(methods)},
            )

    def _meet_status(self) -> None:
        if (fault := self._draw("status")) is not None:
            raise status_refusal(fault)

    def _draw(self, kind: str) -> Fault | None:
        faults = self.org.faults
        if not faults.any(kind):
            return None
        fault = faults.draw(kind, path=self.path, object=_object_in(self.path))
        if fault is not None:
            self.fault_text = fault.text
        return fault

    def _drop(self) -> Answer:
        self.is_dropped = True
        return Answer(200)

    async def _body(self) -> bytes:
        """The body, unpacked; aiohttp has undone the Content-Encoding."""
        if not self.request.can_read_body:
            return b""
        if self.headers.get("expect", "").lower() == "100-continue":
            transport = self.request.transport
            if transport is not None:
                transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        chunks, size = [], 0
        try:
            async for chunk in self.request.content.iter_any():
                size += len(chunk)
                if size > MOST_BODY_BYTES:
                    self.is_half_read = True
                    raise ApiError(
                        413, "EXCEEDED_MAX_SIZE_REQUEST", "The request is larger than 50 MB"
                    )
                chunks.append(chunk)
        except (web.RequestPayloadError, ConnectionError):
            self.is_half_read = True
            raise ApiError(400, "POST_BODY_PARSE_ERROR", "The body cannot be read") from None
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _quiet_logger() -> logging.Logger:
    """For what aiohttp says of malformed requests: they are the client's doing, answered by 400."""
    logger = logging.getLogger(f"{__name__}.aiohttp")
    logger.propagate = False
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
    return logger


def _object_in(path: str) -> str:
    """The sObject that a path names, for faults that ask for one; empty when it names none."""
    parts = [p for p in path.split("/") if p]
    for place, part in enumerate(parts[:-1]):
        if part in ("sobjects", "tree"):
            return parts[place + 1]
    return ""


def listen(port: int) -> socket.socket:
    """A listening socket on loopback; port 0 takes a free one.

    Raises:
        OSError: the port is taken.
    """
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((LOOPBACK, port))
        listening.listen(256)
    except OSError as error:
        listening.close()
        problem = f"port {port} of {LOOPBACK} can't be listened on: {error.strerror}"
        raise OSError(error.errno, problem) from error
    return listening
