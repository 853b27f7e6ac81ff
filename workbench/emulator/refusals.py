"""The two ways in which the emulator says no: to a whole call, or to one row of it."""

from __future__ import annotations

from typing import Any

__all__ = ["ApiError", "RowError"]


class ApiError(Exception):
    """The whole call is refused: an HTTP status and the array that Salesforce answers with.

    `entries` are `{"message", "errorCode", "fields"?}`; a `body` given instead is sent as it is,
    for the answers that have another shape (OAuth errors, lists of urls).
    """

    def __init__(
        self,
        status: int,
        code: str = "",
        message: str = "",
        fields: list[str] | None = None,
        *,
        entries: list[dict[str, Any]] | None = None,
        body: Any = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.headers = headers or {}
        if body is not None:
            self.body = body
        elif entries is not None:
            self.body = entries
        else:
            entry: dict[str, Any] = {"message": message, "errorCode": code}
            if fields is not None:
                entry["fields"] = fields
            self.body = [entry]


class RowError(Exception):
    """One row is refused; collections show it in the row, single-row calls as a 400.

    `errors` are `{"statusCode", "message", "fields"}`, the form of the collections.
    `single_status` is the HTTP status where the same thing befalls a single-row call.
    """

    def __init__(
        self,
        code: str,
        message: str,
        fields: list[str] | None = None,
        *,
        single_status: int = 400,
        more: list[dict[str, Any]] | None = None,
        detail: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.errors: list[dict[str, Any]] = [
            {"statusCode": code, "message": message, "fields": fields or []},
            *(more or ()),
        ]
        self.single_status = single_status
        self.detail = detail

    def as_api_error(self) -> ApiError:
        """The same refusal as the answer of a single-row call."""
        entries = [
            {"message": e["message"], "errorCode": e["statusCode"], "fields": e["fields"]}
            for e in self.errors
        ]
        if self.detail is not None:
            entries[0].update(self.detail)
        return ApiError(self.single_status, entries=entries)
