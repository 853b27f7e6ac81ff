"""YAML in: places are kept, and what is no flow file is refused with one clear error."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.flow.support import SEEDS, errors, flow_text
from workbench.flow import Document
from workbench.flow.nodes import Mapping, format_path, parse_path


def document(text: str | bytes) -> Document:
    return Document(text, "f.yaml")


def test_every_value_can_be_located() -> None:
    found = document(SEEDS[0].read_text())
    assert found.locate("flow.tasks[1].salesforce_restapi_composite.operation") == (29, 20, 29, 26)
    assert found.locate("flow.tasks[0].nats_jetstream_subscriber.backoff[1]") == (23, 13, 23, 18)
    assert found.locate("flow.tasks[9]") is None
    assert found.path_at(29, 21) == "flow.tasks[1].salesforce_restapi_composite.operation"
    assert found.path_at(29, 12) == "flow.tasks[1].salesforce_restapi_composite.operation"


def test_columns_count_characters_not_bytes() -> None:
    assert document("é: [äö, x]").locate(("é", 1)) == (1, 9, 1, 10)


def test_replacing_a_value_keeps_every_other_byte() -> None:
    text = "# top\nflow:  # here\n  name: old   # why\n  labels: {a: 1}\n"
    assert document(text).replaced("flow.name", "new") == text.replace("old", "new")
    assert document(text).replaced("flow.labels.a", "22") == text.replace("a: 1", "a: 22")
    with pytest.raises(KeyError):
        document(text).replaced("flow.nothing", "x")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("yes", "yes"),
        ("on", "on"),
        ("~", None),
        ("0123", "0123"),
        ("1_000", "1_000"),
        ("12:30", "12:30"),
        ("2026-11-23", "2026-11-23"),
        ("0x1F", 31),
        ("-7", -7),
        ("1e5", 1e5),
        ("1.50", 1.5),
        ("'5'", "5"),
        ('"true"', "true"),
        ("!!str 5", "5"),
        ("+4722123456", 4722123456),
        ("10s", "10s"),
        ("=", "="),
    ],
)
def test_plain_scalars_mean_what_yaml_1_2_says(text: str, value: object) -> None:
    root = document(f"a: {text}").root
    assert root is not None
    assert root.plain() == {"a": value}
    assert type(root.plain()["a"]) is type(value)


def test_keys_are_texts_whatever_they_look_like() -> None:
    root = document("on: 1\n1: 2\nnull: 3").root
    assert root is not None
    assert root.plain() == {"on": 1, "1": 2, "null": 3}


def test_anchors_aliases_and_merges_work() -> None:
    text = "a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}\nc: *a\nd: {<<: [{x: 9}, *a]}"
    root = document(text).root
    assert root is not None
    assert root.plain()["b"] == {"x": 1, "y": 3}
    assert root.plain()["c"] == {"x": 1, "y": 2}
    assert root.plain()["d"] == {"x": 9, "y": 2}


def laughs(kind: str) -> str:
    if kind == "list":
        lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
        lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 30)]
    else:
        lines = ["a0: &a0 {k: v}"]
        lines += [f"a{i}: &a{i} {{x: *a{i - 1}, y: *a{i - 1}, z: *a{i - 1}}}" for i in range(1, 40)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (laughs("list"), "yaml.expansion"),
        (laughs("mapping"), "yaml.expansion"),
        ("[" * 100_000, "yaml.depth"),
        ("- " * 50_000, "yaml.depth"),
        ("a: &x [*x]", "yaml.alias"),
        ("a: *nowhere", "yaml.alias"),
        ("a: {<<: 3}", "yaml.merge"),
        ("x" * 10_000_000, "yaml.too_large"),
        (b"x" * 10_000_000, "yaml.too_large"),
        ("flow:\n\tname: x", "yaml.tab"),
        ("flow: a\n---\nflow: b", "yaml.documents"),
        (b"\xff\xfef\x00l\x00", "yaml.encoding"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "yaml.encoding"),
        ("flow: \x00", "yaml.encoding"),
        ("flow: \ud800", "yaml.encoding"),
        ("flow: [a", "yaml.syntax"),
        ("flow: 'a", "yaml.syntax"),
        ("a: b: c", "yaml.syntax"),
        ("%YAML 9.9\n---\na", "yaml.syntax"),
        ("a: !!python/object:os.system x", "yaml.tag"),
        ("url: {{env.X}}/y", "yaml.unquoted_template"),
        ("url: {{" + " " * 500_000 + "x: [}", "yaml.syntax"),
        ("", "schema.empty"),
        ("# nothing\n", "schema.empty"),
        ("- a\n- b", "schema.type"),
        ("flow", "schema.type"),
        ("5", "schema.type"),
    ],
    ids=lambda value: repr(value)[:24],
)
def test_what_is_no_flow_file_gets_one_clear_error_soon(text: str | bytes, code: str) -> None:
    begin = time.perf_counter()
    found = errors(text)
    assert time.perf_counter() - begin < 1
    assert [problem.code for problem in found] == [code]
    assert found[0].line >= 1
    assert found[0].column >= 1
    assert "::" not in found[0].message


def test_what_a_problem_quotes_is_bounded_and_obeyed_by_no_terminal() -> None:
    text = flow_text().replace("flow:\n", 'flow:\n  "\\e]0;x\\a\\u202E": 1\n', 1)
    (problem,) = errors(text)
    assert problem.message == r"'flow' has no key '\x1b]0;x\x07\u202e'"
    (problem,) = errors(flow_text().replace("name: ", "name: " + "x" * 100_000, 1))
    assert 200 < len(problem.message) < 600
    (problem,) = errors(flow_text(source="max_messages: 1.5\n"))
    assert problem.message.endswith("not 1.5")


def test_a_file_with_thousands_of_problems_is_told_soon() -> None:
    many = "".join(f"  - loog{index}:\n" for index in range(10_000))
    begin = time.perf_counter()
    assert len(errors("flow:\n  name: x\n  tasks:\n" + many)) == 10_000
    assert time.perf_counter() - begin < 5


def test_an_unquoted_template_is_mended_by_quotes() -> None:
    text = flow_text(source="url: {{env.NATS_URL}}\n")
    (problem,) = errors(text)
    assert problem.code == "schema.unquoted_template"
    assert problem.fix == '"{{env.NATS_URL}}"'
    mended = document(text).replaced(problem.path, problem.fix)
    assert errors(mended) == []
    (problem,) = errors(flow_text(source="url: {{env.NATS_URL}}:4222\n"))
    assert problem.fix == '"{{env.NATS_URL}}:4222"'


def test_a_key_that_stands_twice_is_an_error_with_both_places() -> None:
    (problem,) = errors(flow_text(source="subject: other\n"))
    assert problem.code == "yaml.duplicate_key"
    assert (problem.line, problem.column) == (7, 9)
    assert "line 6" in problem.message


def test_a_message_can_not_talk_to_a_terminal() -> None:
    (problem,) = errors(flow_text(source='"\\e[2J\\r": x\n'))
    assert problem.code == "schema.unknown_key"
    assert problem.message.isprintable()
    assert r"\x1b[2J\r" in problem.message


def test_a_byte_order_mark_is_no_part_of_the_text() -> None:
    assert errors(b"\xef\xbb\xbf" + flow_text().encode()) == []


_TEXT = st.text(st.sampled_from("a1:-[]{}&*!|>'\"%@`#, \n\t~<?é{{ }}"), max_size=80)


@given(st.one_of(st.text(max_size=200), st.binary(max_size=200), _TEXT))
def test_no_text_crashes_the_checker(text: str | bytes) -> None:
    assert errors(text)


@given(st.lists(st.one_of(st.text(), st.integers(0, 99)), max_size=5))
def test_paths_survive_a_round_trip(parts: list[str | int]) -> None:
    path = tuple(parts)
    assert parse_path(format_path(path)) == path


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text("ab: {}", max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc"), inner, max_size=3),
    max_leaves=20,
)


@given(_VALUES)
def test_json_is_read_as_it_is(value: object) -> None:
    import json

    root = Document(json.dumps({"v": value}), "f").root
    assert isinstance(root, Mapping)
    assert root.plain() == {"v": value}
