"""The field's traps: each is told, each says where, and none stops a flow from loading."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.flow.support import SEEDS, UPSERT, composite, errors, flow_text, publisher
from workbench.errors import Problem
from workbench.flow import FileFacts, check
from workbench.flow.traps import subject_covers

UPSERT_OF = "operation: upsert\nexternal_id_field: Ext__c\n"


def found(text: str, code: str, **more: Any) -> list[Problem]:
    problems = [problem for problem in check(text, "f.yaml", **more) if problem.code == code]
    assert all(problem.severity in ("warning", "info") for problem in problems)
    assert all(problem.line for problem in problems)
    assert errors(text) == []
    return problems


def stream(settings: str) -> str:
    return f"stream: {{name: crm, subjects: ['crm.>'], {settings}}}\n"


@pytest.mark.parametrize(
    ("steps", "max_deliver", "told", "refused"),
    [(4, 5, False, False), (4, 4, True, True), (4, 2, True, True), (4, -1, False, False)],
)
def test_backoff_steps_that_max_deliver_never_reaches(
    steps: int, max_deliver: int, told: bool, refused: bool
) -> None:
    text = flow_text(source=f"backoff: {['1s'] * steps}\nmax_deliver: {max_deliver}\n")
    assert bool(found(text, "trap.backoff_unreached")) is told
    assert bool(found(text, "trap.backoff_refused")) is refused


def test_which_servers_refuse_the_backoff() -> None:
    equal = flow_text(source="backoff: [1s, 2s]\nmax_deliver: 2\n")
    longer = flow_text(source="backoff: [1s, 2s]\nmax_deliver: 1\n")
    assert "servers before 2.11" in found(equal, "trap.backoff_refused")[0].message
    assert "any server" in found(longer, "trap.backoff_refused")[0].message


def test_a_backoff_that_would_override_ack_timeout_elsewhere() -> None:
    text = flow_text(source="backoff: [10s]\nack_timeout: 2m\n")
    (problem,) = found(text, "trap.backoff_overrides_ack_timeout")
    assert problem.path.endswith(".backoff")
    assert "10s" in problem.message
    assert "2m" in problem.message
    assert not found(flow_text(source="ack_timeout: 2m\n"), "trap.backoff_overrides_ack_timeout")


def test_a_stream_that_forgets_before_the_last_delivery() -> None:
    # Waits 10 + 30 + 60 + 300 s and five attempts of 120 s: 1000 s.
    source = "backoff: [10s, 30s, 1m, 5m]\nmax_deliver: 5\nack_timeout: 120s\n"
    assert not found(flow_text(source=source + stream("max_age: 1000s")), "trap.max_age")
    (problem,) = found(flow_text(source=source + stream("max_age: 999s")), "trap.max_age")
    assert problem.path.endswith(".stream.max_age")
    assert "16m 40s" in problem.message


def test_create_is_not_idempotent() -> None:
    for operation in ("create", "tree"):
        text = composite(f"operation: {operation}\npayload: {{from_event: true}}")
        assert found(text, "trap.create_not_idempotent")
    assert not found(flow_text(), "trap.create_not_idempotent")
    assert found(publisher("payload: {from_event: true}"), "trap.events_not_idempotent")


def test_all_or_none_with_more_than_one_request() -> None:
    text = flow_text(UPSERT + "    all_or_none: true\n")
    code = "trap.all_or_none_requests"
    assert found(text, code)[0].severity == "info"
    assert found(text, code, samples=[[{}] * 200]) == []
    assert found(text, code, samples=[[{}] * 201])[0].severity == "warning"
    assert "failed batch" in found(text, code, samples=[[{}] * 1001])[0].message
    small = text + "        batch: {max_records: 50}\n"
    assert found(small, code, samples=[[{}] * 51])[0].severity == "warning"
    assert not found(flow_text(), code)


def test_a_template_that_reads_what_no_captured_event_has() -> None:
    text = composite(
        UPSERT_OF + "payload: {Ext__c: '{{event.data.id}}', A: '{{ event.data.nmae | upper }}', "
        "B: '{{ event.data.opt | default(1) }}'}"
    )
    samples = [{"id": 1, "name": "x"}, {"id": 2}]
    (problem,) = found(text, "trap.field_unseen", samples=samples)
    assert problem.path.endswith(".payload.A")
    assert problem.fix == '"{{ event.data.name | upper }}"'
    assert not found(text, "trap.field_unseen")
    assert not found(text, "trap.field_unseen", samples=[*samples, {"nmae": 1}])
    each = composite(UPSERT_OF + "payload: {Ext__c: '{{record.id}}', A: '{{record.x.y}}'}")
    (problem,) = found(each, "trap.field_unseen", samples=[[{"id": 1, "x": {}}]])
    assert problem.path.endswith(".payload.A")


def test_later_tasks_are_not_compared_with_the_captured_events() -> None:
    second = UPSERT.replace("name: upsert", "name: second").replace(
        "{from_event: true}", "{Ext__c: '{{event.data.id}}'}"
    )
    assert not found(flow_text(UPSERT + second), "trap.field_unseen", samples=[{"other": 1}])


@pytest.mark.parametrize(
    ("facts", "code"),
    [
        (FileFacts(is_readable_by_others=True), "trap.credentials_readable"),
        (FileFacts(login="username_password"), "trap.username_password_login"),
        (FileFacts(exists=False), "trap.credentials_missing"),
    ],
)
def test_what_is_wrong_with_a_credentials_file(facts: FileFacts, code: str) -> None:
    (problem,) = found(flow_text(), code, file_facts={"/etc/sfdc.json": facts})
    assert problem.path.endswith(".credentials_path")
    for login in ("client_credentials", "jwt_bearer", None):
        good = {"/etc/sfdc.json": FileFacts(login=login)}
        assert not found(flow_text(), code, file_facts=good)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (flow_text(source="stream: {name: x, subjects: [other.>]}\n"),
         "trap.subject_outside_stream"),
        (flow_text(source=stream("max_age: 1m, duplicate_window: 2m")), "trap.duplicate_window"),
        (flow_text(source="max_ack_pending: 5\nmax_messages: 10\n"), "trap.max_ack_pending"),
        (flow_text(source="max_ack_pending: 5\n"), "trap.max_ack_pending"),
        (flow_text(source="url: nats://me:secret@host\n"), "trap.secret_in_file"),
        (flow_text(UPSERT + "    batch: {linger: 1m}\n", source="ack_timeout: 10s"),
         "trap.linger"),
        (composite("operation: upsert\nexternal_id_field: Id\npayload: {from_event: true}"),
         "trap.upsert_by_id"),
        (composite(UPSERT_OF + "payload: {A: 1}"), "trap.key_missing"),
        (composite("operation: update\npayload: [{Id: 1}, {A: 1}]"), "trap.key_missing"),
        (composite(UPSERT_OF + "payload: {EXT__C: 1, ID: x}"), "trap.id_in_upsert"),
        (composite("operation: create\npayload: {A: 1}\nids: [x]"), "trap.unused_setting"),
        (composite("operation: delete\nids: [x]\nfields: [Id]"), "trap.unused_setting"),
        (composite("operation: delete\nids: [x]\npayload: {Id: x}"), "trap.unused_setting"),
        (composite("operation: tree\npayload: {A: 1}\nall_or_none: true"), "trap.unused_setting"),
    ],
    ids=lambda value: value if value.startswith("trap") else "",
)  # fmt: skip
def test_other_traps(text: str, code: str) -> None:
    assert len(found(text, code)) == 1
    assert not found(flow_text(), code)


def test_no_message_holds_a_password() -> None:
    text = flow_text(source="url: nats://me:secret@host\n")
    assert not any("secret" in str(problem) for problem in check(text))


def test_traps_are_told_beside_errors() -> None:
    text = flow_text(UPSERT.replace("upsert\n", "create\n", 1), source="backof: 1\n")
    text = text.replace("operation: upsert", "operation: create")
    codes = [problem.code for problem in check(text)]
    assert "schema.unknown_key" in codes
    assert "trap.create_not_idempotent" in codes


@pytest.mark.parametrize("path", SEEDS, ids=lambda path: path.stem)
def test_the_seeds_have_no_warning_of_their_own(path: Any) -> None:
    assert [p for p in check(path.read_text()) if p.severity != "info"] == []


@pytest.mark.parametrize(
    ("pattern", "subject", "covers"),
    [
        ("crm.>", "crm.a.b", True),
        ("crm.>", "crm", False),
        ("crm.*", "crm.a", True),
        ("crm.*", "crm.a.b", False),
        ("crm.*", "crm.>", False),
        ("crm.a", "crm.*", False),
        ("*.a", "*.a", True),
        (">", "x.>", True),
        ("crm.a", "crm.a", True),
    ],
)
def test_subjects(pattern: str, subject: str, covers: bool) -> None:
    assert subject_covers(pattern, subject) is covers
