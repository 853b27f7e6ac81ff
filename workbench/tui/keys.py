"""Prints docs/keys.md: `python -m workbench.tui.keys > docs/keys.md`."""

from __future__ import annotations

from workbench.tui.actions import keys_page

if __name__ == "__main__":
    print(keys_page(), end="")
