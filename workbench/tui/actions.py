"""Every action of the application, once: bindings, footer, palette, help and docs/keys.md are made
from this table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from textual.binding import Binding, BindingType

__all__ = ["ACTIONS", "PLACES", "Action", "actions_of", "bindings", "key_words", "keys_page"]


@dataclass(frozen=True, slots=True)
class Action:
    """One thing a person can do.

    Attributes:
        id: `place.name`; `action_name` is the method of the screen (or application) at that place.
        keys: Textual's key names, joined by commas; empty for what only the palette offers.
        label: a word or two, for the footer.
        help: a sentence, for palette, help and tooltip.
        show: whether the footer shows it when there is room.
        priority: whether the key works even where a text field has a meaning for it.
    """

    id: str
    keys: str
    label: str
    help: str
    show: bool = False
    priority: bool = False

    @property
    def place(self) -> str:
        return self.id.partition(".")[0]

    @property
    def name(self) -> str:
        return self.id.partition(".")[2]


PLACES: Mapping[str, str] = {
    "app": "Everywhere",
    "edit": "Edit",
    "run": "Run",
    "failed": "Failed",
    "health": "Health",
}
"""Where actions belong, with the heading used for each."""

ACTIONS: tuple[Action, ...] = (
    Action("edit.run", "f5", "Start", "Run this flow, after asking where it writes.", True, True),
    Action("edit.save", "ctrl+s", "Save", "Save the file.", True, True),
    Action(
        "edit.complete",
        "ctrl+@,ctrl+space",
        "Complete",
        "Offer keys, values and template names at the cursor.",
        False,
        True,
    ),
    Action("edit.next_problem", "f8", "Problem", "Go to the next problem.", True, True),
    Action(
        "edit.previous_problem", "shift+f8,f20", "", "Go to the previous problem.", priority=True
    ),
    Action("edit.fix", "ctrl+r", "Fix", "Apply the fix offered for the problem here.", True, True),
    Action("edit.next_event", "f7", "Event", "Preview the next event.", True, True),
    Action("edit.previous_event", "f6", "", "Preview the event before.", priority=True),
    Action(
        "edit.choose_event",
        "f12",
        "Choose event",
        "Choose the event to preview: from the stream, a file, or typed.",
        False,
        True,
    ),
    Action("edit.find", "ctrl+f", "Find", "Find in the file, and replace.", False, True),
    Action("edit.goto_line", "ctrl+g", "Line", "Go to a line.", priority=True),
    Action(
        "edit.comment",
        "ctrl+underscore,ctrl+slash",
        "Comment",
        "Comment the selected lines, or uncomment them.",
        priority=True,
    ),
    Action("edit.describe", "ctrl+k", "Explain", "Explain the field at the cursor.", False, True),
    Action("edit.files", "ctrl+b", "Files", "Show or hide the list of flows.", False, True),
    Action("edit.new", "ctrl+n", "New", "New flow from a template.", False, True),
    Action("edit.save_as", "", "Save as", "Save under another name."),
    Action("edit.changes", "ctrl+l", "Changes", "Show what is not saved yet.", False, True),
    Action("edit.reload", "", "Reload", "Read the file again from disk, dropping what is unsaved."),
    Action(
        "edit.external",
        "ctrl+e",
        "$EDITOR",
        "Open the file in your own editor, and come back.",
        priority=True,
    ),
    Action("run.start_stop", "f5", "Start", "Start the flow; running, drain and stop it.", True),
    Action(
        "run.pause", "p", "Pause", "Pause or resume the engine; events stay in the stream.", True
    ),
    Action("run.freeze", "space", "Hold", "Hold the list still; nothing is lost meanwhile.", True),
    Action("run.follow", "end", "Follow", "Follow the newest event."),
    Action("run.filter", "slash", "Filter", "Filter by code: subject: key: state: or text.", True),
    Action("run.next_failure", "n", "Failure", "Go to the next event with a failure.", True),
    Action("run.previous_failure", "N", "", "Go to the event with a failure before this one."),
    Action("run.copy", "y", "Copy", "Copy what the focused pane shows.", True),
    Action("run.export", "x", "Export", "Write the event, its request and answer to a file.", True),
    Action("run.whole", "w", "Whole", "Show the whole request and answer, or the one record."),
    Action("run.sample", "e", "To editor", "Preview this event in the editor."),
    Action("run.zoom", "z", "Zoom", "Make the focused pane fill the screen, and back."),
    Action("failed.replay", "r", "Replay", "Write the marked again, after saying how.", True),
    Action("failed.edit", "e", "Edit", "Edit the record, or all records that are marked.", True),
    Action("failed.dry_run", "d", "Dry run", "Show what a replay would send; send nothing.", True),
    Action("failed.mark", "space", "Mark", "Mark this one, or take its mark away.", True),
    Action(
        "failed.filter", "slash", "Filter", "Filter by code: field: subject: flow: or text.", True
    ),
    Action("failed.discard", "D", "Discard", "Close it unwritten, for a reason.", True),
    Action("failed.group_by", "g", "Group by", "Group by code and field, field, or flow.", True),
    Action("failed.mark_range", "v", "Range", "Begin a range of marks here, or end it."),
    Action("failed.mark_group", "a", "Mark group", "Mark all of the group, or none of it."),
    Action("failed.mark_all", "A", "Mark all", "Mark all that the filter lets through, or none."),
    Action("failed.set_field", "s", "Set field", "Set one field of all records that are meant."),
    Action("failed.undo_edit", "u", "Undo edit", "Forget the edits of what is chosen."),
    Action("failed.export", "x", "Export", "Write the marked to a file, as JSON lines.", True),
    Action("failed.copy", "y", "Copy", "Copy what the focused pane shows, as JSON.", True),
    Action("failed.pause_replay", "p", "Pause replay", "Pause the replay, or go on with it."),
    Action(
        "failed.end_replay", "c", "End replay", "End the replay, where it is; or end a long look."
    ),
    Action("failed.make_test", "t", "Make test", "Make a flow test of it, for workbench test."),
    Action("failed.progress", "h", "Replay box", "Close the replay's box, or show it again."),
    Action("failed.zoom", "z", "Zoom", "Make the focused pane fill the screen, and back."),
    Action("health.test", "t", "Test", "Try the connections step by step.", True),
    Action("health.filter", "slash", "Filter", "Filter the log.", True),
    Action("health.level", "l", "Level", "Show all, warnings, or errors only.", True),
    Action("health.copy", "y", "Copy", "Copy the report.", True),
    Action("app.mode_edit", "f2", "Edit", "Edit the flow, with a preview.", True, True),
    Action("app.mode_run", "f3", "Run", "Watch the flow run, record by record.", True, True),
    Action("app.mode_failed", "f4", "Failed", "Failed batches: mend and replay.", True, True),
    Action("app.mode_health", "f9", "Health", "Connections, durable, limits, log.", True, True),
    Action("app.publish", "ctrl+t", "Publish", "Publish a test event.", False, True),
    Action("app.faults", "f10", "Faults", "Switch the sandbox's troubles on or off.", False, True),
    Action(
        "app.jump",
        "ctrl+o",
        "Jump",
        "Put a letter on every pane; press it to go there.",
        True,
        True,
    ),
    Action("app.command_palette", "ctrl+p", "Palette", "Every action by name.", True, True),
    Action("app.help", "f1", "Help", "What can be done here.", True, True),
    Action("app.help_in_lists", "question_mark", "", "What can be done here (in lists)."),
    Action("app.detach", "", "Detach", "Attached no longer: let flows be started from here."),
    Action("app.theme", "", "Theme", "Choose the colours."),
    Action(
        "app.leave", "ctrl+q", "Quit", "Leave; asks where something would be lost.", False, True
    ),
)

_BY_ID = {action.id: action for action in ACTIONS}


def actions_of(*places: str) -> Iterator[Action]:
    """The actions of these places, in the table's order."""
    return (action for action in ACTIONS if action.place in places)


def bindings(place: str) -> list[BindingType]:
    """The bindings of a place, for the `BINDINGS` of its screen or application."""
    return [
        Binding(
            action.keys,
            action.name,
            action.label or action.help,
            show=action.show,
            priority=action.priority,
            tooltip=action.help,
            key_display="^space" if action.id == "edit.complete" else None,
            id=action.id,
        )
        for action in actions_of(place)
        if action.keys
    ]


_KEY_WORDS = {
    "ctrl+@": "",
    "ctrl+underscore": "",
    "f20": "",
    "question_mark": "?",
    "slash": "/",
    "ctrl+slash": "ctrl+/",
}


def key_words(action: Action) -> str:
    """The action's keys as people write them.

    >>> key_words(_BY_ID["edit.comment"])
    'ctrl+/'
    """
    names = (_KEY_WORDS.get(key, key) for key in action.keys.split(","))
    return ", ".join(filter(None, names))


def keys_page() -> str:
    """docs/keys.md."""
    lines = [
        "# Keys of the application",
        "",
        "Made from the table of actions (`python -m workbench.tui.keys > docs/keys.md`). Every",
        "action is in the palette (`ctrl+p`) too. `config.toml` gives an action other keys by its",
        'name: `[keys]`, `"edit.save" = "ctrl+s,f12"`.',
    ]
    for place, heading in PLACES.items():
        actions = list(actions_of(place))
        if not actions:
            continue
        lines += ["", f"## {heading}", "", "| key | action | what it does |", "|---|---|---|"]
        lines += [
            f"| {key_words(action) or '–'} | `{action.id}` | {action.help} |" for action in actions
        ]
    return "\n".join(lines) + "\n"
