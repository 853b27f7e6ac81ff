"""What is published is what subscribers receive, event by event and field by field."""

from __future__ import annotations

import asyncio
import json
import time

import pytest

from workbench.model import Refused, Written

from .conftest import TOPIC, Org, batch_of, is_written, orders, summary

USER = "005WB0000000001YAA"


async def test_every_field_comes_back_as_it_was_given(org: Org) -> None:
    org.topics.declare(
        "Every__e",
        [
            ("Text__c", "text"),
            ("Long__c", "textarea"),
            ("Number__c", "number"),
            ("Box__c", "boolean"),
            ("When__c", "datetime"),
            ("Day__c", "date"),
            ("Hour__c", "time"),
        ],
    )
    sink = await org.open("/event/Every__e")
    given = [
        {"Text__c": "Ærø 日本 🚚", "Long__c": "x" * 100_000, "Number__c": -0.1, "Box__c": True},
        {"Text__c": "", "Number__c": 35, "Box__c": False, "When__c": 1_700_000_000_550},
        {"When__c": "2026-11-23T10:30:00.250+01:00", "Day__c": "2026-11-23", "Hour__c": "09:30Z"},
        {"Text__c": None, "CreatedDate": 1_600_000_000_000, "CreatedById": "005000000000001AAA"},
        {},
    ]
    before = time.time_ns() // 1_000_000
    answer = await sink.write(batch_of(given))
    after = time.time_ns() // 1_000_000
    assert is_written(answer)
    got = await org.subscribed(len(given), "/event/Every__e")
    names = [column.name for column in sink.schema.columns] if sink.schema else []
    expected = [{**dict.fromkeys(names), "CreatedById": USER, **record} for record in given]
    expected[2] |= {
        "When__c": 1_795_426_200_250,
        "Day__c": 1_795_392_000_000,
        "Hour__c": 34_200_000,
    }
    for (event, fields), wanted, outcome in zip(got, expected, answer.outcomes, strict=True):
        if "CreatedDate" not in wanted or wanted["CreatedDate"] is None:
            assert before <= fields["CreatedDate"] <= after
            wanted["CreatedDate"] = fields["CreatedDate"]
        assert fields == wanted
        assert isinstance(outcome, Written)
        assert event.event.id == outcome.id
        assert event.replay_id.hex() == outcome.data["replay_id"]


async def test_what_one_event_holds_wrong_is_its_own_fault(org: Org) -> None:
    sink = await org.open()
    given = [
        {"Order_ID__c": "first"},
        {"order_id__c": "x"},
        {"Order_ID__c": 7},
        {"Timestamp__c": "yesterday", "Status__c": True},
        {"Order_ID__c": "x" * 1_048_577},
        {"CreatedDate": 1_700_000_000},
        {"Order_ID__c": "last"},
    ]
    answer = await sink.write(batch_of(given))
    assert summary(answer) == [
        "Written",
        "Refused INVALID_FIELD",
        "Refused INVALID_TYPE_ON_FIELD_IN_RECORD",
        "Refused INVALID_TYPE_ON_FIELD_IN_RECORD",
        "Refused EVENT_TOO_LARGE",
        "Refused NUMBER_OUTSIDE_VALID_RANGE",
        "Written",
    ]
    refused = [outcome for outcome in answer.outcomes if isinstance(outcome, Refused)]
    assert [outcome.fields for outcome in refused] == [
        ("order_id__c",),
        ("Order_ID__c",),
        ("Status__c", "Timestamp__c"),
        (),
        ("CreatedDate",),
    ]
    assert "did you mean 'Order_ID__c'" in refused[0].message
    assert "1048609 bytes" in refused[3].message
    assert not any(outcome.is_request_fault for outcome in refused)
    assert org.on_bus() == ["first", "last"]


async def test_an_unknown_field_in_every_event_is_the_flows_fault(org: Org) -> None:
    sink = await org.open()
    answer = await sink.write(batch_of([{"Nope__c": 1}] * 3))
    assert summary(answer) == ["Refused INVALID_FIELD"] * 3
    assert all(isinstance(o, Refused) and o.is_request_fault for o in answer.outcomes)
    assert answer.exchange is None


async def test_a_batch_above_three_megabytes_goes_in_several_requests(org: Org) -> None:
    sink = await org.open()
    given = [{"Order_ID__c": str(n), "Status__c": "x" * 900_000} for n in range(10)]
    answer = await sink.write(batch_of(given))
    assert is_written(answer)
    assert sorted(org.on_bus(), key=int) == [str(n) for n in range(10)]
    org.fault("pubsub-status:INVALID_ARGUMENT,count=1")
    answer = await sink.write(batch_of(given))
    words = summary(answer)
    assert words.count("Refused INVALID_ARGUMENT") == 3  # one request of the four
    assert words.count("Written") == 7


async def test_many_requests_are_in_flight_on_one_stream(org: Org) -> None:
    sink = await org.open()
    await sink.write(batch_of(orders(1)))
    org.fault("pubsub-latency:200ms,path=PublishStream")
    started = time.perf_counter()
    answers = await asyncio.gather(
        *(sink.write(batch_of(orders(100, start=1 + 100 * n))) for n in range(8))
    )
    assert time.perf_counter() - started < 0.8
    assert all(map(is_written, answers))
    assert org.on_bus() == [str(n) for n in range(801)]


async def test_the_exchange_shows_what_left_and_what_came_back(org: Org) -> None:
    sink = await org.open()
    org.fault("pubsub-event:SOME_REASON,after=1,count=1")
    answer = await sink.write(batch_of(orders(3)))
    assert summary(answer) == ["Written", "Refused SOME_REASON", "Written"]
    exchange = answer.exchange
    assert exchange is not None
    assert (exchange.method, exchange.target) == (
        "PublishStream",
        "/eventbus.v1.PubSub/PublishStream",
    )
    assert exchange.status == 200
    assert exchange.request_body.count(b"Order_ID__c") == 3
    assert b"SOME_REASON: the event was refused" in exchange.response_body
    assert [bool(result["success"]) for result in answer.results] == [True, False, True]


async def test_preview_is_pure_and_knows_sizes_once_the_sink_is_open(org: Org) -> None:
    sink = org.sink()
    before = sink.request_of(batch_of(orders(1)))
    assert json.loads(before.body) == {
        "topic_name": TOPIC,
        "events": [{"fields": {"Order_ID__c": "0"}}],
    }
    await sink.open()
    shown = sink.request_of(batch_of([{"Order_ID__c": "1"}, {"Order_ID__c": 1}]))
    assert b'"size_bytes":30' in shown.body
    assert b'"problem":"INVALID_TYPE_ON_FIELD_IN_RECORD: Order_ID__c:' in shown.body
    assert org.on_bus() == []


@pytest.mark.parametrize("count", [1, 200])
async def test_tls_on_loopback_with_the_ca_of_the_credentials(org: Org, count: int) -> None:
    emulator = org.emulator
    sink = await org.open(
        endpoint=f"https://{emulator.pubsub_tls_address}", ca=str(emulator.ca_file)
    )
    assert is_written(await sink.write(batch_of(orders(count))))
    assert len(org.on_bus(TOPIC)) == count
