"""The sandbox's page names every Pub/Sub fault, and nothing that is none."""

from __future__ import annotations

import re
from pathlib import Path

from workbench.emulator.faults import KINDS, parse_fault

PAGE = Path(__file__).parents[3] / "docs" / "sandbox.md"


def test_the_page_names_every_pubsub_fault_in_a_form_that_works() -> None:
    texts = re.findall(r"`(pubsub-[^`]+)`", PAGE.read_text(encoding="utf-8"))
    assert {parse_fault(text).kind for text in texts} == {
        kind for kind in KINDS if kind.startswith("pubsub-")
    }
