"""What the flow at this moment would send for the chosen event: computed off the event loop, by
the engine's own means."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.errors import FlowError, Problem, WorkbenchError
from workbench.tui.port import Desk
from workbench.tui.requests import Document, compare, document_of, summary
from workbench.tui.samples import Sample

if TYPE_CHECKING:
    from workbench.app.trial import Trial

__all__ = ["Previewer", "Shown"]


@dataclass(frozen=True, slots=True)
class Shown:
    """What the preview pane shows; `document` is None where the flow cannot render now, and
    `said` then tells why. `problems` are those with a place in the file; `outline` is what the
    flow does, in a line."""

    document: Document | None
    said: str
    problems: tuple[Problem, ...] = ()
    reasons: tuple[str, ...] = ()
    outline: str = ""


class Previewer:
    """Renders, and remembers what the saved file rendered, to show what an edit changes."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._saved: tuple[str, Path, Sample] | None = None
        self._saved_document = ""

    def preview(self, text: str, saved: str, path: Path, sample: Sample) -> Shown:
        """Slow for large events: call it in a thread. Never raises for what the text says."""
        try:
            trial = self._trial(text, path, sample)
        except FlowError as error:
            first = next((p for p in error.problems if p.severity == "error"), None)
            return Shown(None, first.message if first else str(error))
        except WorkbenchError as error:
            return Shown(None, str(error))
        document = document_of(trial)
        before = document if text == saved else self._before(saved, path, sample, document)
        if text == saved:
            self._saved, self._saved_document = (saved, path, sample), document
        placed = tuple(problem for problem in trial.problems if problem.line)
        reasons = tuple(problem.message for problem in trial.problems)
        return Shown(compare(before, document), summary(trial), placed, reasons, trial.outline)

    def _before(self, saved: str, path: Path, sample: Sample, default: str) -> str:
        """What the saved file would send; `default` where it cannot render."""
        if self._saved != (saved, path, sample):
            try:
                self._saved_document = document_of(self._trial(saved, path, sample))
            except WorkbenchError:
                self._saved_document = default
            self._saved = (saved, path, sample)
        return self._saved_document or default

    def _trial(self, text: str, path: Path, sample: Sample) -> Trial:
        event = sample.event or self._desk.sample(text, path, sample.data)
        return self._desk.preview(text, path, event)
