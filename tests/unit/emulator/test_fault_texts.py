"""The grammar of faults, and how often they happen."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from workbench.emulator import faults
from workbench.emulator.faults import FaultError, Faults, parse_fault


def test_every_example_in_the_documentation_is_understood() -> None:
    examples = re.findall(r"^    ([a-z-]+(?:[:,]\S+)?)\s{2,}", faults.__doc__ or "", re.M)
    kinds = {parse_fault(text).kind for text in examples if "=" not in text.split(",")[0]}
    assert kinds == set(faults.KINDS)


def test_the_page_on_the_sandbox_tells_every_kind_by_texts_that_are_understood() -> None:
    page = (Path(__file__).parents[3] / "docs" / "sandbox.md").read_text(encoding="utf-8")
    cells = re.findall(r"^\| (`[^|]+`) \| ", page, re.M)
    texts = [text for cell in cells for text in re.findall(r"`([^`]+)`", cell)]
    told = {text for text in texts if re.split(r"[:,]", text)[0] in faults.KINDS}
    assert {parse_fault(text).kind for text in told} == set(faults.KINDS)


@pytest.mark.parametrize(
    ("text", "value", "share"),
    [
        ("lock", None, 1.0),
        ("lock:0.05", None, 0.05),
        ("lock:.5", None, 0.5),
        ("lock:1", None, 1.0),
        ("status", 503, 1.0),
        ("status:0.1", 503, 0.1),
        ("status:500:0.1", 500, 0.1),
        ("latency:150ms", (0.15, 0.15), 1.0),
        ("latency:50ms-2s:0.5", (0.05, 2.0), 0.5),
        ("limit:concurrent", "concurrent", 1.0),
        ("row:STORAGE_LIMIT_EXCEEDED:0.1", "STORAGE_LIMIT_EXCEEDED", 0.1),
    ],
)
def test_value_and_share_are_read(text: str, value: object, share: float) -> None:
    fault = parse_fault(text)
    assert (fault.value, fault.share) == (value, share)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "unknown fault ''"),
        ("lok", "unknown fault 'lok'; known are latency"),
        ("lock:2", "above 0 and at most 1"),
        ("lock:0", "above 0 and at most 1"),
        ("lock:-1", "above 0 and at most 1"),
        ("status:200", "write one from 400 to 599"),
        ("status:503:0.1:1", "too many parts"),
        ("status:503:often", "'often' is no share"),
        ("latency", "it needs a value, as in latency:150ms"),
        ("latency:150", "'150' is no duration"),
        ("latency:2s-1s", "the shorter time stands first"),
        ("row", "it needs a value, as in row:STORAGE_LIMIT_EXCEEDED"),
        ("row:oops", "write it in capitals"),
        ("limit:monthly", "write one of daily, concurrent, apex"),
        ("lock,often=1", "unknown option 'often=1'; known are share"),
        ("lock,count", "unknown option 'count'"),
        ("lock,count=0", "count: it must be at least 1"),
        ("lock,every=x", "every: 'x' is no whole number"),
        ("status,body=xml", "body: 'xml' is not known here"),
    ],
)
def test_what_cannot_be_understood_says_what_to_write(text: str, words: str) -> None:
    with pytest.raises(FaultError) as caught:
        parse_fault(text)
    assert words in str(caught.value)


def happenings(text: str, chances: int) -> list[bool]:
    drawn = Faults([text])
    return [drawn.draw("lock") is not None for _ in range(chances)]


def test_every_after_and_count_say_exactly_when() -> None:
    assert happenings("lock,every=3", 6) == [False, False, True] * 2
    assert happenings("lock,after=2,count=2", 6) == [False, False, True, True, False, False]


def test_a_seed_repeats_the_lot_and_a_share_is_about_right() -> None:
    drawn = happenings("lock:0.3,seed=7", 2000)
    assert drawn == happenings("lock:0.3,seed=7", 2000)
    assert 500 < sum(drawn) < 700


def test_a_used_up_fault_is_gone() -> None:
    drawn = Faults(["expire"])
    assert drawn.any("expire")
    assert drawn.draw("expire") is not None
    assert not drawn.any("expire")
    assert drawn.as_json() == []


def test_path_and_object_must_fit() -> None:
    drawn = Faults(["lock,path=*/sobjects/*,object=Contact"])
    assert drawn.draw("lock", path="/x/sobjects/y", object="contact") is not None
    assert drawn.draw("lock", path="/x/sobjects/y", object="Account") is None
    assert drawn.draw("lock", path="/x/limits", object="Contact") is None


def test_a_mapping_is_a_fault_too() -> None:
    drawn = Faults()
    fault = drawn.add({"kind": "status", "value": 500, "share": 0.5, "count": 2})
    assert (fault.value, fault.share, fault.count) == (500, 0.5, 2)
    with pytest.raises(FaultError, match="has at least a kind"):
        drawn.add({"value": 5})
