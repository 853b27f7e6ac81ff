"""The application's own two themes, with every colour set."""

from __future__ import annotations

from textual.theme import Theme

__all__ = ["DEFAULT_THEME", "THEMES"]

DEFAULT_THEME = "workbench-dark"

# A theme that leaves colours out gets warning, error and success derived from primary, and a
# blurred border that nearly vanishes: so all are said.
THEMES = (
    Theme(
        name="workbench-dark",
        primary="#6cb6ff",
        secondary="#8fa3bf",
        accent="#f2b35e",
        warning="#e8c268",
        error="#ff7b72",
        success="#7bd88f",
        foreground="#d8dee9",
        background="#10151c",
        surface="#151b24",
        panel="#1d2530",
        dark=True,
        variables={
            "border": "#6cb6ff",
            "border-blurred": "#3d4b5f",
            "block-cursor-background": "#2c5380",
            "block-cursor-foreground": "#ffffff",
            "block-cursor-blurred-background": "#263548",
            "block-cursor-blurred-foreground": "#d8dee9",
            "input-selection-background": "#2c538080",
            "footer-key-foreground": "#f2b35e",
        },
    ),
    Theme(
        name="workbench-light",
        primary="#0b62c4",
        secondary="#50617a",
        accent="#9a5b00",
        warning="#8a6100",
        error="#c0202b",
        success="#1c7a38",
        foreground="#1c2430",
        background="#f6f7f9",
        surface="#ffffff",
        panel="#e8ebf0",
        dark=False,
        variables={
            "border": "#0b62c4",
            "border-blurred": "#a9b4c4",
            "block-cursor-background": "#bcd8fa",
            "block-cursor-foreground": "#0d1622",
            "block-cursor-blurred-background": "#dfe6ef",
            "block-cursor-blurred-foreground": "#1c2430",
            "input-selection-background": "#bcd8fa",
            "footer-key-foreground": "#9a5b00",
        },
    ),
)
