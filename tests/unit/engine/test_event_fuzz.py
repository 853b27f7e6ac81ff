"""Whatever bytes an event holds: it is written, or kept as failed with its bytes untouched."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from workbench.engine import Engine, Gate, RetryPolicy, StageSpec
from workbench.flow import CompositeTask, parse
from workbench.model import FailedBatch
from workbench.testing import FakeClock, MemoryDeadLetters, MemorySink, MemorySource

FLOW = """
flow:
  name: fuzz
  tasks:
    - nats_jetstream_subscriber: {{name: source, subject: a.b, durable_name: d}}
    - salesforce_restapi_composite:
        name: write
        operation: upsert
        credentials_path: c.json
        sobject_type: Contact
        external_id_field: ExternalId__c
        payload: {payload}
        order_by: "{{{{ record.ExternalId__c | default('') }}}}"
"""
AS_IT_IS = parse(FLOW.format(payload="{from_event: true}"), "f.yaml").bind({})
MAPPED = parse(
    FLOW.format(payload='{ExternalId__c: "{{event.data.id}}", Name: "{{event.data.a.b}} x"}'),
    "f.yaml",
).bind({})

# JSON of every kind, records that are nearly right among it.
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["ExternalId__c", "externalid__c", "id", "a", "b", "attributes", "Id", ""]
            )
            | st.text(max_size=4),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)
GOOD = st.builds(lambda n: {"ExternalId__c": f"k{n}", "id": n, "a": {"b": n}}, st.integers(0, 5))


@st.composite
def torn(draw: st.DrawFn) -> bytes:
    """JSON with a byte changed, lost or added."""
    data = json.dumps(draw(st.lists(GOOD, min_size=1, max_size=2))).encode()
    at = draw(st.integers(0, len(data)))
    return data[:at] + draw(st.binary(max_size=2)) + data[at + draw(st.integers(0, 2)) :]


EVENTS = st.lists(
    st.binary(max_size=20)
    | torn()
    | st.builds(lambda value: json.dumps(value).encode(), VALUES | GOOD | st.lists(GOOD)),
    min_size=1,
    max_size=12,
)


async def run(flow: Any, events: list[bytes]) -> tuple[MemorySource, MemorySink, list[FailedBatch]]:
    clock, sink, letters = FakeClock(), MemorySink(), MemoryDeadLetters()
    source = MemorySource(clock)
    (task,) = flow.sinks
    assert isinstance(task, CompositeTask)
    stage = StageSpec(
        name="write",
        upstreams=("source",),
        render=task.render,
        sink=sink,
        policy=RetryPolicy(),
        order_key=task.order_key,
    )
    engine = Engine(
        "fuzz", "source", [stage], source=source, dead_letters=letters, clock=clock,
        gate=Gate(pause_after=1_000),
    )  # fmt: skip
    running = asyncio.create_task(engine.run())
    await clock.settle()
    for data in events:
        source.publish(data)
    for _ in range(50):
        await clock.advance(0.05, rounds=10)
        if not (source.pending or source.owed):
            break
    engine.stop()
    while not running.done():
        await clock.advance(1.0, rounds=10)
    await running
    return source, sink, list(letters.entries.values())


@example([b'{"ExternalId__c": "\\ud800"}', b"\xef\xbb\xbf{}", b"[" * 100_000], AS_IT_IS)
@given(EVENTS, st.sampled_from([AS_IT_IS, MAPPED]))
@settings(max_examples=150, deadline=None)
def test_every_event_is_written_or_kept_with_its_bytes(events: list[bytes], flow: Any) -> None:
    source, sink, failed = asyncio.run(run(flow, events))
    acked, termed = set(source.acked), {sequence for sequence, _ in source.termed}
    assert not acked & termed
    assert acked | termed == set(range(1, len(events) + 1))
    assert {batch.sequence: batch.data for batch in failed} == {
        sequence: events[sequence - 1] for sequence in termed
    }
    for batch in failed:
        assert batch.kind == "unfit"
        assert FailedBatch.from_json(json.loads(json.dumps(batch.to_json()))).data == batch.data
        assert batch.reason.isprintable()
    for record in sink.writes:
        assert isinstance(record, dict)
