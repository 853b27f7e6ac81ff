"""Schema, reference and completion say what the loader does, since they are the same tables."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.flow.support import (
    ROOT,
    SEEDS,
    UPSERT,
    composite,
    errors,
    flow_text,
    publisher,
)
from workbench.flow import (
    Document,
    complete_keys,
    complete_template,
    complete_values,
    describe,
    parse,
    read,
    schema,
)
from workbench.flow.declaration import Field, Section
from workbench.flow.kinds import ListOf
from workbench.flow.language import FILE, KNOWN_TASKS, RUN_TASKS
from workbench.flow.reader import Reader
from workbench.flow.reference import reference
from workbench.flow.shapes import Tasks

VALIDATOR = jsonschema.Draft7Validator(schema())

GOOD = [
    *(path.read_text() for path in SEEDS),
    flow_text(),
    flow_text(source="depends_on:\nretry:\nstream: null\nmax_messages: 5.0\n"),
    flow_text(UPSERT + "    order_by: '{{record.A}}'\n    batch: {linger: 0s}\n"),
    flow_text("- log:\n- script: {name: x, code: y}\n", flow="api_version: 65.0\n"),
    flow_text(source="max_deliver: -1\nbackoff: [1h 30m]\n", flow="api_version: 'v60.0'\n"),
    composite("operation: get\nids: '{{event.data.ids}}'\nfields: Id, Name"),
    composite("operation: create\npayload: [{A: {from_event: 3}}, {B: [1, null]}]"),
    publisher("payload: {A: null}\nendpoint: '{{env.E}}'"),
]
BAD = [
    "5",
    "[]",
    "{}",
    "flow:",
    "flow: {name: x}",
    "flow: {name: x, tasks: []}",
    "flow: {name: x, tasks: {}}",
    "flow: {name: x, tasks: [{}]}",
    "flow: {name: x, tasks: [log]}",
    "flow: {name: x, tasks: [{log: 5}]}",
    "flow: {name: x, tasks: [{log: , script: }]}",
    "flow: {name: '', tasks: [{log: }]}",
    "flow: {name: 5, tasks: [{log: }]}",
    "flow: {name: x, tasks: [{log: }], labels: 3}",
    "flow: {name: x, tasks: [{log: }], labels: {}}\nmore: 1",
    "flow: {name: x, tasks: [{nothing: }]}",
    flow_text("- nats_jetstream_subscriber: {name: b, subject: x}\n"),
    flow_text(flow="api_version: 6.5\n"),
    flow_text(flow="api_version: true\n"),
    flow_text(flow="api_budget: {daily_share: 0}\n"),
    flow_text(flow="failed: {replicas: 9}\n"),
    flow_text(source="ack_timeout: 10\n"),
    flow_text(source="backoff: []\n"),
    flow_text(source="backoff: 1s\n"),
    flow_text(source="stream: {name: a.b}\n"),
    flow_text(source="stream: {name: a, retention: forever}\n"),
    flow_text(source="stream: {name: a, create_or_update: yes}\n"),
    composite("operation: upsert\npayload: {from_event: true}"),
    composite("operation: upsert\nexternal_id_field:\npayload: {from_event: true}"),
    composite("operation: create"),
    composite("operation: get\nfields: [Id]"),
    composite("operation: get\nids: [x]"),
    composite("operation: delete\nids: []"),
    composite("operation: create\npayload: {from_event: true, A: 1}"),
    composite("operation: create\npayload: {}"),
    composite("operation: create\npayload: [5]"),
    publisher("payload: [{A: 1}]"),
    publisher("batch: {max_records: 201}\npayload: {A: 1}"),
]


def schema_accepts(text: str) -> bool:
    root = Document(text, "f").root
    return bool(VALIDATOR.is_valid(root.plain() if root is not None else None))


def loader_accepts(text: str) -> bool:
    """Whether the loader finds nothing of the kind that a schema can see."""
    return not any(problem.code.startswith("schema.") for problem in errors(text))


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft7Validator.check_schema(schema())


@pytest.mark.parametrize("text", GOOD)
def test_both_accept(text: str) -> None:
    assert errors(text) == []
    assert schema_accepts(text), list(VALIDATOR.iter_errors(yaml.safe_load(text)))


@pytest.mark.parametrize("text", BAD)
def test_both_refuse(text: str) -> None:
    assert not loader_accepts(text)
    assert not schema_accepts(text)


def fields(section: Section, path: str) -> Iterator[tuple[str, Field]]:
    for field in section.fields:
        yield f"{path}.{field.name}".lstrip("."), field
        if isinstance(field.kind, Section):
            yield from fields(field.kind, f"{path}.{field.name}")


PLACES = [place for place, _ in fields(FILE, "")] + [
    f"flow.tasks[{index}].{name}.{place}"
    for index, name in enumerate(RUN_TASKS)
    for place, _ in fields(RUN_TASKS[name], "")
]
BASE = flow_text(
    UPSERT + "- salesforce_pubsubapi_publisher:\n    name: p\n    credentials_path: /c\n"
    "    topic: /event/E__e\n    payload: {A: 1}\n"
)
# Not `.nan` and `.inf`: JSON, and so its schema, knows no such numbers.
VALUES = st.one_of(
    st.sampled_from(
        ["", "~", "true", "yes", "0", "1", "-1", "5", "200", "201", "1.0", "0.5", "1e3",
         "x", "a.b", "crm.>", "crm.*.x", "a b", "'5'", "''", "10s", "0s", "1h 30m", "10 s", "s",
         "[]", "[x]", "[10s]", "[1s, 2]", "[x, ~]", "{}", "{a: 1}", "{from_event: true}",
         "{from_event: false}", "{from_event: true, a: 1}", "[{a: 1}]", "[{}]", "{name: x}",
         "{stream: x}", "{max_records: 3}", "{linger: 5}", "{daily_share: 2}", "upsert", "get",
         "create", "delete", "old", "work_queue", "'{{env.A}}'", "/event/X__e", "65.0", "[[x]]",
         "{name: s, subjects: x}", "{name: s, max_age: 1}", "99999999999999999999", "é"]
    ),
)  # fmt: skip


@given(st.dictionaries(st.sampled_from(PLACES), VALUES, min_size=1, max_size=3))
@settings(max_examples=400, deadline=None)
def test_schema_and_loader_agree_on_variations(overrides: dict[str, str]) -> None:
    reading = read(BASE, "f.yaml", overrides)
    if any(problem.code == "override.wrong" for problem in reading.problems):
        return
    root = reading.document.root
    assert root is not None
    refused = [p for p in reading.problems if p.code.startswith("schema.")]
    assert VALIDATOR.is_valid(root.plain()) is not bool(refused), (
        refused,
        [e.message for e in VALIDATOR.iter_errors(root.plain())],
    )


@pytest.mark.parametrize("place", PLACES)
def test_schema_and_loader_agree_on_every_field(place: str) -> None:
    for value in ("true", "x", "5", "10s", "[x]", "{a: 1}", "-3", "''", "0.25", "~"):
        reading = read(BASE, "f.yaml", {place: value})
        if any(problem.code == "override.wrong" for problem in reading.problems):
            continue
        assert reading.document.root is not None
        refused = [p for p in reading.problems if p.code.startswith("schema.")]
        accepted = VALIDATOR.is_valid(reading.document.root.plain())
        assert accepted is not bool(refused), (value, refused)


def test_every_field_is_described() -> None:
    for name, section in RUN_TASKS.items():
        for place, field in fields(section, ""):
            assert field.description.endswith("."), place
            entry = describe(f"flow.tasks[1].{name}.{place}")
            assert entry is not None
            assert entry.description == field.description


def test_every_example_is_accepted() -> None:
    def examples(section: Section) -> Iterator[tuple[Field, str]]:
        for _, field in fields(section, ""):
            if field.example and not isinstance(field.kind, (Section, Tasks)):
                yield field, field.example

    for section in (FILE, *RUN_TASKS.values()):
        for field, example in examples(section):
            document = Document(f"v: {example}", "f")
            reader = Reader(document)
            node = document.node("v")
            assert node is not None, (field.name, document.problems)
            field.kind.read(node, (field.name,), reader)
            assert reader.problems == [], (field.name, example)


def test_the_reference_page_is_up_to_date() -> None:
    page = (ROOT / "docs" / "flow-reference.md").read_text()
    assert page == reference(), "run: python -m workbench.flow.reference > docs/flow-reference.md"


def test_the_reference_names_every_field() -> None:
    page = reference()
    for section in (FILE.fields[0].kind, *RUN_TASKS.values()):
        assert isinstance(section, Section)
        for _, field in fields(section, ""):
            assert f"| `{field.name}` |" in page
    assert all(f"`{name}`" in page for name in KNOWN_TASKS)


def test_completion() -> None:
    assert [entry.name for entry in complete_keys("")] == ["flow"]
    assert "tasks" in [entry.name for entry in complete_keys("flow")]
    assert [entry.name for entry in complete_keys("flow.tasks[0]")][:3] == list(RUN_TASKS)
    task = "flow.tasks[1].salesforce_restapi_composite"
    assert "external_id_field" in [entry.name for entry in complete_keys(task)]
    assert [entry.name for entry in complete_keys(f"{task}.batch")] == [
        "max_records",
        "linger",
        "max_in_flight",
    ]
    assert complete_values(f"{task}.operation")[:2] == ["create", "get"]
    assert complete_values(f"{task}.all_or_none") == ["true", "false"]
    assert complete_keys(f"{task}.payload")[0].name == "from_event"
    assert complete_keys("flow.nothing") == []
    assert complete_values("flow.nothing.at.all") == []
    names = [entry.name for entry in complete_template()]
    assert {"event.data", "env", "record", "| upper"} <= set(names)
    assert "record" not in [entry.name for entry in complete_template("event")]


def test_describe() -> None:
    entry = describe("flow.tasks[0].nats_jetstream_subscriber.stream.discard")
    assert entry is not None
    assert entry.values == ("old", "new")
    task = describe("flow.tasks[0].log")
    assert task is not None
    assert "not run" in task.description
    assert describe("flow.nothing") is None
    assert describe("") is None
    assert isinstance(RUN_TASKS["nats_jetstream_subscriber"].fields[8].kind, ListOf)


def test_a_flow_written_from_its_settings_is_the_same_flow() -> None:
    for text in GOOD:
        flow = parse(text)
        again: Any = yaml.safe_load(text)
        again["flow"]["tasks"] = [{task.type: dict(task.settings)} for task in flow.tasks]
        assert parse(yaml.safe_dump(again)).tasks == flow.tasks
