"""Says what a replay would do, where and at what cost, before anything is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Static

from workbench.app.target import Target
from workbench.errors import WorkbenchError
from workbench.tui.text import clean_lines, clip, content
from workbench.tui.widgets.in_order import LineField
from workbench.tui.widgets.option_row import OptionRow

if TYPE_CHECKING:
    from workbench.app.failed_desk import FailedDesk
    from workbench.app.replay_choice import ReplayRequest
    from workbench.app.replay_plan import Plan

__all__ = ["Decision", "ReplayDialog"]

_MOST_SKIPPED = 5


@dataclass(frozen=True, slots=True)
class Decision:
    """What was agreed to: how, and how many first."""

    request: ReplayRequest
    trial: int


class ReplayDialog(ModalScreen[Decision | None]):
    """Cancel has the focus. A target that is not the sandbox wants its name typed; what may be
    written twice wants a yes of its own."""

    DEFAULT_CSS = """
    ReplayDialog {
        align: center middle;
        background: $background 60%;
        & > Vertical {
            width: 100; max-width: 98%; height: auto; max-height: 98%;
            border: heavy $border; background: $surface; padding: 0 1;
        }
        & .dialog--body { height: auto; max-height: 55vh; }
        & #replay-doubles { display: none; }
        & #replay-doubles.-asked { display: block; color: $text-warning; }
        & Input, & Input:focus { border: none; background: $panel; height: 1; padding: 0 1; }
        & .dialog--buttons { height: 1; align-horizontal: right; margin-top: 1; }
        & Button { min-width: 12; margin-left: 2; padding: 0 1; }
        & Button:focus { text-style: bold reverse; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "Cancel", id="dialog.cancel"),
        Binding("down", "app.focus_next", show=False),
        Binding("up", "app.focus_previous", show=False),
    ]

    def __init__(
        self,
        desk: FailedDesk,
        request: ReplayRequest,
        targets: Sequence[Target],
        *,
        is_unsaved: bool = False,
    ) -> None:
        super().__init__()
        self._desk = desk
        self._request = request
        self._targets = tuple(targets)
        self._is_unsaved = is_unsaved
        self._count = len(request.wanted.ids)
        self._doubles = 0
        self._plan: Plan | None = None
        self._org_problem = ""
        self._word = _name_to_type(targets)

    def compose(self) -> ComposeResult:
        box = Vertical()
        box.border_title = f"Replay {self._count:,} failed {_batches(self._count)}"
        box.border_subtitle = "arrows: choose   escape: cancel"
        with box:
            with VerticalScroll(classes="dialog--body", can_focus=False):
                yield Static("", id="replay-facts", markup=False)
            yield OptionRow(
                "records",
                [("default", "as the task needs"), ("failed", "only failed"), ("all", "all")],
                id="replay-which",
            )
            yield OptionRow(
                "flow",
                [("current", "as its file is now"), ("recorded", "as it was when it failed")],
                id="replay-flow",
            )
            yield OptionRow("doubles", [("no", ""), ("yes", "")], id="replay-doubles")
            if self._count > 1:
                yield OptionRow(
                    "mode",
                    [("trial", "1 first, then ask"), ("all", f"all {self._count:,} at once")],
                    id="replay-mode",
                )
            if self._word:
                yield Static(content(f"Type {self._word} to enable:"), id="replay-type")
                yield LineField(id="replay-typed")
            with Horizontal(classes="dialog--buttons"):
                yield Button("Replay", id="yes", variant="error", disabled=True, compact=True)
                yield Button("Cancel", id="no", variant="primary", compact=True)

    def on_mount(self) -> None:
        for field in self.query(Input):
            field.cursor_blink = False
        self.query_one("#no").focus()
        self._draw()
        self._look()

    # -- what it says --------------------------------------------------------------------------

    @property
    def request(self) -> ReplayRequest:
        """As the options stand."""
        which, flow = self._row("which").chosen, self._row("flow").chosen
        return replace(
            self._request,
            which="all" if which == "all" else "failed" if which == "failed" else "default",
            with_flow="recorded" if flow == "recorded" else "current",
            accept_duplicates=self._row("doubles").chosen == "yes",
        )

    @property
    def trial(self) -> int:
        """How many are replayed first; 0 for all at once."""
        return 1 if self._count > 1 and self._row("mode").chosen == "trial" else 0

    def _row(self, name: str) -> OptionRow:
        return self.query_one(f"#replay-{name}", OptionRow)

    @work(exclusive=True, group="replay-plan")
    async def _look(self) -> None:
        """Plan it anew; without the org's figures where it can't be asked."""
        self._plan, self._org_problem = None, ""
        self._draw()
        request = self.request
        try:
            try:
                self._plan = await self._desk.dry_run(request, ask_org=True)
            except WorkbenchError as error:
                self._org_problem = str(error)
                self._plan = await self._desk.dry_run(request)
        except WorkbenchError as error:
            self._org_problem = str(error)
        self._draw()

    def _draw(self) -> None:
        plan = self._plan
        if plan is not None and plan.duplicates:
            self._doubles = len(plan.duplicates)
            row = self._row("doubles")
            row.set_options(
                [
                    ("no", f"leave {self._doubles:,} alone"),
                    ("yes", "write them, though they may be written already"),
                ]
            )
            row.add_class("-asked")
        self.query_one("#replay-facts", Static).update(Content.assemble(*_lines(self._facts())))
        first = f"Replay {self.trial}, then ask" if self.trial else f"Replay {self._count:,}"
        button = self.query_one("#yes", Button)
        button.label = first
        button.disabled = not self._is_allowed()

    def _is_allowed(self) -> bool:
        typed = self.query_one(Input).value.strip() if self._word else ""
        return self._plan is not None and self._plan.entries > 0 and typed == self._word

    def _facts(self) -> list[tuple[str, str, str]]:
        """Name, words, tone."""
        facts: list[tuple[str, str, str]] = []
        for target in self._targets:
            tone = "" if target.is_harmless else "bold $text-error"
            facts.append(("target", target.kind or "a kind of org that is not known", tone))
            facts.append(("org", target.org or target.problem or "not known", ""))
            facts.append(("user", target.user or "not told by the credentials", ""))
        plan = self._plan
        if plan is None:
            looking = self._org_problem or "looking what would be sent …"
            return [*facts, ("plan", looking, "$text-error" if self._org_problem else "")]
        what = ", ".join(f"{name} {count:,}" for name, count in plan.what.items())
        facts.append(
            (
                "writes",
                f"{plan.records:,} {_records(plan.records)} of "
                f"{plan.entries:,} {_events(plan.entries)} in "
                f"{plan.requests:,} {'request' if plan.requests == 1 else 'requests'}"
                + (f" ({what})" if what else ""),
                "bold",
            )
        )
        facts.append(("calls", self._calls(plan), "" if not self._org_problem else "$text-warning"))
        edited = len(self._request.edits)
        if edited:
            facts.append(
                ("edited", f"{edited:,} {_events(edited)} by hand; the edits go first", "")
            )
        facts += [("skipped", f"{id}: {why}", "$text-warning") for id, why in _shown(plan.skipped)]
        if len(plan.skipped) > _MOST_SKIPPED:
            facts.append(("", f"and {len(plan.skipped) - _MOST_SKIPPED:,} more", "$text-warning"))
        if plan.later:
            facts.append(("then", f"{', '.join(plan.later)} with the results", ""))
        facts.append(
            ("order", "older events first; a flow that runs now has an order of its own", "")
        )
        safety = "nothing of it can be written twice by this"
        if self.request.accept_duplicates:
            safety = "what may be there already is WRITTEN AGAIN: you said yes below"
        elif plan.duplicates:
            safety = f"{len(plan.duplicates):,} may be written already: they wait for a yes below"
        facts.append(("safety", safety, ""))
        if self._is_unsaved:
            facts.append(
                ("file", "what is not saved in the editor does not count", "$text-warning")
            )
        return facts

    def _calls(self, plan: Plan) -> str:
        if self._org_problem:
            return f"not known: {self._org_problem}"
        if plan.api_used is None or plan.api_limit is None:
            return "the org did not tell how many are left"
        return (
            f"{plan.api_used:,} of {plan.api_limit:,} used today, "
            f"{plan.api_limit - plan.api_used:,} left"
        )

    # -- answers -------------------------------------------------------------------------------

    @on(OptionRow.Changed)
    def _chosen(self, event: OptionRow.Changed) -> None:
        if event.row.id == "replay-mode":
            self._draw()
        else:
            self._look()

    @on(Input.Changed)
    def _typed(self) -> None:
        self._draw()

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        if event.button.id == "yes" and self._is_allowed():
            self.dismiss(Decision(self.request, self.trial))
        elif event.button.id == "no":
            self.dismiss(None)

    def action_cancel(self) -> None:
        self.dismiss(None)


def _lines(facts: Sequence[tuple[str, str, str]]) -> list[str | tuple[str, str]]:
    pieces: list[str | tuple[str, str]] = []
    for place, (name, words, tone) in enumerate(facts):
        text = clip(clean_lines(words).replace("\n", " "), 300)
        pieces += ["\n" if place else "", (f"{name:<10}", "bold"), (text, tone) if tone else text]
    return pieces


def _shown(skipped: Sequence[tuple[str, str]]) -> Sequence[tuple[str, str]]:
    return skipped[:_MOST_SKIPPED]


def _name_to_type(targets: Sequence[Target]) -> str:
    """The first name of the first org that is real; empty where all is harmless."""
    for target in targets:
        if not target.is_harmless:
            return target.org.removeprefix("https://").split(".")[0] if target.org else "write"
    return ""


def _batches(count: int) -> str:
    return "batch" if count == 1 else "batches"


def _records(count: int) -> str:
    return "record" if count == 1 else "records"


def _events(count: int) -> str:
    return "event" if count == 1 else "events"
