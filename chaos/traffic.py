"""Events for the four flows, drawn from a seed, and published until they are confirmed."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Iterator
from typing import Any

from workbench.app.opening import connect_nats
from workbench.errors import WorkbenchError
from workbench.jetstream import Message, publish_all

__all__ = ["ATOMIC", "CREATE", "EVENT", "STREAM", "UPSERT", "VALUE_FIELDS", "Publisher", "events"]

STREAM = "chaos"
UPSERT, CREATE = "chaos.upsert", "chaos.create"
ATOMIC, EVENT = "chaos.atomic", "chaos.event"

VALUE_FIELDS = {UPSERT: "LastName", CREATE: "LastName", ATOMIC: "Name", EVENT: "Message__c"}
"""Where a record of each subject says which event and record it is; refused without it."""

_TRY_AGAIN_SECONDS = 0.3


def events(source: random.Random) -> Iterator[Message]:
    """Events without end: upserts with new keys and known ones, creates, events that are written
    whole or not at all, platform events; one in twenty is refused, some are no JSON."""
    keys: list[str] = []
    number = 0
    while True:
        number += 1
        subject = source.choices((UPSERT, CREATE, ATOMIC, EVENT), (6, 3, 2, 3))[0]
        most = {UPSERT: 4, ATOMIC: 4, CREATE: 2}.get(subject, 1)
        count = source.randint(2 if subject == ATOMIC else 1, most)
        records = [_record(source, subject, number, n, keys) for n in range(count)]
        if source.random() < 0.05:
            bad = source.choice(records)
            del bad[VALUE_FIELDS[subject]]
            bad |= {"Nonsense__c": "x"} if subject == EVENT else {}
        data = b"{no json" if source.random() < 0.01 else json.dumps(records).encode()
        yield Message(subject, data, id=f"e{number}")


def _record(
    source: random.Random, subject: str, number: int, place: int, keys: list[str]
) -> dict[str, Any]:
    """`value` names the event and the place in it; a key is used again within the last 300."""
    value = f"v{number}-{place}"
    if subject == CREATE:
        return {"LastName": value, "Company": "Chaos AS"}
    if subject == EVENT:
        return {"Message__c": value}
    if subject == ATOMIC:
        return {"ExternalId__c": f"a{number}-{place}", "Name": value}
    if place or not keys or source.random() < 0.6:
        keys.append(f"k{number}-{place}")
        del keys[:-300]
        return {"ExternalId__c": keys[-1], "LastName": value}
    return {"ExternalId__c": source.choice(keys), "LastName": value}


class Publisher:
    """Publishes at a rate; what was confirmed is in `sent`, by the events' ids."""

    def __init__(self, url: str, credentials: str, source: random.Random, rate: float) -> None:
        self.sent: dict[str, Message] = {}
        self._url = url
        self._credentials = credentials
        self._events = events(source)
        self._rate = rate
        self._stop = asyncio.Event()

    async def __aenter__(self) -> Publisher:
        self._connection = await connect_nats(self._url, self._credentials)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._connection.aclose()

    async def run(self) -> None:
        """Publish until `stop`; an event is tried again, by the same id, until it is confirmed."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while not self._stop.is_set():
            count = max(1, int((loop.time() - due) * self._rate))
            due += count / self._rate
            await self._publish([next(self._events) for _ in range(min(count, 100))])
            await asyncio.sleep(max(0.0, due - loop.time()))

    def stop(self) -> None:
        self._stop.set()

    async def _publish(self, batch: list[Message]) -> None:
        while True:
            try:
                await publish_all(self._connection, batch)
            except WorkbenchError:
                await asyncio.sleep(_TRY_AGAIN_SECONDS)  # the server is away
                continue
            self.sent |= {message.id: message for message in batch if message.id}
            return
