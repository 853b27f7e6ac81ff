"""What is offered at a place of a flow file: from the flow language's own declarations, and from
the event that is being previewed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.tui.context import Place

if TYPE_CHECKING:
    from workbench.flow import Entry

__all__ = ["Offer", "explain", "offers"]

_MOST = 200


@dataclass(frozen=True, slots=True)
class Offer:
    """One line of the list: what replaces the prefix, and a few words beside it."""

    label: str
    insert: str
    detail: str


def offers(place: Place, data: Any) -> list[Offer]:
    """What can stand here, best first; `data` is the decoded data of the previewed event."""
    from workbench.flow import complete_keys, complete_values  # after the first picture

    if place.kind == "template":
        found = _template_offers(place, data)
    elif place.kind == "value":
        found = [Offer(value, value, "") for value in complete_values(place.path)]
    else:
        found = [_key_offer(entry) for entry in complete_keys(place.path)]
        if not found and place.is_first:
            found = [Offer(value, value, "") for value in complete_values(place.path)]
    prefix = place.prefix.lower()
    starting = [offer for offer in found if offer.label.lower().startswith(prefix)]
    inside = [offer for offer in found if prefix and prefix in offer.label.lower()]
    return list(dict.fromkeys(starting + inside))[:_MOST]


def _key_offer(entry: Entry) -> Offer:
    colon = ":" if entry.kind in ("section", "task", "tasks") else ": "
    required = "required, " if entry.is_required else ""
    return Offer(entry.name, entry.name + colon, f"{required}{entry.kind}")


def _template_offers(place: Place, data: Any) -> list[Offer]:
    from workbench.flow import complete_template

    element = data[0] if isinstance(data, list) and data else data
    fields: list[Offer] = []
    if place.scope != "env" and isinstance(data, dict):
        fields += _fields("event.data", data)
    if place.scope == "record" and isinstance(element, dict):
        fields += _fields("record", element)
    names = [
        Offer(entry.name, entry.name, entry.description) for entry in complete_template(place.scope)
    ]
    return fields + names


def _fields(root: str, value: dict[str, Any], depth: int = 0) -> list[Offer]:
    found: list[Offer] = []
    for key, inner in value.items():
        if not key.isidentifier():
            continue
        name = f"{root}.{key}"
        found.append(Offer(name, name, _short(inner)))
        if isinstance(inner, dict) and depth < 2:
            found += _fields(name, inner, depth + 1)
        if len(found) >= _MOST:
            break
    return found


def _short(value: Any) -> str:
    if isinstance(value, dict):
        return "object"
    if isinstance(value, list):
        return f"list of {len(value)}"
    text = "null" if value is None else str(value)
    return text if len(text) <= 30 else text[:29] + "…"


def explain(paths: Sequence[str | int]) -> Entry | None:
    """What the key at a path, or the nearest one around it, means."""
    from workbench.flow import describe

    parts = tuple(paths)
    while parts:
        entry = describe(parts)
        if entry is not None:
            return entry
        parts = parts[:-1]
    return None
