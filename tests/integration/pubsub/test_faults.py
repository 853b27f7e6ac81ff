"""Every trouble the emulator can make, and what becomes of the events in it: no fault loses one,
and none is called what it is not."""

from __future__ import annotations

import asyncio
import time

import pytest

from workbench.errors import AuthorizationError, RequestLimitError, ServerError
from workbench.model import Answer, Cause, Deferred, Unknown, Written
from workbench.salesforce import pubsub

from .conftest import TOPIC, Org, batch_of, is_written, orders, summary


async def write_all(sink: pubsub.PublisherSink, requests: int, size: int = 10) -> list[Answer]:
    """Ten events a request, all requests at once, numbered through."""
    return await asyncio.gather(
        *(sink.write(batch_of(orders(size, start=size * n))) for n in range(requests))
    )


def written(answers: list[Answer], size: int = 10) -> list[str]:
    """The numbers of the events that are called written."""
    return [
        str(size * number + place)
        for number, answer in enumerate(answers)
        for place, outcome in enumerate(answer.outcomes)
        if type(outcome) is Written
    ]


@pytest.mark.parametrize(
    ("status", "word", "cause"),
    [
        ("RESOURCE_EXHAUSTED", "service.protection.triggered", Cause.CONTENTION),
        ("UNAVAILABLE", "service.unavailable", Cause.OUTAGE),
        ("INTERNAL", "service.unavailable", Cause.OUTAGE),
    ],
)
async def test_a_refusal_by_the_service_puts_the_events_off(
    org: Org, status: str, word: str, cause: Cause
) -> None:
    sink = await org.open()
    org.fault(f"pubsub-status:{status},count=1")
    answer = await sink.write(batch_of(orders(2)))
    assert summary(answer) == [f"Deferred {word}"] * 2
    assert all(isinstance(o, Deferred) and o.cause is cause for o in answer.outcomes)
    assert answer.exchange is not None
    assert answer.exchange.status is None
    assert status in (answer.exchange.error or "")
    assert org.on_bus() == []
    assert is_written(await sink.write(batch_of(orders(2))))
    assert org.on_bus() == ["0", "1"]


async def test_a_refusal_in_mid_stream_spares_what_was_answered_and_proves_the_rest(
    org: Org,
) -> None:
    sink = await org.open()
    org.fault("pubsub-status:RESOURCE_EXHAUSTED,after=4,count=1,path=PublishStream")
    answers = await write_all(sink, 8)
    assert sorted(written(answers)) == sorted(org.on_bus())
    assert 40 <= len(org.on_bus()) < 80
    assert {word for answer in answers for word in summary(answer)} == {
        "Written",
        "Deferred service.protection.triggered",
    }


async def test_a_wrong_request_takes_no_neighbour_along(org: Org) -> None:
    sink = await org.open()
    org.fault("pubsub-status:INVALID_ARGUMENT,after=2,count=1,path=PublishStream")
    answers = await write_all(sink, 8)
    assert sorted(written(answers)) == sorted(org.on_bus())
    assert len(org.on_bus()) == 70
    assert [summary(a)[0] for a in answers].count("Refused INVALID_ARGUMENT") == 1


async def test_a_token_that_expires_in_mid_stream_costs_one_login_and_nothing_else(
    org: Org,
) -> None:
    sink = await org.open()
    await sink.write(batch_of([]))
    before = org.emulator.org.sessions.issued
    org.fault("pubsub-expire,after=5,path=PublishStream")
    answers = await write_all(sink, 20)
    assert all(map(is_written, answers))
    assert sorted(org.on_bus(), key=int) == [str(n) for n in range(200)]
    assert org.emulator.org.sessions.issued == before + 1


async def test_a_token_that_expired_while_nothing_was_sent(org: Org) -> None:
    sink = await org.open(idle_seconds=0.0)
    org.emulator.org.sessions.expire_all()
    assert is_written(await sink.write(batch_of(orders(1))))


async def test_a_session_that_is_refused_again_and_again_is_put_off_as_an_outage(org: Org) -> None:
    sink = await org.open()
    org.fault("pubsub-status:UNAUTHENTICATED,path=PublishStream")
    answer = await sink.write(batch_of(orders(1)))
    assert summary(answer) == ["Deferred service.auth.error"]


@pytest.mark.parametrize(("fault", "count"), [("pubsub-reset", 0), ("pubsub-drop", 10)])
async def test_a_cut_stream_leaves_what_was_in_flight_unknown(
    org: Org, fault: str, count: int
) -> None:
    sink = await org.open()
    await sink.write(batch_of(orders(1, start=1000)))
    org.fault(f"{fault},count=1,path=PublishStream")
    [answer] = await write_all(sink, 1)
    assert summary(answer) == ["Unknown UNAVAILABLE"] * 10
    assert len(org.on_bus()) == 1 + count
    assert is_written(await sink.write(batch_of(orders(1))))


@pytest.mark.parametrize("method", ["GetTopic", "GetSchema"])
async def test_an_inquiry_that_is_cut_leaves_no_event_in_doubt(org: Org, method: str) -> None:
    sink = org.sink(idle_seconds=0.0)
    org.fault(f"pubsub-reset,count=1,path={method}")
    assert summary(await sink.write(batch_of(orders(2)))) == ["Unsent NOT_SENT"] * 2
    assert is_written(await sink.write(batch_of(orders(2))))
    assert org.on_bus() == ["0", "1"]


async def test_under_load_a_cut_stream_calls_nothing_written_that_is_not(org: Org) -> None:
    sink = await org.open()
    org.fault("pubsub-drop,every=7,path=PublishStream")
    answers = await write_all(sink, 40)
    assert set(written(answers)) <= set(org.on_bus())
    assert len(set(org.on_bus())) == len(org.on_bus())
    for number, answer in enumerate(answers):
        for place, outcome in enumerate(answer.outcomes):
            if not isinstance(outcome, Written | Unknown):
                assert str(10 * number + place) not in org.on_bus()


@pytest.mark.parametrize("seed", range(3))
async def test_in_all_kinds_of_trouble_at_once_no_outcome_is_untrue(org: Org, seed: int) -> None:
    sink = await org.open()
    for fault in (
        f"pubsub-drop:0.05,path=PublishStream,seed={seed}",
        f"pubsub-reset:0.05,path=PublishStream,seed={seed + 1}",
        f"pubsub-status:RESOURCE_EXHAUSTED:0.05,path=PublishStream,seed={seed + 2}",
        f"pubsub-status:INVALID_ARGUMENT:0.02,path=PublishStream,seed={seed + 3}",
        f"pubsub-event:0.02,seed={seed + 4}",
        f"pubsub-latency:0ms-20ms:0.3,path=PublishStream,seed={seed + 5}",
        "pubsub-expire,every=23,path=PublishStream,count=8",
        "pubsub-schema,every=11,path=PublishStream,count=5",
    ):
        org.fault(fault)
    room = asyncio.Semaphore(8)

    async def write(number: int) -> Answer:
        async with room:
            return await sink.write(batch_of(orders(10, start=10 * number)))

    answers = await asyncio.gather(*(write(number) for number in range(150)))
    bus = org.on_bus()
    assert len(bus) == len(set(bus))
    outcomes = [outcome for answer in answers for outcome in answer.outcomes]
    for number, outcome in enumerate(outcomes):
        if not isinstance(outcome, Unknown):
            assert isinstance(outcome, Written) == (str(number) in bus), (number, outcome)
    # How many get through depends on what flew together; a few hundred each make the check above
    # mean something.
    assert sum(isinstance(outcome, Written) for outcome in outcomes) > 300


async def test_late_answers_are_matched_by_their_ids(org: Org) -> None:
    sink = await org.open()
    await sink.write(batch_of(orders(1, start=1000)))
    org.fault("pubsub-late:50ms,every=3")
    org.fault("pubsub-event:SOME_REASON,every=10")  # in each request another event
    answers = await write_all(sink, 12, size=7)
    assert sorted(written(answers, size=7)) == sorted(org.on_bus()[1:])
    assert sum(word.startswith("Refused") for a in answers for word in summary(a)) == 8


async def test_answers_out_of_order_make_a_later_refusal_prove_nothing(org: Org) -> None:
    sink = await org.open()
    await sink.write(batch_of(orders(1, start=1000)))
    org.fault("pubsub-late:100ms,count=1")
    org.fault("pubsub-expire,after=4,path=PublishStream")
    answers = await write_all(sink, 8)
    assert set(written(answers)) <= set(org.on_bus())
    words = [summary(answer)[0] for answer in answers]
    assert words[0] == "Unknown service.auth.error"  # published, and its answer was overtaken
    assert len(org.on_bus()) == len(set(org.on_bus()))


async def test_a_deaf_stream_is_given_up_and_replaced(org: Org) -> None:
    sink = await org.open(answer_seconds=0.3)
    await sink.write(batch_of(orders(1)))
    org.fault("pubsub-stall,count=1,path=PublishStream")
    started = time.perf_counter()
    answer = await sink.write(batch_of(orders(1, start=1)))
    assert summary(answer) == ["Unknown NO_ANSWER"]
    assert time.perf_counter() - started < 2
    assert is_written(await sink.write(batch_of(orders(1, start=2))))
    assert org.on_bus() == ["0", "2"]


async def test_doubled_events_are_written_once_as_far_as_we_are_concerned(org: Org) -> None:
    sink = await org.open()
    org.fault("pubsub-double,count=1")
    assert is_written(await sink.write(batch_of(orders(2))))
    assert org.on_bus() == ["0", "1", "0", "1"]


async def test_a_schema_that_changes_under_way_is_taken_up(org: Org) -> None:
    sink = await org.open()
    org.fault("pubsub-schema,after=1,path=PublishStream")
    old = sink.schema
    for number in range(3):
        assert is_written(await sink.write(batch_of(orders(1, start=number))))
    assert old is not None
    assert sink.schema is not None
    assert sink.schema.id != old.id
    assert is_written(await sink.write(batch_of([{"Order_ID__c": "3", "Added1__c": "new"}])))
    got = await org.subscribed(4)
    assert [fields.get("Added1__c") for _, fields in got] == [None, None, None, "new"]
    assert [event.event.schema_id == old.id for event, _ in got] == [True, True, False, False]


async def test_a_field_that_is_added_to_the_event_becomes_usable(
    org: Org, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = await org.open()
    record = {"Order_ID__c": "1", "New__c": "x"}
    org.topics.add_field("OrderStatus__e", "New__c", "text")
    assert summary(await sink.write(batch_of([record]))) == ["Refused INVALID_FIELD"]
    monkeypatch.setattr(pubsub, "LOOK_AGAIN_SECONDS", 0.0)
    assert is_written(await sink.write(batch_of([record])))


async def test_events_refused_for_their_schema_are_encoded_by_the_new_one(org: Org) -> None:
    sink = await org.open()
    org.topics.declare("OrderStatus__e", [("Order_ID__c", "number")])
    record = {"Order_ID__c": "1"}
    answer = await sink.write(batch_of([record]))
    assert summary(answer) == ["Deferred SCHEMA_CHANGED"]
    answer = await sink.write(batch_of([record]))
    assert summary(answer) == ["Refused INVALID_TYPE_ON_FIELD_IN_RECORD"]
    assert is_written(await sink.write(batch_of([{"Order_ID__c": 1}])))


async def test_the_hourly_allocation_is_seen_and_probed(org: Org) -> None:
    sink = await org.open()
    org.emulator.org.bus.hourly_allocation = 3
    answer = await sink.write(batch_of(orders(5)))
    assert summary(answer) == ["Written"] * 3 + ["Deferred LIMIT_EXCEEDED"] * 2
    assert all(o.cause is Cause.LIMIT for o in answer.outcomes if isinstance(o, Deferred))
    with pytest.raises(RequestLimitError, match="hour"):
        await sink.probe()
    org.emulator.org.bus.hourly_allocation = 10
    await sink.probe()
    assert is_written(await sink.write(batch_of(orders(2, start=3))))


async def test_a_probe_publishes_nothing_and_tells_an_outage(org: Org) -> None:
    sink = await org.open()
    org.fault("pubsub-status:UNAVAILABLE")
    with pytest.raises(ServerError):
        await sink.probe()
    org.calm()
    await sink.probe()
    assert org.on_bus() == []


async def test_without_streams_the_unary_call_publishes(org: Org) -> None:
    sink = await org.open()
    org.fault("pubsub-status:UNIMPLEMENTED,path=PublishStream")
    answers = await write_all(sink, 5)
    assert all(map(is_written, answers))
    assert sorted(org.on_bus(), key=int) == [str(n) for n in range(50)]
    org.fault("pubsub-expire,path=Publish")
    assert is_written(await sink.write(batch_of(orders(1))))
    org.fault("pubsub-drop,count=1,path=Publish")
    assert summary(await sink.write(batch_of(orders(1)))) == ["Unknown UNAVAILABLE"]


async def test_streams_that_break_before_any_answer_give_way_to_unary_calls(org: Org) -> None:
    sink = await org.open()
    org.fault("pubsub-reset,path=PublishStream")
    words = [summary(await sink.write(batch_of(orders(1, start=n))))[0] for n in range(5)]
    assert words == ["Unknown UNAVAILABLE"] * 3 + ["Written"] * 2
    assert org.on_bus() == ["3", "4"]


async def test_a_topic_that_is_taken_away_stops_the_flow(org: Org) -> None:
    sink = await org.open()
    org.topics.get(TOPIC).can_publish = False
    with pytest.raises(AuthorizationError, match="/event/OrderStatus__e"):
        await sink.write(batch_of(orders(1)))


async def test_a_cancelled_write_leaves_the_sink_usable(org: Org) -> None:
    sink = await org.open()
    await sink.write(batch_of(orders(1)))
    org.fault("pubsub-stall,count=1,path=PublishStream")
    writing = asyncio.create_task(sink.write(batch_of(orders(1, start=1))))
    async with asyncio.timeout(5):
        while org.emulator.org.faults.as_json():  # noqa: ASYNC110  # gone once it has happened
            await asyncio.sleep(0)
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    await sink.aclose()
    await sink.aclose()
    assert is_written(await sink.write(batch_of(orders(1, start=2))))
