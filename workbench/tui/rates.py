"""Figures of a run over the last minute."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from workbench.observe import Snapshot

__all__ = ["Rates"]


@dataclass(slots=True)
class Rates:
    """Figures over time, one sample every half second; newest last."""

    received: deque[float] = field(default_factory=lambda: deque(maxlen=120))
    settled: deque[float] = field(default_factory=lambda: deque(maxlen=120))
    latency: deque[float] = field(default_factory=lambda: deque(maxlen=120))
    recent: deque[float] = field(default_factory=lambda: deque(maxlen=1_000))
    _last: tuple[float, int, int] | None = None
    _since: list[float] = field(default_factory=list)

    def answered(self, seconds: float) -> None:
        self.recent.append(seconds)
        self._since.append(seconds)

    def sample(self, snapshot: Snapshot, now: float) -> None:
        """Take the figures at `now`, in seconds that only go forward."""
        settled = snapshot.acked + snapshot.terminated
        last, self._last = self._last, (now, snapshot.received, settled)
        if last is None or now <= last[0]:
            return
        seconds = now - last[0]
        self.received.append((snapshot.received - last[1]) / seconds)
        self.settled.append((settled - last[2]) / seconds)
        times = sorted(self._since)
        self.latency.append(times[len(times) // 2] * 1e3 if times else 0.0)
        self._since.clear()

    @property
    def per_second(self) -> float:
        """Events received a second, over the last two seconds."""
        last = list(self.received)[-4:]
        return sum(last) / len(last) if last else 0.0

    def percentile(self, share: float) -> float | None:
        """Milliseconds that this share of the last calls stayed within; None before the first."""
        if not self.recent:
            return None
        times = sorted(self.recent)
        return times[min(int(share * len(times)), len(times) - 1)] * 1e3
