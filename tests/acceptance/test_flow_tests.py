"""`workbench test`: cases beside a flow, some of them made of failed batches."""

from __future__ import annotations

import json
from pathlib import Path

from tests.acceptance.conftest import COMPOSITE_FLOW, Start

CASES = """
cases:
  - name: a contact is written by its external id
    event:
      data: {ExternalId__c: c1, LastName: Berg}
    requests:
      - task: upsert_contacts
        method: PATCH
        path: /services/data/v60.0/composite/sobjects/Contact/ExternalId__c
        body:
          allOrNone: false
          records: [{attributes: {type: Contact}, ExternalId__c: c1, LastName: Berg}]
    outcomes: {upsert_contacts: [written]}
    rows: {Contact: [{ExternalId__c: c1, LastName: Berg}]}

  - name: one without a last name is refused
    event:
      data: {ExternalId__c: c2}
    outcomes: {upsert_contacts: [refused REQUIRED_FIELD_MISSING LastName]}
    rows: {Contact: []}

  - name: a rule of the org refuses it
    event:
      data: {ExternalId__c: c3, LastName: Dal}
    sandbox:
      rules:
        - object: Contact
          validation_rules:
            - {name: title, when: {field: Title, is: blank}, message: No title., field: Title}
    outcomes: {upsert_contacts: [refused FIELD_CUSTOM_VALIDATION_EXCEPTION Title]}

  - name: a lock is waited out
    event:
      data: {ExternalId__c: c4, LastName: Dal}
    sandbox: {faults: ["lock:1.0"]}
    outcomes: {upsert_contacts: [deferred UNABLE_TO_LOCK_ROW]}

  - name: an event that is no JSON does not stop the flow
    event: {text: "{oops"}
    requests: []
    outcomes: {upsert_contacts: [unfit]}

  - name: the answer of a real org, without asking one
    event:
      data: [{ExternalId__c: c5, LastName: Dal}, {ExternalId__c: c6, LastName: Dal}]
    answers:
      upsert_contacts:
        - body:
            - {id: 003000000000001AAA, success: true, errors: []}
            - success: false
              errors: [{statusCode: ENTITY_IS_LOCKED, message: in approval, fields: []}]
    outcomes: {upsert_contacts: [rolled_back, deferred ENTITY_IS_LOCKED]}
"""


def flow_with(tmp_path: Path, cases: str) -> Path:
    flow = tmp_path / "flows" / "contacts.yaml"
    flow.parent.mkdir()
    flow.write_text(COMPOSITE_FLOW.read_text())
    flow.with_suffix(".test.yaml").write_text(cases)
    return flow


def test_cases_that_hold(start: Start, tmp_path: Path) -> None:
    flow = flow_with(tmp_path, CASES)
    done = start("test", flow)
    assert done.wait() == 0, done.report()
    assert done.lines[-1] == "6 of 6 cases hold"
    one = start("test", flow, "-k", "real org", "--format", "json")
    assert one.wait() == 0, one.report()
    assert json.loads(one.lines[0])["is_passed"] is True


def test_a_difference_can_be_read(start: Start, tmp_path: Path) -> None:
    flow = flow_with(
        tmp_path,
        CASES.replace("ExternalId__c: c1, LastName: Berg}]\n", "ExternalId__c: c1, LastName: B}]\n")
        .replace("REQUIRED_FIELD_MISSING LastName", "REQUIRED_FIELD_MISSING Email")
        .replace("{Contact: [{ExternalId__c: c1, LastName: Berg}]}", "{Contact: [{LastName: X}]}"),
    )
    done = start("test", flow)
    assert done.wait() == 1
    said = "\n".join(done.lines)
    assert 'request 1: - body/records/0/LastName: "B"' in said
    assert 'request 1: + body/records/0/LastName: "Berg"' in said
    assert "record 1: - refused REQUIRED_FIELD_MISSING Email" in said
    assert "record 1: + refused REQUIRED_FIELD_MISSING LastName" in said
    assert 'Contact: - {"LastName":"X"}' in said
    assert "4 of 6 cases hold" in said


def test_what_is_no_case_is_told(start: Start, tmp_path: Path) -> None:
    flow = flow_with(tmp_path, "cases:\n  - name: x\n    evnt: {data: 1}\n")
    wrong = start("test", flow)
    assert wrong.wait() == 2
    assert "unknown key 'evnt'" in wrong.errors[-1]
    for case, said in (
        ("outcomes: {upsert_contacts: written}", "outcomes: it must be a list of texts"),
        ("requests: [1]", "requests: it must be a list of mappings"),
        ("outcomes: {nowhere: [written]}", "names task 'nowhere'"),
        (
            "answers: {upsert_contacts: []}\n    sandbox: {faults: [expire]}",
            "the sandbox is never asked",
        ),
        ("answers: {upsert_contacts: []}", "more requests leave than the case has answers for"),
    ):
        event = "cases:\n  - name: x\n    event: {data: {ExternalId__c: a, LastName: b}}\n"
        flow.with_suffix(".test.yaml").write_text(f"{event}    {case}\n")
        wrong = start("test", flow, "-k", "x")
        assert wrong.wait() in (1, 2)
        assert said in wrong.report()
        assert "a bug of workbench" not in wrong.report()
    flow.with_suffix(".test.yaml").unlink()
    none = start("test", flow)
    assert none.wait() == 1
    assert "has no cases" in none.errors[-1]
