"""What templates give, what they refuse, and what they cost."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench import templates as bench
from tests.unit.flow.support import ROOT, bound, composite, errors, flow_text, publisher, render
from workbench.errors import FlowError, RenderError
from workbench.flow.expression import TemplateProblem, format_lookup, parse_lookup
from workbench.flow.payload import Compiled
from workbench.model import Event

EVENT = Event("crm.x", b"", {"a-b": "h", "K": "v"}, "crm", 7, 2, 1_700_000_000_123_456_789)
DATA: dict[str, Any] = {
    "text": "kari",
    "n": 5,
    "f": 1.5,
    "yes": True,
    "nul": None,
    "items": [1, 2],
    "keys": "k",
    "lines": [{"v": 1}, {"v": 2}],
    "o": {"a b": {"c": 3}},
    "empty": [],
}


def value_of(template: Any, data: Any = DATA, record: Any = None) -> Any:
    compiled = Compiled({"F": template}, "record")
    return compiled.bind("t", "payload", {"X": "1"})(EVENT, data, record)["F"]


@pytest.mark.parametrize(
    ("template", "value"),
    [
        ("{{event.data.text}}", "kari"),
        ("{{ event.data.n }}", 5),
        ("{{event.data.nul}}", None),
        ("{{event.data.yes}}", True),
        ("{{event.data.items}}", [1, 2]),
        ("{{event.data.keys}}", "k"),
        ("{{ event.data.items[1] }}", 2),
        ("{{ event.data.lines[-1].v }}", 2),
        ("{{ event.data.o['a b'].c }}", 3),
        ("{{ event.data }}", DATA),
        ("{{ event.data.n }}\n", 5),
        ("n={{event.data.n}}, {{event.data.yes}}", "n=5, true"),
        (" {{event.data.n}}", " 5"),
        ("{{event.data.n}}{{event.data.n}}", "55"),
        ("{{ event.subject }}", "crm.x"),
        ("{{ event.id }}", "crm:7"),
        ("{{ event.headers['a-b'] }}", "h"),
        ("{{ event.sequence }}", 7),
        ("{{ event.num_delivered }}", 2),
        ("{{ event.timestamp }}", "2023-11-14T22:13:20.123456Z"),
        ("{{ event.meta.stream }}", "crm"),
        ("{{ env.X }}", "1"),
        ("{{ event.data.text | upper }}", "KARI"),
        ("{{ event.data.text.upper() }}", "KARI"),
        ("{{ event.data.n + 1 }}", 6),
        ("{{ event.data.n > 3 }}", True),
        ("{{ none }}", None),
        ("{{ event.data.missing | default('d') }}", "d"),
        ("{{ event.data.missing.deep | default(none) }}", None),
        ("{{ event.data.missing is defined }}", False),
        ("{{ event.data.lines | map(attribute='v') }}", [1, 2]),
        ("{{ event.data.lines | map(attribute='v') | join('-') }}", "1-2"),
        ("{{ [event.data.n, {'a': event.data.text}] }}", [5, {"a": "kari"}]),
        ("{{ event.data.o | tojson }}", '{"a b":{"c":3}}'),
        ("{{ event.data.text ~ event.data.n }}", "kari5"),
        ("{{ 'a' if event.data.yes else 'b' }}", "a"),
        ("{% if event.data.n > 3 %}big{% else %}small{% endif %}", "big"),
        ("{% for x in event.data.lines %}{{ x.v }};{% endfor %}", "1;2;"),
        ("{% set x = event.data.n %}{{ x * 2 }}", "10"),
        ("{{ event.data.get('missing', 3) }}", 3),
        ("{{ range(3) }}", [0, 1, 2]),
        ("plain", "plain"),
        ("{ not one }", "{ not one }"),
    ],
)
def test_values(template: str, value: Any) -> None:
    found = value_of(template)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("text", ["+4722123456", "01234", "1e5", "true", "None", "[1]", "", "5 "])
@pytest.mark.parametrize(
    "template", ["{{event.data.v}}", "{{ event.data.v | default('x') }}", "{{ (event.data.v) }}"]
)
def test_a_text_stays_the_text_it_was(text: str, template: str) -> None:
    assert value_of(template, {"v": text}) == text


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False,
    allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=8,
)  # fmt: skip


@given(_JSON)
def test_one_expression_gives_back_any_json_value_unchanged(value: Any) -> None:
    assert value_of("{{event.data.v}}", {"v": value}) == value
    assert value_of("{{ event.data.v if true else 1 }}", {"v": value}) == value


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{{event.data.order_id}}", "event.data.order_id is not there"),
        ("{{event.data.txt}}", "did you mean 'text'?"),
        ("x {{event.data.order_id}}", "event.data.order_id is not there"),
        ("{{event.data.order_id | upper}}", "event.data.order_id is not there"),
        ("{{event.data.values}}", "event.data.values is not there"),
        ("{{event.data.text.x}}", "event.data.text is a text"),
        ("{{event.data.nul.x}}", "event.data.nul is null"),
        ("{{event.data.items[5]}}", "has 2 elements"),
        ("{{event.headers.None}}", "event.headers.None is not there"),
        ("a {{event.data.nul}}", "is null and can't stand inside a text"),
        ("a {{event.data.items}}", "tojson"),
        ("a {{ event.data.nul | default('x') }}", "is null"),
        ("{{ event.data.empty | first }}", "No first item"),
        ("{% for x in event.data.lines %}{{ x.w }}{% endfor %}", "'w' is not there"),
        ("{{ event.data.lines | map(attribute='w') }}", "'w' is not there"),
        ("{{ event.data.n // 0 }}", "division"),
        ("{{ event.data.n + event.data.text }}", "unsupported operand"),
        ("{{ 2 ** 70 }}", "64 bits"),
    ],
)
def test_what_is_missing_or_wrong_is_named_with_task_field_and_path(
    template: str, said: str
) -> None:
    with pytest.raises(RenderError) as raised:
        value_of({"deep": ["x", template]})
    assert (raised.value.task, raised.value.field) == ("t", "payload.F.deep[1]")
    assert said in raised.value.reason


def test_a_list_where_a_record_was_meant_says_how_to_mend_it() -> None:
    with pytest.raises(RenderError, match="'record' stands for each"):
        value_of("{{event.data.x}}", [{"x": 1}])


@pytest.mark.parametrize(
    ("template", "code", "fix"),
    [
        ("{{ evnt.data.x }}", "template.unknown_name", "{{ event.data.x }}"),
        ("{{ evnt.data.x | upper }}", "template.unknown_name", "{{ event.data.x | upper }}"),
        ("{{ event.dta.x }}", "template.unknown_name", "{{ event.data.x }}"),
        ("{{ event }}", "template.unknown_name", "{{ event.data }}"),
        ("{{ env }}", "template.unknown_name", None),
        ("{{ self }}", "template.unknown_name", None),
        ("{{ lipsum(9) }}", "template.not_supported", None),
        ("{{ cycler }}", "template.unknown_name", None),
        ("{{ wb_0 }}", "template.unknown_name", None),
        ("{{ event.data.x | uper }}", "template.unknown_filter", "{{ event.data.x | upper }}"),
        ("{{ event.data.x is definedd }}", "template.unknown_filter", None),
        ("{{ event.data.x | wb_method('upper') }}", "template.not_supported", None),
        ("{{ event.data.x | attr('y') }}", "template.unknown_filter", None),
        ("{{ ", "template.syntax", None),
        ("{{ event.data.x } }", "template.syntax", None),
        ("{{ event.data. }}", "template.syntax", None),
        ("{% include 'x' %}", "template.not_supported", None),
        ("{% macro m() %}{% endmacro %}", "template.not_supported", None),
        ("{% import 'os' as o %}", "template.not_supported", None),
        ("{% set event = 1 %}", "template.name", None),
        ("{% for record in event.data %}{% endfor %}", "template.name", None),
        ("{{ " + "(" * 9000 + "1" + ")" * 9000 + " }}", "template.syntax", None),
        ("{{ " + "-" * 9000 + "1 }}", "template.syntax", None),
        ("{{ 1" + " + 1" * 4000 + " }}", "template.syntax", None),
        ("{{ event.data.x" + " | upper" * 2000 + " }}", "template.syntax", None),
        ("{{ " + "('a' ~ " * 90 + "1" + ")" * 90 + " }}", "template.syntax", None),
        ("{{ '" + "x" * 30_000 + "' | upper }}", "template.too_long", None),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_templates_that_can_never_work_fail_when_parsed(
    template: str, code: str, fix: str | None
) -> None:
    with pytest.raises(TemplateProblem) as raised:
        Compiled({"F": template}, "record")
    assert raised.value.code == code
    if fix is not None:
        assert raised.value.fix == fix


@pytest.mark.parametrize(
    "template",
    [
        "{{ ''.__class__ }}",
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ event.data.__class__ }}",
        "{{ event.data['__class__'] }}",
        "{{ event.headers.__init__ }}",
        "{{ range.__self__ }}",
        "{{ range(1).__class__ }}",
        "{{ (event.data.lines | map('upper')).gi_frame }}",
        "{{ event.data.text.format(1) }}",
        "{{ '{0.__class__}'.format(1) }}",
        "{{ event.data.update({}) }}",
        "{{ event.data.items.append(1) }}",
        "{{ event.data.pop('n') }}",
        "{{ event.data.lines | map(attribute='__class__') | list }}",
        "{% for x in event.data.lines %}{{ loop.__class__ }}{% endfor %}",
        "{% for x in event.data.lines %}{{ loop._iterator }}{% endfor %}",
        "{{ event.data.text.encode() }}",
    ],
)
def test_templates_reach_nothing_but_json(template: str) -> None:
    before = repr(DATA)
    with pytest.raises((RenderError, TemplateProblem)):
        value_of(template)
    assert repr(DATA) == before


@pytest.mark.parametrize(
    "template",
    [
        "{{ range(10**9) | list }}",
        "{{ 'a' * 10**9 }}",
        "{{ 10**9 * 'a' }}",
        "{{ [1] * 10**9 }}",
        "{{ 9**9**9 }}",
        "{{ 10**100000 }}",
        "{{ 'a' | center(10**9) }}",
        "{{ 'a' | indent(10**9) }}",
        "{{ ('a\\n' * 9999) | indent('x' * 9999) }}",
        "{{ ('a ' * 9999) | wordwrap(1, true, 'x' * 9999) }}",
        "{{ [1] | batch(10**9, 'x') | list }}",
        "{{ '%1000000000d' % 3 }}",
        "{{ '%*d' | format(10**9, 3) }}",
        "{{ 'a'.zfill(10**9) }}",
        "{{ ('x' * 1000) | replace('', 'y' * 100000) }}",
        "{{ ('x' * 1000).replace('x', 'y' * 100000) }}",
        "{{ range(9999) | join('x' * 999999) }}",
        "{{ ('x' * 999999).join(range(9999)) }}",
        "{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}",
        "{% set x = 'x' * 99999 %}{% for a in range(999) %}{{ x }}{% endfor %}",
        "{% for a in range(9) %}" + "{% set a = a ~ a %}" * 60 + "{{ a }}{% endfor %}",
        "{% set a = 'xx' %}" + "{% set a = a + a %}" * 60 + "{{ a }}",
        "{% set a = [1, 1] %}" + "{% set a = [a, a] %}" * 60 + "{{ a | tojson }}",
    ],
    ids=lambda template: template[:40],
)
def test_bombs_go_off_small_and_soon(template: str) -> None:
    begin = time.perf_counter()
    with pytest.raises(RenderError):
        value_of(template)
    assert time.perf_counter() - begin < 2


_PIECES = st.lists(
    st.sampled_from(
        ["event", ".", "data", "x", "[", "]", "(", ")", "'", "|", "upper", " ", "0", "-", "+", "~",
         "*", "==", "if", "else", "not", "is", "defined", "{{", "}}", "{%", "%}", "for", "in",
         "endfor", "set", "=", "range", "record", "default", ",", ":", "{", "}", "__class__", "\n"]
    ),
    max_size=14,
)  # fmt: skip


@given(_PIECES)
@settings(max_examples=300, deadline=None)
def test_no_template_does_anything_but_render_or_say_why_not(pieces: list[str]) -> None:
    template = "{{" + "".join(pieces) + "}}"
    with contextlib.suppress(TemplateProblem, RenderError):
        value_of(template, {"x": {"y": 1}}, {"x": 2})


@given(st.lists(st.one_of(st.from_regex(r"[a-z_]{1,5}", fullmatch=True), st.integers(-9, 9)),
                max_size=4))  # fmt: skip
def test_lookups_survive_a_round_trip(parts: list[str | int]) -> None:
    lookup = ("event", *parts)
    assert parse_lookup(format_lookup(lookup)) == lookup


def test_records_from_the_event() -> None:
    text = composite("operation: create\npayload: {from_event: true}")
    many = [{"A": 1}, {"A": 2}]
    assert render(text, many) is many
    assert render(text, {"A": 1}) == [{"A": 1}]
    assert render(text, []) == []
    for wrong in (5, "x", None, [1], [{"A": 1}, None]):
        with pytest.raises(RenderError):
            render(text, wrong)


def test_a_mapping_is_one_record_or_one_for_each_element() -> None:
    one = composite("operation: create\npayload: {A: '{{event.data.a}}', B: 1, C: null}")
    assert render(one, {"a": "x"}) == [{"A": "x", "B": 1, "C": None}]
    each = composite("operation: create\npayload: {A: '{{record.a}}', S: '{{event.subject}}'}")
    expected = [{"A": 1, "S": "crm.contacts"}, {"A": 2, "S": "crm.contacts"}]
    assert render(each, [{"a": 1}, {"a": 2}]) == expected
    assert render(each, {"a": 1}) == expected[:1]
    assert render(each, []) == []


def test_a_list_of_mappings_gives_the_records_in_its_order() -> None:
    text = composite("operation: create\npayload: [{P: '{{event.subject}}'}, {C: '{{record.c}}'}]")
    assert render(text, [{"c": 1}, {"c": 2}]) == [{"P": "crm.contacts"}, {"C": 1}, {"C": 2}]
    with pytest.raises(RenderError) as raised:
        render(text, [{"c": 1}, {}])
    assert raised.value.field == "payload[1].C"


def test_ids() -> None:
    text = composite("operation: delete\nids: '{{event.data.ids}}'")
    assert render(text, {"ids": ["1", "2"]}) == [{"id": "1"}, {"id": "2"}]
    assert render(text, {"ids": "1"}) == [{"id": "1"}]
    for wrong in (None, 5, [""], [None]):
        with pytest.raises(RenderError):
            render(text, {"ids": wrong})
    both = composite("operation: get\nfields: Id\nids: [a, '{{event.data.more}}']")
    assert render(both, {"more": ["b"]}) == [{"id": "a"}, {"id": "b"}]
    event = composite("operation: delete\npayload: {from_event: true}")
    assert render(event, [{"Id": "1", "x": 2}, "2"]) == [{"id": "1"}, {"id": "2"}]
    mapping = composite("operation: delete\npayload: {ID: '{{record.x}}'}")
    assert render(mapping, [{"x": "1"}]) == [{"id": "1"}]


def test_order_by_reads_the_rendered_record() -> None:
    text = composite(
        "operation: create\npayload: {A: '{{event.data.a}}'}\norder_by: '{{record.A}}'"
    )
    task = bound(text).sinks[0]
    assert task.order_key is not None
    assert task.order_key(EVENT, {"a": 5}, {"A": 5}) == "5"
    assert task.order_key(EVENT, {"a": 5}, {"A": None}) is None


def test_a_chain_renders_from_the_upstream_result() -> None:
    text = publisher("payload: {Id__c: '{{event.data.id}}', S: '{{event.sequence}}'}")
    assert render(text, {"id": "003"}) == [{"Id__c": "003", "S": 7}]


def test_env_in_a_payload_is_given_at_binding() -> None:
    text = composite("operation: create\npayload: {A: '{{env.A}}', B: 'x{{ env.A | lower }}'}")
    assert render(text, {}, {"A": "Q"}) == [{"A": "Q", "B": "xq"}]
    with pytest.raises(FlowError):
        bound(text)


def test_a_field_name_is_no_template() -> None:
    found = errors(composite("operation: create\npayload: {'{{event.data.a}}': 1}"))
    assert [p.code for p in found] == ["template.not_allowed"]


def test_jinja_is_not_imported_where_no_template_needs_it() -> None:
    script = (
        "import sys; from workbench.flow import check, parse; t = sys.stdin.read();"
        "check(t); parse(t).bind({}); print('jinja2' in sys.modules)"
    )
    text = flow_text() + "        batch: {linger: 1ms}\n"
    found = subprocess.run(
        [sys.executable, "-c", script], input=text, capture_output=True, text=True, cwd=ROOT
    )
    assert found.stdout == "False\n", found.stderr


def test_rendering_costs_no_more_than_it_may() -> None:
    """The best of many short rounds, since a shared machine only ever makes them longer."""
    ratios = bench.measure(rounds=40, count=500)
    assert ratios["ours, paths"][1] <= 2.5
    assert ratios["ours, one Jinja expression"][1] <= 12
