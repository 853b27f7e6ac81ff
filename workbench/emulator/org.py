"""The org: one object that holds everything both halves of the emulator answer from.

REST and Pub/Sub share it. What the Pub/Sub half needs:

    org.sessions.check(token) -> User | None     who a token belongs to
    org.id                                       18 characters, the `tenantid`
    org.events["OrderStatus__e"] -> EventType    declared platform events
    org.bus, org.topics                          what was published; every topic's schemas
    org.faults.draw("pubsub-status", path="Publish", object="OrderStatus__e") -> Fault | None
    org.reset_hooks                              called when the control endpoint resets
    org.state_parts                              name -> function whose value /emulator/state shows
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from .bus import HOURLY_EVENTS, Bus
from .faults import Faults
from .fields import datetime_text
from .ids import IdMaker
from .objects import EventType, Schema, load_schema
from .sessions import Sessions, User
from .store import Store

if TYPE_CHECKING:
    from .topics import Topics

__all__ = ["EVENT_PREFIX", "ORG_ID", "Credentials", "Org"]

ORG_ID = "00DWB00000000012AA"
USER_ID = "005WB0000000001YAA"
EVENT_PREFIX = "e00"
"""Of the row ids of platform events; in a real org each event has a prefix of its own."""
MOST_LOGGED = 1_000
"""Requests that /emulator/requests can show."""
DAILY_CALLS = 5_000_000
"""A full sandbox's calls in 24 hours,
https://developer.salesforce.com/docs/atlas.en-us.salesforce_app_limits_cheatsheet.meta/salesforce_app_limits_cheatsheet/salesforce_app_limits_platform_api.htm
(2026-11-23). The emulator counts
from its start or last reset."""


@dataclass(slots=True)
class Credentials:
    """What a client must know to log in. `jwt_certificates` are PEM texts trusted for JWT."""

    client_id: str = "workbench-sandbox-client"
    client_secret: str = field(default="workbench-sandbox-secret", repr=False)
    username: str = "integration@sandbox.workbench.example"
    password: str = field(default="sandbox-password", repr=False)
    jwt_certificates: list[bytes] = field(default_factory=list, repr=False)


@dataclass(slots=True)
class Usage:
    """API calls, used and allowed in a day."""

    limit: int
    used: int = 0

    def header(self) -> str:
        """The value of Sforce-Limit-Info."""
        return f"api-usage={self.used}/{self.limit}"


class Org:
    """State of one emulated org. Single-threaded: everything happens on one event loop."""

    def __init__(
        self,
        schema: Schema | None = None,
        *,
        credentials: Credentials | None = None,
        daily_calls: int = DAILY_CALLS,
        hourly_events: int = HOURLY_EVENTS,
        faults: Faults | None = None,
    ) -> None:
        self.id = ORG_ID
        self.schema = schema or load_schema()
        self.credentials = credentials or Credentials()
        self.faults = faults or Faults()
        self.sessions = Sessions(self.id)
        self.usage = Usage(daily_calls)
        self.bus = Bus(hourly_allocation=hourly_events)
        self.event_ids = IdMaker(EVENT_PREFIX)
        self.user = User(
            USER_ID, self.credentials.username, self.credentials.username, "Integration User"
        )
        self.requests: deque[dict[str, Any]] = deque(maxlen=MOST_LOGGED)
        self.calls = 0
        """Data API calls since the start or the last reset, metered or not."""
        self.started = time.time()
        self.reset_hooks: list[Callable[[], None]] = []
        self.state_parts: dict[str, Callable[[], Any]] = {}
        self.cursors: dict[str, Any] = {}
        """Query results that wait for their next page, by locator."""
        self._locators = IdMaker("01g")
        self._declared_rules = {
            kind.name: (tuple(kind.validation_rules), tuple(kind.duplicate_rules))
            for kind in self.schema.objects.values()
        }
        self.store = Store(self.schema)
        self._seed()

    @property
    def events(self) -> dict[str, EventType]:
        """Declared platform events by API name."""
        return self.schema.events

    def find_event(self, name: str) -> EventType | None:
        """The platform event called so, in any case of letters."""
        lower = name.lower()
        return next((e for e in self.events.values() if e.name.lower() == lower), None)

    @cached_property
    def topics(self) -> Topics:
        """The topics of platform events; made when first asked for, as Avro is slow to import."""
        from .topics import Topics

        topics = Topics(self.bus, self.events.values())
        self.reset_hooks.append(topics.reset)
        return topics

    def now_text(self) -> str:
        """This moment, in the form in which rows keep it."""
        return datetime_text(datetime.now(UTC))

    def new_cursor(self, result: Any, most: int) -> str:
        """Keep a query's result; its locator. The oldest of more than `most` is forgotten."""
        locator = self._locators.next()
        self.cursors[locator] = result
        if len(self.cursors) > most:
            del self.cursors[next(iter(self.cursors))]
        return locator

    def reset(self) -> None:
        """Forget rows, sessions, faults, counts, the request log, rules that were not declared."""
        for name, (validation, duplicate) in self._declared_rules.items():
            self.schema.objects[name].validation_rules[:] = validation
            self.schema.objects[name].duplicate_rules[:] = duplicate
        self.store = Store(self.schema)
        self.sessions.expire_all()
        self.sessions.issued = 0
        self.faults.clear()
        self.usage.used = 0
        self.calls = 0
        self.requests.clear()
        self.cursors.clear()
        self.bus.clear()
        self._seed()
        for hook in self.reset_hooks:
            hook()

    def _seed(self) -> None:
        now = self.now_text()
        stamp = {"CreatedDate": now, "LastModifiedDate": now, "SystemModstamp": now}
        user = {
            "Id": self.user.id,
            "Username": self.user.username,
            "Name": self.user.name,
            "Email": self.user.email,
            "IsActive": True,
        }
        organization = {
            "Id": self.id,
            "Name": "Workbench Sandbox",
            "OrganizationType": "Developer Edition",
            "InstanceName": "WB0",
            "IsSandbox": True,
        }
        self.store.put(self.store.tables["User"], self.user.id, user | stamp)
        self.store.put(self.store.tables["Organization"], self.id, organization | stamp)
