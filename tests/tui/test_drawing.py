"""Drawing no more than what changed must draw the same as drawing everything would."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.color import Color
from rich.style import Style
from textual._compositor import ChopsUpdate, ReflowResult
from textual._styles_cache import StylesCache
from textual.events import Key
from textual.geometry import Region, Size
from textual.scrollbar import ScrollBarRender
from textual.strip import Strip
from textual.widget import Widget

from tests.tui.test_parts import events
from tests.tui.test_run import caught_up, publish, running
from workbench.observe import EventsReceived
from workbench.tui.app import WorkbenchApp
from workbench.tui.compositor import PaneCompositor
from workbench.tui.quiet import Quiet
from workbench.tui.shown_rows import FREED_AT_ONCE, ShownRows
from workbench.tui.store import Store
from workbench.tui.widgets.json_view import JsonView
from workbench.tui.widgets.row_list import RowList
from workbench.tui.widgets.scroll_bar import thumb


@pytest.fixture(autouse=True)
def garbage_is_collected_again() -> Iterator[None]:
    yield
    gc.enable()


class Terminal:
    """What a terminal shows after the updates it was sent; rows of cells, wide ones as one text
    and an empty cell."""

    def __init__(self, size: tuple[int, int]) -> None:
        self.cells = [[" "] * size[0] for _ in range(size[1])]

    def take(self, update: ChopsUpdate) -> None:
        for y, left, right in update.spans:
            ends = update.chop_ends[y]
            for end, (x, strip) in zip(ends, update.chops[y].items(), strict=True):
                if strip is None or x > right or end <= left:
                    continue
                for place, character in enumerate(strip.crop(0, min(end, right) - x).text):
                    self.cells[y][x + place] = character

    def line(self, y: int) -> str:
        return "".join(self.cells[y])


async def test_partial_frames_add_up_to_the_whole_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = (120, 40)
    terminal = Terminal(size)
    partial, full = PaneCompositor.render_partial_update, PaneCompositor.render_full_update
    frames = []

    def take_partial(compositor: PaneCompositor) -> ChopsUpdate | None:
        update = partial(compositor)
        if update is not None:
            terminal.take(update)
            frames.append(sum(right - left for _, left, right in update.spans))
        return update

    def take_full(compositor: PaneCompositor, simplify: bool = False) -> object:
        update = full(compositor, simplify=simplify)
        for y, strip in enumerate(compositor.render_strips()):
            terminal.cells[y] = list(strip.text)
        return update

    async with running(tmp_path, *["ada", "refuse"] * 30, size=size) as (pilot, desk, screen):
        monkeypatch.setattr(PaneCompositor, "render_partial_update", take_partial)
        monkeypatch.setattr(PaneCompositor, "render_full_update", take_full)
        screen.refresh(layout=True)
        await pilot.pause(0.1)

        async def shows_all() -> None:
            await pilot.pause(0.1)
            strips = screen._compositor.render_strips()
            assert [terminal.line(y) for y in range(size[1])] == [strip.text for strip in strips]

        await shows_all()
        for keys in (
            ["up"] * 25,  # out of view, so that the list scrolls
            ["slash", "c", "o", "d", "e", ":", "f"],
            ["backspace", "escape"],
            ["tab", "tab", "shift+tab"],
            ["end"],
            ["f8", "w", "w"],
        ):
            for key in keys:
                await pilot.press(key)
            publish(desk, "bob", first=200)
            await caught_up(pilot, desk, 1.0)
            await shows_all()
    whole = size[0] * size[1]
    assert sum(frames) < len(frames) * whole / 3


async def test_opening_a_filter_lays_out_its_own_line_and_draws_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(tmp_path, *["ada"] * 60) as (pilot, _desk, screen):
        reflow = PaneCompositor.reflow
        changed: list[Region] = []

        def note(compositor: PaneCompositor, parent: Widget, size: Size) -> ReflowResult:
            before = set(compositor._dirty_regions)
            result = reflow(compositor, parent, size)
            changed.extend(compositor._dirty_regions - before)
            return result

        await pilot.pause(0.3)
        monkeypatch.setattr(PaneCompositor, "reflow", note)
        screen._repaint_required = False
        screen.filter_field.open()
        await pilot.pause()
        assert screen.filter_field.has_focus
        assert not screen._repaint_required
        assert changed == [screen.filter_field.region]


def cells(strips: Iterable[Strip]) -> list[list[tuple[str, Style]]]:
    """What is in each place of these lines."""
    return [
        [(letter, segment.style or Style()) for segment in strip for letter in segment.text]
        for strip in strips
    ]


@pytest.mark.parametrize("size", [(120, 40), (80, 24), (64, 50)])
@pytest.mark.parametrize("theme", ["workbench-dark", "workbench-light", "ansi-dark"])
async def test_lists_and_bars_are_drawn_as_textual_itself_draws_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int], theme: str
) -> None:
    names = ["ada", "refuse", "\u4e2d\u6587" * 30] * 20
    async with running(tmp_path, *names, size=size) as (pilot, _desk, screen):
        pilot.app.theme = theme
        await pilot.press("up", "up")
        await pilot.pause(0.2)
        widgets = [w for w in screen.query("*") if w.size and w.display and w.region]
        lists = [w for w in widgets if isinstance(w, (RowList, JsonView))]
        bars = [list_.vertical_scrollbar for list_ in lists if list_.show_vertical_scrollbar]
        ours = [cells(w.render_lines(w.outer_size.region)) for w in lists]
        seen = [cells(bar.render_lines(bar.size.region)) for bar in bars]
        monkeypatch.setattr(RowList, "get_line_filters", Widget.get_line_filters)
        for list_, drawn in zip(lists, ours, strict=True):
            theirs = StylesCache().render_widget(list_, list_.outer_size.region)
            assert drawn == cells(theirs)
        for bar, drawn in zip(bars, seen, strict=True):
            theirs = StylesCache().render_widget(bar, bar.size.region)
            assert drawn == cells(theirs)
        assert lists
        assert bars


numbers = st.integers(0, 30_000)


@given(
    length=st.integers(1, 60),
    first=st.tuples(numbers, numbers, numbers),
    second=st.tuples(numbers, numbers, numbers),
    step=st.integers(0, 3),
)
def test_a_bar_that_looks_the_same_is_the_same_picture(
    length: int, first: tuple[int, int, int], second: tuple[int, int, int], step: int
) -> None:
    bars = []
    for whole, seen, position in (first, second if step == 3 else (first[0] + step, *first[1:])):
        seen = seen % 70
        position = position % max(1, whole - seen)
        picture = ScrollBarRender.render_bar(
            size=length,
            virtual_size=whole,
            window_size=seen if seen < whole else 0,
            position=position,
            back_color=Color.parse("#000000"),
            bar_color=Color.parse("#090909"),
        )
        looks = thumb(length, whole, seen, position)
        bars.append((looks, [segment.text for segment in picture.segments], picture))
    (looks, texts, one), (other_looks, other_texts, other) = bars
    if looks == other_looks:
        assert texts == other_texts
        assert [segment.style for segment in one.segments] == [
            segment.style for segment in other.segments
        ]


def test_after_a_key_only_every_fourth_picture_is_drawn_for_a_moment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 1_000.0
    monkeypatch.setattr("workbench.tui.quiet.monotonic", lambda: now)
    quiet, drawn = Quiet(), []
    draw = quiet.unhurried(lambda: drawn.append(now))
    quiet.pressed()
    for _ in range(8):
        draw()
    assert len(drawn) == 2
    now += 1.0
    draw()
    draw()
    assert len(drawn) == 4


def test_while_a_key_waits_nothing_is_taken_in_but_never_for_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 1_000.0
    monkeypatch.setattr("workbench.tui.quiet.monotonic", lambda: now)
    quiet, taken = Quiet(), []
    absorb = quiet.absorbing(lambda: taken.append(now))
    absorb()
    assert len(taken) == 1
    for _ in range(4):
        quiet.pressed()
        assert not gc.isenabled()
        absorb()
        absorb()
        assert not gc.isenabled()
        assert len(taken) == 1
        absorb()
        assert gc.isenabled()
        assert len(taken) == 2
        taken.pop()
    quiet.pressed()
    now += 0.05
    absorb()
    assert len(taken) == 2


async def test_panes_wait_until_a_key_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    now, slept = 1_000.0, []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr("workbench.tui.quiet.monotonic", lambda: now)
    monkeypatch.setattr(asyncio, "sleep", sleep)
    quiet = Quiet()
    quiet.pressed()
    now += 0.03
    await quiet.calm()
    now += 1.0
    await quiet.calm()
    assert slept == [pytest.approx(0.01), 0.0]


def test_garbage_of_every_age_is_collected_when_nobody_types(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now, collected = 1_000.0, []
    monkeypatch.setattr("workbench.tui.quiet.monotonic", lambda: now)
    monkeypatch.setattr(gc, "collect", lambda: collected.append(now))
    quiet = Quiet()
    quiet.pressed()
    quiet.tidy()
    assert not collected
    now += 60.0
    quiet.tidy()
    assert collected == [now]


async def test_keys_of_the_terminal_are_known_to_the_application(tmp_path: Path) -> None:
    async with running(tmp_path, "ada") as (pilot, _desk, _screen):
        app = pilot.app
        assert isinstance(app, WorkbenchApp)
        drawn: list[str] = []
        draw = app.quiet.unhurried(lambda: drawn.append("drawn"))
        app.post_message(Key("up", None))
        draw()
        assert not drawn


def test_rows_no_longer_held_are_let_go_part_by_part() -> None:
    count = FREED_AT_ONCE + 5
    store = Store(count)
    store.notify(EventsReceived("f", events(*range(1, count + 1))))
    store.absorb()
    shown = ShownRows(store)
    shown.hold()
    shown.follow()
    assert shown.is_letting_go
    shown.let_go()
    assert shown.is_letting_go
    shown.let_go()
    assert not shown.is_letting_go
    assert shown.count == count
