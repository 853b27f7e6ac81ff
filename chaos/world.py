"""The place where it happens: servers, proxies before them, processes, and a folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from chaos.program import Program
from chaos.proxy import Proxy
from chaos.traffic import ATOMIC, CREATE, EVENT, STREAM, UPSERT
from workbench.app.settings import Settings
from workbench.sandbox import Sandbox
from workbench.sandbox.nats import NatsServer

__all__ = ["DURABLES", "World"]

DURABLES = {UPSERT: "upsert", CREATE: "create", ATOMIC: "atomic", EVENT: "event"}
"""Durable (and flow) of each subject."""

# Short waits: the whole redelivery schedule is over in five seconds, an outage lasts longer.
_SOURCE = {
    "name": "source",
    "url": "{{env.NATS_URL}}",
    "credentials_path": "{{env.NATS_CREDENTIALS}}",
    "stream": {"name": STREAM, "subjects": [f"{STREAM}.>"], "create_or_update": True},
    "ack_timeout": "20s",
    "backoff": ["500ms", "1s"],
    "max_deliver": 6,
    "max_ack_pending": 2_000,
}
_SINK = {
    "name": "write",
    "credentials_path": "{{env.SF_CREDENTIALS}}",
    "payload": {"from_event": True},
    "retry": {"max_attempts": 3, "initial_backoff": "50ms"},
    "batch": {"max_records": 20, "max_in_flight": 4},
}
_SINKS: dict[str, dict[str, Any]] = {
    UPSERT: {
        "operation": "upsert",
        "sobject_type": "Contact",
        "external_id_field": "ExternalId__c",
    },
    CREATE: {"operation": "create", "sobject_type": "Lead"},
    ATOMIC: {
        "operation": "upsert",
        "sobject_type": "Account",
        "external_id_field": "ExternalId__c",
        "all_or_none": True,
    },
    EVENT: {"topic": "/event/CRM_Event__e", "endpoint": "{{env.PUBSUB_ADDR}}"},
}


class World:
    """Open it once; everything in it is gone when the block ends.

    Two processes share the upserts, whole and by record; a third, with its failed batches in a
    file, creates; a fourth publishes platform events. All of them reach NATS and Salesforce
    through proxies; what judges them does not.

    Args:
        source: settings of the sources in place of those that are made for trouble.
    """

    def __init__(self, folder: Path, source: Mapping[str, Any] | None = None) -> None:
        self.folder = folder
        self._source = {**_SOURCE, **(source or {})}
        self.sandbox = Sandbox()
        self.programs: list[Program] = []
        self._stack = AsyncExitStack()

    @property
    def nats(self) -> NatsServer:
        assert self.sandbox.nats is not None
        return self.sandbox.nats

    @property
    def settings(self) -> Settings:
        """How to reach all of it without the proxies."""
        return Settings({}, self.sandbox.environment)

    @property
    def salesforce_proxies(self) -> tuple[Proxy, Proxy]:
        return self.rest_proxy, self.pubsub_proxy

    @property
    def failed_files(self) -> list[Path]:
        """Where failed batches may lie beside the stream."""
        return [
            self.folder / "create-failed" / "failed.jsonl",
            *sorted((self.folder / "state").rglob("*.jsonl")),
        ]

    async def __aenter__(self) -> World:
        try:
            await self._open()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def _open(self) -> None:
        await self._stack.enter_async_context(self.sandbox)
        environment = self.sandbox.environment
        self.nats_proxy = await self._proxy(environment["NATS_URL"])
        self.rest_proxy = await self._proxy(environment["SF_LOGIN_URL"])
        self.pubsub_proxy = await self._proxy(environment["PUBSUB_ADDR"])
        env_file = self._write_environment()
        for subject, name in DURABLES.items():
            self._write_flow(subject, name)
        env = {"XDG_STATE_HOME": str(self.folder / "state"), "NO_PROXY": "127.0.0.1"}
        common = ("--sandbox-env", env_file, "--http", "127.0.0.1:0", "--drain-timeout", "10s")
        for name, flows, more in (
            ("one", ("upsert.yaml", "atomic.yaml"), ()),
            ("two", ("upsert.yaml", "atomic.yaml"), ()),
            ("three", ("create.yaml",), ("--failed-dir", self.folder / "create-failed")),
            ("four", ("event.yaml",), ()),
        ):
            program = Program(name, (*flows, *common, *more), env, self.folder)
            await program.start()
            self._stack.push_async_callback(program.stop)
            self.programs.append(program)
        for program, count in zip(self.programs, (2, 2, 1, 1), strict=True):
            await program.runs(count)

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def _proxy(self, url: str) -> Proxy:
        proxy = Proxy(int(url.rpartition(":")[2]))
        await proxy.start()
        self._stack.push_async_callback(proxy.aclose)
        return proxy

    def _write_environment(self) -> Path:
        """As the sandbox would, with the proxies' addresses."""
        values = dict(self.sandbox.environment)
        login_url = f"http://127.0.0.1:{self.rest_proxy.port}"
        credentials = json.loads(Path(values["SF_CREDENTIALS"]).read_text())
        path = self.folder / "salesforce.json"
        path.touch(0o600)
        path.write_text(json.dumps({**credentials, "login_url": login_url}))
        values["SF_CREDENTIALS"] = str(path)
        values["SF_LOGIN_URL"] = login_url
        values["PUBSUB_ADDR"] = f"127.0.0.1:{self.pubsub_proxy.port}"
        values["NATS_URL"] = f"nats://127.0.0.1:{self.nats_proxy.port}"
        env_file = self.folder / "sandbox.env"
        env_file.touch(0o600)
        env_file.write_text("".join(f"{key}={value}\n" for key, value in values.items()))
        return env_file

    def _write_flow(self, subject: str, name: str) -> None:
        source = {**self._source, "subject": subject, "durable_name": name}
        kind = f"salesforce_{'pubsubapi_publisher' if subject == EVENT else 'restapi_composite'}"
        tasks = [
            {"nats_jetstream_subscriber": source},
            {kind: {**_SINK, **_SINKS[subject]}},
        ]
        text = json.dumps({"flow": {"name": name, "tasks": tasks}}, indent=1)  # JSON is YAML
        (self.folder / f"{name}.yaml").write_text(text)
