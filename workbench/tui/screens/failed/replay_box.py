"""How a replay goes: a box that is in nobody's way. Closing it does not stop the replay."""

from __future__ import annotations

from textual.content import Content
from textual.widgets import Static

from workbench.app.replay_session import ReplaySession
from workbench.tui.text import clean, clip

__all__ = ["ReplayBox"]

_BAR = 24
_MOST_TOLD = 3


class ReplayBox(Static):
    """`show` draws a session; it comes up by itself with a new one."""

    DEFAULT_CSS = """
    ReplayBox {
        display: none; height: auto; max-height: 8; padding: 0 1; background: $surface;
        border: round $border; border-title-style: bold; border-subtitle-color: $text-muted;
        &.-shown { display: block; }
    }
    """

    def __init__(self, *, id: str) -> None:
        super().__init__("", id=id, markup=False)
        self.session: ReplaySession | None = None

    def show(self, session: ReplaySession | None) -> None:
        """Draw how it stands."""
        if session is not self.session:
            self.session = session
            self.set_class(session is not None, "-shown")
        if session is None or not self.has_class("-shown"):
            return
        self.border_title = Content(clip(clean(f"Replay  {_state(session)}"), 100))
        self.border_subtitle = _hint(session)
        self.update(_body(session))

    def toggle(self) -> None:
        """Close it, or bring it back."""
        self.set_class(self.session is not None and not self.has_class("-shown"), "-shown")

    @property
    def is_shown(self) -> bool:
        return self.has_class("-shown")


def _state(session: ReplaySession) -> str:
    if session.state == "paused":
        return f"PAUSED: {session.cause}; {session.left:,} left"
    if session.state == "pausing" or (session.is_cancelled and session.state != "ended"):
        return "stopping: what is in flight is awaited"
    if session.state == "ended":
        end = f"ended: {session.cause}" if session.cause else "done"
        return f"{end}; {session.left:,} left as they were" if session.left else end
    return "running"


def _hint(session: ReplaySession) -> str:
    if session.state == "ended":
        return "h close"
    go = "p go on" if session.state == "paused" else "p pause"
    return f"{go}   c end   h close, it goes on"


def _body(session: ReplaySession) -> Content:
    filled = round(_BAR * session.done / session.total) if session.total else _BAR
    pieces: list[str | tuple[str, str]] = [
        ("━" * filled, "$text-success"),
        ("─" * (_BAR - filled), "$text-muted"),
        f"  {session.done:,} / {session.total:,}   ",
        (f"{session.ok:,} resolved", "$text-success" if session.ok else ""),
        "   ",
        (f"{session.again:,} failed again", "bold $text-error" if session.again else ""),
    ]
    if session.left_alone:
        pieces += ["   ", (f"{session.left_alone:,} left alone", "$text-warning")]
    for id, note in session.told[-_MOST_TOLD:]:
        pieces += ["\n", ("✗ ", "$text-error"), clip(clean(f"{id}  {note}"), 200)]
    if session.state != "ended":
        pieces += ["\n", ("It pauses by itself after 3 failures in a row.", "$text-muted")]
    return Content.assemble(*pieces)
