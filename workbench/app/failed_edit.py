"""Records of failed batches as a text that a person edits, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from workbench.app.failed_desk import FailedDesk
from workbench.app.replay_choice import Edit, ReplayRequest
from workbench.codec import decode
from workbench.errors import FlowError, NotKeptError, RenderError, SettingsError
from workbench.failed import patch as json_patch
from workbench.model import EntryFilter

__all__ = ["assigned", "assignment", "editable", "edited", "read_patch"]


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


def assignment(text: str) -> dict[str, Any]:
    """`Field=value` as an operation of a JSON Patch; a name that begins with / is a JSON pointer,
    and the value is JSON, or else a text.

    Raises:
        SettingsError: it is not of that form.
    """
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise SettingsError(f"{text!r} is not of the form FIELD=VALUE, as in Title=Dr")
    escaped = name.replace("~", "~0").replace("/", "~1")
    path = name if name.startswith("/") else f"/{escaped}"
    try:
        parsed = decode(value)
    except ValueError:
        parsed = value
    return {"op": "add", "path": path, "value": parsed}


async def assigned(
    desk: FailedDesk,
    ids: Sequence[str],
    meant: EntryFilter,
    edits: Mapping[str, Edit],
    operation: Mapping[str, Any],
) -> tuple[dict[str, Edit], list[tuple[str, str]]]:
    """The edits after an operation on the records of these entries that failed as `meant` says by
    code and field; and the entries for which it could not be done, with a sentence why.

    Raises:
        DeadLetterError: the store can't be read.
    """
    found = dict(edits)
    skipped: list[tuple[str, str]] = []
    for id in ids:
        wanted = EntryFilter(code=meant.code, field=meant.field, ids=frozenset({id}))
        request = ReplayRequest(wanted, edits=edits, accept_duplicates=True)
        try:
            before = {item.index: item.after for item in await desk.records(id, request)}
            after = await desk.records(id, replace(request, patch=[operation]))
        except (SettingsError, FlowError, RenderError, NotKeptError) as error:
            skipped.append((id, str(error)))
            continue
        changed = {item.index: item.after for item in after if item.after != before[item.index]}
        if changed:
            known = found.get(id, Edit())
            found[id] = Edit({**known.records, **changed}, known.data)
    return found, skipped


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
