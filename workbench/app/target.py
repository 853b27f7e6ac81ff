"""Where a flow reads and writes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.errors import SettingsError

if TYPE_CHECKING:
    from workbench.flow import Flow

__all__ = ["Target", "target_of"]


@dataclass(frozen=True, slots=True)
class Target:
    """Where a flow reads and writes, as far as its files tell without logging in.

    `kind` is for people; `is_harmless` only of the sandbox. `problem` says why `org` and `user`
    are not known.
    """

    flow: str
    nats: str
    subject: str
    org: str
    user: str
    kind: str
    is_harmless: bool
    tasks: tuple[str, ...] = ()
    problem: str = ""


def target_of(flow: Flow, *, is_sandbox: bool) -> Target:
    """Where the flow would read and write, as far as its files tell."""
    from workbench.app.outline import deed
    from workbench.salesforce.credentials import describe

    org = user = kind = problem = ""
    for path in dict.fromkeys(task.credentials_path for task in flow.sinks):
        try:
            facts = describe(path)
        except SettingsError as error:
            problem = str(error)
            continue
        org, user, kind = facts.login_url, facts.username, str(facts.host)
    if is_sandbox:
        kind = "SANDBOX on this machine"
    source, tasks = flow.source, tuple(map(deed, flow.sinks))
    return Target(
        flow.name, source.url, source.subject, org, user, kind, is_sandbox, tasks, problem
    )
