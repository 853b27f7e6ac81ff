"""The application in a real terminal (tmux), from its start to a replayed failure."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic, sleep

import pytest

from tests.acceptance.conftest import COMPOSITE_FLOW, PROGRAM, ROOT

pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")

_SECONDS = 40.0
_BAD = '{"ExternalId__c": "A-1", "LastName": "Lovelace", "Email": "nope"}'


class Terminal:
    """A terminal of its own tmux server; what it shows is asked for until it is as expected."""

    def __init__(self, command: str, width: int = 120, height: int = 40) -> None:
        self._name = f"workbench-{uuid.uuid4().hex[:8]}"
        self._tmux("new-session", "-d", "-s", "t", "-x", str(width), "-y", str(height), command)

    def _tmux(self, *arguments: str) -> str:
        done = subprocess.run(
            ["tmux", "-L", self._name, *arguments], check=True, capture_output=True, text=True
        )
        return done.stdout

    @property
    def text(self) -> str:
        return self._tmux("capture-pane", "-p", "-t", "t")

    def press(self, *keys: str) -> None:
        self._tmux("send-keys", "-t", "t", *keys)

    def type(self, text: str) -> None:
        self._tmux("send-keys", "-t", "t", "-l", text)

    def wait(self, wanted: str | Callable[[str], bool], seconds: float = _SECONDS) -> str:
        """The screen once it holds a text, or is as wanted; fails with what it shows if never."""
        deadline = monotonic() + seconds
        while True:
            shown = self.text
            if wanted in shown if isinstance(wanted, str) else wanted(shown):
                return shown
            if monotonic() > deadline:
                pytest.fail(f"the terminal never showed {wanted!r}, but:\n{shown}")
            sleep(0.05)  # between two looks

    def close(self) -> None:
        subprocess.run(["tmux", "-L", self._name, "kill-server"], check=False, capture_output=True)


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    flow = shutil.copy(COMPOSITE_FLOW, tmp_path / "contacts.yaml")
    places = {"XDG_STATE_HOME": tmp_path / "state", "XDG_CONFIG_HOME": tmp_path / "config"}
    env = "env -u COLUMNS -u LINES "  # a size of somebody else's terminal
    env += " ".join(f"{name}={shlex.quote(str(value))}" for name, value in places.items())
    command = shlex.join([*PROGRAM, "--sandbox", str(flow)])
    # The shell stays, so that what the terminal looks like afterwards can be seen.
    opened = Terminal(f"cd {shlex.quote(str(ROOT))}; {env} {command}; echo left with $?; cat")
    yield opened
    opened.close()


def test_from_the_start_to_a_replayed_failure(terminal: Terminal) -> None:
    terminal.wait("1 request, 1 record")
    assert "sobject_type: Contact" in terminal.text
    terminal.press("F5")
    terminal.wait("LIVE")

    terminal.press("C-t")
    terminal.wait("Publish to subject")
    terminal.press("Enter")
    terminal.wait(lambda shown: "Data of the event" in shown and "Lovelace" in shown)
    terminal.type(_BAD)  # in place of what is offered
    terminal.wait('"nope"}')
    terminal.press("C-s")
    terminal.wait("FAILED INVALID_")
    terminal.wait("1 failed")
    terminal.press("n")
    terminal.wait("✗ REFUSED")

    terminal.press("F4")
    terminal.wait("INVALID_EMAIL_ADDRESS  Email")
    terminal.press("e")
    numbered = re.compile(r'(\d+)\s+"Email": "nope"')
    number = numbered.search(terminal.wait(lambda shown: numbered.search(shown) is not None))
    assert number is not None
    terminal.press(*["Down"] * (int(number[1]) - 1))
    terminal.press("End")
    terminal.press("BSpace")
    terminal.wait(lambda shown: '"Email": "nope"' not in shown and '"Email": "nope' in shown)
    terminal.type('@example.com"')
    terminal.wait("✓ it can be sent")
    terminal.press("C-s")
    terminal.wait("edited")
    terminal.press("r")
    assert "SANDBOX on this machine" in terminal.wait("Replay 1 failed batch")
    terminal.wait("1 record of 1 event in 1 request")
    terminal.press("BTab")
    terminal.press("Enter")
    terminal.wait("Nothing has failed")
    terminal.wait("0 failed")

    terminal.press("C-q")
    terminal.wait("Leave?")
    terminal.press("BTab")
    terminal.press("Enter")
    terminal.wait("left with 0")


def test_a_small_terminal_shows_every_control(terminal: Terminal) -> None:
    terminal._tmux("resize-window", "-t", "t", "-x", "80", "-y", "24")
    shown = terminal.wait(lambda text: "[Request]" in text and "^p Palette" in text)
    assert max(map(len, shown.split("\n"))) <= 80
    for key, wanted in (("F3", "F5 starts the flow"), ("F9", "Log"), ("F4", "Failed batches")):
        terminal.press(key)
        terminal.wait(lambda text, wanted=wanted: wanted in text and "Palette" in text)  # type: ignore[misc]
    terminal.press("C-q")
    terminal.wait("left with 0")
