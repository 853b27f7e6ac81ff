"""The bus: positions, retention, replay ids, the hour's count."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.emulator.bus import Bus, ReplayIdError, position_of, replay_id

TOPIC = "/event/A__e"


class Clock:
    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


def event(name: str = "e", size: int = 1) -> tuple[str, str, bytes, tuple[()]]:
    return (name, "schema", b"x" * size, ())


def names(bus: Bus, topic: str = TOPIC, after: int | None = None, limit: int = 1000) -> list[str]:
    position = bus.earliest() if after is None else after
    return [e.id for e in bus.after(topic, position, limit)]


@given(st.integers(0, 2**64 - 1))
def test_a_replay_id_is_ten_bytes_and_eight_suffice(position: int) -> None:
    made = replay_id(position)
    assert len(made) == 10
    assert position_of(made) == position_of(made[:8]) == position


@pytest.mark.parametrize("bad", [b"", b"short", b"x" * 9, b"x" * 10, b"x" * 11])
def test_other_bytes_are_no_replay_id(bad: bytes) -> None:
    with pytest.raises(ReplayIdError, match="is no replay id"):
        position_of(bad)


def test_positions_rise_over_all_topics_and_jump_between_calls() -> None:
    bus = Bus()
    first = bus.publish(TOPIC, [event("a"), event("b")])
    other = bus.publish("/event/B__e", [event("c")])
    last = bus.publish(TOPIC, [event("d")])
    assert first[1] == first[0] + 1
    assert first[1] + 1 < other[0]
    assert other[0] + 1 < last[0] <= bus.tip
    assert names(bus) == ["a", "b", "d"]
    assert names(bus, after=first[0], limit=1) == ["b"]
    assert names(bus, "/event/None__e") == []


def test_a_later_bus_knows_the_ids_of_an_earlier_one_as_aged_out() -> None:
    clock = Clock()
    old = replay_id(Bus(clock=clock).publish(TOPIC, [event()])[0])
    clock.now += 1
    with pytest.raises(ReplayIdError, match="past retention"):
        Bus(clock=clock).check(old)


def test_an_id_from_the_future_was_never_given_out() -> None:
    bus = Bus()
    with pytest.raises(ReplayIdError, match="never given out"):
        bus.check(replay_id(bus.tip + 1))
    assert bus.check(replay_id(bus.tip)) == bus.tip


def test_events_go_by_age() -> None:
    clock = Clock()
    bus = Bus(clock=clock, retention_seconds=60)
    first = bus.publish(TOPIC, [event("old")])[0]
    clock.now += 59
    second = bus.publish(TOPIC, [event("new")])[0]
    clock.now += 2
    assert names(bus) == ["new"]
    # Nothing that followed the first event is gone, so it is still good to go on from.
    assert bus.check(replay_id(first)) == first
    clock.now += 60
    assert names(bus) == []
    with pytest.raises(ReplayIdError):
        bus.check(replay_id(first))
    assert bus.check(replay_id(second)) == second


def test_events_go_by_count_and_by_bytes() -> None:
    bus = Bus(max_events=3)
    bus.publish(TOPIC, [event(str(n)) for n in range(10)])
    assert names(bus) == ["7", "8", "9"]
    bus = Bus(max_bytes=100)
    bus.publish(TOPIC, [event(str(n), size=40) for n in range(5)])
    assert names(bus) == ["3", "4"]


@given(
    st.lists(st.tuples(st.sampled_from("AB"), st.integers(0, 5)), max_size=40), st.integers(1, 12)
)
def test_what_is_retained_is_the_newest_in_order(
    calls: list[tuple[str, int]], max_events: int
) -> None:
    bus = Bus(max_events=max_events)
    expected: list[tuple[str, int]] = []
    for topic, count in calls:
        positions = bus.publish(topic, [event() for _ in range(count)])
        expected.extend((topic, position) for position in positions)
    expected = expected[-max_events:]
    for topic in "AB":
        found = [e.position for e in bus.after(topic, bus.earliest(), 1000)]
        assert found == [position for t, position in expected if t == topic]
        for index, position in enumerate(found):
            assert [e.position for e in bus.after(topic, position, 1000)] == found[index + 1 :]


def test_the_hour_rolls() -> None:
    clock = Clock()
    bus = Bus(clock=clock, hourly_allocation=10)
    bus.publish(TOPIC, [event()] * 4)
    clock.now += 1800
    bus.publish(TOPIC, [event()] * 3)
    bus.publish(TOPIC, [event()] * 3)
    assert (bus.published_last_hour(), bus.remaining_allocation()) == (10, 0)
    clock.now += 1801
    assert (bus.published_last_hour(), bus.remaining_allocation()) == (6, 4)


def test_watchers_hear_of_their_topic_only() -> None:
    bus = Bus()
    mine, other = bus.watch(TOPIC), bus.watch("/event/B__e")
    bus.publish(TOPIC, [event()])
    assert (mine.is_set(), other.is_set()) == (True, False)
    mine.clear()
    bus.unwatch(TOPIC, mine)
    bus.publish(TOPIC, [event()])
    assert not mine.is_set()


def test_clearing_forgets_events_and_count_but_not_positions() -> None:
    bus = Bus()
    last = bus.publish(TOPIC, [event()] * 5)[-1]
    bus.clear()
    assert names(bus) == []
    assert bus.published_last_hour() == 0
    assert bus.publish(TOPIC, [event("next")])[0] > last
    assert names(bus) == ["next"]
