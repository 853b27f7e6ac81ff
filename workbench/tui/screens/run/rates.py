"""The figures of a run, drawn twice a second."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.cells import cell_len
from textual.content import Content
from textual.widgets import Static

from workbench.tui.elsewhere import Elsewhere
from workbench.tui.port import Run
from workbench.tui.store import Store
from workbench.tui.text import clean, clip, fit

__all__ = ["RatesPane", "spark"]

_BARS = "▁▂▃▄▅▆▇█"
_EMPTY = """No run yet. F5 starts the flow.

in        events received
out       events settled
ms        answer time of a request
lag       events that wait in the stream
given up  records that failed for good"""
_COLUMN = 38
"""So wide is a fact; where two have room they stand side by side, and 24 lines hold them all."""
_MOST_CODES = 5


def spark(values: Sequence[float], width: int) -> str:
    """The last values as bars, one a value, scaled to the greatest.

    >>> spark([0, 1, 2, 4], 3)
    '▂▄█'
    """
    last = list(values)[-width:]
    top = max(last, default=0.0)
    if top <= 0:
        return _BARS[0] * len(last)
    return "".join(_BARS[min(7, int(value / top * 7.99))] for value in last)


class RatesPane(Static):
    """Sparklines and counts of one run."""

    HELP = """
# Figures

Events received and settled a second, answer times, what waits and what failed, over the last
minute. **lag** is what the stream still holds for this flow; **in hand** what the engine holds.
"""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__("", id=id, markup=False, classes="pane")
        self.border_title = "Figures"
        self.can_focus = True

    def show(self, run: Run | None, store: Store | None) -> None:
        """Draw the figures of this run, or how to get some."""
        snapshot = run.snapshot() if run else None
        if run is None or store is None or snapshot is None:
            waiting = "connecting …" if run is not None and not run.is_over else _EMPTY
            error = f"{clip(clean(run.error), 600)}" if run is not None and run.error else waiting
            self.update(Content(error), layout=False)
            return
        width = max(8, self.size.width - 20)
        rates, health = store.rates, run.health
        p50, p99 = rates.percentile(0.5), rates.percentile(0.99)
        in_flight = sum(stage.in_flight for stage in snapshot.stages)
        waiting_records = sum(stage.waiting + stage.held_by_key for stage in snapshot.stages)
        settled = snapshot.acked + snapshot.terminated
        per_thousand = f"{snapshot.requests / settled * 1000:,.0f}" if settled else "–"
        rows: list[tuple[str, str, str]] = [
            ("in", spark(rates.received, width), f"{rates.per_second:,.0f}/s"),
            ("out", spark(rates.settled, width), f"{_last(rates.settled):,.0f}/s"),
            ("ms", spark(rates.latency, width), f"{_ms(p50)} p99 {_ms(p99)}"),
        ]
        lines: list[Content] = [
            Content.assemble((f"{name:<5}", "bold"), bars, " ", value) for name, bars, value in rows
        ]
        lag = "–" if health is None or health.pending is None else f"{health.pending:,}"
        pending = "–" if health is None or health.ack_pending is None else f"{health.ack_pending:,}"
        api = f"{snapshot.api_used:,} of {snapshot.api_limit:,}" if snapshot.api_limit else "–"
        facts = [
            f"lag {lag}   ack pending {pending}",
            f"in hand {snapshot.held_events:,} events, {snapshot.held_records:,} records",
            f"in flight {in_flight}   waiting {waiting_records:,}   retries {snapshot.retries:,}",
            f"written {snapshot.written:,}   acked {snapshot.acked:,}   nak {snapshot.naked:,}",
            f"requests per 1,000 events {per_thousand}",
            f"API calls today {api}",
        ]
        if self.size.width >= 2 * _COLUMN - 2:
            pairs = zip(facts[::2], facts[1::2], strict=True)
            facts = [f"{left:<{_COLUMN}}{right}" for left, right in pairs]
        lines += [Content(fact) for fact in facts]
        if snapshot.failures:
            # On top: whatever else is cut off where there is no room, how many are lost is not.
            is_all = snapshot.state != "paused" and not run.error
            room = self.size.height - len(lines) if is_all else 1
            given_up = _given_up(snapshot.failures, self.size.width, room)
            lines = [Content.styled(line, "bold $text-error") for line in given_up] + lines
        else:
            lines.append(Content("given up 0"))
        if snapshot.state == "paused":
            probe = snapshot.next_probe_seconds
            when = "waits for you (p resumes)" if probe is None else f"looks again in {probe:.0f} s"
            said = f"‖ {snapshot.pause_cause}: {clean(snapshot.pause_reason)}; {when}"
            lines.insert(0, Content.styled(clip(said, 400), "bold $text-warning"))
        if run.error:
            lines.insert(0, Content.styled(f"✗ {clip(clean(run.error), 600)}", "bold $text-error"))
        self.update(Content("\n").join(lines), layout=False)

    def show_outside(self, elsewhere: Elsewhere) -> None:
        """Draw what the server tells of a flow that runs elsewhere."""
        health = elsewhere.health
        if health is None:
            said = elsewhere.problem or "looking at the durable …"
            self.update(Content(clip(clean(said), 600)), layout=False)
            return
        facts = [
            f"lag {health.pending:,}   ack pending {health.ack_pending:,}",
            f"redelivered {health.redelivered:,}   pull requests open {elsewhere.pullers:,}",
            f"settled up to {health.ack_floor:,}",
        ]
        self.update(Content("\n").join(map(Content, facts)), layout=False)


def _last(values: Sequence[float]) -> float:
    last = list(values)[-4:]
    return sum(last) / len(last) if last else 0.0


def _ms(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f}"


def _given_up(failures: Mapping[tuple[str, str], int], width: int, room: int) -> list[str]:
    """How many records, and the most frequent codes: on lines of their own where there is room,
    else the first of them behind it. A code is cut to the width, a count never.

    >>> _given_up({("a", "STORAGE_LIMIT_EXCEEDED"): 1200, ("a", "X"): 7}, 32, 1)
    ['✗ given up 1,207  STORA… 1,200 …']
    >>> _given_up({("a", "STORAGE_LIMIT_EXCEEDED"): 1200, ("a", "X"): 7}, 24, 3)
    ['✗ given up 1,207', '  STORAGE_LIMIT_E… 1,200', '  X 7']
    """
    counts: dict[str, int] = {}
    for (_, code), count in failures.items():
        counts[code] = counts.get(code, 0) + count
    most = sorted(counts.items(), key=lambda item: -item[1])
    head = f"✗ given up {sum(counts.values()):,}"
    if room >= 2:
        shown = most[: min(room - 1, _MOST_CODES)]
        if len(shown) < len(most):
            head += f"  {len(most)} codes"
        return [head, *(f"  {_cut(code, f' {count:,}', width - 2)}" for code, count in shown)]
    code, count = most[0]
    return [
        f"{head}  {_cut(code, f' {count:,} …' if len(most) > 1 else '', width - len(head) - 2)}"
    ]


def _cut(code: str, count: str, width: int) -> str:
    room = max(1, width - len(count))
    return fit(code, min(room, cell_len(clean(code)))) + count
