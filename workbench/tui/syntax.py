"""Colours of YAML and JSON in text areas, taken from the application's theme."""

from __future__ import annotations

from functools import cache
from importlib import util
from pathlib import Path

from rich.style import Style
from textual.app import App
from textual.widgets import TextArea
from textual.widgets.text_area import TextAreaTheme

__all__ = ["install", "language"]

_CRASHING = {"0.26.1"}
"""Versions of tree-sitter that end the process while they build the JSON query; pyproject.toml
keeps them out, but an environment may have been made without it."""


@cache
def language(name: str) -> str | None:
    """The name where the grammar is installed and safe to load, else None: no colours."""
    binding = util.find_spec("tree_sitter")
    if binding is None or binding.origin is None or util.find_spec(f"tree_sitter_{name}") is None:
        return None
    # importlib.metadata would say it too, for more time than the rest of the start takes.
    place = Path(binding.origin).parents[1]
    is_crashing = any((place / f"tree_sitter-{bad}.dist-info").exists() for bad in _CRASHING)
    return None if is_crashing else name


def install(area: TextArea) -> None:
    """Give a text area the colours of the application's current theme, and of each later one."""
    app = area.app
    _use(area, app)

    def changed(_: object) -> None:
        if area.is_attached:
            _use(area, app)

    app.theme_changed_signal.subscribe(area, changed)


def _use(area: TextArea, app: App[object]) -> None:
    theme = _theme(app)
    area.register_theme(theme)
    area.theme = theme.name


def _theme(app: App[object]) -> TextAreaTheme:
    chosen = app.current_theme
    variables = app.get_css_variables()

    def style(name: str, *, italic: bool | None = None) -> Style:
        colour = variables.get(name, "")
        return Style(color=colour if colour.startswith("#") else None, italic=italic)

    key, text, number = style("primary"), style("success"), style("accent")
    quiet = style("secondary", italic=True)
    return TextAreaTheme(
        name=f"workbench-{chosen.name}",
        syntax_styles={
            "yaml.field": key,
            "json.label": key,
            "string": text,
            "string.escape": number,
            "number": number,
            "boolean": number,
            "json.null": number,
            "constant.builtin": number,
            "comment": quiet,
            "type": number,
        },
    )
