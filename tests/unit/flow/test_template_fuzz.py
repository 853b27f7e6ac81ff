"""Templates that nearly all compile and try every way out: what comes back is JSON, what was given
is as it was, and nothing has happened."""

from __future__ import annotations

import copy
import json
import re
import sys
import time
from collections import Counter
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st
from jinja2.filters import FILTERS

from tests.unit.flow.test_templates import DATA, EVENT
from workbench.errors import RenderError
from workbench.flow.expression import TemplateProblem
from workbench.flow.jinja import _ENVIRONMENT
from workbench.flow.payload import Compiled

RECORD = {"LastName": "Berg", "{0.__class__}": "k"}

# What escapes are made of; written whole and put together while it renders.
NAMES = (
    "__class__", "__init__", "__globals__", "__builtins__", "__mro__", "__base__", "__dict__",
    "__subclasses__", "__import__", "__reduce__", "__self__", "__func__", "__call__", "mro",
    "gi_frame", "gi_code", "f_globals", "f_back", "cr_frame", "func_globals", "tb_frame",
    "_iterator", "_undefined_hint", "environment", "eval_ctx", "name", "format", "format_map",
    "encode", "translate", "join", "split", "replace", "get", "items", "keys", "values", "pop",
    "update", "append", "clear", "sort", "setdefault", "index", "count", "text", "lines",
)  # fmt: skip
VALUES = (
    "event.data.text", "event.data.n", "event.data.f", "event.data.nul", "event.data.lines",
    "event.data.o", "event.data", "event.headers", "event.id", "record", "record.LastName",
    "range(3)", "''", "'a%s{0}'", "'kari'", "0", "-1", "7", "2.5", "10**9", "true", "none", "[]",
    "{}", "(1, 2)", "[1, 'b', none]", "{'a': 1}", "'__cla' ~ 'ss__'", "'{0.__class__}'",
)  # fmt: skip
STRANGERS = (
    "event", "event.meta", "env", "range", "loop", "x", "self", "dict", "lipsum", "cycler",
    "joiner", "namespace", "wb_0", "_wb_result", "caller",
)  # fmt: skip
FILTER_NAMES = sorted(name for name in _ENVIRONMENT.filters if not name.startswith("wb_"))
TEST_NAMES = sorted(filter(str.isidentifier, _ENVIRONMENT.tests))
OPERATORS = ("+", "-", "*", "/", "//", "%", "**", "~", "==", "<", "in", "and", "or")

names = st.sampled_from(NAMES)


values = st.sampled_from(VALUES)


def larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    some = st.lists(values, max_size=2).map(", ".join)
    filters = st.sampled_from(FILTER_NAMES)
    return st.one_of(
        st.builds("({}).{}".format, inner, names),
        st.builds("({})[{}]".format, inner, inner | names.map(repr)),
        st.builds("({}).{}({})".format, inner, names, some),
        st.builds("(({}) | {})".format, inner, filters),
        st.builds("(({}) | {}({}))".format, inner, filters, some),
        st.builds("(({}) | map({!r}) | list)".format, inner, filters),
        st.builds("(({}) | map(attribute={!r}) | list)".format, inner, names),
        st.builds("(({}) {} ({}))".format, inner, st.sampled_from(OPERATORS), inner),
        st.builds("(({}) is {})".format, inner, st.sampled_from(TEST_NAMES)),
        st.builds("(({}) if ({}) else ({}))".format, inner, inner, inner),
        st.builds("(({}) | default({}))".format, inner, inner),
    )


tame = st.recursive(values, larger, max_leaves=4)
strange = st.one_of(
    st.sampled_from(STRANGERS),
    st.builds("{}.{}".format, st.sampled_from(STRANGERS), names),
    st.builds(
        "(({}) | {})".format, tame, st.sampled_from(sorted({*FILTERS, *_ENVIRONMENT.filters}))
    ),
    st.builds("(({}) | attr({!r}))".format, tame, names),
    st.builds("{}({})".format, st.sampled_from(STRANGERS), tame),
    st.builds("({})({})".format, tame, tame),
)
"""What is refused where it stands alone; in a place of its own, so that the rest is tried too."""
expressions = st.integers(0, 9).flatmap(lambda n: strange if n == 9 else tame)
templates = st.one_of(
    st.builds("{{{{ {} }}}}".format, expressions),
    st.builds("a{{{{ {} }}}}{{{{ {} }}}}".format, expressions, expressions),
    st.builds("{{% for x in {} %}}{{{{ {} }}}}{{% endfor %}}".format, expressions, expressions),
    st.builds("{{% set x = {} %}}{{{{ {} }}}}".format, expressions, expressions),
    st.builds("{{% if {} %}}{{{{ {} }}}}{{% endif %}}".format, expressions, expressions),
)

HARMFUL = re.compile(r"open|exec|(os|subprocess|socket|ctypes|shutil|tempfile|signal)\.")
"""What Python tells of to its audit hooks and no template may cause."""

PYTHON = ("<class '", "<function ", "<built-in ", "<bound method", "<generator ", " object at 0x")
"""Texts of Python's objects: one in a record would be a leak, and nonsense in Salesforce."""


class Watch:
    """Hears what Python itself tells of while a template renders: files, processes, sockets, code.
    Such a hook stays for as long as the process lives, so there is one, and it mostly sleeps."""

    def __init__(self) -> None:
        self.heard: list[str] | None = None
        sys.addaudithook(self._hear)

    def _hear(self, event: str, given: tuple[Any, ...]) -> None:
        # Where a template fails, it is compiled again by itself, to say which expression it was.
        is_ours = event == "exec" and "<template>" in repr(given)
        if self.heard is not None and HARMFUL.match(event) and not is_ours:
            self.heard.append(event)


WATCH = Watch()


def rendered(template: str) -> Any:
    """The value, or None where the template is refused; by nothing but our own two errors."""
    try:
        render = Compiled({"F": template}, "record").bind("t", "payload", {"X": "1"})
    except TemplateProblem:
        return None
    data, record = copy.deepcopy(DATA), dict(RECORD)
    WATCH.heard = heard = []
    try:
        return render(EVENT, data, record)["F"]
    except RenderError:
        return None
    finally:
        WATCH.heard = None
        assert heard == []
        assert (data, record) == (DATA, RECORD)


def is_json(value: Any) -> bool:
    if type(value) is dict:
        return all(type(key) is str and is_json(inner) for key, inner in value.items())
    if type(value) is list:
        return all(map(is_json, value))
    return value is None or type(value) in (str, int, float, bool)


@given(templates)
@example("{{ (event.data.text | attr('__class__')) }}")
@example("{{ (event.data.lines | indent) }}")
@example("{{ ('{0.__class__}' | format(event)) }}")
@example("{{ (event.data.lines | map(attribute='__class__') | list) }}")
@settings(max_examples=500, deadline=None)
def test_whatever_a_template_tries_it_gives_json_soon_and_does_nothing(template: str) -> None:
    begin = time.perf_counter()
    value = rendered(template)
    assert time.perf_counter() - begin < 2
    assert is_json(value), value
    text = json.dumps(value)
    assert len(text) < 10_000_000
    assert not any(sign in text for sign in PYTHON), text


def test_most_of_these_templates_are_more_than_refused() -> None:
    """Or the test above would prove nothing: of what is drawn, many render."""
    kinds: Counter[str] = Counter()

    @given(templates)
    @settings(max_examples=300, deadline=None, database=None, derandomize=True)
    def look(template: str) -> None:
        try:
            render = Compiled({"F": template}, "record").bind("t", "payload", {"X": "1"})
        except TemplateProblem:
            kinds["refused when parsed"] += 1
            return
        try:
            render(EVENT, copy.deepcopy(DATA), dict(RECORD))
        except RenderError:
            kinds["refused when rendered"] += 1
            return
        kinds["rendered"] += 1

    look()
    assert kinds["rendered"] > 30, kinds
    assert kinds["refused when rendered"] > 30, kinds
