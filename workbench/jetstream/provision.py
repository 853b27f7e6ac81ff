"""Streams and durables as the flow file says: created, compared, and changed where that is allowed.

Both updates of JetStream are whole replacements, so what the server has is taken as raw JSON and
only what the file says is changed in it: nothing that we do not know of is lost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from workbench.errors import ConsumerMismatch, StreamError
from workbench.jetstream.connection import ApiError, Connection

__all__ = [
    "DEFAULT_ACK_WAIT_SECONDS",
    "DEFAULT_MAX_ACK_PENDING",
    "ConsumerSettings",
    "Drift",
    "Provisioned",
    "StreamSettings",
    "ack_wait_seconds",
    "find_stream",
    "provision",
    "subject_covers",
    "subjects_overlap",
]

DEFAULT_ACK_WAIT_SECONDS = 30.0
DEFAULT_MAX_ACK_PENDING = 20_000
"""Events waiting for a slow retry count against it, so the server's 1,000 would soon be full."""

_NS = 1_000_000_000
_TIMES = {"ack_wait", "backoff", "duplicate_window", "max_age"}
"""The settings that are nanoseconds on the wire."""
_STREAM_NOT_FOUND = 10059
_CONSUMER_NOT_FOUND = 10014
_STREAM_NAME_EXISTS = 10058
_UPDATE_REFUSED = 10052
_SUBJECTS_OVERLAP = 10065
_CONSUMER_REFUSED = 10012


@dataclass(frozen=True, slots=True)
class StreamSettings:
    """The file's wishes for the stream; None means not said: the server's default, or as it is.

    `name` may be empty: then it is the stream that holds the consumer's subject.
    """

    name: str = ""
    create_or_update: bool = False
    subjects: tuple[str, ...] = ()
    max_age_seconds: float | None = None
    max_bytes: int | None = None
    max_messages: int | None = None
    max_messages_per_subject: int | None = None
    max_message_size: int | None = None
    retention: Literal["limits", "interest", "workqueue"] | None = None
    discard: Literal["old", "new"] | None = None
    duplicate_window_seconds: float | None = None
    description: str | None = None
    replicas: int | None = None
    storage: Literal["file", "memory"] | None = None

    def wishes(self) -> dict[str, Any]:
        """What was said, as fields of the server's configuration; all but name and subjects."""
        said: dict[str, Any] = {
            "max_age": _nanoseconds(self.max_age_seconds),
            "max_bytes": self.max_bytes,
            "max_msgs": self.max_messages,
            "max_msgs_per_subject": self.max_messages_per_subject,
            "max_msg_size": self.max_message_size,
            "retention": self.retention,
            "discard": self.discard,
            "duplicate_window": _nanoseconds(self.duplicate_window_seconds),
            "description": self.description,
            "num_replicas": self.replicas,
            "storage": self.storage,
        }
        return {key: value for key, value in said.items() if value is not None}


@dataclass(frozen=True, slots=True)
class ConsumerSettings:
    """The durable; `ack_wait_seconds` see the function of that name.

    `max_ack_pending` None means 20,000 for a new durable and as it is for one that exists.
    """

    durable: str
    filter_subject: str
    ack_wait_seconds: float = DEFAULT_ACK_WAIT_SECONDS
    max_deliver: int = 5
    max_ack_pending: int | None = None
    description: str | None = None

    def wishes(self) -> dict[str, Any]:
        """What must hold on the server."""
        said: dict[str, Any] = {
            "filter_subject": self.filter_subject,
            "ack_wait": _nanoseconds(self.ack_wait_seconds),
            "max_deliver": self.max_deliver,
            "max_ack_pending": self.max_ack_pending,
            "headers_only": False,
            "description": self.description,
        }
        return {key: value for key, value in said.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Drift:
    """One difference between file and server, and what was done: `changed` on the server, or
    `kept` as it was there. `field` is the server's name for it; times are nanoseconds."""

    field: str
    file: Any
    server: Any
    action: Literal["changed", "kept"]

    def __str__(self) -> str:
        end = "changed on the server" if self.action == "changed" else "left as on the server"
        file, server = _shown(self.field, self.file), _shown(self.field, self.server)
        return f"{self.field}: file {file}, server {server}; {end}"


@dataclass(frozen=True, slots=True)
class Provisioned:
    """What is there now; `stream` and `consumer` are the server's own infos."""

    stream: Mapping[str, Any]
    consumer: Mapping[str, Any]
    drift: tuple[Drift, ...] = field(default=())
    created: tuple[str, ...] = field(default=())

    @property
    def stream_name(self) -> str:
        return str(self.stream["config"]["name"])


def ack_wait_seconds(
    ack_timeout_seconds: float | None, backoff_seconds: Sequence[float] = ()
) -> float:
    """How long the server waits for a word before it delivers again.

    The shorter of the time a flow may take and the first backoff step; 30 s where neither is
    said. The engine says `in_progress` for what it holds, so this is only how soon a crash is
    noticed.
    """
    known = [
        seconds for seconds in (ack_timeout_seconds, *backoff_seconds[:1]) if seconds is not None
    ]
    return min(known, default=DEFAULT_ACK_WAIT_SECONDS)


async def provision(
    connection: Connection,
    stream: StreamSettings,
    consumer: ConsumerSettings,
    *,
    start_sequence: int | None = None,
) -> Provisioned:
    """See to it that stream and durable are there and as the file says.

    `start_sequence` is where a durable that must be created anew begins (default: at the first
    event of the stream).

    Raises:
        ConsumerMismatch: the server has something that can't be brought in line.
        StreamError: the stream is not there and may not be created, or JetStream refused.
    """
    if not stream.name:
        stream = StreamSettings(name=await find_stream(connection, consumer.filter_subject))
    stream_info, drift, is_new_stream = await _ensure_stream(connection, stream)
    _check_filter(stream_info["config"], consumer.filter_subject)
    consumer_info, more, is_new_consumer = await _ensure_consumer(
        connection, stream.name, consumer, start_sequence
    )
    created = [stream.name] if is_new_stream else []
    created += [consumer.durable] if is_new_consumer else []
    return Provisioned(stream_info, consumer_info, (*drift, *more), tuple(created))


async def find_stream(connection: Connection, subject: str) -> str:
    """The name of the stream that holds a subject.

    Raises:
        StreamError: there is none, or several.
    """
    answer = await connection.api("STREAM.NAMES", {"subject": subject})
    names = answer.get("streams") or []
    if len(names) != 1:
        found = "no stream holds" if not names else f"streams {', '.join(names)} all hold"
        raise StreamError(f"{found} subject {subject!r}: name the stream in the flow file")
    return str(names[0])


async def _ensure_stream(
    connection: Connection, settings: StreamSettings
) -> tuple[dict[str, Any], list[Drift], bool]:
    try:
        info = await connection.api(f"STREAM.INFO.{settings.name}")
    except ApiError as error:
        if error.err_code != _STREAM_NOT_FOUND:
            raise
        if not settings.create_or_update:
            raise StreamError(
                f"stream {settings.name!r} does not exist: create it, or set "
                "stream.create_or_update in the flow file"
            ) from error
        try:
            return await _create_stream(connection, settings), [], True
        except ApiError as race:  # another process was faster
            if race.err_code != _STREAM_NAME_EXISTS:
                raise _stream_refusal(settings, race) from race
            info = await connection.api(f"STREAM.INFO.{settings.name}")
    return *await _align_stream(connection, settings, info), False


async def _create_stream(connection: Connection, settings: StreamSettings) -> dict[str, Any]:
    if not settings.subjects:
        raise StreamError(
            f"stream {settings.name!r} does not exist and the flow file says no stream.subjects "
            "to create it with"
        )
    config = {
        "name": settings.name,
        "subjects": list(settings.subjects),
        "retention": "limits",
        "storage": "file",
        "discard": "old",
        "num_replicas": 1,
        "max_msgs": -1,
        "max_bytes": -1,
        "max_consumers": -1,
        **settings.wishes(),
    }
    _shorten_window(config, settings)
    return await connection.api(f"STREAM.CREATE.{settings.name}", config)


async def _align_stream(
    connection: Connection, settings: StreamSettings, info: dict[str, Any]
) -> tuple[dict[str, Any], list[Drift]]:
    config: dict[str, Any] = dict(info["config"])
    changes = {
        key: value
        for key, value in settings.wishes().items()
        if config.get(key, _absent(key)) != value
    }
    held = config.get("subjects") or []
    missing = [
        subject
        for subject in settings.subjects
        if not any(subject_covers(other, subject) for other in held)
    ]
    # Subjects are only added: the others belong to somebody who publishes to them. The server
    # refuses a stream whose subjects overlap, so what a new one covers goes into it.
    if missing:
        kept = [s for s in held if not any(subject_covers(wider, s) for wider in missing)]
        changes["subjects"] = [*kept, *missing]
    action: Literal["changed", "kept"] = "changed" if settings.create_or_update else "kept"
    drift = [
        Drift(f"stream.{key}", value, config.get(key, _absent(key)), action)
        for key, value in changes.items()
    ]
    if not changes or not settings.create_or_update:
        return info, drift
    config.update(changes)
    _shorten_window(config, settings)
    try:
        return await connection.api(f"STREAM.UPDATE.{settings.name}", config), drift
    except ApiError as error:
        raise _stream_refusal(settings, error, drift) from error


def _shorten_window(config: dict[str, Any], settings: StreamSettings) -> None:
    """The server refuses a duplicate window longer than max_age; 120 s is its default."""
    age = config.get("max_age") or 0
    if age and settings.duplicate_window_seconds is None:
        config["duplicate_window"] = min(age, config.get("duplicate_window") or 120 * _NS)


def _stream_refusal(
    settings: StreamSettings, error: ApiError, drift: Sequence[Drift] = ()
) -> StreamError:
    if error.err_code == _SUBJECTS_OVERLAP:
        return StreamError(
            f"stream {settings.name!r} can't hold {', '.join(settings.subjects)}: another stream "
            "holds some of these subjects already"
        )
    if error.err_code == _UPDATE_REFUSED:
        what = "; ".join(str(item).partition("; ")[0] for item in drift)
        return ConsumerMismatch(
            f"stream {settings.name!r} can't be changed as the flow file says ({what}): "
            f"{error.description}; correct the file, or delete the stream"
        )
    return StreamError(f"stream {settings.name!r} can't be made as the file says: {error}")


async def _ensure_consumer(
    connection: Connection, stream: str, settings: ConsumerSettings, start_sequence: int | None
) -> tuple[dict[str, Any], list[Drift], bool]:
    try:
        info = await connection.api(f"CONSUMER.INFO.{stream}.{settings.durable}")
    except ApiError as error:
        if error.err_code != _CONSUMER_NOT_FOUND:
            raise
        return await _create_consumer(connection, stream, settings, start_sequence), [], True
    return *await _align_consumer(connection, stream, settings, info), False


async def _create_consumer(
    connection: Connection, stream: str, settings: ConsumerSettings, start_sequence: int | None
) -> dict[str, Any]:
    config: dict[str, Any] = {
        "durable_name": settings.durable,
        "name": settings.durable,
        "deliver_policy": "all",
        "ack_policy": "explicit",
        "replay_policy": "instant",
        "max_ack_pending": DEFAULT_MAX_ACK_PENDING,
        **settings.wishes(),
    }
    if start_sequence:
        config |= {"deliver_policy": "by_start_sequence", "opt_start_seq": start_sequence}
    return await _put_consumer(connection, stream, settings, config, "create")


async def _align_consumer(
    connection: Connection, stream: str, settings: ConsumerSettings, info: dict[str, Any]
) -> tuple[dict[str, Any], list[Drift]]:
    config: dict[str, Any] = dict(info["config"])
    _check_kind(stream, settings, config)
    drift = [
        Drift(f"consumer.{key}", value, config.get(key, _absent(key)), "changed")
        for key, value in settings.wishes().items()
        if config.get(key, _absent(key)) != value
    ]
    # Both would override what is wished: one replaces ack_wait, the other the filter
    for key in ("backoff", "filter_subjects"):
        if config.get(key):
            drift.append(Drift(f"consumer.{key}", None, config[key], "changed"))
            del config[key]
    if not drift:
        return info, []
    config.update(settings.wishes())
    return await _put_consumer(connection, stream, settings, config, "update"), drift


def _check_kind(stream: str, settings: ConsumerSettings, config: Mapping[str, Any]) -> None:
    """What the server will not change, or what makes a durable another kind of thing."""
    reasons = {
        "it pushes (deliver_subject is set)": bool(config.get("deliver_subject")),
        f"its ack_policy is {config.get('ack_policy')!r}": config.get("ack_policy") != "explicit",
        "its pulls must name a priority group": bool(config.get("priority_groups")),
    }
    for reason, holds in reasons.items():
        if holds:
            raise ConsumerMismatch(
                f"durable {settings.durable!r} of stream {stream!r} can't be used: {reason}; a "
                "durable that is pulled and acked explicitly is needed, so choose another "
                "durable_name or delete this one"
            )


async def _put_consumer(
    connection: Connection,
    stream: str,
    settings: ConsumerSettings,
    config: Mapping[str, Any],
    action: str,
) -> dict[str, Any]:
    request = f"CONSUMER.CREATE.{stream}.{settings.durable}.{settings.filter_subject}"
    body = {"stream_name": stream, "config": config, "action": action}
    try:
        return await connection.api(request, body)
    except ApiError as error:
        kind = ConsumerMismatch if error.err_code == _CONSUMER_REFUSED else StreamError
        raise kind(
            f"durable {settings.durable!r} of stream {stream!r} can't be made as the flow file "
            f"says: {error.description} ({error.err_code})"
        ) from error


def _check_filter(config: Mapping[str, Any], subject: str) -> None:
    """The server takes a filter that can never match since 2.10, and stays silent for ever."""
    subjects = config.get("subjects") or []
    if config.get("subject_transform") or config.get("mirror") or config.get("sources"):
        return  # what it stores is not what it listens to
    if not any(subjects_overlap(subject, held) for held in subjects):
        raise ConsumerMismatch(
            f"subject {subject!r} is not in stream {config['name']!r}, which holds "
            f"{', '.join(subjects) or 'nothing'}: correct subject, or stream.subjects"
        )


def subjects_overlap(one: str, other: str) -> bool:
    """Whether some subject matches both: `crm.*.upsert` and `crm.>` do, `crm.a` and `crm.b` not."""
    left, right = one.split("."), other.split(".")
    for a, b in zip(left, right, strict=False):
        if a == ">" or b == ">":
            return True
        if a != b and a != "*" and b != "*":
            return False
    return len(left) == len(right)


def subject_covers(pattern: str, subject: str) -> bool:
    """Whether every subject that `subject` matches is matched by `pattern`: `crm.>` covers
    `crm.*.upsert`, which covers `crm.a.upsert`."""
    wide, narrow = pattern.split("."), subject.split(".")
    for place, token in enumerate(wide):
        if token == ">":
            return len(narrow) > place
        if place >= len(narrow) or narrow[place] == ">":
            return False
        if token not in ("*", narrow[place]):
            return False
    return len(wide) == len(narrow)


def _shown(field: str, value: Any) -> str:
    """A setting's value for people.

    >>> _shown("stream.max_age", 7_200_000_000_000), _shown("consumer.max_deliver", 5)
    ('7,200 s', '5')
    """
    if isinstance(value, list):
        return f"[{', '.join(_shown(field, item) for item in value)}]"
    if value and field.rpartition(".")[2] in _TIMES:
        return f"{value / _NS:,.10g} s"
    return repr(value)


def _nanoseconds(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * _NS)


def _absent(key: str) -> Any:
    """What the server means by leaving a field out of its answer."""
    return {"headers_only": False, "max_age": 0, "description": ""}.get(key)
