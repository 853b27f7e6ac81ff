"""What rendering a payload of five fields costs, beside a getter written by hand.

    python bench/templates.py

Prints microseconds per event and the ratio to the hand-written getter for: stock Jinja with one
`compile_expression` per field, our templates with a Jinja filter in every field, and our templates
that are paths only. The best of several rounds counts: a busy machine only makes them longer.
"""

from __future__ import annotations

import sys
import timeit
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from jinja2.sandbox import ImmutableSandboxedEnvironment

from workbench.flow.payload import Compiled
from workbench.model import Event

FIELDS = {
    "LastName": "last_name",
    "FirstName": "first_name",
    "Email": "email",
    "Phone": "phone",
    "ExternalId__c": "id",
}
DATA = {"last_name": "Lie", "first_name": "Kari", "email": "k@x.no", "phone": "+47", "id": "7"}
EVENT = Event("crm.contacts", b"{}")


def by_hand(event: Event, data: Any) -> dict[str, Any]:
    """What a person would write."""
    return {
        "LastName": data["last_name"],
        "FirstName": data["first_name"],
        "Email": data["email"],
        "Phone": data["phone"],
        "ExternalId__c": data["id"],
    }


def stock() -> Callable[[], Any]:
    """One compiled expression per field, as in Jinja's documentation."""
    environment = ImmutableSandboxedEnvironment()
    compiled = {
        name: environment.compile_expression(f"event.data.{key}", undefined_to_none=False)
        for name, key in FIELDS.items()
    }
    view = {"data": DATA}
    return lambda: {name: expression(event=view) for name, expression in compiled.items()}


def ours(template: str) -> Callable[[], Any]:
    """This payload through the flow language."""
    payload = {name: template % key for name, key in FIELDS.items()}
    render = Compiled(payload, "record").bind("bench", "payload", {})
    return lambda: render(EVENT, DATA, None)


def measure(rounds: int = 7, count: int = 20_000) -> dict[str, tuple[float, float]]:
    """Per case: microseconds per event, and the ratio to the hand-written getter."""
    cases = {
        "hand-written getter": lambda: by_hand(EVENT, DATA),
        "ours, paths": ours("{{event.data.%s}}"),
        "ours, one Jinja expression": ours("{{ event.data.%s | trim }}"),
        "stock, compile_expression per field": stock(),
    }
    times: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(rounds):
        for name, case in cases.items():
            times[name].append(timeit.timeit(case, number=count) / count * 1e6)
    base = min(times["hand-written getter"])
    return {name: (min(taken), min(taken) / base) for name, taken in times.items()}


if __name__ == "__main__":
    for name, (microseconds, ratio) in measure().items():
        print(f"{name:<38} {microseconds:8.2f} us  {ratio:7.1f} x")
