"""What the server was told lately, for events that it delivers again all the same."""

from __future__ import annotations

from collections import deque

__all__ = ["Settled"]

_MOST = 20_000
"""As many events as are on their way at once at most, unless the flow asks for more."""


class Settled:
    """The last 20,000 settlements that are final, by event.

    A nats-server that is killed forgets the acks of its last moments, and one that has lost
    patience delivers again what is being acked. To write such an event once more would put its
    old values over newer ones; so it is settled again and goes no further. An event is known by
    sequence and time, because a stream that was made anew counts from 1 again.
    """

    __slots__ = ("_count", "_fresh", "_known")

    def __init__(self) -> None:
        # Hardly ever asked, so the tokens are taken apart when somebody does.
        self._fresh: deque[tuple[list[str], bytes]] = deque()
        self._count = 0
        self._known: dict[tuple[str, str], bytes] = {}

    def remember(self, tokens: list[str], word: bytes) -> None:
        """These deliveries, by their reply subjects, were answered with this word."""
        self._fresh.append((tokens, word))
        self._count += len(tokens)
        while self._count > _MOST and len(self._fresh) > 1:
            self._count -= len(self._fresh.popleft()[0])

    def word_for(self, token: str) -> bytes | None:
        """What the event of this delivery was answered with before; None if it was not."""
        return self._index().get(_event_of(token))

    @property
    def newest(self) -> int:
        """The highest stream sequence among them; 0 for none."""
        return max((int(sequence) for sequence, _ in self._index()), default=0)

    def _index(self) -> dict[tuple[str, str], bytes]:
        known = self._known
        while self._fresh:
            tokens, word = self._fresh.popleft()
            for told in tokens:
                event = _event_of(told)
                known.pop(event, None)  # so that the newest stand last
                known[event] = word
        self._count = 0
        while len(known) > _MOST:
            del known[next(iter(known))]
        return known


def _event_of(token: str) -> tuple[str, str]:
    """Stream sequence and timestamp in a reply subject; its forms are told at the source."""
    parts = token.split(".")
    at = 5 if len(parts) == 9 else 7
    return parts[at], parts[at + 2]
