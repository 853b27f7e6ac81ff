"""What the exit code of `workbench` means; scripts and service managers may rely on it."""

from __future__ import annotations

from workbench.errors import (
    FlowError,
    SalesforceError,
    SettingsError,
    StreamError,
    WorkbenchError,
)

__all__ = ["CONNECTION", "INTERRUPTED", "OK", "PROBLEMS", "REFUSED", "USAGE", "exit_code"]

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
    if isinstance(error, SettingsError):
        return USAGE
    if isinstance(error, FlowError):
        return PROBLEMS
    if isinstance(error, SalesforceError | StreamError):
        return CONNECTION
    return PROBLEMS
