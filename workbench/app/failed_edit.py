"""Records of failed batches as a text that a person edits, and back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from workbench.app.failed_desk import FailedDesk
from workbench.app.replay_choice import Edit, ReplayRequest
from workbench.codec import decode
from workbench.errors import RenderError, SettingsError
from workbench.failed import patch as json_patch

__all__ = ["editable", "edited", "read_patch"]


async def editable(
    desk: FailedDesk, ids: Sequence[str], request: ReplayRequest
) -> list[dict[str, Any]]:
    """One object for each record that would be sent, with why it failed beside it; for an event
    that has no records, one with its text.

    Raises:
        WorkbenchError: an entry can't be replayed.
    """
    items: list[dict[str, Any]] = []
    for id in ids:
        try:
            records = await desk.records(id, request)
        except RenderError as error:
            data = (await desk.get(id)).batch.data.decode("utf-8", "surrogateescape")
            text = data.encode("utf-8", "backslashreplace").decode()
            items.append({"entry": id, "failed": str(error), "event": text})
            continue
        for record in records:
            failed = f"{record.code}: {record.message}" if record.code else ""
            items.append(
                {"entry": id, "index": record.index, "failed": failed, "record": record.after}
            )
    return items


def edited(items: Sequence[dict[str, Any]], text: str) -> dict[str, Edit]:
    """What was edited, by entry; `items` as they were before.

    Raises:
        SettingsError: the text is no JSON, or no longer a list of the same records.
    """
    try:
        changed = decode(text)
    except ValueError as error:
        raise SettingsError(f"what was edited can't be read: {error}") from error
    places = {(item["entry"], item.get("index")): item for item in items}
    if not isinstance(changed, list) or not all(isinstance(item, dict) for item in changed):
        raise SettingsError("what was edited is no longer a list of records")
    found: dict[str, Edit] = {}
    for item in [*(item for item in items if "record" in item), *changed]:
        place = (item.get("entry"), item.get("index"))
        known = places.get(place)
        if known is None:
            raise SettingsError(f"what was edited names a record that was not there: {place}")
        if "event" in known:
            if item.get("event") != known["event"]:
                found[place[0]] = Edit(data=str(item.get("event")).encode())
            continue
        if not isinstance(item.get("record"), dict):
            raise SettingsError(f"the record of {place} is no longer a JSON object")
        edit = found.setdefault(place[0], Edit(records={}))
        found[place[0]] = Edit({**edit.records, place[1]: item["record"]}, edit.data)
    return found


def read_patch(path: Path) -> list[dict[str, Any]]:
    """The JSON Patch in a file.

    Raises:
        SettingsError: it can't be read, or is none.
    """
    try:
        return json_patch.check(decode(path.read_bytes()))
    except OSError as error:
        raise SettingsError(f"the patch {path} can't be read: {error.strerror}") from error
    except ValueError as error:
        raise SettingsError(f"the patch {path}: {error}") from error
