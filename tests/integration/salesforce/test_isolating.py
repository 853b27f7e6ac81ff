"""Whatever is poisonous in a batch, the innocent are never refused and the guilty never written."""

from __future__ import annotations

import asyncio
import json

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.integration.salesforce.conftest import client_of
from tests.integration.salesforce.scripted import Scripted, serve
from tests.integration.salesforce.test_sink import poisoned
from workbench.model import Answer, Batch, Deferred, Group, Refused, Written
from workbench.salesforce import CompositeSettings, CompositeSink
from workbench.salesforce.composite import MAX_ISOLATING_REQUESTS

groups = st.lists(
    st.tuples(st.lists(st.booleans(), min_size=1, max_size=8), st.booleans()),
    min_size=1,
    max_size=5,
)


async def written(batch: Batch, bad: set[str]) -> tuple[Answer, Scripted]:
    async with serve() as org:
        org.handler = poisoned(bad)
        client = client_of(org)
        try:
            sink = CompositeSink(client, CompositeSettings("create", "Contact"))
            return await sink.write(batch), org
        finally:
            await client.aclose()


@settings(max_examples=40, deadline=None)
@given(shape=groups, is_atomic=st.booleans())
def test_the_innocent_are_not_refused(
    shape: list[tuple[list[bool], bool]], is_atomic: bool
) -> None:
    number, batch, poison, hopeless = 0, Batch("b", "t", [], is_atomic), set(), []
    spoilt = any(any(flags) for flags, _ in shape)
    for flags, all_or_none in shape:
        rows = []
        for is_bad in flags:
            key = f"E{number}."
            number += 1
            rows.append({"ExternalId__c": key})
            if is_bad:
                poison.add(key)
            together = (is_atomic and spoilt) or (all_or_none and any(flags))
            hopeless.append(is_bad or together)
        batch.groups.append(Group(rows, all_or_none))

    answer, org = asyncio.run(written(batch, poison))

    assert len(answer.outcomes) == len(answer.results) == number
    assert len(org.asked) <= 1 + MAX_ISOLATING_REQUESTS
    for is_hopeless, outcome in zip(hopeless, answer.outcomes, strict=True):
        if is_hopeless:
            assert isinstance(outcome, Refused | Deferred)
        else:
            assert isinstance(outcome, Written | Deferred)
    accepted = [
        asked for asked in org.asked if not any(key in asked.body.decode() for key in poison)
    ]
    sent = sum(json.dumps(asked.json).count("ExternalId__c") for asked in accepted)
    assert sent == sum(isinstance(outcome, Written) for outcome in answer.outcomes)
