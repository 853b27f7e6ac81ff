"""Going to problems and mending them, replacing, explaining."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.tui.completion import explain
from workbench.tui.widgets.code_editor import CodeEditor
from workbench.tui.widgets.dialogs import AskDialog, ReadDialog

if TYPE_CHECKING:
    from workbench.tui.screens.edit.screen import EditScreen

__all__ = ["apply", "describe", "go_to_problem", "goto_line", "replace"]


def go_to_problem(editor: CodeEditor, step: int) -> None:
    """Put the cursor at the next problem with a place, around the ends."""
    places = sorted({(p.line, p.column) for p in editor.problems if p.line})
    if not places:
        return
    row, column = editor.cursor_location
    here = (row + 1, column + 1)
    if step > 0:
        place = next((p for p in places if p > here), places[0])
    else:
        place = next((p for p in reversed(places) if p < here), places[-1])
    editor.go_to(*place)
    editor.focus()


def apply(screen: EditScreen) -> None:
    """Put the fix of the problem under the cursor in place, as one step that can be undone."""
    editor = screen.editor
    problem = editor.problem_here()
    if problem is None or problem.fix is None:
        screen.workbench.tell("no fix is offered here", severity="warning")
        return
    from workbench.flow import Document

    document = Document(editor.text, problem.file)
    span = document.locate(problem.path)
    if problem.code == "schema.unknown_key" or span is None:
        row, column = problem.line - 1, problem.column - 1
        line = editor.document.get_line(row)
        end = column
        while end < len(line) and (line[end].isalnum() or line[end] in "_-."):
            end += 1
        editor.replace(problem.fix, (row, column), (row, end), maintain_selection_offset=False)
    else:
        first, start, last, end = span
        editor.replace(
            problem.fix,
            (first - 1, start - 1),
            (last - 1, end - 1),
            maintain_selection_offset=False,
        )
    editor.focus()


def replace(screen: EditScreen, needle: str, by: str, is_all: bool) -> None:
    """Replace the selected place and go on, or all places as one step."""
    editor = screen.editor
    if not needle:
        return
    if is_all:
        count = editor.replace_each(needle, by)
        screen.workbench.tell(f"{count} replaced" if count else f"not found: {needle}")
        return
    if editor.is_selected(needle):
        start, end = sorted(editor.selection)
        editor.replace(by, start, end, maintain_selection_offset=False)
    if not editor.find(needle):
        screen.workbench.tell(f"not found: {needle}", severity="warning")


async def goto_line(screen: EditScreen) -> None:
    """Ask for a line, `12` or `12:5`, and go there."""
    last = screen.editor.document.line_count

    def wrong(text: str) -> str:
        line, _, column = text.partition(":")
        is_good = line.strip().isdecimal() and (not column or column.strip().isdecimal())
        if is_good and 1 <= int(line) <= last:
            return ""
        return f"a line from 1 to {last}, or line:column"

    text = await screen.app.push_screen_wait(AskDialog(f"Go to line (1 to {last})", "", wrong))
    if text:
        line, _, column = text.partition(":")
        screen.editor.go_to(int(line), int(column or 1))


async def describe(screen: EditScreen, path: tuple[str | int, ...]) -> None:
    """Show everything the language says about the field at a path."""
    entry = explain(path)
    if entry is None:
        screen.workbench.tell("the cursor is on nothing that has a description")
        return
    lines = [
        entry.description,
        "",
        f"kind: {entry.kind}",
        f"required: {'yes' if entry.is_required else 'no'}",
    ]
    if entry.default is not None:
        lines.append(f"default: {entry.default}")
    if entry.values:
        lines.append(f"values: {', '.join(entry.values)}")
    if entry.example:
        lines.append(f"example: {entry.name}: {entry.example}")
    if entry.is_ours:
        lines += ["", "Other engines that read these files ignore this field."]
    await screen.app.push_screen_wait(ReadDialog(entry.name, "\n".join(lines), grammar=""))
