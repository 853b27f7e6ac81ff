"""The palette: every action by name, from the one table."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, cast

from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.markup import escape

from workbench.tui.actions import ACTIONS, PLACES, Action, key_words

if TYPE_CHECKING:
    from workbench.tui.app import WorkbenchApp

__all__ = ["Commands"]


class Commands(Provider):
    """The only provider, so that the order of what it yields is the order that is shown."""

    @property
    def _app(self) -> WorkbenchApp:
        return cast("WorkbenchApp", self.app)

    async def discover(self) -> Hits:
        for action, name in self._actions():
            yield DiscoveryHit(name, partial(self._app.run_registered, action), help=_help(action))

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for action, name in self._actions():
            score = matcher.match(name)
            if score > 0:
                yield Hit(
                    score,
                    matcher.highlight(name),
                    partial(self._app.run_registered, action),
                    help=_help(action),
                )

    def _actions(self) -> Iterator[tuple[Action, str]]:
        here = self._app.place
        ordered = sorted(ACTIONS, key=lambda action: (action.place != here, action.place != "app"))
        for action in ordered:
            if action.id != "app.command_palette" and action.label:
                area = PLACES[action.place].lower() if action.place != "app" else "app"
                yield action, f"{area}: {action.label.lower()}"


def _help(action: Action) -> str:
    keys = key_words(action)
    # The palette reads help as markup, and `[/]` would end the program.
    return escape(f"{action.help}  ({keys})" if keys else action.help)
