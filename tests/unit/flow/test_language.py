"""What a flow may say, and the one sentence for each way to say it wrong."""

from __future__ import annotations

import dataclasses

import pytest

from tests.unit.flow.support import (
    SEEDS,
    UPSERT,
    bound,
    codes,
    composite,
    errors,
    flow_text,
    publisher,
)
from workbench.errors import FlowError, UsageError
from workbench.flow import (
    CompositeTask,
    KnownTask,
    PublisherTask,
    SubscriberTask,
    check,
    parse,
)
from workbench.flow.language import KNOWN_TASKS
from workbench.model import Event


@pytest.mark.parametrize("path", SEEDS, ids=lambda path: path.stem)
def test_the_seed_flows_load_unchanged_without_errors(path: object) -> None:
    text = path.read_text()  # type: ignore[attr-defined]
    assert errors(text) == []
    flow = parse(text, "seed.yaml").bind({"NATS_URL": "nats://n:1"})
    assert flow.is_bound
    assert flow.text == text
    assert flow.source.url == "nats://n:1"
    assert flow.source.backoff_seconds == (10, 30, 60, 300)
    assert flow.source.stream is not None
    assert flow.source.stream.max_age_seconds == 3600
    assert flow.source.stream.max_bytes == 2_147_483_648
    assert flow.leaves == (flow.tasks[1].name,)
    assert flow.sinks[0].depends_on == ("start_subscription",)


def test_the_composite_seed_says_what_it_says() -> None:
    task = bound(SEEDS[0].read_text(), {"NATS_URL": "x"}).sinks[0]
    assert isinstance(task, CompositeTask)
    assert (task.operation, task.sobject_type, task.external_id_field, task.all_or_none) == (
        "upsert",
        "Contact",
        "ExternalId__c",
        True,
    )
    assert task.settings["credentials_path"] == "/etc/sfdc/credentials.json"
    assert task.order_key is None


def test_defaults_are_the_products() -> None:
    flow = bound(flow_text())
    assert flow.source.url == "nats://localhost:4222"
    assert flow.source.durable_name == "test"
    assert flow.source.max_deliver == 5
    assert flow.source.backoff_seconds == (1, 10, 60, 300)
    assert flow.source.ack_timeout_seconds is None
    assert (flow.retry.max_attempts, flow.retry.initial_backoff_seconds) == (4, 0.5)
    batch = flow.sinks[0].batch
    assert (batch.max_records, batch.linger_seconds, batch.max_in_flight) == (200, 0.02, 8)
    assert (flow.failed.stream, flow.failed.pause_after) == ("workbench_failed", 20)
    assert flow.api_budget.daily_share is None


def test_our_own_settings_are_read() -> None:
    flow = """\
        api_version: 65.0
        api_budget: {}
        failed: {stream: "f_{{env.STAGE}}", max_age: 2w, replicas: 3, pause_after: 7}
        retry: {max_attempts: 2}
        labels: {team: crm}
        """
    flow_ = bound(flow_text(flow=flow), {"STAGE": "dev"})
    assert flow_.api_version == "65.0"
    assert flow_.api_budget.daily_share == 0.8
    assert flow_.failed.stream == "f_dev"
    assert flow_.failed.max_age_seconds == 14 * 86400
    assert flow_.sinks[0].retry.max_attempts == 2
    assert flow_.labels == {"team": "crm"}


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("500ms", 0.5), ("10s", 10), ("'1m'", 60), ("1h 30m", 5400), ("2d", 172800), ("1h30m", 5400)],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse(flow_text(source=f"ack_timeout: {text}")).source.ack_timeout_seconds == seconds


@pytest.mark.parametrize(
    ("text", "code", "fix"),
    [
        ("10", "schema.type", "10s"),
        ("0.5", "schema.type", "500ms"),
        (".nan", "schema.type", None),
        (".inf", "schema.type", None),
        ("-3", "schema.type", None),
        ("10x", "schema.value", None),
        ("0s", "schema.value", None),
        ("-1s", "schema.value", None),
        ("''", "schema.value", None),
        ("1s 2", "schema.value", None),
        ("[1s]", "schema.type", None),
    ],
)
def test_wrong_durations(text: str, code: str, fix: str | None) -> None:
    (problem,) = errors(flow_text(source=f"ack_timeout: {text}"))
    assert (problem.code, problem.fix) == (code, fix)


def test_all_problems_come_at_once_with_place_path_and_fix() -> None:
    text = flow_text(
        """\
        - salesforce_restapi_composit:
            name: a
        - salesforce_restapi_composite:
            nam: b
            name: source
            operation: upsrt
            all_or_none: yes
            sobject_type: Contact
            credentials_path: /c
            depends_on: [sorce]
            payload:
              A: "{{ evnt.data.x }}"
              B: "{{ event.data.x | uper }}"
        """,
        source="max_deliver: many\nbackof: [1s]\n",
    )
    with pytest.raises(FlowError) as raised:
        parse(text, "flows/x.yaml")
    found = [(p.line, p.code, p.fix) for p in raised.value.problems if p.severity == "error"]
    assert found == [
        (7, "schema.type", None),
        (8, "schema.unknown_key", "backoff"),
        (9, "schema.unknown_task", "salesforce_restapi_composite"),
        (12, "schema.unknown_key", "name"),
        (13, "graph.duplicate_name", "source_3"),
        (14, "schema.value", "upsert"),
        (15, "schema.type", "true"),
        (18, "graph.depends_on", "source"),
        (20, "template.unknown_name", '"{{ event.data.x }}"'),
        (21, "template.unknown_filter", '"{{ event.data.x | upper }}"'),
    ]
    assert "flows/x.yaml:8:9: error: " in str(raised.value)
    assert raised.value.problems[1].path == "flow.tasks[0].nats_jetstream_subscriber.backof"


@pytest.mark.parametrize("column_of", ["backof"])
def test_the_fix_of_an_unknown_key_replaces_the_key(column_of: str) -> None:
    text = flow_text(source="backof: [1s]\n")
    (problem,) = errors(text)
    line = text.splitlines()[problem.line - 1]
    assert line[problem.column - 1 :].startswith(column_of)


@pytest.mark.parametrize(
    ("file", "offered"),
    [("flows/a b.yaml", "a b"), ("<text>", "salesforce_composite_upsert_contact")],
)
def test_a_flow_without_a_name_is_offered_that_of_its_file(file: str, offered: str) -> None:
    text = flow_text().replace("  name:", "  labels:\n    name:", 1)
    problems = [p for p in check(text, file) if p.code == "schema.required"]
    assert [p.message for p in problems] == [f"'flow' needs 'name', as name: {offered}"]


@pytest.mark.parametrize("operation", ["create", "update", "upsert", "tree"])
def test_writing_needs_a_payload(operation: str) -> None:
    (problem,) = errors(composite(f"operation: {operation}\nexternal_id_field: X__c"))
    assert problem.code == "schema.required"
    assert "'payload'" in problem.message


def test_upsert_needs_its_external_id_field() -> None:
    (problem,) = errors(composite("operation: upsert\npayload: {from_event: true}"))
    assert "external_id_field" in problem.message
    assert problem.path.endswith(".operation")


def test_get_needs_ids_and_fields_and_delete_ids() -> None:
    assert len(errors(composite("operation: get"))) == 2
    assert len(errors(composite("operation: get\nfields: [Id]"))) == 1
    assert errors(composite("operation: get\nfields: Id, Name\nids: ['{{event.data.id}}']")) == []
    assert len(errors(composite("operation: delete"))) == 1
    assert errors(composite("operation: delete\npayload: {from_event: true}")) == []


def test_fields_are_a_list_or_joined_by_commas() -> None:
    task = bound(composite("operation: get\nids: x\nfields: Id, Name")).sinks[0]
    assert isinstance(task, CompositeTask)
    assert task.fields == ("Id", "Name")


@pytest.mark.parametrize(
    "payload",
    [
        "{}",
        "[]",
        "[{}]",
        "text",
        "5",
        "{from_event: false}",
        "{from_event: true, A: b}",
        "{A: .nan}",
        "[[{A: 1}]]",
    ],
)
def test_payloads_that_can_not_be(payload: str) -> None:
    assert errors(composite(f"operation: create\npayload: {payload}"))


def test_a_publisher_has_one_mapping() -> None:
    assert errors(publisher("payload: [{A: 1}]"))
    assert errors(publisher("payload: {A: '{{record.x}}'}"))[0].code == "template.unknown_name"
    task = bound(publisher("payload: {A: 1}")).sinks[0]
    assert isinstance(task, PublisherTask)
    assert task.endpoint == "api.pubsub.salesforce.com:7443"


@pytest.mark.parametrize("name", sorted(KNOWN_TASKS))
def test_tasks_of_the_family_are_known_and_not_run(name: str) -> None:
    text = flow_text(f"- {name}:\n    name: other\n    anything: [1, {{a: b}}]\n")
    assert errors(text) == []
    (problem,) = [p for p in check(text) if p.code == "task.not_run"]
    assert problem.severity == "warning"
    assert "known, but not run by workbench" in problem.message
    flow = parse(text)
    assert isinstance(flow.task("other"), KnownTask)
    with pytest.raises(FlowError, match="not run by workbench"):
        flow.bind({})


def test_keys_of_other_engines_are_accepted_and_told() -> None:
    text = flow_text(source="max_waiting: 5\n", flow="parallel_instances: 2\n")
    assert errors(text) == []
    assert codes(text).count("field.ignored") == 2


def test_the_graph() -> None:
    tasks = "".join(
        UPSERT.replace("name: upsert", f"name: {name}\n    depends_on: {on}")
        for name, on in [("a", "[source]"), ("b", "source"), ("c", "[a, b]")]
    )
    flow = parse(flow_text(tasks))
    assert [task.depends_on for task in flow.tasks] == [(), ("source",), ("source",), ("a", "b")]
    assert flow.leaves == ("c",)
    assert [task.name for task in flow.after("source")] == ["a", "b"]
    with pytest.raises(KeyError):
        flow.task("nobody")


@pytest.mark.parametrize(
    ("on", "said"),
    [
        ("[upsert]", "itself"),
        ("[later]", "comes later"),
        ("[nobody]", "no task 'nobody'"),
        ("[source, source]", "twice"),
    ],
)
def test_a_task_depends_on_earlier_tasks_only(on: str, said: str) -> None:
    first = UPSERT.replace("name: upsert", f"name: upsert\n    depends_on: {on}")
    later = UPSERT.replace("name: upsert", "name: later")
    (problem,) = errors(flow_text(first + later))
    assert problem.code == "graph.depends_on"
    assert said in problem.message


def test_the_first_task_and_only_the_first_is_a_source() -> None:
    first = "flow:\n  name: x\n  tasks:\n  - " + UPSERT.replace("\n", "\n  ")[2:]
    assert [p.code for p in errors(first)] == ["schema.source"]
    twice = flow_text("- nats_jetstream_subscriber:\n    name: b\n    subject: x\n")
    assert [p.code for p in errors(twice)] == ["schema.source"]
    alone = flow_text().split("    - salesforce")[0]
    assert [p.code for p in errors(alone)] == ["graph.no_sink"]
    assert "graph.source_depends" in codes(flow_text(source="depends_on: [upsert]\n"))


def test_stream_words_of_both_spellings() -> None:
    stream = "stream: {name: crm, subjects: crm.>, retention: work_queue}\n"
    found = parse(flow_text(source=stream)).source.stream
    assert found is not None
    assert (found.retention, found.subjects) == ("workqueue", ("crm.>",))


@pytest.mark.parametrize(
    "source",
    [
        "durable_name: a.b\n",
        "durable_name: a b\n",
        "stream: {name: 'a*'}\n",
        "stream: {name: x, subjects: ['a..b']}\n",
        "stream: {name: x, subjects: ['>.a']}\n",
        "stream: {}\n",
        "max_ack_pending: 0\n",
        "max_messages: 1.5\n",
        "max_messages: true\n",
        "url: 5\n",
        "stream: {name: x, max_age: '{{env.A}}'}\n",
        "durable_name: '{{event.data.x}}'\n",
        "retry: {max_attempts: 0}\n",
        "stream: [x]\n",
    ],
)
def test_settings_that_can_not_be(source: str) -> None:
    assert len(errors(flow_text(source=source))) == 1


def test_texts_fixed_per_run_may_use_env_only() -> None:
    text = flow_text(source='url: "{{ event.data.url }}"\n')
    (problem,) = errors(text)
    assert problem.code == "template.unknown_name"
    assert "can't be used here, only 'env'" in problem.message


def test_a_missing_variable_is_named_with_its_place() -> None:
    text = flow_text(source='url: "nats://{{env.HOST}}:{{env.PORT}}"\n')
    flow = parse(text, "f.yaml")
    with pytest.raises(FlowError) as raised:
        flow.bind({"PORT": "1"})
    assert "f.yaml:7:14" in str(raised.value)
    assert "HOST is not set" in str(raised.value)
    assert "PORT" not in str(raised.value)
    assert flow.bind({"HOST": "h", "PORT": "1"}).source.url == "nats://h:1"
    with pytest.raises(FlowError, match="FLAG is not set"):
        bound(composite("operation: create\npayload: {A: '{{env.FLAG}}'}"))
    with pytest.raises(FlowError, match="is empty"):
        bound(flow_text(source='url: "{{env.HOST}}"\n'), {"HOST": ""})


def test_a_variable_with_a_default_may_be_missing() -> None:
    text = flow_text(source="""url: "{{ env.URL | default('nats://d') }}"\n""")
    assert bound(text).source.url == "nats://d"
    assert bound(text, {"URL": "nats://e"}).source.url == "nats://e"


def test_a_flow_that_was_not_bound_does_not_render() -> None:
    with pytest.raises(UsageError):
        parse(flow_text()).sinks[0].render(Event("s", b""), {})


def test_flows_are_values() -> None:
    flow = parse(flow_text())
    assert flow == parse(flow_text())
    assert flow.digest == parse(flow_text()).digest != parse(flow_text() + "#").digest
    with pytest.raises(dataclasses.FrozenInstanceError):
        flow.name = "x"  # type: ignore[misc]
    assert isinstance(flow.tasks[0], SubscriberTask)
    changed = dataclasses.replace(flow.source, url="nats://other")
    assert changed.url == "nats://other"


def test_overrides_by_path_by_field_and_by_task() -> None:
    text = flow_text()
    flow = parse(
        text,
        overrides={
            "source.url": "nats://o",
            "flow.failed.pause_after": "3",
            "api_budget.daily_share": "0.5",
            "upsert.batch.max_records": "10",
            "upsert.order_by": "{{ record.A }}",
            "flow.tasks[1].salesforce_restapi_composite.sobject_type": "Lead",
        },
    )
    assert flow.source.url == "nats://o"
    assert flow.failed.pause_after == 3
    assert flow.api_budget.daily_share == 0.5
    assert flow.sinks[0].batch.max_records == 10
    assert flow.digest != parse(text).digest
    assert flow.sinks[0].settings["sobject_type"] == "Lead"


@pytest.mark.parametrize(
    ("path", "value", "code"),
    [
        ("nobody.url", "x", "override.wrong"),
        ("source.ulr", "x", "schema.unknown_key"),
        ("source.max_deliver", "x", "schema.type"),
        ("source.ack_timeout", "[", "schema.value"),
        ("source.stream", "{name: x, subject: y}", "schema.unknown_key"),
        ("flow.tasks[9].x", "1", "override.wrong"),
    ],
)
def test_overrides_are_checked_like_the_file(path: str, value: str, code: str) -> None:
    found = check(flow_text(), overrides={path: value})
    assert [p.code for p in found if p.severity == "error"] == [code]
