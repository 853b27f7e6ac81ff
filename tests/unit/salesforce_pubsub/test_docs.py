"""The page on platform events: its flows load, and it names what the code holds."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from workbench.flow import PublisherTask, parse
from workbench.salesforce.pubsub_endpoint import DEFAULT_ENDPOINT

PAGE = (Path(__file__).parents[3] / "docs" / "platform-events.md").read_text(encoding="utf-8")
FLOWS = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("text", FLOWS)
def test_each_flow_of_the_page_loads(text: str) -> None:
    [task] = parse(text, "platform-events.md").sinks
    assert isinstance(task, PublisherTask)
    assert task.endpoint == DEFAULT_ENDPOINT


def test_the_page_has_flows_and_the_endpoint() -> None:
    assert [parse(text, "x").sinks[0].accept_duplicates for text in FLOWS] == [False, True]
    assert f"`{DEFAULT_ENDPOINT}`" in PAGE
