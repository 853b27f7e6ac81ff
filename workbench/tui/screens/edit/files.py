"""Saving, making, comparing and reloading the file at hand."""

from __future__ import annotations

import difflib
import os
import shlex
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from textual.app import SuspendNotSupported

from workbench.errors import WorkbenchError
from workbench.tui.files import OpenFile, read_text
from workbench.tui.templates import TEMPLATES, new_flow
from workbench.tui.widgets.dialogs import AskDialog, Choice, ChooseDialog, ConfirmDialog, ReadDialog

if TYPE_CHECKING:
    from workbench.tui.screens.edit.screen import EditScreen

__all__ = ["changed_on_disk", "changes", "external", "new", "recover", "reload", "save", "save_as"]


def save(screen: EditScreen) -> bool:
    """Write the file; whether it was."""
    file = screen.file
    if file is None:
        return False
    text = file.changed_on_disk()
    if text is not None:  # since somebody looked last: saving now would undo what they wrote
        changed_on_disk(screen, file, text)
        if file.is_dirty:
            return False
    try:
        file.save()
    except WorkbenchError as error:
        screen.workbench.tell(str(error), severity="error")
        return False
    running = screen.workbench.runs.is_running(file.path)
    more = "; the running flow goes on with what it was started with" if running else ""
    screen.workbench.tell(f"{file.path.name} saved{more}")
    _saved(screen)
    return True


def _saved(screen: EditScreen) -> None:
    screen._title()
    screen.show_files()
    screen.recheck(delay=0.0)
    screen.workbench.update_status()


def _exists(path: Path) -> bool:
    return path.exists()


def _path(text: str) -> Path:
    """The path that a person typed, `~` as a shell means it."""
    path = Path(text.strip())
    try:
        return path.expanduser()
    except RuntimeError:  # nobody of that name
        return path


def _wrong_name(text: str) -> str:
    path = _path(text)
    if not text.strip() or path.suffix not in (".yaml", ".yml"):
        return "a flow file's name ends in .yaml"
    if path.is_dir():
        return f"{path} is a folder"
    return ""


async def save_as(screen: EditScreen) -> None:
    """Ask for a name and save there; an existing file is replaced only after a question."""
    file = screen.file
    if file is None:
        return
    name = await screen.app.push_screen_wait(AskDialog("Save as", str(file.path), _wrong_name))
    if name is None:
        return
    path = _path(name)
    if path != file.path and _exists(path):
        dialog = ConfirmDialog("Replace?", [f"{path} exists."], "Replace")
        if not await screen.app.push_screen_wait(dialog):
            return
    old = file.path
    try:
        file.save(path)
    except WorkbenchError as error:
        screen.workbench.tell(str(error), severity="error")
        return
    files = screen.workbench.files
    files.pop(old, None)
    files[path] = file
    screen.workbench.tell(f"saved as {path}")
    _saved(screen)


async def new(screen: EditScreen) -> None:
    """Ask for a template and a name; the file is made when it is saved."""
    choices = [Choice(kind, kind, sentence) for kind, sentence in TEMPLATES.items()]
    kind = await screen.app.push_screen_wait(ChooseDialog("New flow", choices))
    if kind is None:
        return

    def wrong(text: str) -> str:
        return _wrong_name(text) or ("it exists already" if _path(text).exists() else "")

    suggestion = screen.workbench.folder / f"{kind}.yaml"
    name = await screen.app.push_screen_wait(AskDialog("Name of the file", str(suggestion), wrong))
    if name is None:
        return
    path = _path(name)
    screen.workbench.files[path] = OpenFile.new(path, new_flow(kind))
    screen.open_path(path)
    screen.editor.focus()


def difference(old: str, new_text: str, before: str, after: str) -> str:
    """A unified difference; empty where there is none."""
    return "\n".join(
        difflib.unified_diff(old.split("\n"), new_text.split("\n"), before, after, lineterm="")
    )


async def changes(screen: EditScreen) -> None:
    """Show what is not saved."""
    file = screen.file
    if file is None:
        return
    text = difference(file.saved, file.text, "saved", "in the editor")
    if not text:
        screen.workbench.tell("everything is saved")
        return
    buttons = (("save", "Save"), ("drop", "Drop the changes"))
    done = await screen.app.push_screen_wait(
        ReadDialog(f"Not saved in {file.path.name}", text, buttons, grammar="")
    )
    if done == "save":
        save(screen)
    elif done == "drop":
        screen.editor.replace_all(file.saved)


async def recover(screen: EditScreen) -> None:
    """Offer what was left unsaved when the application did not come to its end."""
    file, recovery = screen.file, screen.workbench.recovery
    text = recovery.text_of(file.path) if file is not None else None
    if file is None or text is None:
        return
    if text == file.text:
        recovery.drop(file.path)
        return
    chosen = await screen.app.push_screen_wait(
        ReadDialog(
            f"{file.path.name}: text that was never saved",
            difference(file.text, text, "on disk", "not saved"),
            (("take", "Go on with it"), ("drop", "Drop it")),
            grammar="",
        )
    )
    if chosen == "take" and file is screen.file:
        screen.editor.replace_all(text)
    elif chosen == "drop":
        recovery.drop(file.path)
    else:
        screen.workbench.tell("it is offered again, unless the file is changed before")


async def reload(screen: EditScreen) -> None:
    """Take the text on disk, as a step that can be undone."""
    file = screen.file
    if file is None:
        return
    try:
        text = read_text(file.path)
    except WorkbenchError as error:
        screen.workbench.tell(str(error), severity="error")
        return
    if file.is_dirty:
        dialog = ConfirmDialog(
            "Read again?", ["What is not saved is replaced by the file on disk."], "Replace"
        )
        if not await screen.app.push_screen_wait(dialog):
            return
    _take(screen, file, text)


def _take(screen: EditScreen, file: OpenFile, text: str) -> None:
    file.take_from_disk(text)
    screen.editor.replace_all(text)
    _saved(screen)


def changed_on_disk(screen: EditScreen, file: OpenFile, text: str) -> None:
    """Follow the disk where nothing would be lost; else ask."""
    if not file.is_dirty:
        _take(screen, file, text)
        screen.workbench.tell(f"{file.path.name} was changed on disk, and read again")
        return

    def decided(choice: str | None) -> None:
        if choice == "disk":
            _take(screen, file, text)
        else:
            file.saved = text  # from now on, changes are told against what is on disk

    screen.app.push_screen(
        ReadDialog(
            f"{file.path.name} was changed by another program",
            difference(text, file.text, "on disk", "in the editor"),
            (("mine", "Keep mine"), ("disk", "Take the disk's")),
            grammar="",
        ),
        decided,
    )


def external(screen: EditScreen) -> None:
    """Open the file in `$VISUAL` or `$EDITOR`; it is saved first, and read again afterwards."""
    file = screen.file
    command = shlex.split(os.environ.get("VISUAL") or os.environ.get("EDITOR") or "")
    if file is None or not command:
        screen.workbench.tell("set EDITOR to the program you edit with", severity="warning")
        return
    if file.is_dirty and not save(screen):
        return
    try:
        with screen.app.suspend():
            subprocess.run([*command, str(file.path)], check=False)
    except (OSError, SuspendNotSupported) as error:
        screen.workbench.tell(f"{command[0]} can't be started: {error}", severity="error")
        return
    text = file.changed_on_disk()
    if text is not None:
        _take(screen, file, text)
