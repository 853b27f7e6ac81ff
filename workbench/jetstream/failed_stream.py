"""The stream that failed batches lie in: made on first use, read by subject."""

from __future__ import annotations

import base64
from typing import Any

from workbench.errors import StreamError
from workbench.jetstream.client import parse_headers
from workbench.jetstream.connection import ApiError, Connection, RightMissing
from workbench.jetstream.peek import peek
from workbench.jetstream.stored import NO_MESSAGE, STREAM_NOT_FOUND, nanoseconds_of
from workbench.model import Event

__all__ = ["DEFAULT_STREAM", "FailedStream"]

DEFAULT_STREAM = "workbench_failed"
_STREAM_NAME_EXISTS = 10058
_NS = 1_000_000_000
_DUPLICATE_WINDOW_SECONDS = 120


class FailedStream:
    """One stream and its messages by subject; `prefix` begins all its subjects."""

    def __init__(
        self,
        connection: Connection,
        name: str,
        max_age_seconds: float | None = None,
        replicas: int | None = None,
    ) -> None:
        self.name = name
        # Streams of one account may not overlap, so only the usual one has the short form.
        self.prefix = (
            "workbench.failed" if name == DEFAULT_STREAM else f"workbench.failed_in.{name}"
        )
        self._connection = connection
        self._wishes: dict[str, Any] = {}
        if max_age_seconds is not None:
            self._wishes["max_age"] = int(max_age_seconds * _NS)
        if replicas is not None:
            self._wishes["num_replicas"] = replicas
        self._is_there = False

    async def ensure(self) -> None:
        """See to it that it is there and as wished; asks the server the first time only.

        Raises:
            StreamError: it can't be made, or is a stream of another kind.
        """
        if self._is_there:
            return
        try:
            info = await self._connection.api(f"STREAM.INFO.{self.name}")
        except ApiError as error:
            if error.err_code != STREAM_NOT_FOUND:
                raise
            info = await self._make()
        config = info["config"]
        if config.get("max_msgs_per_subject") != 1 or f"{self.prefix}.>" not in config["subjects"]:
            raise ApiError(
                f"stream {self.name!r} for failed batches", 400, _STREAM_NAME_EXISTS,
                f"it is there and something else; set flow.failed.stream to a name that is free, "
                f"or give it the subject {self.prefix}.> and max_msgs_per_subject 1",
            )  # fmt: skip
        changes = {key: value for key, value in self._wishes.items() if config.get(key) != value}
        if changes:
            await self._connection.api(
                f"STREAM.UPDATE.{self.name}", _with_window({**config, **changes})
            )
        self._is_there = True

    def doubt(self) -> None:
        """Let `ensure` ask again: nobody answered for its subjects."""
        self._is_there = False

    async def _make(self) -> dict[str, Any]:
        config = {
            "name": self.name,
            "subjects": [f"{self.prefix}.>"],
            "description": "What workbench could not write, until it is replayed or discarded",
            "retention": "limits",
            "storage": "file",
            "discard": "new",
            "max_msgs_per_subject": 1,
            "max_msgs": -1,
            "max_bytes": -1,
            "max_consumers": -1,
            "num_replicas": 1,
            "allow_direct": True,
            **self._wishes,
        }
        try:
            return await self._connection.api(f"STREAM.CREATE.{self.name}", _with_window(config))
        except ApiError as error:
            if error.err_code != _STREAM_NAME_EXISTS:  # another process was faster
                raise
            return await self._connection.api(f"STREAM.INFO.{self.name}")

    async def state(self) -> dict[str, Any] | None:
        """The server's word on it; None where it is not there."""
        try:
            info = await self._connection.api(f"STREAM.INFO.{self.name}")
        except ApiError as error:
            if error.err_code == STREAM_NOT_FOUND:
                return None
            raise
        state: dict[str, Any] = info["state"]
        return state

    async def last(self, subject: str) -> Event | None:
        """The one message of a subject, from the leader; None where there is none."""
        try:
            answer = await self._connection.api(
                f"STREAM.MSG.GET.{self.name}", {"last_by_subj": subject}
            )
        except ApiError as error:
            if error.err_code in (NO_MESSAGE, STREAM_NOT_FOUND):
                return None
            raise
        message = answer["message"]
        return Event(
            message["subject"],
            base64.b64decode(message.get("data") or ""),
            parse_headers(base64.b64decode(message.get("hdrs") or "")),
            self.name,
            int(message["seq"]),
            0,
            nanoseconds_of(message["time"]),
        )

    async def read(self, subject: str, start: int, limit: int) -> list[Event]:
        """Messages that match, from a sequence on, in order."""
        try:
            return await peek(
                self._connection, self.name, subject, start_sequence=start, limit=limit
            )
        except StreamError:
            if await self.state() is None:
                return []
            raise

    async def purge(self, subject: str) -> None:
        """Remove what matches; what can't be removed now is only in the way."""
        try:
            await self._connection.api(f"STREAM.PURGE.{self.name}", {"filter": subject})
        except (ApiError, RightMissing):
            return


def _with_window(config: dict[str, Any]) -> dict[str, Any]:
    """The server refuses a duplicate window longer than max_age; we need none at all."""
    age = config.get("max_age") or 0
    window = _DUPLICATE_WINDOW_SECONDS * _NS
    return {**config, "duplicate_window": min(age, window) if age else window}
