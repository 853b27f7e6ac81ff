"""The application: places, theme, keys, timers, and the way out.

The first picture comes before most of the application is imported: see `_begin`.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from textual import events, work
from textual.app import App, ScreenStackError
from textual.binding import BindingType
from textual.command import Provider
from textual.css.query import NoMatches
from textual.message import Message
from textual.screen import Screen

from workbench.errors import WorkbenchError
from workbench.tui.actions import Action, bindings
from workbench.tui.config import Config, State
from workbench.tui.files import OpenFile, find_flows
from workbench.tui.port import Clock, Desk, Faults
from workbench.tui.quiet import Quiet
from workbench.tui.recovery import Recovery
from workbench.tui.screens.start import StartScreen
from workbench.tui.text import clip
from workbench.tui.themes import DEFAULT_THEME, THEMES

if TYPE_CHECKING:
    from workbench.tui.elsewhere import Elsewhere
    from workbench.tui.failed import Failed
    from workbench.tui.log import Log
    from workbench.tui.runs import Runs
    from workbench.tui.screens.place import PlaceScreen

__all__ = ["WorkbenchApp"]

_STATUS_SECONDS = 0.5
_DISK_SECONDS = 1.0
_TIDY_SECONDS = 60.0
_ABSORB_EVERY = 0.02
_ABSORB_SECONDS = 0.005
"""How long at a stretch what the engine told is turned into rows: a key waits no longer for it."""


def _edit() -> Screen[Any]:
    from workbench.tui.screens.edit.screen import EditScreen

    return EditScreen()


def _run() -> Screen[Any]:
    from workbench.tui.screens.run.screen import RunScreen

    return RunScreen()


def _failed() -> Screen[Any]:
    from workbench.tui.screens.failed.screen import FailedScreen

    return FailedScreen()


def _health() -> Screen[Any]:
    from workbench.tui.screens.health.screen import HealthScreen

    return HealthScreen()


def _commands() -> type[Provider]:
    from workbench.tui.commands import Commands

    return Commands


class WorkbenchApp(App[None]):
    """Owns what outlives a screen: the open file, the runs, the log, settings and state."""

    TITLE = "workbench"
    CSS_PATH = "app.tcss"
    BINDINGS: ClassVar[list[BindingType]] = bindings("app")
    COMMANDS: ClassVar[set[type[Provider] | Callable[[], type[Provider]]]] = {_commands}
    MODES: ClassVar[dict[str, str | Callable[[], Screen[Any]]]] = {
        "start": StartScreen,
        "edit": _edit,
        "run": _run,
        "failed": _failed,
        "health": _health,
    }
    DEFAULT_MODE = "start"

    runs: Runs
    failed: Failed
    elsewhere: Elsewhere
    log_lines: Log

    def __init__(
        self,
        place: Path,
        desk: Desk,
        *,
        config: Config | None = None,
        state: State | None = None,
        faults: Faults | None = None,
        clock: Clock | None = None,
        is_attached: bool = False,
        recovery: Recovery | None = None,
    ) -> None:
        super().__init__()
        self.desk = desk
        self.config = config or Config()
        self.state = state if state is not None else State()
        self.faults = faults
        self.recovery = recovery or Recovery(None)
        self.folder = place.parent if place.suffix in (".yaml", ".yml") else place
        self.clock: Clock = clock or time
        self.files: dict[Path, OpenFile] = {}
        self.file: OpenFile | None = None
        self._first = place if place.suffix in (".yaml", ".yml") else None
        self._is_attached = is_attached
        self.quiet = Quiet()
        self._are_figures_next = False
        self._log_handler: logging.Handler | None = None
        self.is_warm = asyncio.Event()
        for theme in THEMES:
            self.register_theme(theme)
        wanted = self.config.theme or self.state.theme or DEFAULT_THEME
        self.theme = wanted if wanted in self.available_themes else DEFAULT_THEME
        self.animation_level = "none"

    # -- start and end -------------------------------------------------------------------------

    def on_mount(self) -> None:
        self.call_after_refresh(self._begin)

    async def _begin(self) -> None:
        """Import and open what the first picture did not wait for."""
        from workbench.tui.elsewhere import Elsewhere
        from workbench.tui.failed import Failed
        from workbench.tui.log import Log, LogHandler
        from workbench.tui.runs import Runs

        self.log_lines = Log(now=self.clock.time)
        self.runs = Runs(self.desk, self.log_lines, self.config.kept_events, self.clock)
        self.failed = Failed(self.desk)
        self.elsewhere = Elsewhere(
            self.desk, self.log_lines, self.config.kept_events, is_attached=self._is_attached
        )
        self._log_handler = LogHandler(self.log_lines)
        logging.getLogger("workbench").addHandler(self._log_handler)
        if self.config.keys:
            self.set_keymap(dict(self.config.keys))
        self.theme_changed_signal.subscribe(self, lambda _: self._remember_theme())
        self._open_first()
        if self.config.theme and self.config.theme not in self.available_themes:
            self.tell(
                f"config.toml: no theme {self.config.theme!r}; ctrl+p, theme lists them all",
                severity="warning",
            )
        self.set_interval(_ABSORB_EVERY, self.quiet.absorbing(self._absorb), name="absorb")
        self.set_interval(
            self.config.frame_seconds, self.quiet.unhurried(self._draw), name="frames"
        )
        self.set_interval(_DISK_SECONDS, self._look_at_disk, name="disk")
        self.set_interval(_TIDY_SECONDS, self.quiet.tidy, name="tidy")
        await self.go("edit")
        self._warm_up()

    @work(group="warm-up", exclusive=True)
    async def _warm_up(self) -> None:
        """Import what the first look at NATS needs, beside the event loop: no key waits for it."""
        await asyncio.to_thread(self.desk.warm_up)
        self.is_warm.set()
        self.set_interval(_STATUS_SECONDS, self.quiet.unhurried(self._look), name="figures")

    def _open_first(self) -> None:
        """The file named, the one open last time, or the first there is."""
        flows = self.flows()
        last = Path(self.state.last_file) if self.state.last_file else None
        first = self._first or (last if last in flows else None) or (flows[0] if flows else None)
        if first is None:
            return
        try:
            self.open_file(first)
        except WorkbenchError as error:
            if self._first is not None and not first.exists():
                from workbench.tui.templates import new_flow

                self.file = self.files[first] = OpenFile.new(first, new_flow("upsert"))
            else:
                self.log_lines.add("error", str(error))
                self.tell(str(error), severity="error")

    async def on_unmount(self) -> None:
        gc.enable()
        if self._log_handler is not None:
            logging.getLogger("workbench").removeHandler(self._log_handler)
            await self.failed.aclose()
            await self.elsewhere.aclose()

    def _remember_theme(self) -> None:
        self.state.theme = self.theme

    # -- timers --------------------------------------------------------------------------------

    @property
    def place_screen(self) -> PlaceScreen | None:
        """The place in front; None while a dialog covers it, or while another is being opened."""
        from workbench.tui.screens.place import PlaceScreen

        try:
            screen = self.screen
        except ScreenStackError:  # a timer may fire between two modes
            return None
        return screen if isinstance(screen, PlaceScreen) and screen.is_mounted else None

    def post_message(self, message: Message) -> bool:
        """See `App.post_message`: keys of the terminal come in by it."""
        if isinstance(message, events.Key):
            self.quiet.pressed()
        return super().post_message(message)

    def _absorb(self) -> None:
        self.runs.absorb(_ABSORB_SECONDS)

    def _tick(self) -> None:
        screen = self.place_screen
        if screen is not None:
            with suppress(NoMatches):  # a timer may fire while the screen is being taken down
                screen.tick()

    def _draw(self) -> None:
        """Draw the figures, where their turn has come, or else what happened: no frame has both to
        draw, for which a key would wait."""
        if self._are_figures_next:
            self._figures()
        else:
            self._tick()

    def _look(self) -> None:
        """Take the figures of this moment; the line on top tells of them at once."""
        self.runs.sample()
        self.failed.look(self.file, self.runs.failed())
        is_run_here = self.path is not None and self.runs.is_running(self.path)
        self.elsewhere.look(self.file, is_run_here=is_run_here)
        self.update_status()
        self._are_figures_next = True

    def _figures(self) -> None:
        self._are_figures_next = False
        screen = self.place_screen
        if screen is not None:
            with suppress(NoMatches):
                screen.figures()

    def _look_at_disk(self) -> None:
        self.recovery.keep(self.files.values())
        screen = self.place_screen
        if self.file is None or screen is None:
            return
        text = self.file.changed_on_disk()
        if text is not None:
            screen.changed_on_disk(self.file, text)

    def update_status(self) -> None:
        """Draw the line on top anew."""
        screen = self.place_screen
        if screen is None:
            return
        from workbench.tui.status import status_parts

        path = self.path
        screen.show_status(
            status_parts(
                self.file,
                self.runs.run_of(path),
                self.runs.store_of(path),
                self.failed.shown(self.runs.failed()),
                self.desk.is_sandbox,
                self.failed.session if self.failed.is_replaying else None,
                self.elsewhere,
            )
        )

    # -- what screens share --------------------------------------------------------------------

    @property
    def place(self) -> str:
        """Which place is shown: edit, run, failed, health."""
        return self.current_mode

    @property
    def path(self) -> Path | None:
        """The flow file at hand."""
        return self.file.path if self.file else None

    def flows(self) -> list[Path]:
        """The flow files of the folder, and new ones that are not saved yet."""
        found = find_flows(self.folder)
        return found + [path for path in self.files if path not in found]

    def open_file(self, path: Path) -> OpenFile:
        """Take a file in hand; what was typed into others is kept.

        Raises:
            SettingsError: it can't be read.
        """
        file = self.files.get(path) or OpenFile.read(path)
        self.files[path] = self.file = file
        self.state.last_file = str(path)
        return file

    def tell(self, text: str, *, severity: str = "information") -> None:
        """A notice that goes by itself; foreign text is shown literally."""
        self.notify(clip(text, 400), severity=severity, markup=False)  # type: ignore[arg-type]

    def copy(self, text: str, what: str) -> None:
        """Copy through the terminal (OSC 52), which gives no answer."""
        self.copy_to_clipboard(text)
        self.tell(f"{what}: {len(text):,} characters sent to the terminal's clipboard")

    async def run_registered(self, action: Action) -> None:
        """Run an action of the table, in its place."""
        if action.place == "app":
            await self.run_action(f"app.{action.name}")
            return
        if action.place == self.place:
            await self._run_here(action)
        else:
            await self.go(action.place)
            self.screen.call_after_refresh(self._run_here, action)

    async def _run_here(self, action: Action) -> None:
        screen = self.screen
        if screen.check_action(action.name, ()) is None:
            from workbench.tui.elsewhere import ATTACHED

            is_start = action.id in ("edit.run", "run.start_stop") and self.elsewhere.is_attached
            self.tell(f"{action.label}: {ATTACHED if is_start else 'not possible now'}")
        else:
            await self.run_action(action.name, default_namespace=screen)

    async def go(self, place: str) -> None:
        """Show another place."""
        if place in self.MODES:
            await self.switch_mode(place)
            self.update_status()

    # -- actions -------------------------------------------------------------------------------

    async def action_mode_edit(self) -> None:
        await self.go("edit")

    async def action_mode_run(self) -> None:
        await self.go("run")

    async def action_mode_failed(self) -> None:
        await self.go("failed")

    async def action_mode_health(self) -> None:
        await self.go("health")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action.startswith("mode_") and action.removeprefix("mode_") not in self.MODES:
            return False
        if action == f"mode_{self.place}":
            return False  # it is here
        if self.place == "start":
            return None
        if action == "faults" and self.faults is None:
            return False
        if action == "detach" and not self.elsewhere.is_attached:
            return None
        if action in ("jump", "help", "publish", "faults") or action.startswith("mode_"):
            return True if self.place_screen is not None else None
        return True

    def action_help_in_lists(self) -> None:
        self.action_help()

    def action_help(self) -> None:
        from workbench.tui.screens.help import HelpScreen

        screen = self.place_screen
        if screen is not None:
            self.push_screen(HelpScreen(screen, self.place), self._chosen_in_help)

    def _chosen_in_help(self, action: Action | None) -> None:
        if action is not None:
            self.call_next(self.run_registered, action)

    @work(group="jump", exclusive=True)
    async def action_jump(self) -> None:
        from workbench.tui.widgets.deck import Deck
        from workbench.tui.widgets.jump import JumpScreen, targets_of

        screen = self.place_screen
        if screen is not None:
            targets = targets_of(screen.panes())
            for deck in screen.query(Deck):
                targets += deck.hidden_tabs()
            chosen = await self.push_screen_wait(JumpScreen(targets))
            if chosen is not None:
                screen.focus_pane(chosen)

    @work(group="theme", exclusive=True)
    async def action_theme(self) -> None:
        from workbench.tui.widgets.dialogs import Choice, ChooseDialog

        choices = [
            Choice(name, name, "ours" if name.startswith("workbench") else "")
            for name in sorted(self.available_themes, key=lambda n: (n[:9] != "workbench", n))
        ]
        chosen = await self.push_screen_wait(ChooseDialog("Theme", choices))
        if chosen is not None:
            self.theme = chosen

    def action_detach(self) -> None:
        if not self.elsewhere.is_attached:
            self.tell("it is not attached")
            return
        self.elsewhere.detach()
        self.tell("detached: F5 starts the flow here, beside what runs elsewhere")
        self.update_status()
        self.screen.refresh_bindings()

    @work(group="publish", exclusive=True)
    async def action_publish(self) -> None:
        from workbench.tui.screens.publish import publish

        await publish(self)

    @work(group="faults", exclusive=True)
    async def action_faults(self) -> None:
        from workbench.tui.widgets.dialogs import Choice, ChooseDialog

        if self.faults is None:
            return
        try:
            states: Mapping[str, bool] = await self.faults.faults()
            choices = [
                Choice(name, f"{'[on] ' if on else '[off]'} {name}") for name, on in states.items()
            ]
            chosen = await self.push_screen_wait(ChooseDialog("Switch a trouble", choices))
            if chosen is not None:
                await self.faults.switch(chosen, not states[chosen])
                self.tell(f"{chosen}: {'off' if states[chosen] else 'on'}")
        except WorkbenchError as error:
            self.tell(str(error), severity="error")

    @work(group="leave", exclusive=True)
    async def action_leave(self) -> None:
        """Leave; unsaved files and running flows are asked about once."""
        from workbench.tui.widgets.dialogs import ConfirmDialog

        unsaved = [str(path) for path, file in self.files.items() if file.is_dirty]
        running = [run.flow.name for run in self.runs.active()]
        is_replaying = self.failed.is_replaying
        if unsaved or running or is_replaying:
            lines = [f"unsaved: {path} (ctrl+l in Edit shows what)" for path in unsaved]
            lines += ["a replay is not at its end; what is left stays as it is"] * is_replaying
            lines += [f"running: {name}; it will be drained and stopped" for name in running]
            dialog = ConfirmDialog("Leave?", lines, "Leave", no="Stay")
            if not await self.push_screen_wait(dialog):
                return
        for run in self.runs.active():
            run.stop()
        for run in self.runs.active():
            self.tell(f"{run.flow.name}: draining; ctrl+q again leaves at once")
            await run.wait()
        self.recovery.drop_own()
        self.exit()

    async def action_quit(self) -> None:
        self.action_leave()
