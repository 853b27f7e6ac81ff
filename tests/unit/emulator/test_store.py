"""The store takes back exactly what a transaction did."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from workbench.emulator.objects import load_schema
from workbench.emulator.rules import DuplicateRule
from workbench.emulator.store import Store, Table

SCHEMA = load_schema()
CONTACT = SCHEMA.objects["Contact"]
KEYS = st.sampled_from(["a", "A", "b", "c", None])
STEPS = st.lists(st.tuples(st.sampled_from(["put", "delete"]), st.integers(0, 5), KEYS))


def row(number: int, key: str | None) -> dict[str, Any]:
    made: dict[str, Any] = {"Id": f"003WB000000000{number}", "LastName": str(number)}
    if key is not None:
        made |= {"ExternalId__c": key, "Email": f"{key}@example.com"}
    return made


def run(store: Store, table: Table, steps: list[tuple[str, int, str | None]]) -> None:
    for verb, number, key in steps:
        made = row(number, key)
        if verb == "put":
            store.put(table, made["Id"], made)
        elif made["Id"] in table.rows:
            store.delete(table, made["Id"], made)


def picture(table: Table) -> Any:
    """Everything that can be asked of a table, the order of rows aside."""
    rule = table.kind.duplicate_rules[0]
    found = {key: sorted(table.find("ExternalId__c", key)) for key in ("a", "B", "c")}
    twins = {i: sorted(table.duplicates(rule, r)) for i, r in table.rows.items()}
    return dict(table.rows), dict(table.bin), found, twins


def expected_keys(table: Table) -> dict[str, list[str]]:
    """The index, worked out from the rows."""
    return {
        key: sorted(
            i for i, r in table.rows.items() if (r.get("ExternalId__c") or "").casefold() == key
        )
        for key in ("a", "b", "c")
    }


def made_store() -> tuple[Store, Table]:
    CONTACT.duplicate_rules[:] = [DuplicateRule.parse({"match": ["Email"]}, CONTACT.find)]
    store = Store(SCHEMA)
    return store, store.tables["Contact"]


@given(before=STEPS, inside=STEPS, nested=STEPS)
def test_a_rollback_leaves_no_trace(before: Any, inside: Any, nested: Any) -> None:
    store, table = made_store()
    run(store, table, before)
    picture_before = picture(table)
    bin_before = dict(table.bin)
    with store.transaction() as transaction:
        run(store, table, inside)
        with store.transaction():
            run(store, table, nested)
        transaction.roll_back()
    rows, kept_bin, found, twins = picture(table)
    assert (rows, found, twins) == (picture_before[0], picture_before[2], picture_before[3])
    assert set(kept_bin) <= set(bin_before)


@given(before=STEPS, nested=STEPS, after=STEPS)
def test_an_inner_rollback_keeps_the_outer_work(before: Any, nested: Any, after: Any) -> None:
    store, table = made_store()
    with store.transaction():
        run(store, table, before)
        kept = dict(table.rows)
        with store.transaction() as inner:
            run(store, table, nested)
            inner.roll_back()
        assert table.rows == kept
        run(store, table, after)
    assert {k: sorted(table.find("ExternalId__c", k)) for k in ("a", "b", "c")} == (
        expected_keys(table)
    )


def test_an_exception_rolls_back() -> None:
    store, table = made_store()
    try:
        with store.transaction():
            run(store, table, [("put", 1, "a")])
            raise ValueError
    except ValueError:
        pass
    assert table.rows == {}
