"""ManagedSubscribe: subscriptions whose position the server keeps.

https://developer.salesforce.com/docs/platform/pub-sub-api/guide/managed-sub.html (2026-11-23)
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Any

from .bus import Bus, ReplayIdError
from .descriptors import ERROR_COMMIT, MESSAGES
from .ids import IdMaker
from .pubsub_call import Call
from .pubsub_faults import PubSubFaults
from .pubsub_limits import PubSubLimits
from .pubsub_refusals import Cause, Refusal
from .pubsub_subscribe import Feed
from .topics import Topics

__all__ = ["ManagedSubscriber", "ManagedSubscription"]

_CommitResponse = MESSAGES["CommitReplayResponse"]

# Of the records that a ManagedEventSubscription makes.
_ids = IdMaker("18x")


@dataclass(slots=True)
class ManagedSubscription:
    """One ManagedEventSubscription record, and how far its client has come."""

    id: str
    developer_name: str
    topic: str
    from_earliest: bool = False
    """`defaultReplay`: where a subscription without a commit starts."""
    recovers_from_earliest: bool = False
    """`errorRecoveryReplay`: where it goes on when its commit is past retention."""
    is_stopped: bool = False
    is_active: bool = False
    """A client holds it."""
    committed: bytes = b""

    def start(self, bus: Bus) -> int:
        """The position after which a client's stream begins."""
        from_earliest = self.from_earliest
        if self.committed:
            try:
                return bus.check(self.committed)
            except ReplayIdError:
                from_earliest = self.recovers_from_earliest
        return bus.earliest() if from_earliest else bus.tip


class ManagedSubscriber:
    """The ManagedSubscribe rpc, and the subscriptions it knows."""

    def __init__(self, topics: Topics, faults: PubSubFaults, limits: PubSubLimits) -> None:
        self._topics = topics
        self._faults = faults
        self._limits = limits
        self._by_name: dict[str, ManagedSubscription] = {}

    def define(
        self,
        developer_name: str,
        topic: str,
        *,
        from_earliest: bool = False,
        recovers_from_earliest: bool = False,
    ) -> ManagedSubscription:
        """Add a subscription, or replace the one of that name; KeyError for an unknown topic."""
        if self._topics.get(topic) is None:
            raise KeyError(topic)
        subscription = ManagedSubscription(
            _ids.next(), developer_name, topic, from_earliest, recovers_from_earliest
        )
        self._by_name[developer_name] = subscription
        return subscription

    def get(self, developer_name: str) -> ManagedSubscription:
        """The subscription of that name; KeyError when there is none."""
        return self._by_name[developer_name]

    async def subscribe(self, call: Call) -> None:
        first = await call.read()
        if first is None:
            return
        subscription = self._find(first)
        if subscription.is_stopped:
            raise Refusal.of(Cause.MANAGED_STOPPED, subscription.developer_name)
        if first.HasField("commit_replay_id_request"):
            raise Refusal.of(Cause.MANAGED_EARLY_COMMIT)
        if first.num_requested <= 0:
            raise Refusal.of(Cause.MANAGED_COUNT)
        if subscription.is_active:
            raise Refusal.of(Cause.MANAGED_ACTIVE, subscription.developer_name)
        subscription.is_active = True
        try:
            await self._feed(call, subscription, first.num_requested)
        finally:
            subscription.is_active = False

    async def _feed(self, call: Call, subscription: ManagedSubscription, requested: int) -> None:
        topic = self._topics.get(subscription.topic)
        assert topic is not None
        await self._faults.refuse(call, topic)
        feed = Feed(
            call,
            self._topics,
            topic,
            subscription.start(self._topics.bus),
            response_class=MESSAGES["ManagedFetchResponse"],
            faults=self._faults,
            limits=self._limits,
        )
        feed.add_credit(requested)
        feed.on_deadline = Refusal.of(
            Cause.MANAGED_NO_COMMIT, subscription.developer_name, self._limits.commit_seconds
        )
        self._expect_commit(feed)

        def on_request(request: Any) -> None:
            if request.num_requested < 0:
                raise Refusal.of(Cause.MANAGED_COUNT)
            feed.add_credit(request.num_requested)
            if request.HasField("commit_replay_id_request"):
                # Commits that come faster than responses leave are answered together: the last.
                feed.extra["commit_response"] = self._commit(
                    subscription, request.commit_replay_id_request
                )
                self._expect_commit(feed)

        await feed.run(on_request)

    def _expect_commit(self, feed: Feed) -> None:
        feed.deadline = asyncio.get_running_loop().time() + self._limits.commit_seconds

    def _commit(self, subscription: ManagedSubscription, request: Any) -> Any:
        """Keep the position; one that the bus does not know is an error in the answer."""
        response = _CommitResponse(
            commit_request_id=request.commit_request_id,
            replay_id=request.replay_id,
            process_time=int(time.time() * 1000),
        )
        try:
            self._topics.bus.check(request.replay_id)
        except ReplayIdError as error:
            response.error.code = ERROR_COMMIT
            response.error.msg = str(error)
        else:
            subscription.committed = request.replay_id
        return response

    def _find(self, request: Any) -> ManagedSubscription:
        name, id_ = request.developer_name, request.subscription_id
        if bool(name) == bool(id_):
            raise Refusal.of(Cause.MANAGED_NAMELESS)
        if name:
            found = self._by_name.get(name)
            if found is None:
                raise Refusal.of(Cause.MANAGED_NAME_UNKNOWN, name)
            return found
        for subscription in self._by_name.values():
            if id_ in (subscription.id, subscription.id[:15]):
                return subscription
        raise Refusal.of(Cause.MANAGED_ID_UNKNOWN, id_)
