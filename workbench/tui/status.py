"""How things stand, in the words of the line on top."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.tui.files import OpenFile
from workbench.tui.port import Run
from workbench.tui.store import Store
from workbench.tui.widgets.status_bar import Part

if TYPE_CHECKING:
    from workbench.app.health import Health
    from workbench.app.replay_session import ReplaySession
    from workbench.tui.elsewhere import Elsewhere

__all__ = ["run_word", "status_parts"]


def run_word(run: Run | None) -> tuple[str, str]:
    """The run's state in words, with its tone."""
    if run is None:
        return "■ stopped", ""
    snapshot = run.snapshot()
    if run.is_over:
        return ("✗ ENDED: error", "error") if run.error else ("■ stopped", "")
    if snapshot is None:
        return "… connecting", "warning"
    since = _clock(snapshot.uptime_seconds)
    if snapshot.state == "running":
        return f"▶ LIVE {since}", "ok"
    if snapshot.state == "paused":
        return f"‖ PAUSED {snapshot.pause_cause}", "warning"
    return f"… {snapshot.state}", "warning"


def elsewhere_word(elsewhere: Elsewhere) -> tuple[str, str, str]:
    """How the flow stands elsewhere, with the tone and fewer letters; empty where nothing tells
    that it is run there, unless attached."""
    if not elsewhere.is_attached:
        word = "■ stopped here, runs elsewhere" if elsewhere.pullers else ""
        return word, "warning", "■ elsewhere"
    if elsewhere.problem:
        return "✗ ATTACHED: no answer", "error", "✗ ATTACHED"
    if elsewhere.health is None:
        return "… attaching", "warning", "… attach"
    if elsewhere.pullers:
        return "◇ ATTACHED, runs elsewhere", "ok", "◇ ATTACHED"
    return "◇ ATTACHED, nobody pulls", "warning", "◇ no puller"


def status_parts(
    file: OpenFile | None,
    run: Run | None,
    store: Store | None,
    failed: int | None,
    is_sandbox: bool,
    replay: ReplaySession | None = None,
    elsewhere: Elsewhere | None = None,
) -> tuple[Part, ...]:
    """The parts of the line for one flow; `replay` is the one in progress."""
    name = file.path.name if file else "no file"
    dirty = "* unsaved" if file and file.is_dirty else ""
    mark = "*" if dirty else ""
    word, tone = run_word(run)
    short, health = " ".join(word.split()[:2]), run.health if run and not run.is_over else None
    outside = ("", "", "")
    if elsewhere is not None and (run is None or run.is_over):
        outside = elsewhere_word(elsewhere)
    if outside[0] and elsewhere is not None:
        (word, tone, short), health = outside, elsewhere.health
    parts = [
        Part(name, dirty, "warning" if dirty else "", "app.mode_edit", mark),
        Part("", word, tone, "app.mode_run", short),
        _nats(health),
        _org(run, is_sandbox),
    ]
    if run is not None and store is not None and not run.is_over:
        lag = f" lag {health.pending:,}" if health and health.pending is not None else ""
        rate = f"{store.rates.per_second:,.0f}/s"
        parts.append(Part("", f"{rate}{lag}", "", "app.mode_run", rate))
    elif outside[0] and health is not None and health.pending is not None:
        parts.append(Part("", f"lag {health.pending:,}", "", "app.mode_run"))
    if replay is not None:
        word = f"replay {replay.done:,}/{replay.total:,}"
        word += f" {replay.state}" if replay.state != "running" else ""
        parts.append(Part("", word, "warning", "app.mode_failed"))
    badge = f"✗ {failed:,} failed" if failed else "0 failed" if failed == 0 else "failed –"
    short = f"✗ {failed:,}" if failed else ""
    parts.append(Part("", badge, "error" if failed else "", "app.mode_failed", short))
    return tuple(parts)


def _nats(health: Health | None) -> Part:
    if health is None:
        return Part("", "NATS –", "", "app.mode_health")
    if not health.is_nats_up:
        return Part("", "NATS ✗ down", "error", "app.mode_health")
    return Part("", "NATS ●", "ok", "app.mode_health")


def _org(run: Run | None, is_sandbox: bool) -> Part:
    """The org with its kind in words; one that is not the sandbox stands out."""
    if run is None:
        word = "SF sandbox" if is_sandbox else "SF –"
        return Part("", word, "", "app.mode_health")
    snapshot = run.snapshot()
    used = ""
    if snapshot and snapshot.api_limit:
        used = f" {_thousands(snapshot.api_used)}/{_thousands(snapshot.api_limit)}"
    health = run.health
    is_away = snapshot is not None and snapshot.pause_cause == "outage" and not run.is_over
    mark = "✗" if is_away or (health is not None and not health.is_logged_in) else "●"
    if run.target.is_harmless:
        word = f"SF {mark} SANDBOX"
        return Part("", f"{word}{used}", "ok", "app.mode_health", word)
    org, word = run.target.org.removeprefix("https://").split(".")[0], f"SF {mark} REAL ORG"
    return Part(org, f"{word}{used}", "alarm", "app.mode_health", word)


def _thousands(number: int) -> str:
    if number >= 1_000_000:
        return f"{number / 1_000_000:.3g}M"
    return f"{number // 1000}k" if number >= 10_000 else str(number)


def _clock(seconds: float) -> str:
    whole = int(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"
