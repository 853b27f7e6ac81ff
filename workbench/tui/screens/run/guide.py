"""What the list of events says while it has none: what will be seen, and what to do for it."""

from __future__ import annotations

from workbench.tui.port import Run

__all__ = ["guide"]

_WILL_BE_SEEN = (
    "",
    "Each event becomes a line here, the newest at the bottom: how many",
    "records it made, how often it was tried, and what became of it.",
    "The other panes show the event under the cursor: its records, the",
    "request that carried them, and what Salesforce answered.",
    "",
    "space holds the list still, n goes to the next failure, / filters.",
)


def guide(run: Run | None, *, is_filtered: bool) -> tuple[str, ...]:
    """The lines for a flow's run, or for none."""
    if is_filtered:
        return ("No event matches the filter; escape clears it.",)
    if run is None or run.is_over:
        return ("No run yet: F5 starts the flow.", *_WILL_BE_SEEN)
    waits = f"Waiting for events on {run.target.subject}; ctrl+t publishes one for a test."
    return (waits, *_WILL_BE_SEEN)
