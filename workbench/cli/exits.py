"""What the exit code of `workbench` means; scripts and service managers may rely on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.errors import (
    AuthenticationError,
    AuthorizationError,
    ClaimedError,
    DeadLetterError,
    FlowError,
    NotKeptError,
    SalesforceError,
    SettingsError,
    StreamError,
    WorkbenchError,
)

if TYPE_CHECKING:
    from workbench.app.fleet import Member
    from workbench.app.headless import Result

__all__ = [
    "CONNECTION",
    "INTERRUPTED",
    "OK",
    "PROBLEMS",
    "REFUSED",
    "USAGE",
    "exit_code",
    "of_run",
]

OK = 0
"""Done, and everything is accounted for."""
PROBLEMS = 1
"""A flow has errors, a run failed, or not every event is accounted for."""
USAGE = 2
"""An option, file or variable is missing or wrong; nothing was started."""
CONNECTION = 3
"""NATS or Salesforce could not be reached, or refused the login, at the start."""
REFUSED = 4
"""Salesforce refused the credentials or a right while the flow ran."""
INTERRUPTED = 130
"""Interrupted a second time: stopped without waiting for what was in flight (128 + SIGINT)."""


def exit_code(error: WorkbenchError) -> int:
    """The code for an error that kept a command from starting or ended it."""
    if isinstance(error, SettingsError | NotKeptError):
        return USAGE
    if isinstance(error, FlowError):
        return PROBLEMS
    if isinstance(error, ClaimedError):
        return PROBLEMS
    if isinstance(error, SalesforceError | StreamError | DeadLetterError):
        return CONNECTION
    return PROBLEMS


def of_run(result: Result) -> int:
    """The code for a headless run: the gravest of its flows', or that of an insistent end."""
    if result.was_hurried:
        return INTERRUPTED
    return max((_of_member(member) for member in result.members), default=OK)


def _of_member(member: Member) -> int:
    error = member.error
    if error is None:
        return OK
    if member.was_running and isinstance(error, AuthenticationError | AuthorizationError):
        return REFUSED
    return exit_code(error)
