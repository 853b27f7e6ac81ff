"""One Salesforce task of a running flow: how it renders, orders, collects and sends."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from typing import Any, cast

from workbench.engine.batcher import Batcher
from workbench.engine.lanes import Lanes
from workbench.engine.policy import RetryPolicy
from workbench.engine.ports import Sink
from workbench.engine.unit import Share, Unit, Visit
from workbench.model import Batch, Event, Group, Origin, Record

__all__ = ["Stage", "StageSpec"]

Render = Callable[[Event, Any], list[Record]]
OrderKey = Callable[[Event, Any, Record], str | None]


@dataclass(frozen=True, slots=True)
class StageSpec:
    """A task as the flow file describes it, with its way into Salesforce already open.

    Attributes:
        upstreams: names of the tasks whose results it receives; the source's name among them
            means the stream's own events.
        render: records of an event, in order; raises `RenderError`.
        order_key: the `order_by` value of a record, or None where the file has none.
        is_atomic: `all_or_none`.
        origins: where records of a unit come from, where that does not follow from the unit itself.
        settings, digest: the task's settings without secrets and the flow's version, for failed
            batches.
    """

    name: str
    upstreams: tuple[str, ...]
    render: Render
    sink: Sink
    policy: RetryPolicy
    order_key: OrderKey | None = None
    is_atomic: bool = False
    max_records: int = 200
    linger_seconds: float = 0.02
    max_in_flight: int = 8
    origins: Callable[[Unit], list[Origin]] | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    digest: str = ""


class Stage:
    """The state of one task: its lanes, its batcher, and who waits to be tried again."""

    def __init__(self, spec: StageSpec) -> None:
        self.spec = spec
        self.name = spec.name
        self.sink = spec.sink
        self.limits = spec.sink.limits
        self.policy = spec.policy
        self.next: list[Stage] = []
        self.lanes = Lanes()
        self.batcher = Batcher(
            self.limits, max_records=spec.max_records, linger_seconds=spec.linger_seconds
        )
        self.in_flight = 0
        self._waiting: list[tuple[float, int, Unit]] = []
        self._count = 0
        self._batches = 0
        self._is_whole = spec.is_atomic or self.limits.is_one_event
        self.is_simple = not self._is_whole and spec.order_key is None

    @property
    def waiting(self) -> int:
        """Units that wait for their next try."""
        return len(self._waiting)

    def is_grouped(self, unit: Unit) -> bool:
        """Whether the unit is a collection of its own rather than a row among others."""
        return self._is_whole and (len(unit.records) > 1 or self.limits.is_one_event)

    def misfit(self, records: list[Record]) -> str | None:
        """Why an event of these records can never be written as the flow asks, or None."""
        limits = self.limits
        count = len(records)
        if limits.is_one_event and count > limits.max_records:
            return f"it has {count} records; one request of this kind holds {limits.max_records}"
        if self.spec.is_atomic and count > limits.max_atomic_records:
            return (
                f"all_or_none: it has {count} records, and no request can write more than "
                f"{limits.max_atomic_records} of them together or not at all"
            )
        if self._is_whole and count > 1:
            seen: dict[str, int] = {}
            for index, key in enumerate(self.sink.keys_of(records)):
                if key is not None and seen.setdefault(key, index) != index:
                    return (
                        f"all_or_none: its records {seen[key] + 1} and {index + 1} have the same "
                        f"key {key!r}, which one transaction cannot write twice"
                    )
        return None

    def units_of(self, visit: Visit, indexes: list[int] | None) -> list[Unit]:
        """Split a visit into what can fail apart, with keys; `indexes` names the records to send,
        None for all."""
        records = visit.all
        if self._is_whole or (len(records) == 1 and indexes is None):
            visit.keys = self._keys(visit)
            return [visit]
        if self.is_simple and indexes is None and self._are_free(visit):
            return [visit]
        size = visit.size // len(records) + 1
        units: list[Unit] = []
        for index in range(len(records)) if indexes is None else indexes:
            unit = Share(visit, index, 1, size)
            unit.keys = self._keys(unit)
            units.append(unit)
        return units

    def _are_free(self, visit: Visit) -> bool:
        """Give a visit one key for each of its records, if nobody holds any and all differ."""
        keys = self.sink.keys_of(visit.all)
        if keys[0] is None:
            return not any(keys)
        own = set(keys)
        if len(own) < len(keys) or None in own:
            return False
        taken = cast("tuple[str, ...]", tuple(keys))
        if not self.lanes.are_free(taken):
            return False
        visit.keys = taken
        return True

    def _keys(self, unit: Unit) -> str | tuple[str, ...] | None:
        order_key = self.spec.order_key
        records = unit.records
        own = self.sink.keys_of(records)
        if order_key is None and len(records) == 1:
            return own[0]
        keys: dict[str, None] = {}
        for record, key in zip(records, own, strict=True):
            if key is not None:
                keys[key] = None
            if order_key is not None:
                order = order_key(unit.event, unit.visit.data, record)
                if order is not None:
                    keys["order:" + order] = None
        return tuple(keys) or None

    def postpone(self, unit: Unit, until: float) -> None:
        """Keep a unit, its keys held, for another try at `until` (monotonic seconds)."""
        self._count += 1
        heapq.heappush(self._waiting, (until, self._count, unit))

    def due(self, now: float) -> list[Unit]:
        """Take out the units whose time has come, soonest first."""
        units = []
        while self._waiting and self._waiting[0][0] <= now:
            units.append(heapq.heappop(self._waiting)[2])
        return units

    def next_retry(self) -> float | None:
        return self._waiting[0][0] if self._waiting else None

    def drop_waiting(self) -> list[Unit]:
        """Take out every unit that waits for another try, soonest first."""
        units = [entry[2] for entry in sorted(self._waiting)]
        self._waiting.clear()
        return units

    def batch_of(self, units: list[Unit]) -> Batch:
        """The request that carries these units, as `Batcher.take` gave them."""
        self._batches += 1
        attempts = [unit.tries + (unit.event.num_delivered or 1) for unit in units]
        last, least = max(attempts), min(attempts)
        identity = f"{self.name}-{self._batches}"
        if not self.is_grouped(units[0]):
            if len(units) == 1:
                records = units[0].records
            else:
                records = list(chain.from_iterable([unit.records for unit in units]))
            origins = partial(self._origins, units)
            return Batch(identity, self.name, [Group(records)], False, last, least, origins)
        atomic = self.spec.is_atomic
        size = self.limits.max_records
        if len(units) == 1 and len(units[0].records) > size:
            records = units[0].records
            # The flow may wish for smaller groups than one request can hold all of it in.
            size = max(size, -(-len(records) // self.limits.max_groups))
            groups = [
                Group(records[start : start + size], all_or_none=True)
                for start in range(0, len(records), size)
            ]
            return Batch(identity, self.name, groups, True, last, least)
        groups = [Group(unit.records, all_or_none=atomic) for unit in units]
        return Batch(identity, self.name, groups, False, last, least)

    def _origins(self, units: list[Unit]) -> list[Origin]:
        """Where the records of a request come from."""
        origins_of = self.spec.origins
        if origins_of is not None:
            return [origin for unit in units for origin in origins_of(unit)]
        return [
            (event.stream, unit.branch, event.sequence, unit.start, len(unit.records))
            for unit in units
            for event in (unit.event,)
        ]
