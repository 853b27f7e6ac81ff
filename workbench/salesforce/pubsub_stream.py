"""One PublishStream: many requests in flight, each matched with its answer by its events' ids."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from workbench.salesforce.grants import Token
from workbench.salesforce.pubsub_channel import Channel
from workbench.salesforce.pubsub_codes import CallRefused, Kind
from workbench.salesforce.pubsub_grpc import grpc
from workbench.salesforce.pubsub_wire import PUBLISH_STREAM, PublishResponse

__all__ = ["PublishStream"]

CLOSING_SECONDS = 2.0

# What is raised by writing to a call that has ended.
_ENDED = (asyncio.InvalidStateError, grpc.aio.AioRpcError, grpc.aio.BaseError)


class _Waiting:
    """A request that has left, or is leaving, and is not answered."""

    __slots__ = ("answer", "ids")

    def __init__(self, ids: list[str], answer: asyncio.Future[PublishResponse]) -> None:
        self.ids = ids
        self.answer = answer


class PublishStream:
    """A stream of one topic, from its opening until it ends; a new one is made then.

    One task reads the answers. The first request travels alone until it is answered, so that a
    stream which is refused as such leaves one request in doubt at most.

    What the end of the stream says of requests without an answer: where the service itself refused
    (see `Kind`), that they were not published, because requests are worked off in their order and
    everything before the refused one had been answered. Should answers ever come in another order,
    that no longer follows, and all of them are unknown; nothing official promises the order
    (https://developer.salesforce.com/docs/platform/pub-sub-api/references/methods/publishstream-rpc.html,
    2026-11-23).
    """

    def __init__(self, channel: Channel, token: Token) -> None:
        self.token = token
        self.has_answered = False
        self.last_used = asyncio.get_running_loop().time()
        self._channel = channel
        self._call = channel.stream(PUBLISH_STREAM, token)
        self._writing = asyncio.Lock()
        self._waiting: dict[str, _Waiting] = {}
        self._is_ordered = True
        self._is_retired = False
        self._end: CallRefused | None = None
        self._reader = asyncio.create_task(self._read(), name="publish-stream")

    @property
    def is_open(self) -> bool:
        """Whether it takes requests. The call may have ended before our reader heard of it."""
        return self._end is None and not self._is_retired and not self._call.done()

    @property
    def is_busy(self) -> bool:
        """Whether a request waits for its answer."""
        return bool(self._waiting)

    async def publish(
        self, ids: list[str], request: bytes, timeout_seconds: float
    ) -> PublishResponse:
        """Send an encoded request with events of these ids; its answer.

        Raises:
            CallRefused: no answer. `REOPEN` if the stream had ended before; `UNKNOWN` if the answer
                did not come in time, after which the stream takes no more requests.
        """
        waiting = _Waiting(ids, asyncio.get_running_loop().create_future())
        try:
            async with asyncio.timeout(timeout_seconds):
                async with self._writing:
                    await self._write(waiting, request)
                    if not self.has_answered:
                        await asyncio.wait((waiting.answer,))
                return await waiting.answer
        except TimeoutError:
            is_sent = self._waiting.pop(ids[0], None) is not None
            raise self._late(timeout_seconds, is_sent) from None
        finally:
            self._waiting.pop(ids[0], None)
            if self._is_retired and not self._waiting:
                self._call.cancel()

    async def _write(self, waiting: _Waiting, request: bytes) -> None:
        if not self.is_open:
            raise CallRefused("the publish stream had ended", kind=Kind.REOPEN)
        self.last_used = asyncio.get_running_loop().time()
        self._waiting[waiting.ids[0]] = waiting
        with suppress(*_ENDED):  # the reader hears why, and tells everyone who waits
            await self._send(request)

    async def _send(self, request: bytes) -> None:
        """Put a request on the wire without `write`.

        When the service is just ending the stream, `write` declares an internal error, which hides
        the service's own status for ever, and with it answers that have come and are not yet read.
        So the step below it is taken directly where it can be found. Once grpc.aio keeps the status
        that was sent (`_write` in grpc/aio/_call.py, 1.85), `self._call.write` is enough.
        """
        inner = getattr(self._call, "_cython_call", None)
        send = getattr(inner, "send_serialized_message", self._call.write)
        await self._call.wait_for_connection()
        try:
            await send(request)
        except asyncio.CancelledError:
            # Half a request may be out, and nothing can follow it.
            self._call.cancel()
            raise

    def _late(self, seconds: float, is_sent: bool) -> CallRefused:
        """A stream may go deaf without a word: whoever comes next gets another."""
        self._is_retired = True
        if not is_sent:
            return CallRefused("the publish stream took no more requests", kind=Kind.UNSENT)
        return CallRefused(
            f"no answer to a publish request within {seconds:g} s", kind=Kind.UNKNOWN
        )

    async def aclose(self) -> None:
        """Say that nothing more will come, wait shortly for the service to agree, and end it."""
        self._is_retired = True
        if self._end is None:
            with suppress(TimeoutError, *_ENDED):
                async with asyncio.timeout(CLOSING_SECONDS):
                    await self._call.done_writing()
                    await asyncio.wait((self._reader,))
            self._call.cancel()
        await asyncio.wait((self._reader,))

    async def _read(self) -> None:
        end = CallRefused("the publish stream was ended by the server", kind=Kind.UNKNOWN)
        try:
            while (response := await self._call.read()) is not grpc.aio.EOF:
                self._answered(response)
        except grpc.aio.AioRpcError as error:
            end = self._channel.refused(PUBLISH_STREAM, error)
        except asyncio.CancelledError:
            # grpc raises it also when the call was cancelled by us and this task was not.
            end = CallRefused("the publish stream was cut here", kind=Kind.UNKNOWN)
        finally:
            self._ended(end)

    def _answered(self, response: PublishResponse) -> None:
        """Hand an answer to its request; one without results is a sign of life and no more, and one
        of an unknown request came too late."""
        results = response.results
        if not results:
            return
        key = results[0].correlation_key
        if key not in self._waiting:
            keys = {result.correlation_key for result in results}
            found = (k for k, w in self._waiting.items() if not keys.isdisjoint(w.ids))
            key = next(found, "")
        self._is_ordered &= key == next(iter(self._waiting), "")
        waiting = self._waiting.pop(key, None)
        self.has_answered = True
        if waiting is not None and not waiting.answer.done():
            waiting.answer.set_result(response)

    def _ended(self, end: CallRefused) -> None:
        self._end = end
        waiting = [w for w in self._waiting.values() if not w.answer.done()]
        if end.is_certain and not self._is_ordered and len(waiting) > 1:
            end = CallRefused(
                f"{end}; answers came in another order than the requests, so it is not known which "
                "of those in flight were published",
                kind=Kind.UNKNOWN,
                code=end.code,
            )
        for number, one in enumerate(waiting):
            # What one request asks wrong is the fault of the first that is not answered.
            is_neighbour = number > 0 and end.kind is Kind.REQUEST
            one.answer.set_exception(_cut_off(end) if is_neighbour else end)


def _cut_off(end: CallRefused) -> CallRefused:
    return CallRefused(f"cut off by the refusal of another request: {end}", kind=Kind.REOPEN)
