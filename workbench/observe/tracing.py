"""A span for every request to Salesforce, and every pause, for OpenTelemetry.

Spans are made when a request has come back, from what its notice tells, so that they cost nothing
while it is on its way; none is made per event. Where they go and what they are called is set as in
every program that speaks OpenTelemetry, by its `OTEL_...` variables.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from time import time_ns

from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from workbench.observe.notices import BatchAnswered, FlowResumed, Notice
from workbench.observe.outcomes import count_outcomes

__all__ = ["Tracing"]


class Tracing:
    """An observer that exports spans in a thread of its own; `close` sends what waits.

    Args:
        exporter: where spans go; by default OTLP over HTTP to `OTEL_EXPORTER_OTLP_ENDPOINT`,
            else to a collector on this machine.
    """

    def __init__(self, exporter: SpanExporter | None = None) -> None:
        if exporter is None:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

            exporter = OTLPSpanExporter()
        # It warns of each of its own tries; that it has given up is an error, and enough.
        logging.getLogger("opentelemetry").setLevel(logging.ERROR)
        # Without OTEL_SERVICE_NAME the library would call us unknown_service.
        name = os.environ.get("OTEL_SERVICE_NAME") or "workbench"
        self._provider = TracerProvider(resource=Resource.create({SERVICE_NAME: name}))
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("workbench")

    def notify(self, notice: Notice) -> None:
        if isinstance(notice, BatchAnswered):
            self._answered(notice)
        elif isinstance(notice, FlowResumed):
            self._span(f"{notice.flow} paused", {"workbench.flow": notice.flow}, notice.seconds, "")

    def close(self) -> None:
        """Send what waits and end the thread; blocks for as long as the collector takes."""
        self._provider.shutdown()

    def _answered(self, notice: BatchAnswered) -> None:
        batch, exchange = notice.batch, notice.answer.exchange
        sequences = [part.event.sequence for part in notice.parts]
        attributes: dict[str, str | int] = {
            "workbench.flow": notice.flow,
            "workbench.task": batch.task,
            "workbench.batch": batch.id,
            "workbench.attempt": batch.attempt,
            "workbench.records": len(notice.answer.outcomes),
            "workbench.events": len(set(sequences)),
        }
        if sequences:
            attributes["workbench.stream"] = notice.parts[0].event.stream
            attributes["workbench.sequence.first"] = min(sequences)
            attributes["workbench.sequence.last"] = max(sequences)
        problem = ""
        if exchange is not None:
            attributes["http.request.method"] = exchange.method
            attributes["url.path"] = exchange.target.partition("?")[0]
            problem = exchange.error or ""
            if exchange.status is not None:
                attributes["http.response.status_code"] = exchange.status
        codes = set()
        for (outcome, code), count in count_outcomes(notice.answer.outcomes).items():
            key = f"workbench.{outcome}"
            attributes[key] = int(attributes.get(key, 0)) + count
            codes.add(code)
        codes.discard("")
        self._span(batch.task, attributes, notice.seconds, problem or ", ".join(sorted(codes)))

    def _span(
        self, name: str, attributes: Mapping[str, str | int], seconds: float, problem: str
    ) -> None:
        """A span that ends now; one with a problem is in error and says which."""
        end = time_ns()
        span = self._tracer.start_span(
            name, kind=SpanKind.CLIENT, attributes=attributes, start_time=end - int(seconds * 1e9)
        )
        if problem:
            span.set_status(StatusCode.ERROR, problem)
        span.end(end)
