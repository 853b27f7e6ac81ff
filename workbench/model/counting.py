"""How many of what, in words."""

from __future__ import annotations

__all__ = ["counted"]


def counted(count: int, one: str, many: str = "") -> str:
    """`many` is `one` with an s unless said.

    >>> counted(1, "record"), counted(2000, "record"), counted(0, "entry", "entries")
    ('1 record', '2,000 records', '0 entries')
    """
    return f"{count:,} {one if count == 1 else many or one + 's'}"
