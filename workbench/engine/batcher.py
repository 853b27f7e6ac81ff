"""Collecting units into requests by count, bytes and age; no clock, no timer, no I/O."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import islice
from typing import Literal

from workbench.engine.unit import Unit
from workbench.model import Limits

__all__ = ["Batcher", "Full"]

Full = Literal["records", "bytes", "linger", "flush", "single"]
"""Why a batch was closed."""


class Batcher:
    """Two queues of units that may go: single records, and groups that keep their own atomicity.

    Singles share one collection. Groups (an all-or-none event of several records, or an event
    that must travel alone) share a request as collections of their own.
    """

    __slots__ = (
        "_bytes",
        "_groups",
        "_groups_since",
        "_limits",
        "_linger",
        "_max_records",
        "_records",
        "_since",
        "_singles",
    )

    def __init__(self, limits: Limits, *, max_records: int, linger_seconds: float) -> None:
        self._limits = limits
        self._max_records = min(max_records, limits.max_records)
        self._linger = linger_seconds
        self._singles: deque[Unit] = deque()
        self._groups: deque[Unit] = deque()
        self._records = 0
        self._bytes = 0
        self._since = 0.0
        self._groups_since = 0.0

    def __len__(self) -> int:
        """Units that may go."""
        return len(self._singles) + len(self._groups)

    def add(self, unit: Unit, now: float) -> None:
        """Queue a unit behind the others."""
        if unit.visit.stage.is_grouped(unit):
            if not self._groups:
                self._groups_since = now
            self._groups.append(unit)
        else:
            if not self._singles:
                self._since = now
            self._singles.append(unit)
            self._records += len(unit.records)
            self._bytes += unit.size

    def extend(self, units: Sequence[Unit], size: int, now: float) -> None:
        """Queue many units of one record each at once; `size` is the sum of theirs."""
        if not self._singles:
            self._since = now
        self._singles.extend(units)
        self._records += len(units)
        self._bytes += size

    def put_back(self, units: list[Unit], now: float) -> None:
        """Queue units, in their order, before all others: they were sent and have to go again."""
        for unit in reversed(units):
            if unit.visit.stage.is_grouped(unit):
                if not self._groups:
                    self._groups_since = now
                self._groups.appendleft(unit)
            else:
                if not self._singles:
                    self._since = now
                self._singles.appendleft(unit)
                self._records += len(unit.records)
                self._bytes += unit.size

    def drop(self) -> list[Unit]:
        """Take out everything."""
        units = [*self._singles, *self._groups]
        self._singles.clear()
        self._groups.clear()
        self._records = self._bytes = 0
        return units

    def next_deadline(self) -> float | None:
        """When the oldest queued unit has waited long enough, monotonic seconds; None if empty."""
        times = []
        if self._singles:
            times.append(self._since + self._linger)
        if self._groups:
            times.append(self._groups_since + self._linger)
        return min(times, default=None)

    def take(self, now: float, *, flush: bool = False) -> tuple[list[Unit], Full] | None:
        """The units of the next request, or None while it pays to wait.

        Every unit comes out once, singles in the order they were added. With `flush` nothing waits.
        """
        why = self._why(now, flush)
        if why is not None:
            return self._take_singles(now), why
        return self._take_groups(now, flush)

    def _why(self, now: float, flush: bool) -> Full | None:
        if not self._singles:
            return None
        if self._records >= self._max_records:
            return "records"
        if self._bytes >= self._limits.max_bytes:
            return "bytes"
        if flush:
            return "flush"
        return "linger" if now >= self._since + self._linger else None

    def _take_singles(self, now: float) -> list[Unit]:
        singles, max_bytes = self._singles, self._limits.max_bytes
        if self._records <= self._max_records and self._bytes < max_bytes:
            units = list(singles)
            singles.clear()
            self._records = self._bytes = 0
            return units
        room = self._max_records
        if len(singles) == self._records > room:  # one record each: no looking where to divide
            units = list(islice(singles, room))
            size = sum([unit.size for unit in units])
            if size <= max_bytes:
                for _ in units:
                    singles.popleft()
                self._records -= room
                self._bytes -= size
                self._since = now
                return units
        units, size = [], 0
        while singles and room:
            unit = singles[0]
            count = len(unit.records)
            fits = min(count, room)
            if size + unit.size > max_bytes:
                fits = min(fits, (max_bytes - size) * count // unit.size)
                if not fits and units:
                    break
                fits = max(fits, 1)
            singles.popleft()
            self._bytes -= unit.size
            if fits < count:
                unit, *rest = unit.divide(fits)
                singles.extendleft(reversed(rest))
                self._bytes += sum(other.size for other in rest)
            units.append(unit)
            room -= fits
            size += unit.size
            self._records -= fits
        self._since = now
        return units

    def _take_groups(self, now: float, flush: bool) -> tuple[list[Unit], Full] | None:
        groups = self._groups
        if not groups:
            return None
        limits = self._limits
        if limits.is_one_event or len(groups[0].records) > self._max_records:
            return [groups.popleft()], "single"
        units: list[Unit] = []
        size = 0
        for unit in groups:
            if len(units) == limits.max_groups or len(unit.records) > self._max_records:
                break
            if units and size + unit.size > limits.max_bytes:
                break
            units.append(unit)
            size += unit.size
        is_full = len(units) < len(groups) or len(units) == limits.max_groups
        if not (is_full or flush or now >= self._groups_since + self._linger):
            return None
        for _ in units:
            groups.popleft()
        self._groups_since = now
        return units, "records" if is_full else "flush" if flush else "linger"
