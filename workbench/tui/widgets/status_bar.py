"""The line on top: flow, run, NATS, Salesforce and figures, fitted to the width. Names shrink
first, states never."""

from __future__ import annotations

from dataclasses import dataclass

from rich.cells import cell_len
from textual import events
from textual.content import Content
from textual.widgets import Static

from workbench.tui.text import clean, fit

__all__ = ["Part", "StatusBar"]

_LEAST = 8


@dataclass(frozen=True, slots=True)
class Part:
    """One part of the line: a name that may shrink and a state that may not.

    `tone` is ok, warning, error, alarm or empty; `action` is what a click runs; `short` is the
    state in fewer letters, for a screen that has no room for all of them.
    """

    name: str
    state: str
    tone: str = ""
    action: str = ""
    short: str = ""


_STYLES = {
    "ok": "$text-success",
    "warning": "bold $text-warning",
    "error": "bold $text-error",
    "alarm": "bold reverse $text-error",
    "": "",
}


class StatusBar(Static):
    """`show` takes the parts; a click on one runs its action."""

    DEFAULT_CSS = """
    StatusBar { height: 1; background: $panel; color: $foreground; text-wrap: nowrap; }
    """

    def __init__(self) -> None:
        super().__init__("", markup=False)
        self._parts: tuple[Part, ...] = ()
        self._spans: list[tuple[int, int, str]] = []

    def show(self, parts: tuple[Part, ...]) -> None:
        """Draw these parts, when they are others than before."""
        if parts != self._parts:
            self._parts = parts
            self._draw()

    def on_resize(self) -> None:
        self._draw()

    def _draw(self) -> None:
        width = self.size.width or 80
        names = [clean(part.name) for part in self._parts]
        states = [clean(part.state) for part in self._parts]
        least = min(sum(map(cell_len, names)), _LEAST)
        last = len(states) - 1  # which says what needs a person: shortened last
        for place in (*reversed(range(last)), last):
            if _room(width, names, states) < least and self._parts[place].short:
                states[place] = clean(self._parts[place].short)
        room = _room(width, names, states)
        widths = _shares([cell_len(name) for name in names], room)
        pieces: list[str | tuple[str, str]] = [" "]
        self._spans.clear()
        x = 1
        for place, part in enumerate(self._parts):
            if place:
                pieces.append((" │ ", "dim"))
                x += 3
            name = fit(names[place], widths[place]) if widths[place] else ""
            gap = " " if name and states[place] else ""
            style = _STYLES[part.tone]
            pieces += [name + gap, (states[place], style) if style else states[place]]
            length = cell_len(name) + len(gap) + cell_len(states[place])
            self._spans.append((x, x + length, part.action))
            x += length
        self.update(Content.assemble(*pieces), layout=False)

    async def on_click(self, event: events.Click) -> None:
        for first, end, action in self._spans:
            if action and first <= event.x < end:
                await self.run_action(action)


def _room(width: int, names: list[str], states: list[str]) -> int:
    """What is left for names, once every state has its place."""
    gaps = 3 * max(0, len(names) - 1) + 2
    spaces = sum(1 for name, state in zip(names, states, strict=True) if name and state)
    return width - gaps - spaces - sum(map(cell_len, states))


def _shares(wanted: list[int], room: int) -> list[int]:
    """Widths that add up to `room` at most: the longest give way first."""
    given = list(wanted)
    while sum(given) > max(room, 0):
        longest = max(range(len(given)), key=given.__getitem__)
        if given[longest] <= _LEAST:
            for place in range(len(given)):
                if sum(given) > max(room, 0):
                    given[place] = 0
            break
        given[longest] -= 1
    return given
