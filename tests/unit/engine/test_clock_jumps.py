"""The wall clock jumps, as after a correction or a suspended machine: nothing waits by it."""

from __future__ import annotations

import pytest

from tests.unit.engine.test_engine import Bench, running
from workbench.model import Batch, Cause, Deferred, Outcome, Refused
from workbench.testing import FakeClock, MemorySink


class JumpingClock(FakeClock):
    """Its wall clock is moved by hand."""

    jump_seconds = 0.0

    def time(self) -> float:
        return super().time() + self.jump_seconds


@pytest.mark.parametrize("jump_seconds", [-86_400.0, -0.5, 3_600.0, 10 * 365 * 86_400.0])
async def test_retries_linger_and_failed_batches_do_not_mind_a_jump(jump_seconds: float) -> None:
    tries = 0

    def script(batch: Batch) -> list[Outcome] | None:
        nonlocal tries
        tries += 1
        clock.jump_seconds = jump_seconds if tries % 2 else 0.0
        if tries == 1:
            return [Deferred("UNABLE_TO_LOCK_ROW", "later", Cause.CONTENTION)] * len(batch)
        if batch.records[0]["n"] == 3:
            return [Refused("BAD", "no")]
        return None

    bench = Bench({"upsert": MemorySink(script=script)})
    clock = bench.clock = JumpingClock()
    bench.source._clock = clock
    bench.engine._clock = clock
    async with running(bench):
        bench.publish(3)
        await bench.until(lambda: len(bench.source.acked) == 3, limit=200)
        bench.publish(1, start=3)
        await bench.until(lambda: len(bench.source.termed) == 1, limit=200)
    assert bench.source.naked == []
    assert set(bench.source.delivered.values()) == {1}
