"""Flow files that were sound and are damaged as by a slip of the hand: each problem has a place in
the file, and what passes `check` also runs."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.flow.support import ROOT
from workbench.errors import FlowError, RenderError
from workbench.flow import check, parse
from workbench.model import Event

FILES = [path.read_text(encoding="utf-8") for path in sorted((ROOT / "flows").glob("*.yaml"))]
ENV = {"NATS_URL": "nats://n", "NATS_CREDENTIALS": "/n", "SF_CREDENTIALS": "/s", "PUBSUB_ADDR": "p"}
EVENTS: list[Any] = [
    [{"ExternalId__c": "C-1", "LastName": "Berg"}],
    {"ExternalId__c": "C-1", "LastName": "Berg", "order_id": "O-1", "message": "m", "items": []},
    {},
    "text",
    None,
    [[1], {"a": {"b": None}}],
]

# What lands in a file by mistake: quotes, tabs, templates cut in two, words of the wrong kind.
BITS = st.sampled_from(
    ["'", '"', "\t", " ", "  ", "- ", ": ", "{", "}", "{{", "}}", "[", "]", "#", "|", ">", "&a ",
     "*a", "~", "null", "true", "0", "-1", "1e9", "10s", "[]", "{}", "[1, x]", "{a: 1}", "\n",
     "{{event.data.x}}", "{{env.NOWHERE}}", "{{ event.data", "{% for a in b %}", "é", "\u2028",
     "<<: ", "!!int x", "? ", "---\n", "%", "@", "`"]
)  # fmt: skip


@st.composite
def damaged(draw: st.DrawFn) -> str:
    """One of our flows after one or two slips."""
    lines = draw(st.sampled_from(FILES)).splitlines(keepends=True)
    for _ in range(draw(st.integers(1, 2))):
        if not lines:
            break
        at = draw(st.integers(0, len(lines) - 1))
        line = lines[at]
        cut = draw(st.integers(0, len(line)))
        head, colon, _ = line.partition(":")
        slip = draw(st.integers(0, 7))
        lines[at : at + 1] = {
            0: [],
            1: [line, line],
            2: [lines[draw(st.integers(0, len(lines) - 1))], line],
            3: ["  " + line],
            4: [line[2:]],
            5: [line[:cut] + draw(BITS) + line[cut:]],
            6: [f"{head}{colon} {draw(BITS)}\n"],
            7: [line[:cut] + line[cut + 1 :]],
        }[slip]
    return "".join(lines)


@given(damaged())
@settings(max_examples=400, deadline=None)
def test_every_problem_has_its_place_and_what_passes_runs(text: str) -> None:
    problems = check(text, "f.yaml")
    lines = re.split("\r\n|[\n\r\x85\u2028\u2029]", text)  # as YAML and the editor see them
    for problem in problems:
        assert problem.severity in ("error", "warning", "info")
        assert problem.message, problem
        assert problem.message.isprintable(), problem
        assert 0 <= problem.line <= len(lines) + 1, problem
        if 0 < problem.line <= len(lines):
            assert 1 <= problem.column <= len(lines[problem.line - 1]) + 2, problem
    if any(problem.severity == "error" for problem in problems):
        with pytest.raises(FlowError):
            parse(text, "f.yaml")
        return
    with suppress(FlowError):  # what only the environment, or what we run, can tell
        flow = parse(text, "f.yaml").bind(ENV)
        for task, data in itertools.product(flow.sinks, EVENTS):
            event = Event("crm.x", b"", {}, "crm", 7, 1, 1_700_000_000_000_000_000)
            with suppress(RenderError):
                assert all(type(record) is dict for record in task.render(event, data))


def test_such_files_are_of_every_kind() -> None:
    """Or the test above would prove nothing: of what is drawn, many pass and many fail."""
    kinds: Counter[bool] = Counter()

    @given(damaged())
    @settings(max_examples=200, deadline=None, database=None, derandomize=True)
    def look(text: str) -> None:
        kinds[any(problem.severity == "error" for problem in check(text))] += 1

    look()
    assert min(kinds[True], kinds[False]) > 10, kinds
