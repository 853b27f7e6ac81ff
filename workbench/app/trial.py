"""What would become of an event: the answer to a preview."""

from __future__ import annotations

from dataclasses import dataclass

from workbench.errors import Problem

__all__ = ["Request", "Trial"]


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it would leave: `body` before compression."""

    task: str
    method: str
    target: str
    body: bytes
    records: int


@dataclass(frozen=True, slots=True)
class Trial:
    """What would become of an event; `problems` are placed in the flow file where that is known.

    `later` names tasks whose requests depend on what Salesforce answers; `outline` says in a line
    what the flow does.
    """

    requests: tuple[Request, ...] = ()
    problems: tuple[Problem, ...] = ()
    later: tuple[str, ...] = ()
    seconds: float = 0.0
    outline: str = ""
