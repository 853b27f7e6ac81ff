"""ManagedSubscribe: subscriptions whose position the server keeps.

https://developer.salesforce.com/docs/platform/pub-sub-api/guide/managed-sub.html (2026-11-23)
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

from .bus import ReplayIdError
from .descriptors import ERROR_COMMIT, MESSAGES
from .pubsub_call import Call
from .pubsub_faults import PubSubFaults
from .pubsub_limits import PubSubLimits
from .pubsub_refusals import Cause, Refusal
from .pubsub_subscribe import Feed
from .topics import ManagedSubscription, Topics

__all__ = ["ManagedSubscriber"]

_CommitResponse = MESSAGES["CommitReplayResponse"]


class ManagedSubscriber:
    """The ManagedSubscribe rpc."""

    def __init__(self, topics: Topics, faults: PubSubFaults, limits: PubSubLimits) -> None:
        self._topics = topics
        self._faults = faults
        self._limits = limits

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
        found = self._topics.subscription(name or id_)
        if found is None and name:
            raise Refusal.of(Cause.MANAGED_NAME_UNKNOWN, name)
        if found is None:
            raise Refusal.of(Cause.MANAGED_ID_UNKNOWN, id_)
        return found
