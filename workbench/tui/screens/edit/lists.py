"""The edit place's two small lists: flows, and problems."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from textual.content import Content
from textual.message import Message
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from workbench.errors import Problem
from workbench.tui.text import clean, clip
from workbench.tui.widgets.code_editor import MARKS

__all__ = ["FileList", "ProblemList", "counts", "file_state"]

_TONES = {
    "error": "bold $text-error",
    "warning": "bold $text-warning",
    "info": "bold $text-primary",
}


def counts(problems: Sequence[Problem]) -> str:
    """`1 error  2 warnings  1 note`, empty where there is nothing."""
    errors = sum(problem.severity == "error" for problem in problems)
    others = sum(problem.severity == "warning" for problem in problems)
    parts = []
    notes = len(problems) - errors - others
    for count, noun in ((errors, "error"), (others, "warning"), (notes, "note")):
        if count:
            parts.append(f"{count} {noun}{'s' * (count > 1)}")
    return "  ".join(parts)


def file_state(is_dirty: bool, is_running: bool, problems: Sequence[Problem] | None) -> str:
    """A file's state in words: what is running, unsaved or wrong about it."""
    words = []
    if is_running:
        words.append("▶ running")
    if is_dirty:
        words.append("* unsaved")
    serious = [problem for problem in problems or () if problem.severity != "info"]
    if serious:
        words.append(counts(serious))
    if not words and problems is not None:
        words.append("✓ ok")
    return "  ".join(filter(None, words))


class FileList(OptionList):
    """The flows of the folder; posts `Opened` when one is chosen."""

    HELP = """
# Flows

Every flow file of the folder, with its state. **Enter** opens one; **ctrl+b** hides the list.
"""

    class Opened(Message):
        def __init__(self, path: Path) -> None:
            super().__init__()
            self.path = path

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id, markup=False, classes="pane")
        self.border_title = "Flows"
        self._paths: list[Path] = []
        self._shown_lines: list[tuple[str, str]] = []

    def show(self, folder: Path, states: Mapping[Path, str], current: Path | None) -> None:
        """List the files with their states, the current one marked by an arrow."""
        paths = list(states)
        lines = []
        for path in paths:
            try:
                name = str(path.relative_to(folder))
            except ValueError:
                name = str(path)
            lines.append(
                (
                    ("▸" if path == current else "") + clean(name),
                    states[path],
                )
            )
        if lines == self._shown_lines:
            return
        self._paths, self._shown_lines = paths, lines
        at = self.highlighted
        self.clear_options()
        for name, state in lines:
            tone = "$text-error" if "error" in state else "$text-muted"
            self.add_option(Option(Content.assemble(name, "\n  ", (state or "…", tone))))
        if at is not None and at < len(paths):
            self.highlighted = at
        elif current in paths:
            self.highlighted = paths.index(current)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self.post_message(self.Opened(self._paths[event.option_index]))


class ProblemList(OptionList):
    """Problems with their places; posts `Chosen` when one is chosen."""

    HELP = """
# Problems

The same ones `workbench check` reports. **Enter** goes to the place; **ctrl+r** there applies the
fix that is offered.
"""

    class Chosen(Message):
        def __init__(self, problem: Problem) -> None:
            super().__init__()
            self.problem = problem

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id, markup=False, classes="pane")
        self.border_title = "Problems"
        self._problems: tuple[Problem, ...] | None = None

    def show(self, problems: Sequence[Problem]) -> None:
        """List these problems."""
        if tuple(problems) == self._problems:
            return
        self._problems = tuple(problems)
        self.border_title = f"Problems  {counts(problems) or '✓ none'}"
        self.clear_options()
        for problem in problems:
            place = f" {problem.line:>3} " if problem.line else "   – "
            fix = f"  ctrl+r: {clip(clean(problem.fix), 40)}" if problem.fix else ""
            self.add_option(
                Option(
                    Content.assemble(
                        (MARKS[problem.severity], _TONES[problem.severity]),
                        place,
                        clip(clean(problem.message), 400),
                        (fix, "$text-accent"),
                    )
                )
            )

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        if self._problems:
            self.post_message(self.Chosen(self._problems[event.option_index]))
