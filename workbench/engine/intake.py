"""Events on their way in: rendered, lined up by key, queued."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from workbench.codec import decode, loads
from workbench.engine import failure
from workbench.engine.closing import Closing
from workbench.engine.stage import Stage
from workbench.engine.unit import Ticket, Unit, Visit
from workbench.errors import RenderError
from workbench.model import Event

__all__ = ["Intake"]


class Intake:
    """Takes events in hand, and brings the results of a task to those that follow it.

    `entries` are the stages that receive from the source; what becomes of an event that makes no
    record, or does not fit, is for `closing`.
    """

    def __init__(self, entries: Sequence[Stage], closing: Closing) -> None:
        self._entries = entries
        self._single = closing.stages[0] if len(closing.stages) == 1 else None
        self._closing = closing
        self._gate = closing.gate
        self._ledger = closing.ledger
        self._counters = closing.counters
        self._parking = closing.ledger.parking

    def accept(self, events: Sequence[Event], now: float) -> None:
        """Take events in hand: render, line up by key, queue.

        The hot path of the whole program. The usual event (one record, one task, a key that is
        free) is dealt with right here; everything else goes through `enter`.
        """
        self._counters.received += len(events)
        active = now - self._gate.paused_seconds(now)
        ledger, single = self._ledger, self._single
        stage = single if single is not None and single.is_simple and not self._parking else None
        if stage is None:
            for event in events:
                self._accept_one(event, active, now)
            return
        render = stage.spec.render
        visits: list[Visit] = []
        for event in events:
            is_plain = event.num_delivered == 1
            try:
                value = loads(event.data)
                records = render(event, value)
            except (ValueError, RenderError):
                is_plain = False
            if is_plain:
                if not ledger.take(event, active):
                    continue
                visit = Visit(event, stage, None, value, records)
                if len(records) == 1:
                    visits.append(visit)
                    continue
            # Whoever came before lines up before it.
            self._line_up(stage, visits, now)
            visits = []
            if is_plain:
                self._queue(visit, None, now)
            else:
                self._accept_one(event, active, now)  # which also tells what is wrong
        self._line_up(stage, visits, now)

    def _line_up(self, stage: Stage, visits: list[Visit], now: float) -> None:
        """Queue visits of one record each, in order, those whose key is held behind its holder."""
        if not visits:
            return
        self._closing.held_records += len(visits)
        by_key = stage.lanes.by_key
        ready: list[Unit] = []
        size = 0
        keys = stage.sink.keys_of([visit.records[0] for visit in visits])
        if keys.count(None) == len(keys):
            stage.batcher.extend(visits, sum([visit.size for visit in visits]), now)
            return
        for visit, key in zip(visits, keys, strict=True):
            visit.keys = key
            if key is None:
                ready.append(visit)
                size += visit.size
            elif key not in by_key:
                by_key[key] = None
                ready.append(visit)
                size += visit.size
            else:
                stage.lanes.enter(visit)
        stage.batcher.extend(ready, size, now)

    def _accept_one(self, event: Event, active: float, now: float) -> None:
        """Any event, without hurry; `active` as in `Ledger.take`."""
        if event.num_delivered > 1:
            self._counters.redelivered += 1
        if not self._ledger.take(event, active):
            return
        try:
            value = decode(event.data)
        except ValueError as error:
            self._unfit_everywhere(event, f"the event's data does not parse: {error}", now)
        else:
            self._start(event, value, now)

    def _start(self, event: Event, data: Any, now: float) -> None:
        if self._single is not None:
            self.enter(self._single, event, None, data, "", now)
            return
        ticket = Ticket(event)
        ticket.open = 1  # held until every entry has been offered the event
        for stage in self._entries:
            self.enter(stage, event, ticket, data, "", now)
        self._ledger.close(ticket, now)

    def enter(
        self, stage: Stage, event: Event, ticket: Ticket | None, data: Any, branch: str, now: float
    ) -> None:
        """Render an event for a stage and queue what comes of it."""
        if ticket is not None:
            ticket.open += 1
        try:
            records = stage.spec.render(event, data)
        except RenderError as error:
            self._unfit(stage, event, ticket, str(error), data, branch, now)
            return
        visit = Visit(event, stage, ticket, data, records, branch)
        self._queue(visit, self._parking.recall(visit) if self._parking else None, now)

    def _queue(self, visit: Visit, missing: list[int] | None, now: float) -> None:
        """Split a rendered visit into units and queue those that hold their keys; `missing` names
        the records that are still to be sent, None for all."""
        stage, records = visit.stage, visit.all
        reason = stage.misfit(records) if len(records) > 1 else None
        units: list[Unit] = []
        if not reason and records and missing != []:
            try:
                units = stage.units_of(visit, missing)
            except RenderError as error:
                reason = str(error)
        if reason:
            self._unfit(stage, visit.event, visit.ticket, reason, visit.data, visit.branch, now)
            return
        visit.open = len(units)
        self._closing.held_records += len(records) if missing is None else len(missing)
        if not units:
            self._closing.close_visit(visit, now)
            return
        kept = self._parking.take_keys(visit) if self._parking else None
        if kept:
            # The event was sent back and has returned: it goes before those who waited for it.
            left = stage.lanes.hand_over(kept, units)
            for unit in units:
                if not unit.blocked:
                    stage.batcher.add(unit, now)
            self._closing.release_keys(stage, left, now)
        else:
            for unit in units:
                if stage.lanes.enter(unit):
                    stage.batcher.add(unit, now)

    def _unfit(
        self,
        stage: Stage,
        event: Event,
        ticket: Ticket | None,
        reason: str,
        data: Any,
        branch: str,
        now: float,
    ) -> None:
        """The event does not fit the flow, which is its own fault: kept, and the flow goes on."""
        given = data if branch else None
        failed = failure.unfit(
            event, stage.spec, self._closing.flow, self._closing.wall(), reason, given, branch
        )
        self._counters.failed("UNFIT", stage.name)
        self._ledger.settle(event, ticket, None, [failed], now)

    def _unfit_everywhere(self, event: Event, reason: str, now: float) -> None:
        ticket = None if self._single is not None else Ticket(event)
        if ticket is not None:
            ticket.open = len(self._entries)
        for stage in self._entries:
            self._unfit(stage, event, ticket, reason, None, "", now)
