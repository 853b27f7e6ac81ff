"""One call of the data API, apart from HTTP, and the table of who answers what.

Composite requests send their subrequests through the same `dispatch`, so a subrequest behaves as
the call would alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from .org import Org
from .refusals import ApiError
from .sessions import User
from .store import Table
from .writes import Writer

__all__ = ["NEWEST", "OLDEST", "Answer", "Call", "Route", "dispatch", "split_path"]

OLDEST, NEWEST = 31, 68
"""API versions answered; 68.0 is Winter '27.
https://developer.salesforce.com/docs/platform/api-metadata/guide/meta-api-eol.html (2026-11-23)"""
RETIRED = 30
"""This version and older ones are gone: HTTP 410."""


@dataclass(slots=True)
class Answer:
    """Status, JSON value (None: no body) and extra headers; `rows` is for the request log."""

    status: int
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    rows: int = 0
    failed_rows: int = 0


@dataclass(slots=True)
class Call:
    """One request: `segments` are the decoded path after /services/data/vNN.N."""

    org: Org
    user: User
    method: str
    version: str
    segments: tuple[str, ...]
    query: Mapping[str, str]
    body: Any
    headers: Mapping[str, str]
    """Names in lower case."""
    base_url: str
    """Scheme and host as the client sees them."""

    @property
    def number(self) -> int:
        """The API version as a whole number."""
        return int(self.version.partition(".")[0])

    @property
    def root(self) -> str:
        """`/services/data/v68.0`."""
        return f"/services/data/v{self.version}"

    @property
    def path(self) -> str:
        """The path as the client sent it, decoded, without the query."""
        return "/".join((self.root, *self.segments))

    def object_body(self, *known: str) -> dict[str, Any]:
        """The body, which must be an object, with no other keys than `known` if any are given."""
        if not isinstance(self.body, dict):
            found = "end of input" if self.body is None else type(self.body).__name__
            raise ApiError(400, "JSON_PARSER_ERROR", f"Expected an object in the body, not {found}")
        for key in self.body:
            if known and key not in known:
                raise ApiError(
                    400,
                    "JSON_PARSER_ERROR",
                    f'Unrecognized field "{key}", not marked as ignorable ({len(known)} known '
                    f"properties: {', '.join(known)})",
                )
        return self.body

    def table(self, name: str) -> Table:
        """The table of the object that the path names."""
        kind = self.org.schema.find(name)
        if kind is None:
            raise not_found()
        return self.org.store.tables[kind.name]

    def writer(self) -> Writer:
        """A writer with the options that this call's headers ask for."""
        options = self.headers.get("sforce-duplicate-rule-header", "").replace(" ", "").lower()
        return Writer(
            self.org,
            self.user,
            allow_duplicates="allowsave=true" in options.split(";"),
            path=self.path,
        )

    def sub(
        self,
        method: str,
        version: str,
        segments: tuple[str, ...],
        query: Mapping[str, str],
        body: Any,
        headers: Mapping[str, str],
    ) -> Call:
        """A call inside this one, by the same user."""
        return replace(
            self,
            method=method,
            version=version,
            segments=segments,
            query=query,
            body=body,
            headers={**self.headers, **headers},
        )


Handler = Callable[[Call], Answer]


@dataclass(frozen=True, slots=True)
class Route:
    """`pattern` segments are literal or `*`; a last `**` fits one or more."""

    pattern: tuple[str, ...]
    handlers: Mapping[str, Handler]
    since: int = OLDEST
    """The first API version that has it."""

    def fits(self, segments: tuple[str, ...]) -> bool:
        """True where the path is this route's."""
        pattern = self.pattern
        if pattern and pattern[-1] == "**":
            if len(segments) < len(pattern):
                return False
        elif len(pattern) != len(segments):
            return False
        return all(p in ("*", "**") or p == s for p, s in zip(pattern, segments, strict=False))


def not_found() -> ApiError:
    """The answer for whatever a path does not lead to."""
    return ApiError(404, "NOT_FOUND", "The requested resource does not exist")


def check_version(version: str) -> None:
    """Refuse versions that do not exist (404) or no longer (410)."""
    whole, dot, part = version.partition(".")
    if not (whole.isascii() and whole.isdigit()) or not dot or part != "0":
        raise not_found()
    if int(whole) <= RETIRED:
        raise ApiError(
            410, "UNSUPPORTED_API_VERSION", f"API version {version} is retired and no longer exists"
        )
    if int(whole) > NEWEST:
        raise not_found()


def dispatch(call: Call) -> Answer:
    """Answer one call.

    Raises:
        ApiError: the call is refused.
    """
    from .routes import ROUTES

    check_version(call.version)
    for route in ROUTES:
        if route.fits(call.segments) and call.number >= route.since:
            handler = route.handlers.get(call.method)
            if handler is None and call.method == "HEAD":
                handler = route.handlers.get("GET")
            if handler is None:
                allowed = ",".join(route.handlers)
                raise ApiError(
                    405,
                    "METHOD_NOT_ALLOWED",
                    f"HTTP Method '{call.method}' not allowed. Allowed are {allowed}",
                    headers={"Allow": allowed.replace(",", ", ")},
                )
            return handler(call)
    raise not_found()


def split_path(path: str) -> tuple[str, tuple[str, ...]]:
    """Version and segments of a decoded-later path such as `/services/data/v68.0/sobjects/X`.

    Segments are percent-decoded one by one, so that an encoded slash stays inside its segment.
    """
    from urllib.parse import unquote

    parts = [p for p in path.split("/") if p]
    if len(parts) < 3 or parts[:2] != ["services", "data"] or not parts[2].startswith("v"):
        raise not_found()
    return parts[2][1:], tuple(unquote(p) for p in parts[3:])
