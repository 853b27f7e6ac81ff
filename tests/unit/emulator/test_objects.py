"""Declarations of objects and events."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench.emulator.objects import DeclarationError, Schema, load_schema


def load(tmp_path: Path, text: str) -> Schema:
    path = tmp_path / "objects.yaml"
    path.write_text(text)
    return load_schema(path)


def test_the_standard_org_has_what_the_seed_flows_need() -> None:
    schema = load_schema()
    for name in ("Account", "Contact", "Lead", "Opportunity", "Case"):
        key = schema.objects[name].fields["ExternalId__c"]
        assert (key.external_id, key.unique, key.case_sensitive) == (True, True, False)
    order = schema.events["OrderStatus__e"]
    assert order.topic == "/event/OrderStatus__e"
    assert [(f.name, f.type) for f in order.fields] == [
        ("Order_ID__c", "text"),
        ("Status__c", "text"),
        ("Timestamp__c", "datetime"),
    ]


def test_a_file_adds_objects_and_extends_those_that_are_there(tmp_path: Path) -> None:
    schema = load(
        tmp_path,
        """
        objects:
          Contact: {fields: {Tier__c: {type: picklist, values: [A, B]}}}
          Invoice__c:
            fields:
              Contact__c: {type: lookup, reference_to: Contact}
            validation_rules:
              - {when: {field: Name, is: blank}, message: no name}
          Line__c: {}
        events:
          Shipped__e: {fields: {Order__c: {}}}
          OrderStatus__e: {fields: {Carrier__c: {}}}
    """,
    )
    contact = schema.objects["Contact"]
    assert contact.find("tier__C") is contact.fields["Tier__c"]
    assert "LastName" in contact.fields
    invoice = schema.objects["Invoice__c"]
    assert (invoice.key_prefix, schema.objects["Line__c"].key_prefix) == ("a00", "a01")
    assert invoice.find_relationship("contact__r") is invoice.fields["Contact__c"]
    assert invoice.validation_rules[0].message == "no name"
    assert [f.name for f in schema.events["OrderStatus__e"].fields][-1] == "Carrier__c"
    assert schema.find("INVOICE__C") is invoice


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[]", "objects.yaml: the file: it must be a mapping"),
        ("a: [", "is not YAML"),
        ("object: {}", "unknown key 'object'"),
        ("objects: {X__c: {field: {}}}", "objects.X__c: unknown key 'field'"),
        ("objects: {X__c: {fields: {A: {type: texts}}}}", "unknown type 'texts'"),
        ("objects: {X__c: {fields: {A: {lenght: 5}}}}", "unknown key 'lenght'"),
        ("objects: {X__c: {fields: {A: {length: long}}}}", "length must be a whole number"),
        ("objects: {X__c: {fields: {A: {type: lookup}}}}", "needs reference_to"),
        ("objects: {X__c: {fields: {A: {type: lookup, reference_to: Y}}}}", "refers to Y"),
        (
            "objects: {X__c: {validation_rules: [{when: {field: A, is: blank}}]}}",
            "objects.X__c.validation_rules[0]: there is no field 'A'",
        ),
        ("objects: {'X-c': {}}", "letters, digits and underscores"),
        ("events: {Shipped: {}}", "ends in __e"),
        ("events: {X__e: {fields: {A: {type: currency}}}}", "an event has no currency fields"),
    ],
)
def test_a_mistake_is_named_with_its_place(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(DeclarationError) as caught:
        load(tmp_path, text)
    assert words in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DeclarationError, match="cannot be read"):
        load_schema(tmp_path / "none.yaml")
