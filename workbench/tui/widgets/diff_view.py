"""A read-only document whose lines begin with `+ `, `- `, two blanks, or `// `."""

from __future__ import annotations

import difflib
from typing import ClassVar

from rich.text import Text

from workbench.tui.widgets.json_view import JsonView

__all__ = ["DiffView", "diff_text"]

_MOST_COMPARED = 4_000


class DiffView(JsonView):
    """Shows what is gone, what is new, and remarks, each by its sign and by a colour."""

    DEFAULT_CSS = """
    DiffView {
        & .diff--new { color: $text-success; text-style: bold; }
        & .diff--gone { color: $text-error; }
        & .diff--remark { color: $text-muted; }
        & .diff--alarm { color: $text-error; text-style: bold; }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "diff--new",
        "diff--gone",
        "diff--remark",
        "diff--alarm",
    }

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id, grammar="")

    def get_line(self, line_index: int) -> Text:
        line = super().get_line(line_index)
        name = _STYLES.get(line.plain[:2])
        if name is not None:
            line.stylize(self.get_component_rich_style(name))
        return line


_STYLES = {
    "+ ": "diff--new",
    "- ": "diff--gone",
    "//": "diff--remark",
    "✗ ": "diff--alarm",
}


def diff_text(before: str, after: str) -> str:
    """Every line of both, with a sign for where it stands; a comma at the end is no difference, as
    JSON's depends on what comes after.

    >>> print(diff_text("a\\nb", "a\\nc"))
      a
    - b
    + c
    """
    old, new = before.split("\n"), after.split("\n")
    bare, fresh = [line.rstrip(",") for line in old], [line.rstrip(",") for line in new]
    if len(old) + len(new) > _MOST_COMPARED:
        if bare == fresh:
            return "\n".join(f"  {line}" for line in new)
        return "\n".join([*(f"- {line}" for line in old), *(f"+ {line}" for line in new)])
    lines: list[str] = []
    for tag, i1, i2, j1, j2 in difflib.SequenceMatcher(None, bare, fresh, False).get_opcodes():
        if tag == "equal":
            lines += [f"  {line}" for line in new[j1:j2]]
        else:
            lines += [f"- {line}" for line in old[i1:i2]]
            lines += [f"+ {line}" for line in new[j1:j2]]
    return "\n".join(lines)
