"""Numbers of all flows of a process, in the form that Prometheus reads.

Totals come from the engines' own snapshots when somebody asks; only what a snapshot does not hold
(how long requests took, how full they were, what became of each try) is counted from notices.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from time import time

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from workbench.model import Event
from workbench.observe.notices import (
    BatchAnswered,
    EventsSettled,
    Notice,
    StoreFailed,
    StreamInDanger,
    StreamSeen,
)
from workbench.observe.outcomes import count_outcomes
from workbench.observe.snapshot import Snapshot

__all__ = ["Metrics", "Reading"]

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1, 2, 5, 10, 30, 60, 120)
_AGES = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 4 * 3600, 24 * 3600)
_STALLS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
_KINDS = ("refused", "unfit", "exhausted", "unknown", "undecided")
_RECORDS = (1, 2, 5, 10, 25, 50, 100, 150, 190, 199, 200, 400, 1000)


@dataclass(frozen=True, slots=True)
class Reading:
    """A running flow as it stands when somebody asks.

    Attributes:
        pending: events that the stream has not delivered yet.
        is_ready: whether it is connected, logged in and consuming.
        budget_share: the share of the org's daily calls at which the flow pauses; 1 for none.
    """

    snapshot: Snapshot
    pending: int
    is_ready: bool
    budget_share: float


class Metrics:
    """An observer that also knows how to ask every flow how it stands.

    Args:
        readings: of each running flow.
        stopped: how many of the process's flows have ended, or never began.
    """

    def __init__(
        self, readings: Callable[[], Iterable[Reading]], stopped: Callable[[], int] = lambda: 0
    ) -> None:
        self._readings = readings
        registry = self._registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        registry.register(_Totals(readings, stopped))

        def counter(name: str, what: str, *labels: str) -> Counter:
            return Counter(f"workbench_{name}", what, ("flow", *labels), registry=registry)

        def histogram(
            name: str, what: str, buckets: Sequence[float], labels: Sequence[str]
        ) -> Histogram:
            return Histogram(f"workbench_{name}", what, labels, buckets=buckets, registry=registry)

        def gauge(name: str, what: str) -> Gauge:
            return Gauge(f"workbench_{name}", what, ("flow",), registry=registry)

        by_task = ("flow", "task")
        self._answers = counter(
            "answers",
            "Requests that came back, by HTTP status; 'none' where no answer came.",
            *("task", "status"),
        )
        self._outcomes = counter(
            "record_outcomes",
            "What became of records, once for each time that they were sent.",
            *("task", "outcome", "code"),
        )
        self._seconds = histogram("request_seconds", "How long requests took.", _SECONDS, by_task)
        self._records = histogram("request_records", "Records per request.", _RECORDS, by_task)
        self._ages = histogram(
            "event_seconds",
            "From the stream to acknowledged, the oldest event of each acknowledgement.",
            _AGES,
            ("flow",),
        )
        self._stalls = histogram(
            "loop_stall_seconds", "How late the event loop woke who slept.", _STALLS, ()
        )
        self._stored = counter(
            "failed_batches_stored", "Failed batches stored by this process.", "task", "kind"
        )
        self._closed = counter(
            "failed_batches_closed",
            "Failed batches that somebody, anywhere, has replayed or discarded.",
            "how",
        )
        self._not_stored = counter(
            "failed_store_errors", "Times that failed batches could not be stored."
        )
        self._ack_pending = gauge(
            "stream_ack_pending",
            "Events that the server has delivered to any process and that are not settled.",
        )
        self._oldest = gauge(
            "stream_oldest_seconds", "Age of the oldest event that is not settled, 0 where all are."
        )
        self._dangers = counter(
            "stream_dangers",
            "Warnings that events are about to leave the stream unwritten, or have left it.",
        )

    def notify(self, notice: Notice) -> None:
        match notice:
            case BatchAnswered():
                self._answered(notice)
            case EventsSettled():
                self._settled(notice)
            case StreamSeen():
                self._ack_pending.labels(notice.flow).set(notice.ack_pending)
                self._oldest.labels(notice.flow).set(notice.oldest_seconds or 0.0)
            case StreamInDanger():
                self._dangers.labels(notice.flow).inc()
            case StoreFailed():
                self._not_stored.labels(notice.flow).inc()

    def stalled(self, seconds: float) -> None:
        """The event loop woke a sleeper so much too late."""
        self._stalls.observe(seconds)

    def closed(self, flow: str, how: str) -> None:
        """A failed batch of a flow was seen to be `replayed` or `discarded`."""
        self._closed.labels(flow, how).inc()

    def text(self) -> bytes:
        """Everything, in the text form."""
        self._begin_at_zero()
        return generate_latest(self._registry)

    def _begin_at_zero(self) -> None:
        """What an alert waits for is there before it happens: to `increase`, a counter that comes
        into being at 1 has not grown."""
        for reading in self._readings():
            flow = reading.snapshot.flow
            self._not_stored.labels(flow)
            self._dangers.labels(flow)
            for how in ("replayed", "discarded"):
                self._closed.labels(flow, how)
            for stage in reading.snapshot.stages:
                for kind in _KINDS:
                    self._stored.labels(flow, stage.name, kind)

    def _answered(self, notice: BatchAnswered) -> None:
        flow, task, answer = notice.flow, notice.batch.task, notice.answer
        status = str(answer.exchange.status) if answer.exchange and answer.exchange.status else ""
        self._answers.labels(flow, task, status or "none").inc()
        self._seconds.labels(flow, task).observe(notice.seconds)
        self._records.labels(flow, task).observe(len(answer.outcomes))
        for (outcome, code), count in count_outcomes(answer.outcomes).items():
            self._outcomes.labels(flow, task, outcome, code).inc(count)

    def _settled(self, notice: EventsSettled) -> None:
        if notice.acked:
            self._ages.labels(notice.flow).observe(_age(notice.acked))
        for _, batches in notice.terminated:
            for batch in batches:
                self._stored.labels(notice.flow, batch.task, batch.kind).inc()


def _age(events: Sequence[Event]) -> float:
    """Seconds since the oldest of them was published."""
    return max(0.0, time() - min(event.timestamp_ns for event in events) / 1e9)


class _Totals(Collector):
    def __init__(
        self, readings: Callable[[], Iterable[Reading]], stopped: Callable[[], int]
    ) -> None:
        self._readings = readings
        self._stopped = stopped

    def describe(self) -> Iterator[CounterMetricFamily]:
        """Nothing: otherwise registering would ask the flows before there are any."""
        return iter(())

    def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
        def total(name: str, what: str, *labels: str) -> CounterMetricFamily:
            return CounterMetricFamily(f"workbench_{name}", what, labels=("flow", *labels))

        def gauge(name: str, what: str, *labels: str) -> GaugeMetricFamily:
            return GaugeMetricFamily(f"workbench_{name}", what, labels=("flow", *labels))

        received = total("events_received", "Deliveries taken in hand.")
        redelivered = total("events_redelivered", "Deliveries that were not the first.")
        settled = total("events_settled", "Events settled, by what the stream was told.", "how")
        written = total("records_written", "Records that Salesforce says are written.")
        failed = total("records_failed", "Records or unfit events given up.", "task", "code")
        requests = total("requests", "Requests to Salesforce.")
        retries = total("retries", "Tries scheduled after a failure.")
        ready = gauge("ready", "1 while connected, logged in and consuming.")
        held = gauge("events_held", "Events in hand and not settled.")
        lag = gauge("events_pending", "Events that the stream has not delivered yet.")
        flight = gauge("requests_in_flight", "Requests without an answer yet.", "task")
        paused = gauge("paused", "1 while the flow is paused for this cause.", "cause")
        used = gauge("api_calls_used", "The org's daily API calls used, as last told.")
        limit = gauge("api_calls_limit", "The org's daily API calls, as last told.")
        share = gauge("api_budget_share", "Share of the daily calls at which the flow pauses.")
        for reading in self._readings():
            snapshot = reading.snapshot
            flow = snapshot.flow
            received.add_metric((flow,), snapshot.received)
            redelivered.add_metric((flow,), snapshot.redelivered)
            settled.add_metric((flow, "ack"), snapshot.acked)
            settled.add_metric((flow, "nak"), snapshot.naked)
            settled.add_metric((flow, "term"), snapshot.terminated)
            written.add_metric((flow,), snapshot.written)
            for (task, code), count in snapshot.failures.items():
                failed.add_metric((flow, task, code), count)
            requests.add_metric((flow,), snapshot.requests)
            retries.add_metric((flow,), snapshot.retries)
            ready.add_metric((flow,), float(reading.is_ready))
            held.add_metric((flow,), snapshot.held_events)
            lag.add_metric((flow,), reading.pending)
            for stage in snapshot.stages:
                flight.add_metric((flow, stage.name), stage.in_flight)
            for cause in ("outage", "limit", "budget", "broken", "operator"):
                paused.add_metric((flow, cause), float(snapshot.pause_cause == cause))
            used.add_metric((flow,), snapshot.api_used)
            limit.add_metric((flow,), snapshot.api_limit)
            share.add_metric((flow,), reading.budget_share)
        yield from (received, redelivered, settled, written, failed, requests, retries)
        yield from (ready, held, lag, flight, paused, used, limit, share)
        stopped = "Flows of this process that have ended, or never began, by an error."
        yield GaugeMetricFamily("workbench_flows_stopped", stopped, value=self._stopped())
        yield GaugeMetricFamily("workbench_tasks", "Tasks of the event loop.", value=_tasks())


def _tasks() -> int:
    try:
        return len(asyncio.all_tasks())
    except RuntimeError:  # asked outside of an event loop
        return 0
