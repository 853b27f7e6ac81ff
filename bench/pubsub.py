"""Publishing platform events: workbench beside a bare pull-and-ack loop, our own source alone, a
bare loop that sends ready-made requests of 100 events over PublishStream, our sink alone, and a
plain script, in one run.

    python -m bench.pubsub [--events N] [--rounds N]

Each runs in a process of its own against a server that answers and keeps nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from bench.contenders import STREAM, SUBJECT, Meter, Settled, source
from bench.throughput import durable
from workbench.emulator.avro import EventSchema, event_schema
from workbench.emulator.descriptors import MESSAGES, METHODS, SERVICE

TOPIC = "/event/OrderStatus__e"
READY_EVENTS = 100
REACH_CPU = 2.5
REACH_EVENTS = 95
# One call per event is some thirty times slower; a small share tells as much.
SCRIPT_SHARE = 25

FLOW = """
flow:
  name: bench
  tasks:
    - nats_jetstream_subscriber:
        name: source
        url: "{{{{env.NATS_URL}}}}"
        subject: bench.contacts
        stream: {{name: bench, create_or_update: false}}
        durable_name: {durable}
        max_ack_pending: 50000
        ack_timeout: 2m
    - salesforce_pubsubapi_publisher:
        name: publish
        credentials_path: "{{{{env.SF_CREDENTIALS}}}}"
        endpoint: "{{{{env.PUBSUB_ADDR}}}}"
        topic: /event/OrderStatus__e
        payload: {{from_event: true}}
        batch: {{max_in_flight: {in_flight}}}
"""


def record(number: int) -> dict[str, Any]:
    return {
        "Order_ID__c": f"order-{number}",
        "Status__c": "shipped",
        "Timestamp__c": 1_700_000_000_000 + number,
    }


def schema() -> EventSchema:
    fields = [("Order_ID__c", "text"), ("Status__c", "text"), ("Timestamp__c", "datetime")]
    return event_schema("OrderStatus__e", fields)


# -- the server ------------------------------------------------------------------------------------


async def serve() -> None:
    """Logins by the emulator, and a Pub/Sub API that answers everything; prints both addresses."""
    import grpc

    from workbench.emulator import Emulator, EmulatorOptions

    made = schema()
    response_class = MESSAGES["PublishResponse"]
    replay = (1).to_bytes(8, "big") + b"\0\0"

    def answer(request: Any) -> Any:
        response = response_class(schema_id=made.id)
        add = response.results.add
        for event in request.events:
            add(correlation_key=event.id, replay_id=replay)
        return response

    async def publish(request: Any, context: Any) -> Any:
        return answer(request)

    async def publish_stream(requests: Any, context: Any) -> AsyncIterator[Any]:
        async for request in requests:
            yield answer(request)

    async def topic(request: Any, context: Any) -> Any:
        return MESSAGES["TopicInfo"](topic_name=TOPIC, can_publish=True, schema_id=made.id)

    async def definition(request: Any, context: Any) -> Any:
        return MESSAGES["SchemaInfo"](schema_json=made.json, schema_id=made.id)

    handlers = {}
    for name, behave in {
        "GetTopic": topic,
        "GetSchema": definition,
        "Publish": publish,
        "PublishStream": publish_stream,
    }.items():
        request, response, streams = METHODS[name]
        make = (
            grpc.stream_stream_rpc_method_handler
            if streams
            else grpc.unary_unary_rpc_method_handler
        )
        handlers[name] = make(
            behave,
            request_deserializer=MESSAGES[request].FromString,
            response_serializer=MESSAGES[response].SerializeToString,
        )
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with Emulator(EmulatorOptions(tls=False)) as emulator:
        given = {
            "client_id": emulator.client_id,
            "client_secret": emulator.client_secret,
            "login_url": emulator.login_url,
        }
        print(json.dumps({"credentials": given, "endpoint": f"127.0.0.1:{port}"}), flush=True)
        await server.wait_for_termination()


@contextmanager
def answering(folder: Path) -> Iterator[dict[str, str]]:
    """The server in a process of its own: its endpoint, and the path of credentials for it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.pubsub", "serve"], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        told = json.loads(process.stdout.readline())
        path = folder / "pubsub.json"
        path.write_text(json.dumps(told["credentials"]))
        yield {"endpoint": told["endpoint"], "credentials": str(path)}
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


# -- the contenders --------------------------------------------------------------------------------


async def workbench(given: dict[str, Any]) -> None:
    """The engine, opened as `workbench --headless` opens it."""
    from workbench.app.opening import open_flow
    from workbench.failed import FileStore
    from workbench.flow import parse

    text = FLOW.format(durable=given["durable"], in_flight=given["in_flight"])
    env = {
        "NATS_URL": given["nats"],
        "SF_CREDENTIALS": given["credentials"],
        "PUBSUB_ADDR": given["endpoint"],
    }
    flow = parse(text, "bench.yaml").bind(env)
    settled = Settled(given["events"])
    store = FileStore(Path(given["folder"]) / "failed.jsonl")
    async with open_flow(flow, store, observers=[settled]) as opened:
        gc.collect()
        gc.freeze()
        gc.set_threshold(100_000, 50, 100)
        meter = Meter()
        task = asyncio.create_task(opened.engine.run())
        await settled.done.wait()
        snapshot = opened.engine.snapshot()
        meter.report(requests=snapshot.requests, records=snapshot.written)
        opened.engine.stop()
        await task


async def sink(given: dict[str, Any]) -> None:
    """Our sink alone, given batches of 200 records that are in memory."""
    from workbench.model import Batch, Group
    from workbench.salesforce import PublisherSettings, PublisherSink, SalesforceClient
    from workbench.salesforce.credentials import read

    client = SalesforceClient(read(given["credentials"]))
    made = PublisherSink(client, PublisherSettings(TOPIC, given["endpoint"]))
    await made.open()
    batches = [
        Batch(str(start), "publish", [Group([record(start + n) for n in range(200)])])
        for start in range(0, given["events"], 200)
    ]
    count = len(batches)
    gc.collect()
    gc.freeze()
    meter = Meter()

    async def one() -> None:
        while batches:
            answer = await made.write(batches.pop())
            assert answer.is_all_written

    await asyncio.gather(*(one() for _ in range(given["in_flight"])))
    meter.report(requests=count, records=given["events"])
    await made.aclose()
    await client.aclose()


async def pull(given: dict[str, Any]) -> None:
    """(a): a pull loop on nats-py's documented calls that acknowledges what comes."""
    from bench.pull import bare_pull_and_ack

    meter = Meter()
    await bare_pull_and_ack(given["nats"], STREAM, given["durable"], given["events"])
    meter.report(requests=0, records=0)


@asynccontextmanager
async def method(given: dict[str, Any], name: str) -> AsyncIterator[Any]:
    """One method of the API, without a session: the server asks for none."""
    import grpc

    request, response, streams = METHODS[name]
    async with grpc.aio.insecure_channel(given["endpoint"]) as channel:
        make = channel.stream_stream if streams else channel.unary_unary
        yield make(
            f"/{SERVICE}/{name}",
            request_serializer=MESSAGES[request].SerializeToString,
            response_deserializer=MESSAGES[response].FromString,
        )


def ready_request(events: int) -> Any:
    """A request of so many events, encoded once."""
    made = schema()
    system = {"CreatedDate": 1_700_000_000_000, "CreatedById": "005000000000001AAA"}
    return MESSAGES["PublishRequest"](
        topic_name=TOPIC,
        events=[
            MESSAGES["ProducerEvent"](
                id=f"00000000-0000-4000-8000-{number:012d}",
                schema_id=made.id,
                payload=made.encode({**system, **record(number)}),
            )
            for number in range(events)
        ],
    )


async def stream(given: dict[str, Any]) -> None:
    """(b): ready-made requests of 100 events on one PublishStream; the answers are read and not
    looked at."""
    count = given["events"] // READY_EVENTS
    request = ready_request(READY_EVENTS)
    async with method(given, "PublishStream") as publish:
        call = publish()
        room = asyncio.Semaphore(given["in_flight"])

        async def read() -> None:
            for _ in range(count):
                await call.read()
                room.release()

        gc.collect()
        gc.freeze()
        meter = Meter()
        reading = asyncio.create_task(read())
        for _ in range(count):
            await room.acquire()
            await call.write(request)
        await reading
        meter.report(requests=count, records=count * READY_EVENTS)
        call.cancel()


async def script(given: dict[str, Any]) -> None:
    """(c): nats-py's fetch, fastavro, and one unary call for each event, 8 at once."""
    from io import BytesIO

    import fastavro
    import nats

    parsed = fastavro.parse_schema(json.loads(schema().json))
    schema_id = schema().id
    system = {"CreatedDate": 1_700_000_000_000, "CreatedById": "005000000000001AAA"}
    connection = await nats.connect(given["nats"])
    subscription = await connection.jetstream().pull_subscribe_bind(given["durable"], STREAM)
    events = given["events"] // SCRIPT_SHARE
    async with method(given, "Publish") as publish:

        async def one(message: Any) -> None:
            payload = BytesIO()
            fastavro.schemaless_writer(payload, parsed, {**system, **json.loads(message.data)})
            event = MESSAGES["ProducerEvent"](schema_id=schema_id, payload=payload.getvalue())
            response = await publish(MESSAGES["PublishRequest"](topic_name=TOPIC, events=[event]))
            assert not response.results[0].HasField("error")
            await message.ack()

        meter, done = Meter(), 0
        while done < events:
            messages = await subscription.fetch(given["in_flight"])
            await asyncio.gather(*map(one, messages))
            done += len(messages)
        meter.report(requests=done, records=done, events=done)
    await connection.close()


# -- the table -------------------------------------------------------------------------------------


async def fill(url: str, events: int) -> None:
    """A fresh stream of such records, one an event."""
    from bench.throughput import fill as fill_stream

    await fill_stream(url, 0, 1)
    from workbench.jetstream import connect

    connection = await connect(url, None)
    for start in range(0, events, 500):
        for number in range(start, min(start + 500, events)):
            await connection.client.publish(SUBJECT, json.dumps(record(number)).encode())
        await connection.client.flush()
    info: dict[str, Any] = {}
    while info.get("state", {}).get("messages", 0) < events:
        info = await connection.api(f"STREAM.INFO.{STREAM}")
    await connection.aclose()


def run(name: str, **given: Any) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "bench.pubsub", name, json.dumps(given)],
        capture_output=True,
        text=True,
        timeout=900,
    )
    if done.returncode:
        raise SystemExit(f"{name} failed:\n{done.stderr}")
    result: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return {"events": given["events"], **result}


CONTENDERS = ("pull", "source", "stream", "sink", "workbench", "script")


def main(events: int = 100_000, rounds: int = 3) -> None:
    from workbench.sandbox.nats import NatsServer

    best: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as name, NatsServer(Path(name) / "js") as server:
        folder = Path(name)
        asyncio.run(fill(server.url, events))
        with answering(folder) as addresses:
            for number, contender in enumerate(CONTENDERS * rounds):
                consumer = f"{contender}{number}"
                asyncio.run(durable(server.url, consumer))
                result = run(
                    contender,
                    nats=server.url,
                    folder=name,
                    durable=consumer,
                    events=events,
                    in_flight=8,
                    **addresses,
                )
                if contender not in best or result["cpu"] < best[contender]["cpu"]:
                    best[contender] = result
    print(f"\n{events} platform events, one to a JetStream event, 8 requests in flight;")
    print(f"of {rounds} rounds each one's with the least CPU, since neighbours cost time")
    print(f"{'':10} {'events/s':>9} {'CPU us/event':>13} {'events/request':>15} {'MB':>5}")
    found: dict[str, float] = {}
    full: dict[str, float] = {}
    for contender, result in best.items():
        found[contender] = result["cpu"] / result["events"] * 1e6
        full[contender] = result["records"] / max(result["requests"], 1)
        print(
            f"{contender:10} {result['events'] / result['seconds']:9.0f} "
            f"{found[contender]:13.1f} {full[contender]:15.1f} {result['peak_mb']:5.0f}"
        )
    tell(found, full["workbench"])


def tell(found: dict[str, float], filled: float) -> None:
    """What was asked for, and whether it was reached; `found` is CPU per event by contender."""
    ours, fetching = found["workbench"], found["pull"]
    reach = REACH_CPU * found["stream"] + fetching
    print(f"  CPU: {ours:.1f} us, {_judged(ours <= reach)}: {reach:.1f} us is", end=" ")
    print(f"{REACH_CPU} x the bare stream ({found['stream']:.1f}) + fetching ({fetching:.1f})")
    with_source = REACH_CPU * found["stream"] + found["source"]
    print(f"    with our own, faster source ({found['source']:.1f}) for fetching: ", end="")
    print(f"{with_source:.1f} us, {_judged(ours <= with_source)} by {ours / with_source:.2f} x")
    print(f"  events per request: {filled:.1f}, {_judged(filled >= REACH_EVENTS)}: {REACH_EVENTS}")


def _judged(is_reached: bool) -> str:
    return "reached" if is_reached else "NOT reached"


if __name__ == "__main__":
    contenders = {run.__name__: run for run in (workbench, sink, pull, source, stream, script)}
    if sys.argv[1:] == ["serve"]:
        asyncio.run(serve())
    elif len(sys.argv) == 3 and sys.argv[1] in contenders:
        asyncio.run(contenders[sys.argv[1]](json.loads(sys.argv[2])))
    else:
        parser = argparse.ArgumentParser(description=__doc__)
        parser.add_argument("--events", type=int, default=100_000)
        parser.add_argument("--rounds", type=int, default=3)
        given = parser.parse_args()
        main(given.events, given.rounds)
