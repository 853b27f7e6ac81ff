"""Connections, durable, limits, and what was logged."""

from __future__ import annotations

import time
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.content import Content
from textual.getters import query_one
from textual.widgets import Input, Static

from workbench.app.health import Health, Step
from workbench.tui.actions import bindings
from workbench.tui.log import Line
from workbench.tui.port import Run
from workbench.tui.screens.place import PlaceScreen
from workbench.tui.text import clean, clip
from workbench.tui.widgets.deck import Deck
from workbench.tui.widgets.filter_field import FilterField
from workbench.tui.widgets.json_view import JsonView
from workbench.tui.widgets.key_bar import KeyBar
from workbench.tui.widgets.status_bar import StatusBar

__all__ = ["HealthScreen"]

_LEVELS = ("info", "warning", "error")
_MOST_LINES = 500


class _Report(Static):
    """A pane of named facts that can have the focus, so that jump mode reaches it."""

    HELP = """
# Health

Figures are the server's own, a few seconds old at most. **t** tries every connection step by step
and names the first that fails.
"""

    def __init__(self, title: str, *, id: str) -> None:
        super().__init__("", id=id, markup=False, classes="pane")
        self.border_title = title
        self.can_focus = True


class HealthScreen(PlaceScreen):
    """NATS on the left, Salesforce on the right, the log below."""

    PURPOSE = "See whether NATS, the durable and Salesforce are well, and what was logged."
    CSS_PATH = "screen.tcss"
    AUTO_FOCUS = "#log"
    BINDINGS: ClassVar[list[BindingType]] = bindings("health")

    nats = query_one("#nats", _Report)
    salesforce = query_one("#salesforce", _Report)
    log_view = query_one("#log", JsonView)
    filter_field = query_one("#log-filter", FilterField)

    def __init__(self) -> None:
        super().__init__()
        self.level = "info"
        self.steps: list[Step] = []
        self._tested = ""
        self._seen = -1
        self._is_testing = False

    def compose(self) -> ComposeResult:
        yield StatusBar()
        log = JsonView(id="log", grammar="")
        log.add_class("pane")
        yield Deck(
            _Report("NATS", id="nats"),
            _Report("Salesforce", id="salesforce"),
            log,
            tabs=(("nats", "NATS"), ("salesforce", "Salesforce")),
            id="health-body",
        )
        yield FilterField(id="log-filter", placeholder="filter the log")
        yield KeyBar()

    # -- what is shown -------------------------------------------------------------------------

    def figures(self) -> None:
        """Draw everything anew; it is little."""
        run = self.workbench.runs.run_of(self.workbench.path)
        health = run.health if run is not None and not run.is_over else None
        self.nats.update(self._body(self._nats_facts(run, health), "NATS"))
        self.salesforce.update(self._body(self._org_facts(run, health), "Salesforce"))
        self._draw_log()

    def _body(self, facts: list[tuple[str, str]], part: str) -> Content:
        lines = [
            Content.assemble((f"{name:<14}", "bold"), clip(clean(value), 300))
            for name, value in facts
        ]
        for step in self.steps:
            is_org = step.name.startswith("Salesforce")
            if is_org == (part == "Salesforce"):
                mark, tone = ("✓", "$text-success") if step.is_ok else ("✗", "bold $text-error")
                took = f" ({step.seconds * 1e3:.0f} ms, at {self._tested})"
                text = clip(clean(f"{step.name}: {step.said}"), 400)
                lines.append(Content.assemble((f"{mark} ", tone), text, took))
        return Content("\n").join(lines)

    def _nats_facts(self, run: Run | None, health: Health | None) -> list[tuple[str, str]]:
        elsewhere = self.workbench.elsewhere
        is_run_here = run is not None and not run.is_over
        if not is_run_here and (elsewhere.is_attached or elsewhere.pullers):
            if elsewhere.health is None:
                said = f"✗ {elsewhere.problem}" if elsewhere.problem else "looking …"
                return [("state", said), ("", "t tries the connections without running")]
            health = elsewhere.health
        elif run is None or health is None:
            return [("state", _no_run(run)), ("", "t tries the connections without running")]
        facts = [("state", "● connected" if health.is_nats_up else "✗ not connected")]
        facts.append(("address", health.nats))
        most = health.max_ack_pending
        for name, value, of in (
            ("pending", health.pending, ""),
            ("ack pending", health.ack_pending, f" of at most {most:,}" if most else ""),
            ("redelivered", health.redelivered, ""),
            ("pull requests", health.pullers, ""),
        ):
            if value is not None:
                facts.append((name, f"{value:,}{of}"))
        return facts + list(health.facts.get("nats", ()))

    def _org_facts(self, run: Run | None, health: Health | None) -> list[tuple[str, str]]:
        if run is None:
            kind = "the sandbox" if self.workbench.desk.is_sandbox else "as the flow's files say"
            return [("target", kind)]
        target, snapshot = run.target, run.snapshot()
        facts = [("kind", target.kind or "not known"), ("login", target.org or target.problem)]
        if health is not None:
            facts.insert(0, ("state", "● logged in" if health.is_logged_in else "✗ not logged in"))
            facts += list(health.facts.get("salesforce", ()))
        if snapshot is not None and snapshot.api_limit:
            share = snapshot.api_used / snapshot.api_limit
            used = f"{snapshot.api_used:,} of {snapshot.api_limit:,} ({share:.0%})"
            facts.append(("API calls", used))
        if snapshot is not None and snapshot.pause_reason:
            facts.append(("paused", f"{snapshot.pause_cause}: {snapshot.pause_reason}"))
        if run.error:
            facts.append(("ended by", run.error))
        return facts

    def _draw_log(self, *, is_forced: bool = False) -> None:
        log = self.workbench.log_lines
        if log.revision == self._seen and not is_forced:
            return
        self._seen = log.revision
        words = self.filter_field.value.lower().split()
        least = _LEVELS.index(self.level)
        lines = [
            _log_line(line)
            for line in log.lines
            if _LEVELS.index(line.level) >= least
            and all(word in line.text.lower() for word in words)
        ]
        view = self.log_view
        is_at_end = view.is_vertical_scroll_end
        matching = f"  matching {self.filter_field.value!r}" if words else ""
        view.border_title = Content(
            clip(clean(f"Log  {self.level} and up  {len(lines):,} lines{matching}"), 120)
        )
        view.show("\n".join(lines[-_MOST_LINES:]) or "Nothing was logged.")
        if is_at_end:
            view.scroll_end(animate=False)

    # -- actions -------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "test":
            return None if self._is_testing or self.workbench.file is None else True
        return True

    @work(exclusive=True, group="test")
    async def action_test(self) -> None:
        file = self.workbench.file
        if file is None or self._is_testing:
            return
        self._is_testing = True
        self.steps.clear()
        now = time.localtime(self.workbench.log_lines.now())
        self._tested = time.strftime("%H:%M:%S", now)

        def tell(step: Step) -> None:
            self.steps.append(step)
            self.figures()

        try:
            await self.workbench.desk.test(file.text, file.path, tell)
        finally:
            self._is_testing = False
            self.refresh_bindings()

    def action_filter(self) -> None:
        self.filter_field.open()

    @on(Input.Changed, "#log-filter")
    def _filtered(self) -> None:
        self._draw_log(is_forced=True)

    @on(Input.Submitted, "#log-filter")
    def _filter_done(self) -> None:
        self.log_view.focus()

    def key_escape(self) -> None:
        """Clear the filter."""
        self.filter_field.clear_filter()
        self.log_view.focus()

    def action_level(self) -> None:
        self.level = _LEVELS[(_LEVELS.index(self.level) + 1) % len(_LEVELS)]
        self._draw_log(is_forced=True)

    def action_copy(self) -> None:
        report = "\n".join(
            [str(self.nats.content), "", str(self.salesforce.content), "", self.log_view.full_text]
        )
        self.workbench.copy(report, "report")


def _no_run(run: Run | None) -> str:
    if run is None:
        return "not running"
    return "ended" if run.is_over else "connecting …"


def _log_line(line: Line) -> str:
    clock = time.strftime("%H:%M:%S", time.localtime(line.time))
    return f"{clock} {line.level:<7} {clean(line.text)}"
