"""JSON Patch: what was changed can be applied, and says what was changed."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.errors import SettingsError
from workbench.failed import patch

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(-2, 2) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(alphabet="ab/~", max_size=2), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(JSON, JSON)
def test_the_difference_makes_one_of_the_other(before: Any, after: Any) -> None:
    operations = patch.diff(before, after)
    assert patch.check(operations) == operations
    assert patch.apply(operations, before) == after
    assert len(patch.lines(before, operations)) >= len(operations)


@given(JSON)
def test_nothing_differs_from_itself(value: Any) -> None:
    assert patch.diff(value, value) == []


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        ({"op": "add", "path": "/c", "value": 1}, {"a": [1, 2], "b": {"x": 1}, "c": 1}),
        ({"op": "add", "path": "/a/1", "value": 9}, {"a": [1, 9, 2], "b": {"x": 1}}),
        ({"op": "add", "path": "/a/-", "value": 9}, {"a": [1, 2, 9], "b": {"x": 1}}),
        ({"op": "remove", "path": "/a/0"}, {"a": [2], "b": {"x": 1}}),
        ({"op": "replace", "path": "/b/x", "value": None}, {"a": [1, 2], "b": {"x": None}}),
        ({"op": "move", "from": "/b/x", "path": "/y"}, {"a": [1, 2], "b": {}, "y": 1}),
        ({"op": "copy", "from": "/a", "path": "/b/z"}, {"a": [1, 2], "b": {"x": 1, "z": [1, 2]}}),
        ({"op": "test", "path": "/a/1", "value": 2}, {"a": [1, 2], "b": {"x": 1}}),
    ],
)
def test_all_operations(operation: dict[str, Any], expected: Any) -> None:
    document = {"a": [1, 2], "b": {"x": 1}}
    assert patch.apply([operation], document) == expected
    assert document == {"a": [1, 2], "b": {"x": 1}}


@pytest.mark.parametrize(
    ("operation", "said"),
    [
        ({"op": "remove", "path": "/c"}, "there is no c"),
        ({"op": "replace", "path": "/a/7", "value": 1}, "there is no element 7"),
        ({"op": "add", "path": "/a/x", "value": 1}, "x is no place in a list"),
        ({"op": "add", "path": "/a/0/b", "value": 1}, "b is below a plain value"),
        ({"op": "test", "path": "/a/0", "value": 2}, "the value is another"),
    ],
)
def test_what_does_not_fit_is_told(operation: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError, match=f"the patch does not fit: [^']*: {said}$"):
        patch.apply([operation], {"a": [1]})


@pytest.mark.parametrize(
    "wrong",
    [{}, [1], [{"op": "put", "path": "/a"}], [{"op": "add", "path": "/a"}],
     [{"op": "remove", "path": "a"}]],
)  # fmt: skip
def test_what_is_no_patch_is_told(wrong: Any) -> None:
    with pytest.raises(SettingsError):
        patch.check(wrong)
