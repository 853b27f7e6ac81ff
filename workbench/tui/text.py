"""The one door for foreign text: whatever comes from a stream, an org or a file passes here before
it reaches a widget.

Two dangers: widgets read `[...]` in a plain `str` as markup, and no widget keeps control
characters from the terminal, where they can set the title or write the clipboard.
"""

from __future__ import annotations

from rich.cells import cell_len, set_cell_size
from textual.content import Content

__all__ = ["MAX_LINE", "clean", "clean_lines", "clip", "content", "fit", "short_bytes"]

MAX_LINE = 1_000
"""Characters of one line that are ever shown; the whole text stays available for copying."""

_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"

# C0 become their pictures and DEL its own; C1 and what turns the writing direction or cannot be
# encoded (lone surrogates) become the replacement character. All are one character for one, so
# that columns keep their meaning.
_CONTROLS: dict[int, str | int] = {code: 0x2400 + code for code in range(0x20)}
_CONTROLS[0x7F] = 0x2421
for _first, _last in (
    (0x80, 0x9F),
    (0x200E, 0x200F),
    (0x2028, 0x202E),
    (0x2066, 0x2069),
    (0xD800, 0xDFFF),
):
    _CONTROLS.update((code, _REPLACEMENT) for code in range(_first, _last + 1))
_CONTROLS_BUT_LINES = {code: to for code, to in _CONTROLS.items() if code not in (0x09, 0x0A)}


def clean(text: str) -> str:
    """The text in one line, each control character replaced by one visible character.

    >>> clean("a\\x1b]0;b\\nc")
    'a␛]0;b␊c'
    """
    return text if text.isprintable() else text.translate(_CONTROLS)


def clean_lines(text: str) -> str:
    """As `clean`, but newlines and tabs stay, and a carriage return before a newline goes."""
    return text.replace("\r\n", "\n").translate(_CONTROLS_BUT_LINES)


def clip(text: str, limit: int = MAX_LINE) -> str:
    """At most `limit` characters, with an ellipsis where something was left out.

    >>> clip("abcdef", 4)
    'abc…'
    """
    return text if len(text) <= limit else text[: limit - 1] + "…"


def fit(text: str, width: int) -> str:
    """The text cleaned and made exactly `width` cells wide, an ellipsis where it was cut.

    >>> fit("日本語", 5)
    '日本…'
    >>> fit("ab", 4)
    'ab  '
    """
    if width <= 0:
        return ""
    text = clean(text[: 4 * width + 4])
    if cell_len(text) <= width:
        return set_cell_size(text, width)
    return set_cell_size(set_cell_size(text, width - 1).rstrip() + "…", width)


def content(text: str, style: str = "") -> Content:
    """Foreign text as something a widget shows literally; may have several lines."""
    return Content.styled(clean_lines(text), style) if style else Content(clean_lines(text))


def short_bytes(data: bytes, limit: int = 256 * 1024) -> str:
    """Bytes as text for people; longer ones are cut at `limit`, with a line that says so."""
    text = clean_lines(data[:limit].decode("utf-8", "replace"))
    if len(data) <= limit:
        return text
    return f"{text}\n… {len(data) - limit:,} bytes more; export shows all of it"
