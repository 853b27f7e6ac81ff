"""Keys in flight: units with an equal key go one after the other, in the order they came."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

from workbench.engine.unit import Unit, Visit

__all__ = ["Lanes"]


class Lanes:
    """Who holds which key, and who waits for it.

    A unit takes all its keys at once or stands in line for those that are taken; since every unit
    lines up in all its lanes at the same moment, the oldest can always go and nothing deadlocks.

    Attributes:
        waiting: records of the units that stand in line.
    """

    __slots__ = ("_lanes", "waiting")

    def __init__(self) -> None:
        # None: held, nobody waits. The deque is made only when somebody does.
        self._lanes: dict[str, deque[Unit] | None] = {}
        self.waiting = 0

    @property
    def by_key(self) -> dict[str, deque[Unit] | None]:
        """Who waits for each key that is held, None for nobody: for the engine's hot path, which
        takes a free key by `by_key[key] = None` and gives one back that nobody waits for by
        deleting it."""
        return self._lanes

    def __len__(self) -> int:
        return len(self._lanes)

    def are_free(self, keys: Iterable[str]) -> bool:
        """Whether nobody holds any of them."""
        return self._lanes.keys().isdisjoint(keys)

    def enter(self, unit: Unit) -> bool:
        """Take the unit's keys; True if it holds them all and may be sent now."""
        keys, lanes = unit.keys, self._lanes
        if keys is None:
            return True
        if type(keys) is str:
            keys = (keys,)
        if self.are_free(keys):
            lanes.update(dict.fromkeys(keys))
            return True
        for key in keys:
            if key in lanes:
                self._queue(key, unit)
                unit.blocked += 1
            else:
                lanes[key] = None
        if unit.blocked:
            self.waiting += len(unit.records)
        return not unit.blocked

    def _queue(self, key: str, unit: Unit) -> None:
        lane = self._lanes[key]
        if lane is None:
            self._lanes[key] = deque((unit,))
        else:
            lane.append(unit)

    def leave(self, unit: Unit, ready: list[Unit]) -> None:
        """Give the unit's keys to the next in each line; who can go now is appended to `ready`."""
        self.leave_all((unit,), ready)

    def leave_all(self, units: Iterable[Unit], ready: list[Unit]) -> None:
        """Give the keys of all of these to the next in each line, as `leave`."""
        lanes = self._lanes
        for unit in units:
            keys = unit.keys
            if keys is None:
                continue
            if self.waiting:
                for key in (keys,) if type(keys) is str else keys:
                    self.release(key, ready)
            elif type(keys) is str:  # the usual case
                del lanes[keys]
            else:
                for key in keys:
                    del lanes[key]

    def release(self, key: str, ready: list[Unit]) -> None:
        """Give one key to the next in its line."""
        lane = self._lanes[key]
        if not lane:
            del self._lanes[key]
            return
        following = lane.popleft()
        following.blocked -= 1
        if not following.blocked:
            self.waiting -= len(following.records)
            ready.append(following)

    def pass_within(self, key: str, visit: Visit) -> Unit | None:
        """Give a held key to the next in its line if that is of the same visit.

        Returns that unit, with one block less, or None when the next is another event's: the
        key then stays taken.
        """
        lane = self._lanes[key]
        if not lane or lane[0].visit is not visit:
            return None
        following = lane.popleft()
        following.blocked -= 1
        if not following.blocked:
            self.waiting -= len(following.records)
        return following

    def hand_over(self, kept: Iterable[str], units: Sequence[Unit]) -> set[str]:
        """Let the units of an event that came back enter as holders of the keys kept for it, and
        so before everyone who lined up meanwhile; who has `blocked == 0` afterwards may go.

        Returns the kept keys that none of the units has.
        """
        left = set(kept)
        ahead: dict[str, list[Unit]] = {key: [] for key in left}
        for unit in units:
            keys = unit.keys
            blocked = 0
            for key in () if keys is None else (keys,) if type(keys) is str else keys:
                if key in left:
                    left.discard(key)
                elif key in ahead:
                    ahead[key].append(unit)
                    blocked += 1
                elif key in self._lanes:
                    self._queue(key, unit)
                    blocked += 1
                else:
                    self._lanes[key] = None
            unit.blocked = blocked
            if blocked:
                self.waiting += len(unit.records)
        for key, line in ahead.items():
            if line:
                self._lanes[key] = deque((*line, *(self._lanes[key] or ())))
        return left

    def drop_waiting(self) -> list[Unit]:
        """Take out everyone who waits; who holds a key keeps it, and so does a waiting unit that
        holds some of its keys: those are released."""
        units = {id(unit): unit for lane in self._lanes.values() for unit in lane or ()}
        waits = {(key, id(unit)) for key, lane in self._lanes.items() for unit in lane or ()}
        for key in self._lanes:
            self._lanes[key] = None
        for unit in units.values():
            for key in unit.keys if isinstance(unit.keys, tuple) else ():
                if (key, id(unit)) not in waits:
                    del self._lanes[key]
        self.waiting = 0
        return list(units.values())

    def drop(self) -> list[Unit]:
        """Take out everyone who waits and forget who holds what."""
        units = self.drop_waiting()
        self._lanes.clear()
        return units
