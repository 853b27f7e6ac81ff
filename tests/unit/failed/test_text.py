"""The pieces that the text of a failed batch is put together from make the same JSON."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from workbench import codec
from workbench.model import Attempt, Entry, FailedBatch, FailedRecord, FailedText

TEXT = st.text(max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | TEXT,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXT, inner, max_size=2),
    max_leaves=4,
)
OBJECTS = st.dictionaries(TEXT, VALUES, max_size=3)
RECORDS = st.builds(
    FailedRecord, st.integers(0, 3), st.none() | OBJECTS, st.sampled_from(["written", "refused"]),
    TEXT, TEXT, st.lists(TEXT, max_size=2).map(tuple), TEXT,
)  # fmt: skip
ATTEMPTS = st.builds(
    Attempt, TEXT, TEXT, st.none() | st.integers(200, 599), st.lists(VALUES, max_size=2),
    st.none() | TEXT, TEXT, st.lists(OBJECTS, max_size=1),
)  # fmt: skip
BATCHES = st.builds(
    FailedBatch, *[TEXT] * 7, st.integers(1, 2**63), st.integers(1, 99), TEXT,
    st.dictionaries(TEXT, TEXT, max_size=2), st.binary(max_size=9), TEXT, OBJECTS,
    st.lists(RECORDS, max_size=3).map(tuple), st.lists(ATTEMPTS, max_size=3).map(tuple), TEXT,
    VALUES, OBJECTS,
)  # fmt: skip


@settings(deadline=None)  # a busy machine takes its time, and the text is what counts
@given(st.lists(BATCHES, min_size=1, max_size=3))
def test_the_text_of_an_entry_is_its_json(batches: list[FailedBatch]) -> None:
    text = FailedText()
    for batch in [*batches, *batches]:
        entry = Entry(batch)
        assert codec.decode(entry.encode(text.of(batch))) == codec.decode(
            codec.encode(entry.to_json())
        )
