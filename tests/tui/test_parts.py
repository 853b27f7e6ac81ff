"""The parts without a screen: foreign text, places in a file, filters, the store, settings."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from tests.tui.support import NASTY
from workbench.errors import SettingsError
from workbench.model import (
    Answer,
    Batch,
    Event,
    Exchange,
    FailedBatch,
    FailedRecord,
    Group,
    Refused,
    Written,
)
from workbench.observe import BatchAnswered, BatchSent, EventsReceived, EventsSettled
from workbench.tui import context
from workbench.tui.actions import ACTIONS
from workbench.tui.completion import explain, offers
from workbench.tui.config import (
    Config,
    State,
    config_path,
    load_config,
    load_state,
    save_state,
    state_path,
)
from workbench.tui.context import Places, place_of
from workbench.tui.files import OpenFile, find_flows, read_bytes
from workbench.tui.filters import parse_filter
from workbench.tui.port import Run
from workbench.tui.requests import compare, pretty
from workbench.tui.shown_rows import MOST_BELOW, ShownRows
from workbench.tui.status import status_parts
from workbench.tui.store import Store
from workbench.tui.text import clean, clean_lines, content, fit, short_bytes

# -- foreign text -------------------------------------------------------------------------------


@given(st.text())
def test_cleaned_text_is_one_line_without_controls_and_keeps_its_length(text: str) -> None:
    cleaned = clean(text)
    assert len(cleaned) == len(text)
    assert not any(ord(c) < 0x20 or 0x7F <= ord(c) < 0xA0 for c in cleaned)
    cleaned.encode("utf-8")


@given(st.text(), st.integers(0, 40))
def test_fitted_text_is_exactly_that_wide(text: str, width: int) -> None:
    assert cell_len(fit(text, width)) == width


@pytest.mark.parametrize("text", NASTY)
def test_content_is_taken_literally(text: str) -> None:
    assert content(text).plain == clean_lines(text)
    assert content(text).spans == []


def test_bytes_that_are_no_text_and_long_ones_are_shown_with_their_rest() -> None:
    assert "\x1b" not in short_bytes(b"\xff\x1b[2J")
    assert "5 bytes more" in short_bytes(b"a" * 15, 10)


# -- places and completion ----------------------------------------------------------------------


@given(st.lists(st.text("ab:- {}\"'#\t", max_size=12), max_size=12), st.data())
def test_a_place_is_found_in_any_text(lines: list[str], data: st.DataObject) -> None:
    row = data.draw(st.integers(0, max(0, len(lines))))
    column = data.draw(st.integers(0, 14))
    place = place_of(lines, row, column)
    offers(place, {"a": {"b": 1}})
    explain(place.path)


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("flow:\n  tas", "tasks"),
        ("flow:\n  tasks:\n    - sal", "salesforce_restapi_composite"),
        ("flow:\n  tasks:\n  - nats_jetstream_subscriber:\n      dur", "durable_name"),
        ("flow:\n  tasks:\n  - salesforce_restapi_composite:\n      operation: up", "update"),
        ("flow:\n  tasks:\n  - salesforce_restapi_composite:\n      batch:\n        lin", "linger"),
        (
            'flow:\n  tasks:\n  - salesforce_restapi_composite:\n      payload:\n        A: "{{rec',
            "record.Name",
        ),
    ],
)
def test_what_is_typed_is_completed(typed: str, expected: str) -> None:
    lines = typed.split("\n")
    place = place_of(lines, len(lines) - 1, len(lines[-1]))
    assert expected in [offer.label for offer in offers(place, [{"Name": "x"}])]


def test_places_above_the_cursor_are_walked_through_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lines = ["flow:", "  tasks:", "    - a:", "        b: 1", "    - c:", "        payload:"]
    lines += [f"          f{number}: 1" for number in range(1_000)]
    lines += ["          x"]
    places = Places()
    last = len(lines) - 1
    assert places.place_of(lines, last, 11).path == ("flow", "tasks", 1, "c", "payload")
    walked: list[str] = []
    walk = context._walk

    def counted(stack: list[tuple[int, str | int]], line: str) -> None:
        walked.append(line)
        walk(stack, line)

    monkeypatch.setattr(context, "_walk", counted)
    lines[-1] += "y"
    for row in (last, last - 500, 3, last):
        assert places.place_of(lines, row, 12) == Places().place_of(lines, row, 12)
    assert len(walked) == 2 * last - 500 + 3 + last  # what the fresh ones walked
    lines[4] = "    - d:"
    assert places.place_of(lines, last, 12).path == ("flow", "tasks", 1, "d", "payload")


# -- requests -----------------------------------------------------------------------------------


def test_differences_name_new_rows_and_lost_lines() -> None:
    document = compare("a\nb\nc", "a\nB\nc\nd")
    assert document.changed == {1, 3}
    assert document.gone == ("b",)
    large = compare("\n".join(map(str, range(4_000))), "\n".join(map(str, range(1, 4_001))))
    assert large.changed == {3_999}
    assert large.gone == ("0",)


def test_a_body_that_is_no_json_is_shown_as_it_is() -> None:
    assert pretty(b"<html>\x1b") == "<html>␛"
    assert pretty(b'{"a":1}') == '{\n  "a": 1\n}'


# -- the store ----------------------------------------------------------------------------------


def events(*sequences: int, size: int = 2) -> list[Event]:
    return [Event("crm.x", b"x" * size, None, "crm", n) for n in sequences]


class OnePart:
    def __init__(self, event: Event, records: list[dict[str, object]], start: int = 0) -> None:
        self.event = event
        self.records = records
        self.start = start


def sent(store: Store, of: list[Event], refuse: int | None = None) -> None:
    """One request for these events, one record each, and its answer."""
    records = [{"Key": str(event.sequence)} for event in of]
    parts = [OnePart(event, [record]) for event, record in zip(of, records, strict=True)]
    batch = Batch("b1", "upsert", [Group(list(records))])
    outcomes = [Refused("CODE", "no") if i == refuse else Written("1") for i in range(len(of))]
    exchange = Exchange("PATCH", "/x", b"{}", 200, b"[]", 0.0, 0.1)
    store.notify(BatchSent("f", batch, parts, "records"))
    store.notify(BatchAnswered("f", batch, parts, Answer(outcomes, exchange), 0.1))
    store.absorb()


def test_rows_tell_an_events_life() -> None:
    store = Store(10, key_fields={"upsert": "Key"})
    of = events(1, 2)
    store.notify(EventsReceived("f", of))
    store.absorb()
    assert [row.state for row in store.rows()] == ["received", "received"]
    sent(store, of, refuse=1)
    assert [row.state for row in store.rows()] == ["written", "REFUSED"]
    failed = FailedBatch(
        "id", "f", "upsert", "refused", "CODE: no", "crm.x", "crm", 2, 1, "", {}, b"", "", {},
        (FailedRecord(0, {}, "refused", "CODE", "no"),), (), "",
    )  # fmt: skip
    store.notify(EventsSettled("f", acked=[of[0]], terminated=[(of[1], [failed])]))
    store.absorb()
    first, second = store.rows()
    assert (first.state, second.state, second.codes) == ("ok", "FAILED", ("CODE",))
    assert store.row_key(second) == "2"
    assert store.failures == [1]
    assert store.take_changed() == {0, 1}
    assert store.take_changed() == set()
    assert "kept: CODE: no" in store.log.lines[-1].text


def test_a_redelivery_is_the_same_row() -> None:
    store = Store(10)
    store.notify(EventsReceived("f", events(1)))
    store.notify(EventsSettled("f", naked=[(events(1)[0], 75.0)]))
    again = events(1)[0]
    again.num_delivered = 2
    store.notify(EventsReceived("f", [again]))
    store.absorb()
    assert [(row.tries, row.state) for row in store.rows()] == [(2, "received")]


def test_old_rows_give_way_and_memory_stays_bounded() -> None:
    store = Store(100)
    for first in range(1, 2_000, 50):
        of = events(*range(first, first + 50), size=1_000_000)
        store.notify(EventsReceived("f", of))
        sent(store, of)
    kept = list(store.rows())
    assert [row.number for row in kept] == list(range(1_900, 2_000))
    assert sum(row.size for row in kept if row.event is not None) <= 64 * 1024 * 1024
    assert kept[-1].event is not None
    assert store.row(0) is None
    assert len(store._index) == 100


def test_notices_are_absorbed_where_they_pile_up_as_many_as_came() -> None:
    store = Store(100)
    for first in range(1, 60_000, 10_000):
        store.notify(EventsReceived("f", events(*range(first, first + 10_000))))
    assert store.end == 40_000
    store.absorb()
    assert store.end == 60_000


def test_held_rows_outlive_the_store_and_later_ones_join_them_up_to_a_bound() -> None:
    store = Store(100)
    store.notify(EventsReceived("f", events(*range(1, 101))))
    store.absorb()
    shown = ShownRows(store)
    shown.hold()
    for first in range(101, 9_001, 100):
        store.notify(EventsReceived("f", events(*range(first, first + 100))))
        store.absorb()
        assert shown.take(store.take_changed()) == 0
    rows = [shown.row_at(place) for place in range(shown.count)]
    assert [row.sequence for row in rows if row] == list(range(1, 101 + MOST_BELOW))
    assert shown.new_rows == 8_900
    assert shown.place_of(8_999) is None
    shown.set_filter(parse_filter("seq:7"))
    shown.look_back_to(6)
    assert [shown.place_of(6), shown.count] == [0, 1]
    shown.follow()
    assert shown.count == 0
    shown.set_filter(None)
    assert (shown.count, shown.place_of(8_999)) == (100, 99)


@pytest.mark.parametrize("is_held", [False, True])
def test_a_filter_looks_at_the_newest_first_and_at_all_in_the_end(
    is_held: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workbench.tui.shown_rows.FIRST_LOOK", 9)
    monkeypatch.setattr("workbench.tui.shown_rows.MOST_AT_ONCE", 9)
    store = Store(100)
    store.notify(EventsReceived("f", events(*range(1, 101))))
    store.absorb()
    shown = ShownRows(store)
    if is_held:
        shown.hold()
    shown.set_filter(parse_filter("-seq:95 -seq:3"))
    assert (shown.count, shown.is_looking) == (8, True)
    assert shown.look_on() == 9
    store.notify(EventsReceived("f", events(101, 102)))
    store.absorb()
    shown.take(store.take_changed())
    shown.look_back_to(50)
    assert shown.place_of(50) is not None
    while shown.is_looking:
        shown.look_on()
    rows = [shown.row_at(place) for place in range(shown.count)]
    first = 1 if is_held else 3
    expected = [number for number in range(first, 103) if number not in (3, 95)]
    assert [row.sequence for row in rows if row] == expected


def test_what_was_written_below_while_held_is_left_out_where_some_of_it_is_gone() -> None:
    store = Store(100)
    store.notify(EventsReceived("f", events(*range(1, 51))))
    store.absorb()
    shown = ShownRows(store)
    shown.hold()
    store.notify(EventsReceived("f", events(*range(51, 201))))
    store.absorb()
    shown.take(store.take_changed())
    assert shown.count == 50
    assert shown.new_rows == 150


# -- filters ------------------------------------------------------------------------------------


@given(st.text(max_size=40))
def test_any_filter_is_taken(text: str) -> None:
    store = Store(10)
    of = events(1)
    store.notify(EventsReceived("f", of))
    store.absorb()
    chosen = parse_filter(text)
    for row in store.rows():
        assert chosen is None or chosen.matches(row, store) in (True, False)


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("subject:CRM", [1, 2]),
        ("seq:2", [2]),
        ("key:2", [2]),
        ("-key:2", [1]),
        ("code:cod", [2]),
        ("state:refused", [2]),
        ("refused", [2]),
        ("xx", [1, 2]),
        ("subject:crm code:none", []),
        ("stream:crm", [1, 2]),
    ],
)
def test_filters(text: str, matches: list[int]) -> None:
    store = Store(10, key_fields={"upsert": "Key"})
    of = events(1, 2)
    store.notify(EventsReceived("f", of))
    sent(store, of, refuse=1)
    chosen = parse_filter(text)
    assert chosen is not None
    assert [row.sequence for row in store.rows() if chosen.matches(row, store)] == matches


def test_an_unknown_name_is_told_and_looked_for_as_text() -> None:
    chosen = parse_filter("colour:red")
    assert chosen is not None
    assert chosen.unknown == ("colour",)
    assert parse_filter("  code: ") is None


# -- settings, state, files ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("theme = 3", "theme must be a text"),
        ("colour = 'x'", "no setting 'colour'"),
        ("[keys]\n'edit.sav' = 'f1'", "no action 'edit.sav'"),
        ("[keys]\n'edit.save' = 1", "must be a text"),
        ("[keys]\n'edit.save' = 'ctr+s'", "'edit.save' has no key 'ctr\\+s'"),
        ("[keys]\n'edit.save' = 'f5, F6'", "no key 'F6'"),
        ("[keys]\n'edit.save' = 'ctrl+s,'", "no key ''"),
        ("frames_per_second = 99", "from 0 to 60"),
        ("kept_events = true", "whole number"),
        ("not toml", "correct or remove it"),
    ],
)
def test_a_wrong_setting_is_one_sentence(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "config.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError, match=complaint):
        load_config(path)


def test_settings_are_read_and_absent_ones_are_defaults(tmp_path: Path) -> None:
    assert load_config(tmp_path / "none.toml") == Config()
    path = tmp_path / "config.toml"
    path.write_text("theme = 'nord'\n[keys]\n'edit.save' = 'f12'\n", encoding="utf-8")
    config = load_config(path)
    assert (config.theme, config.keys) == ("nord", {"edit.save": "f12"})


@pytest.mark.parametrize(
    "keys", [action.keys for action in ACTIONS if action.keys] + ["+", "alt+pageup", "shift+f24, é"]
)
def test_every_key_there_is_can_be_set(tmp_path: Path, keys: str) -> None:
    path = tmp_path / "config.toml"
    path.write_text(f"[keys]\n'edit.save' = '{keys}'\n", encoding="utf-8")
    assert load_config(path).keys == {"edit.save": keys}


def test_state_survives_and_a_broken_one_is_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "state.json"
    save_state(path, State("nord", "x.yaml", False))
    assert load_state(path) == State("nord", "x.yaml", False)
    path.write_text('{"theme": 1, "shows_files": false}', encoding="utf-8")
    assert load_state(path) == State(shows_files=False)
    path.write_text("[", encoding="utf-8")
    assert load_state(path) == State()


def test_places_follow_the_platform(tmp_path: Path) -> None:
    env = {"XDG_CONFIG_HOME": str(tmp_path / "c"), "XDG_STATE_HOME": str(tmp_path / "s")}
    assert config_path(env) == tmp_path / "c" / "workbench" / "config.toml"
    assert state_path(env) == tmp_path / "s" / "workbench" / "state.json"
    assert config_path({"XDG_CONFIG_HOME": "relative"}).is_absolute()


def test_flows_are_found_and_other_files_are_not(tmp_path: Path) -> None:
    for name in ("b.yaml", "a.yml", "a.test.yaml", "note.txt", ".hidden/x.yaml", "sub/c.yaml"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("flow: {}", encoding="utf-8")
    names = [str(path.relative_to(tmp_path)) for path in find_flows(tmp_path)]
    assert names == ["a.yml", "b.yaml", "sub/c.yaml"]


def test_saving_keeps_the_mode_and_follows_links(tmp_path: Path) -> None:
    real, link = tmp_path / "real.yaml", tmp_path / "link.yaml"
    real.write_text("a", encoding="utf-8")
    real.chmod(0o640)
    link.symlink_to(real)
    file = OpenFile.read(link)
    file.text = "b"
    file.save()
    assert link.is_symlink()
    assert real.read_text(encoding="utf-8") == "b"
    assert real.stat().st_mode & 0o777 == 0o640
    assert file.changed_on_disk() is None


def test_a_file_that_may_not_be_written_is_not_replaced_by_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("a", encoding="utf-8")
    file = OpenFile.read(path)
    file.text = "b"
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(SettingsError, match="read-only"):
        file.save()
    assert path.read_text(encoding="utf-8") == "a"
    assert file.is_dirty


def test_a_file_that_cannot_be_written_or_read_is_one_sentence(tmp_path: Path) -> None:
    file = OpenFile.new(tmp_path, "x")
    with pytest.raises(SettingsError, match="can't be written"):
        file.save()
    with pytest.raises(SettingsError, match="can't be read"):
        OpenFile.read(tmp_path / "none.yaml")
    (tmp_path / "large").write_bytes(b"x" * 20)
    with pytest.raises(SettingsError, match="more than 10 bytes"):
        read_bytes(tmp_path / "large", 10)


# -- the line on top ----------------------------------------------------------------------------


@pytest.mark.parametrize(("cause", "mark"), [("outage", "✗"), ("limit", "●"), ("", "●")])
def test_an_org_that_cannot_be_reached_is_not_shown_as_there(cause: str, mark: str) -> None:
    snapshot = SimpleNamespace(
        state="paused" if cause else "running",
        pause_cause=cause,
        uptime_seconds=1.0,
        api_used=0,
        api_limit=0,
    )
    run = SimpleNamespace(
        is_over=False,
        state="running",
        error=None,
        health=None,
        target=SimpleNamespace(is_harmless=True, org="http://127.0.0.1:1"),
        snapshot=lambda: snapshot,
    )
    said = " ".join(part.state for part in status_parts(None, cast("Run", run), None, 0, True))
    assert f"SF {mark} SANDBOX" in said
