"""Fields to type in that take all keys in the order they were pressed.

Textual's own take a letter at once, but hand a key that is bound (end, backspace) up to the
application, which sends the action back. Keys that come in one piece, as over a slow connection or
from a program, overtake it: `backspace x` would delete the x.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.events import Key
from textual.widget import Widget
from textual.widgets import Input, TextArea

__all__ = ["InOrder", "LineField", "TextField"]

if TYPE_CHECKING:
    _Mixed = Widget
else:
    _Mixed = object  # see `Sparing`


class InOrder(_Mixed):
    """To be named before a field of Textual's: what its own bindings say is done where it stands in
    the row of keys."""

    async def _on_key(self, event: Key) -> None:
        if not event.is_printable:
            for binding in self._bindings.key_to_bindings.get(event.key, ()):
                if not binding.priority and await self.app.run_action(binding.action, self):
                    event.stop()
                    event.prevent_default()
                    return
        await super()._on_key(event)


class LineField(InOrder, Input):
    """A line."""


class TextField(InOrder, TextArea):
    """Several lines."""
