"""Trouble on demand, by option when the emulator starts and by its control endpoint while it runs.

A fault is one text:

    KIND[:VALUE][:SHARE][,OPTION=VALUE...]

    latency:150ms               every call is answered 150 ms later
    latency:50ms-400ms:0.2      a fifth of them, by a random time between the two
    status:503:0.1              a tenth of the calls are refused with 503, nothing done
    status:500,body=html        with a page of HTML in place of JSON
    drop:0.01                   the work is done, the connection closed without an answer
    drop-before:0.01            the connection is closed and no work was done
    truncate:0.01               the work is done, half of the answer is sent
    lock:0.05                   one row in twenty is refused with UNABLE_TO_LOCK_ROW
    lock-nested:0.05            the same inside a trigger's CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY
    race:0.05                   one new key in twenty is refused as if another call had just
                                inserted it (DUPLICATE_VALUE); the next try goes through
    row:STORAGE_LIMIT_EXCEEDED:0.1      rows are refused with any code
    expire                      every session ends; once, unless SHARE, every or count say more
    expire,every=100            every session ends at each hundredth call
    policy:rest                 401, a session that is not valid for REST, no matter how new
    limit:daily                 403 REQUEST_LIMIT_EXCEEDED; also concurrent and apex
    login:rate                  logging in is refused; also grant, client, user
    pubsub-status:UNAVAILABLE:0.1       Pub/Sub calls end with this gRPC status, nothing done
    pubsub-latency:150ms        Pub/Sub calls, and each answer on a stream, come later
    pubsub-late:50ms:0.2        a fifth of a publish stream's answers are overtaken by later ones
    pubsub-reset:0.01           a Pub/Sub stream is torn down, nothing done
    pubsub-drop:0.01            the events are on the bus, the call ends without their answer
    pubsub-stall:0.01           a Pub/Sub call goes deaf: no answer, no keepalive, no error
    pubsub-expire               the caller's session ends, in mid-stream too; once, as expire
    pubsub-event:0.05           one event in twenty is refused, with any words in capitals as code
    pubsub-double:0.05          a request's events come twice on the bus
    pubsub-schema               the topic gets a new schema; once, as expire

SHARE is above 0 and at most 1, how likely it is at each chance; without it the fault always
happens. The options, for every kind:

    share=0.1     the same as SHARE
    every=100     at each hundredth chance, instead of by lot
    after=10      the first ten chances are spared
    count=3       at most three times, then the fault is gone
    path=GLOB     only calls whose path fits (`*` fits anything); for Pub/Sub the name of the rpc
    object=NAME   only this sObject: for row faults the row's, for call faults the one in the path
                  (for `pubsub-...`: this topic, without /event/)
    seed=7        the lot is drawn from this seed, so that a run can be repeated
    body=html     status only: json (default), html, text or empty
    retry_after=5 status and limit: a Retry-After header with this value
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from itertools import count
from typing import Any

__all__ = ["KINDS", "Fault", "FaultError", "Faults", "parse_fault"]


class FaultError(ValueError):
    """A fault that cannot be understood; the text says what to write instead."""


@dataclass(frozen=True, slots=True)
class _Kind:
    """What a kind takes as VALUE (None: nothing), and what it means without one."""

    value: Callable[[str], Any] | None = None
    default: Any = None
    count: int | None = None
    """How often it happens where the text gives neither a share, nor every, nor count."""


_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m)")
_UNIT_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0}


def _duration(text: str) -> float:
    match = _DURATION.fullmatch(text)
    if match is None:
        raise FaultError(f"{text!r} is no duration; write for example 150ms or 2s")
    return float(match[1]) * _UNIT_SECONDS[match[2]]


def _span(text: str) -> tuple[float, float]:
    low, _, high = text.partition("-")
    span = (_duration(low), _duration(high or low))
    if span[0] > span[1]:
        raise FaultError(f"{text!r} is no span; the shorter time stands first")
    return span


def _status(text: str) -> int:
    if not re.fullmatch(r"[45]\d\d", text):
        raise FaultError(f"{text!r} is no status of a refusal; write one from 400 to 599")
    return int(text)


def _code(text: str) -> str:
    if not re.fullmatch(r"[A-Z][A-Z0-9_]+", text):
        raise FaultError(f"{text!r} is no code; write it in capitals, as in UNABLE_TO_LOCK_ROW")
    return text


def _one_of(*words: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in words:
            raise FaultError(f"{text!r} is not known here; write one of {', '.join(words)}")
        return text

    return read


_GRPC_STATUSES = (
    "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
    "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE",
    "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
)  # fmt: skip

KINDS: dict[str, _Kind] = {
    "latency": _Kind(_span),
    "status": _Kind(_status, 503),
    "drop": _Kind(),
    "drop-before": _Kind(),
    "truncate": _Kind(),
    "lock": _Kind(),
    "lock-nested": _Kind(),
    "race": _Kind(),
    "row": _Kind(_code),
    "expire": _Kind(count=1),
    "policy": _Kind(_one_of("rest", "agent", "api-disabled", "client"), "rest"),
    "limit": _Kind(_one_of("daily", "concurrent", "apex"), "daily"),
    "login": _Kind(_one_of("grant", "client", "user", "rate"), "grant"),
    "pubsub-latency": _Kind(_span),
    "pubsub-late": _Kind(_span, (0.05, 0.05)),
    "pubsub-status": _Kind(_one_of(*_GRPC_STATUSES), "UNAVAILABLE"),
    "pubsub-reset": _Kind(),
    "pubsub-drop": _Kind(),
    "pubsub-stall": _Kind(),
    "pubsub-expire": _Kind(count=1),
    "pubsub-event": _Kind(_code, "PUBLISHING_FAILED"),
    "pubsub-double": _Kind(),
    "pubsub-schema": _Kind(count=1),
}
"""Every kind of fault by its name."""

_BODIES = _one_of("json", "html", "text", "empty")


@dataclass(slots=True)
class Fault:
    """One fault that is switched on. `value` is what its kind's VALUE was read as."""

    id: int
    kind: str
    value: Any = None
    share: float = 1.0
    every: int | None = None
    after: int = 0
    count: int | None = None
    path: str | None = None
    object: str | None = None
    seed: int | None = None
    body: str = "json"
    retry_after: int | None = None
    text: str = ""
    chances: int = 0
    happened: int = 0
    _random: random.Random = field(default_factory=random.Random, repr=False)

    def __post_init__(self) -> None:
        self._random.seed(self.seed)

    def draw(self, path: str, object_name: str) -> bool:
        """True when it happens this time; counts the chance and the happening."""
        if self.path is not None and not fnmatchcase(path, self.path):
            return False
        if self.object is not None and self.object.lower() != object_name.lower():
            return False
        self.chances += 1
        if self.chances <= self.after:
            return False
        if self.every is not None:
            happens = (self.chances - self.after) % self.every == 0
        else:
            happens = self.share >= 1.0 or self._random.random() < self.share
        self.happened += happens
        return happens

    def seconds(self) -> float:
        """A delay drawn from the span of a latency."""
        low, high = self.value
        return low if low == high else self._random.uniform(low, high)

    def as_json(self) -> dict[str, Any]:
        """How the control endpoint shows it."""
        return {
            "id": self.id,
            "fault": self.text,
            "kind": self.kind,
            "chances": self.chances,
            "happened": self.happened,
        }


class Faults:
    """The faults that are switched on, asked at each point where one may happen."""

    def __init__(self, texts: tuple[str, ...] | list[str] = ()) -> None:
        self._ids = count(1)
        self._by_kind: dict[str, list[Fault]] = {kind: [] for kind in KINDS}
        for text in texts:
            self.add(text)

    def add(self, fault: str | Mapping[str, Any]) -> Fault:
        """Switch on the fault that a text, or a mapping of kind, value and options, describes.

        Raises:
            FaultError: it cannot be understood; nothing was switched on.
        """
        made = parse_fault(fault if isinstance(fault, str) else _as_text(fault), next(self._ids))
        self._by_kind[made.kind].append(made)
        return made

    def draw(self, kind: str, *, path: str = "", object: str = "") -> Fault | None:
        """The fault of this kind that happens now, if one does; used-up ones are dropped."""
        faults = self._by_kind[kind]
        if not faults:
            return None
        for fault in faults:
            if fault.draw(path, object):
                if fault.count is not None and fault.happened >= fault.count:
                    faults.remove(fault)
                return fault
        return None

    def any(self, *kinds: str) -> bool:
        """True when a fault of one of these kinds is on; cheap enough to ask per call."""
        by_kind = self._by_kind
        return any(by_kind[kind] for kind in kinds)

    def remove(self, identifier: int) -> bool:
        """Switch one off; False when there is none with this id."""
        for faults in self._by_kind.values():
            for fault in faults:
                if fault.id == identifier:
                    faults.remove(fault)
                    return True
        return False

    def clear(self) -> None:
        """Switch all off."""
        for faults in self._by_kind.values():
            faults.clear()

    def as_json(self) -> list[dict[str, Any]]:
        """All that are on, in the order in which they came."""
        faults = [fault for faults in self._by_kind.values() for fault in faults]
        return [fault.as_json() for fault in sorted(faults, key=lambda f: f.id)]


def parse_fault(text: str, identifier: int = 0) -> Fault:
    """Read the text of a fault.

    Raises:
        FaultError: the text is not of the form in this module's first lines.
    """
    head, *options = (part.strip() for part in text.split(","))
    name, *rest = head.split(":")
    kind = KINDS.get(name)
    if kind is None:
        raise FaultError(f"unknown fault {name!r}; known are {', '.join(KINDS)}")
    fault = Fault(identifier, name, kind.default, text=text)
    try:
        _read_head(fault, kind, rest)
        sparse = _read_options(fault, options)
    except FaultError as error:
        raise FaultError(f"fault {text!r}: {error}") from None
    if fault.value is None and kind.value is not None:
        raise FaultError(f"fault {text!r}: it needs a value, as in {_example(name)}")
    if kind.count is not None and not sparse and fault.share == 1.0:
        fault.count = kind.count
    return fault


def _read_head(fault: Fault, kind: _Kind, rest: list[str]) -> None:
    if len(rest) > (2 if kind.value else 1):
        raise FaultError("too many parts between colons")
    for place, part in enumerate(rest):
        is_last = place == len(rest) - 1
        if is_last and re.fullmatch(r"[01]?\.\d+|0|1|1\.0*", part):
            fault.share = _share(part)
        elif place == 0 and kind.value is not None:
            fault.value = kind.value(part)
        else:
            raise FaultError(f"{part!r} is no share; write a number above 0 and at most 1")


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = 0.0
    if not 0.0 < share <= 1.0:
        raise FaultError(f"{text!r} is no share; write a number above 0 and at most 1")
    return share


def _whole(text: str) -> int:
    if not re.fullmatch(r"\d{1,9}", text):
        raise FaultError(f"{text!r} is no whole number")
    return int(text)


def _positive(text: str) -> int:
    number = _whole(text)
    if number == 0:
        raise FaultError("it must be at least 1")
    return number


_OPTIONS: dict[str, Callable[[str], Any]] = {
    "share": _share,
    "every": _positive,
    "after": _whole,
    "count": _positive,
    "path": str,
    "object": str,
    "seed": _whole,
    "body": _BODIES,
    "retry_after": _whole,
}


def _read_options(fault: Fault, options: list[str]) -> bool:
    """Set the options; True when one of them says how often the fault happens."""
    names = set()
    for option in options:
        name, equals, value = option.partition("=")
        read = _OPTIONS.get(name)
        if read is None or not equals:
            raise FaultError(f"unknown option {option!r}; known are {', '.join(_OPTIONS)}")
        try:
            setattr(fault, name, read(value))
        except FaultError as error:
            raise FaultError(f"{name}: {error}") from None
        names.add(name)
    if "seed" in names:
        fault._random.seed(fault.seed)
    return bool(names & {"share", "every", "count"})


def _as_text(fault: Mapping[str, Any]) -> str:
    """The text of a fault that was given as a mapping."""
    if not isinstance(fault.get("kind"), str):
        raise FaultError("a fault is a text, or an object that has at least a kind")
    head = fault["kind"]
    if fault.get("value") is not None:
        head += f":{fault['value']}"
    options = [f"{k}={v}" for k, v in fault.items() if k not in ("kind", "value")]
    return ",".join([head, *options])


def _example(kind: str) -> str:
    return {"row": "row:STORAGE_LIMIT_EXCEEDED"}.get(kind, f"{kind}:150ms")
