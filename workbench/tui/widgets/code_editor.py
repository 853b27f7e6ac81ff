"""The editor of a flow: a text area with problems in its gutter, completion, and the small
things that make typing YAML bearable."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.document._document_navigator import DocumentNavigator
from textual.document._wrapped_document import WrappedDocument
from textual.message import Message
from textual.strip import Strip
from textual.widgets import TextArea
from textual.widgets.text_area import Selection

from workbench.errors import Problem
from workbench.tui.completion import Offer
from workbench.tui.context import indent_after
from workbench.tui.syntax import install, language
from workbench.tui.text import clean
from workbench.tui.widgets.completion_list import CompletionList
from workbench.tui.widgets.in_order import InOrder

__all__ = ["MARKS", "CodeEditor"]

MARKS = {"error": "●", "warning": "▲", "info": "i"}
"""How a severity is marked, in the gutter and in lists: a shape each, not only a colour."""

_RANK = {"info": 0, "warning": 1, "error": 2}
_MOST_COLOURED_LINES = 3_000
_MOST_CHARACTERS = 2_000
"""Of one line, that are ever drawn."""
_WORD = re.compile(r"[\w.-]")


def _pattern(needle: str) -> re.Pattern[str]:
    """What is looked for; without case unless it has capitals."""
    return re.compile(re.escape(needle), re.IGNORECASE if needle == needle.lower() else 0)


class _Unwrapped(WrappedDocument):
    """A document whose lines are never broken, so its height need not be added up.

    Textual asks for the height once for every line it draws, and adds up all lines of the document
    each time: with 5,000 lines that was most of what a key cost.
    """

    @property
    def height(self) -> int:
        return len(self._wrap_offsets)


class CodeEditor(InOrder, TextArea):
    """Set `problems` to mark them; `offer` fills the completion list."""

    HELP = """
# The editor

Problems are marked in the gutter as you type: ● error, ▲ warning. **F8** goes to the next,
**ctrl+r** applies the fix it offers. **ctrl+space** offers what can stand at the cursor. The line
under the editor explains the field you are in.
"""
    DEFAULT_CSS = """
    CodeEditor {
        & .editor--error { color: $text-error; text-style: bold; }
        & .editor--warning { color: $text-warning; text-style: bold; }
        & .editor--info { color: $text-primary; text-style: bold; }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {"editor--error", "editor--warning", "editor--info"}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+home", "go_to_end(False)", "Beginning of the file", show=False),
        Binding("ctrl+end", "go_to_end(True)", "End of the file", show=False),
    ]

    class Moved(Message):
        """The cursor moved or the text changed under it."""

        def can_replace(self, message: Message) -> bool:
            return isinstance(message, CodeEditor.Moved)

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(
            "",
            id=id,
            soft_wrap=False,
            show_line_numbers=True,
            tab_behavior="indent",
            max_checkpoints=200,
        )
        self.indent_width = 2
        self.cursor_blink = False
        self._problems: dict[int, list[Problem]] = {}
        self._all: tuple[Problem, ...] = ()
        self.has_colours = True

    def on_mount(self) -> None:
        install(self)

    # -- the text ------------------------------------------------------------------------------

    def _set_document(self, text: str, language: str | None) -> None:
        super()._set_document(text, language)
        self.wrapped_document = _Unwrapped(self.document, tab_width=self.indent_width)
        self.navigator = DocumentNavigator(self.wrapped_document)

    def open_text(self, text: str) -> None:
        """Show another file's text; forgets what could be undone."""
        wanted = language("yaml") if text.count("\n") <= _MOST_COLOURED_LINES else None
        self.has_colours = wanted is not None
        if self.language != wanted:
            self.language = wanted
        self.load_text(text)
        self.problems = ()

    def replace_all(self, text: str) -> None:
        """Put another text in place as one step that can be undone, keeping the cursor."""
        row, column = self.cursor_location
        self.replace(text, (0, 0), self.document.end, maintain_selection_offset=False)
        row = min(row, self.document.line_count - 1)
        self.move_cursor((row, min(column, len(self.document.get_line(row)))))

    def go_to(self, line: int, column: int = 1) -> None:
        """Put the cursor at a line and column, from 1, and bring it into view."""
        row = min(max(line - 1, 0), self.document.line_count - 1)
        self.move_cursor((row, min(max(column - 1, 0), len(self.document.get_line(row)))))
        self.scroll_cursor_visible(center=True)
        self._show_beginning()

    def _show_beginning(self) -> None:
        """Scroll back to the lines' beginnings where the cursor is seen from there."""
        width = self.scrollable_content_region.width - self.gutter_width
        if self.cursor_location[1] < width - 1:
            self.scroll_to(x=0, animate=False)

    def action_go_to_end(self, is_end: bool) -> None:
        self.move_cursor(self.document.end if is_end else (0, 0))

    def toggle_comment(self) -> None:
        """Comment the lines of the selection, or uncomment them where all are."""
        (first, _), (last, last_column) = sorted(self.selection)
        if last > first and last_column == 0:
            last -= 1
        lines = [self.document.get_line(row) for row in range(first, last + 1)]
        filled = [line for line in lines if line.strip()]
        if not filled:
            return
        if all(line.lstrip().startswith("#") for line in filled):
            changed = [re.sub(r"^(\s*)# ?", r"\1", line, count=1) for line in lines]
        else:
            indent = min(len(line) - len(line.lstrip()) for line in filled)
            changed = [
                f"{line[:indent]}# {line[indent:]}" if line.strip() else line for line in lines
            ]
        row, column = self.cursor_location
        self.replace("\n".join(changed), (first, 0), (last, len(lines[-1])))
        grown = len(changed[row - first]) - len(lines[row - first]) if first <= row <= last else 0
        self.selection = Selection.cursor((row, max(0, column + grown)))

    def find(self, needle: str, *, backwards: bool = False) -> bool:
        """Select the next place that holds `needle`, around the end too; False when there is none.

        Letters are compared without case unless the needle has capitals.
        """
        places = [match.start() for match in _pattern(needle).finditer(self.text)] if needle else []
        if not places:
            return False
        document = self.document
        start, end = sorted(self.selection)
        if backwards:
            here = document.get_index_from_location(start)  # type: ignore[attr-defined]
            found = next((place for place in reversed(places) if place < here), places[-1])
        else:
            here = document.get_index_from_location(end)  # type: ignore[attr-defined]
            found = next((place for place in places if place >= here), places[0])
        first = document.get_location_from_index(found)  # type: ignore[attr-defined]
        last = document.get_location_from_index(found + len(needle))  # type: ignore[attr-defined]
        self.selection = Selection(first, last)
        self.scroll_cursor_visible(center=True)
        return True

    def is_selected(self, needle: str) -> bool:
        """Whether what is selected is a place that `find` finds."""
        return _pattern(needle).fullmatch(self.selected_text) is not None

    def replace_each(self, needle: str, by: str) -> int:
        """Replace every place that `find` finds, as one step that can be undone; how many."""
        text, count = _pattern(needle).subn(lambda _: by, self.text)
        if count:
            self.replace_all(text)
        return count

    # -- problems ------------------------------------------------------------------------------

    @property
    def problems(self) -> tuple[Problem, ...]:
        return self._all

    @problems.setter
    def problems(self, problems: Sequence[Problem]) -> None:
        self._all = tuple(problems)
        self._problems = {}
        for problem in problems:
            if problem.line:
                self._problems.setdefault(problem.line - 1, []).append(problem)
        self.notify_style_update()
        self.refresh()

    def problem_here(self) -> Problem | None:
        """The gravest problem of the cursor's line, the one under the cursor first."""
        row, column = self.cursor_location
        found = self._problems.get(row, [])
        return max(found, key=lambda p: (p.column - 1 <= column, _RANK[p.severity]), default=None)

    def get_line(self, line_index: int) -> Text:
        # Control characters stay in the file, and are only drawn as their pictures.
        raw = self.document.get_line(line_index)
        if len(raw) > _MOST_CHARACTERS:
            raw = raw[:_MOST_CHARACTERS]
        shown = raw if raw.isprintable() else "\t".join(clean(part) for part in raw.split("\t"))
        line = Text(shown, end="", no_wrap=True)
        for problem in self._problems.get(line_index, ()):
            start = max(problem.column - 1, 0)
            end = start
            while end < len(raw) and _WORD.match(raw[end]):
                end += 1
            line.stylize(Style(underline=True), start, max(end, start + 1))
        return line

    def render_line(self, y: int) -> Strip:
        strip = super().render_line(y)
        problems = self._problems.get(y + int(self.scroll_offset.y))
        width = self.gutter_width
        if not problems or width < 2:
            return strip
        severity = max((problem.severity for problem in problems), key=_RANK.__getitem__)
        mark = self.get_component_rich_style(f"editor--{severity}")
        before, after = strip.crop(0, width - 1), strip.crop(width)
        last = list(strip.crop(width - 1, width))
        style = (last[0].style or Style()) + mark if last else mark
        return Strip.join([before, Strip([Segment(MARKS[severity], style)]), after])

    # -- completion ----------------------------------------------------------------------------

    completions: CompletionList | None = None
    wants_offers: Callable[[], None] | None = None
    """Called when typing reached a place where a list helps."""

    def offer(self, offers: Sequence[Offer], prefix: str) -> None:
        """Show offers at the cursor; none closes the list."""
        if self.completions is None:
            return
        if not offers or (len(offers) == 1 and offers[0].insert.rstrip(": ") == prefix):
            self.completions.close()
            return
        self.completions.open(offers, prefix, self.cursor_screen_offset)

    def accept(self, offer: Offer, prefix: str) -> None:
        """Put an offer in place of what was typed of it."""
        row, column = self.cursor_location
        insert = offer.insert
        rest = self.document.get_line(row)[column:]
        if insert.endswith(": ") and rest.lstrip().startswith(":"):
            insert = insert[:-2]
        elif insert.endswith(":") and rest.startswith(":"):
            insert = insert[:-1]
        self.replace(insert, (row, column - len(prefix)), (row, column))

    async def _on_key(self, event: events.Key) -> None:
        completions = self.completions
        if completions is not None and completions.is_open and self._steer(event, completions):
            event.stop()
            event.prevent_default()
            return
        if event.key == "enter" and not self.read_only:
            event.stop()
            event.prevent_default()
            row, column = self.cursor_location
            before = self.document.get_line(row)[:column]
            start, end = sorted(self.selection)
            self.replace(
                "\n" + " " * indent_after(before), start, end, maintain_selection_offset=False
            )
            self._show_beginning()
            return
        await super()._on_key(event)
        if event.is_printable and event.character and self.wants_offers is not None:
            is_open = completions is not None and completions.is_open
            if (
                is_open
                or event.character == "{"
                or event.character.isalpha()
                or event.character == "."
            ):
                self.wants_offers()

    def _steer(self, event: events.Key, completions: CompletionList) -> bool:
        if event.key in ("up", "down"):
            completions.move(1 if event.key == "down" else -1)
        elif event.key in ("pageup", "pagedown"):
            completions.move(8 if event.key == "pagedown" else -8)
        elif event.key in ("enter", "tab"):
            chosen, prefix = completions.take()
            if chosen is None:
                return False
            self.accept(chosen, prefix)
        elif event.key == "escape":
            completions.close()
        else:
            if event.key in ("left", "right", "home", "end", "backspace", "delete"):
                completions.close()
            return False
        return True

    def on_text_area_selection_changed(self) -> None:
        self.post_message(self.Moved())

    def on_blur(self) -> None:
        if self.completions is not None:
            self.completions.close()
