"""Numbers of all flows of a process, in the form that Prometheus reads.

Totals come from the engines' own snapshots when somebody asks; only what a snapshot does not hold
(how long requests took, how full they were, what status they had) is counted from notices.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from workbench.observe.notices import BatchAnswered, Notice, StreamInDanger, StreamSeen
from workbench.observe.snapshot import Snapshot

__all__ = ["Metrics"]

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1, 2, 5, 10, 30, 60, 120)
_RECORDS = (1, 2, 5, 10, 25, 50, 100, 150, 190, 199, 200, 400, 1000)


class Metrics:
    """An observer that also knows how to ask every flow how it stands.

    Args:
        snapshots: of each running flow, with the events the stream has not delivered yet.
    """

    def __init__(self, snapshots: Callable[[], Iterable[tuple[Snapshot, int]]]) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_Totals(snapshots))
        by_task = ("flow", "task")
        self._answers = Counter(
            "workbench_answers",
            "Requests that came back, by HTTP status; 'none' where no answer came.",
            (*by_task, "status"),
            registry=self._registry,
        )
        self._seconds = Histogram(
            "workbench_request_seconds",
            "How long requests took.",
            by_task,
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._records = Histogram(
            "workbench_request_records",
            "Records per request.",
            by_task,
            buckets=_RECORDS,
            registry=self._registry,
        )

        self._ack_pending = Gauge(
            "workbench_stream_ack_pending",
            "Events that the server has delivered to any process and that are not settled.",
            ("flow",),
            registry=self._registry,
        )
        self._oldest = Gauge(
            "workbench_stream_oldest_seconds",
            "Age of the oldest event that is not settled, 0 where all are.",
            ("flow",),
            registry=self._registry,
        )
        self._dangers = Counter(
            "workbench_stream_dangers",
            "Warnings that events are about to leave the stream unwritten, or have left it.",
            ("flow",),
            registry=self._registry,
        )

    def notify(self, notice: Notice) -> None:
        if isinstance(notice, StreamSeen):
            self._ack_pending.labels(notice.flow).set(notice.ack_pending)
            self._oldest.labels(notice.flow).set(notice.oldest_seconds or 0.0)
        elif isinstance(notice, StreamInDanger):
            self._dangers.labels(notice.flow).inc()
        elif isinstance(notice, BatchAnswered):
            self._answered(notice)

    def _answered(self, notice: BatchAnswered) -> None:
        flow, task, exchange = notice.flow, notice.batch.task, notice.answer.exchange
        status = str(exchange.status) if exchange and exchange.status else "none"
        self._answers.labels(flow, task, status).inc()
        self._seconds.labels(flow, task).observe(notice.seconds)
        self._records.labels(flow, task).observe(len(notice.answer.outcomes))

    def text(self) -> bytes:
        """Everything, in the text form."""
        return generate_latest(self._registry)


class _Totals(Collector):
    def __init__(self, snapshots: Callable[[], Iterable[tuple[Snapshot, int]]]) -> None:
        self._snapshots = snapshots

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
        held = gauge("events_held", "Events in hand and not settled.")
        lag = gauge("events_pending", "Events that the stream has not delivered yet.")
        flight = gauge("requests_in_flight", "Requests without an answer yet.", "task")
        paused = gauge("paused", "1 while the flow is paused for this cause.", "cause")
        used = gauge("api_calls_used", "The org's daily API calls used, as last told.")
        limit = gauge("api_calls_limit", "The org's daily API calls, as last told.")
        for snapshot, pending in self._snapshots():
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
            held.add_metric((flow,), snapshot.held_events)
            lag.add_metric((flow,), pending)
            for stage in snapshot.stages:
                flight.add_metric((flow, stage.name), stage.in_flight)
            for cause in ("outage", "limit", "budget", "broken", "operator"):
                paused.add_metric((flow, cause), float(snapshot.pause_cause == cause))
            used.add_metric((flow,), snapshot.api_used)
            limit.add_metric((flow,), snapshot.api_limit)
        yield from (received, redelivered, settled, written, failed, requests, retries)
        yield from (held, lag, flight, paused, used, limit)
