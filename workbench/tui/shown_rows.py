"""Which rows of a store a list shows: all that are kept, or those that a filter lets through; as
they come, or held still.

Held rows stay, also when newer ones have taken their places in the store. Places count from 0.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable

from workbench.tui.filters import Filter
from workbench.tui.rows import EventRow
from workbench.tui.store import Store

__all__ = ["ShownRows"]

FIRST_LOOK = 300
"""The newest rows, which a filter looks at as soon as it is chosen: some screens full."""
MOST_AT_ONCE = 1_000
"""Rows that it looks at in one go after that: all at once would keep keys waiting."""

FREED_AT_ONCE = 1_000
"""Rows whose memory is given back in one go, once they are no longer held: all at once, 20,000 take
30 ms."""

MOST_BELOW = 5_000
"""Rows that still join those held; later ones are only counted, or memory would have no bound."""


class ShownRows:
    """A view of one store; it follows until `hold`."""

    def __init__(self, store: Store | None) -> None:
        self.store = store
        self.filter: Filter | None = None
        self._numbers: list[int] | None = None
        self._held: list[EventRow] | None = None
        self._let_go: list[EventRow] = []
        self._held_end = 0
        self._first = store.first if store else 0
        self._unlooked_end = 0  # the filter has not looked at rows before this number yet

    # -- following and holding -----------------------------------------------------------------

    @property
    def is_following(self) -> bool:
        return self._held is None

    def hold(self) -> None:
        """Keep the rows of this moment, whatever comes; those held before are let go."""
        self._held = self.store.rows() if self.store else []
        self._held_end = self.store.end if self.store else 0
        self._filter_all()

    def follow(self) -> None:
        """Show what the store keeps, as it comes."""
        self._let_go += self._held or []
        self._held = None
        self._filter_all()

    @property
    def is_letting_go(self) -> bool:
        """Whether there are rows, no longer held, whose memory is still to be given back."""
        return bool(self._let_go)

    def let_go(self) -> None:
        """Give back the memory of some more rows that are no longer held."""
        del self._let_go[-FREED_AT_ONCE:]

    @property
    def new_rows(self) -> int:
        """Rows that came in since they were held."""
        return self.store.end - self._held_end if self.store and self._held is not None else 0

    # -- looking -------------------------------------------------------------------------------

    def rows(self) -> Iterable[EventRow]:
        """All rows in view of the filter, oldest first."""
        if self._held is not None:
            return self._held
        return self.store.rows() if self.store else ()

    @property
    def count(self) -> int:
        if self._numbers is not None:
            return len(self._numbers)
        if self._held is not None:
            return len(self._held)
        return self.store.end - self.store.first if self.store else 0

    def row(self, number: int) -> EventRow | None:
        """The row of that number, whatever the filter; None where it is gone."""
        if self._held is None:
            return self.store.row(number) if self.store else None
        place = number - self._held[0].number if self._held else -1
        return self._held[place] if 0 <= place < len(self._held) else None

    def row_at(self, place: int) -> EventRow | None:
        """The row at a place; None where there is none."""
        if not 0 <= place < self.count:
            return None
        if self._numbers is not None:
            return self.row(self._numbers[place])
        if self._held is not None:
            return self._held[place]
        return self.store.row(self.store.first + place) if self.store else None

    def place_of(self, number: int | None) -> int | None:
        """Where the row of that number is; None where it is not shown."""
        row = None if number is None else self.row(number)
        if number is None or row is None:
            return None
        if self._numbers is not None:
            place = bisect_left(self._numbers, number)
            return place if place < len(self._numbers) and self._numbers[place] == number else None
        first = self._held[0].number if self._held else self.store.first if self.store else 0
        return number - first

    # -- changes -------------------------------------------------------------------------------

    def set_filter(self, chosen: Filter | None) -> None:
        """Show only rows that it lets through: the newest at once, older ones by `look_on`."""
        self.filter = chosen
        self._filter_all()

    def _filter_all(self) -> None:
        store = self.store
        self._first = store.first if store else 0
        self._numbers, self._unlooked_end = None, 0
        if store is not None and self.filter is not None:
            self._numbers, self._unlooked_end = [], self._end_in_view(store)
            self.look_on(FIRST_LOOK)

    @property
    def is_looking(self) -> bool:
        """Whether there are rows that the filter has not looked at yet."""
        return self.store is not None and self._unlooked_end > self._first_in_view(self.store)

    def look_on(self, most: int | None = None) -> int:
        """Let the filter look at some more rows, from the newest to the oldest; how many of them
        are shown now, before all others."""
        store, chosen, numbers = self.store, self.filter, self._numbers
        if store is None or chosen is None or numbers is None or not self.is_looking:
            return 0
        start = max(self._first_in_view(store), self._unlooked_end - (most or MOST_AT_ONCE))
        found = [
            number
            for number in range(start, self._unlooked_end)
            if (row := self.row(number)) is not None and chosen.matches(row, store)
        ]
        numbers[:0] = found
        self._unlooked_end = start
        return len(found)

    def look_back_to(self, number: int) -> None:
        """Look on until it is known whether that row is shown."""
        while self.is_looking and number < self._unlooked_end:
            self.look_on()

    def _first_in_view(self, store: Store) -> int:
        return self._held[0].number if self._held else store.first

    def _end_in_view(self, store: Store) -> int:
        if self._held is None:
            return store.end
        return self._held[-1].number + 1 if self._held else store.first

    def take(self, changed: set[int]) -> int:
        """Take over that rows of these numbers are new or changed; how many left in front."""
        store = self.store
        if store is None:
            return 0
        if self._held is not None:
            self._join(store, self._held)
        left, self._first = store.first - self._first, store.first
        if self._numbers is not None and self.filter is not None:
            left = 0 if self._held is not None else bisect_left(self._numbers, store.first)
            del self._numbers[:left]
            self._filter_changed(self._numbers, changed, store, self.filter)
        return 0 if self._held is not None else left

    def _join(self, store: Store, held: list[EventRow]) -> None:
        """What came in below goes on from where the held rows end, as long as none is missing."""
        last = min(store.end, self._held_end + MOST_BELOW)
        for number in range(held[-1].number + 1 if held else self._held_end, last):
            row = store.row(number)
            if row is None:
                return
            held.append(row)

    def _filter_changed(
        self, numbers: list[int], changed: set[int], store: Store, chosen: Filter
    ) -> None:
        for number in sorted(changed):
            row = self.row(number)
            if row is None or number < self._unlooked_end:
                continue
            place = bisect_left(numbers, number)
            is_in = place < len(numbers) and numbers[place] == number
            matches = chosen.matches(row, store)
            if matches and not is_in:
                numbers.insert(place, number)
            elif is_in and not matches:
                del numbers[place]
