"""One text in which records of failed batches, or an event, are edited, and what comes of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.app.failed_edit import editable, edited
from workbench.app.replay_choice import Edit, ReplayRequest
from workbench.codec import decode, encode_pretty
from workbench.errors import SettingsError, WorkbenchError
from workbench.model import EntryFilter

if TYPE_CHECKING:
    from workbench.app.failed_desk import FailedDesk

__all__ = ["Checked", "EditSheet"]

_MOST_PLANNED = 50
"""So many entries are planned anew after every key; of more only the form is checked."""

_MOST_ITEMS = 2_000


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found of a text.

    Attributes:
        problem: why it can't be taken.
        warning: what would not be sent all the same, and why.
        difference: how what would be sent differs from what had failed, a line each way.
    """

    problem: str = ""
    warning: str = ""
    difference: str = ""


class EditSheet:
    """A single record is shown as its object, a single event as its text, more as a list.

    Attributes:
        text: with the edits so far.
        original: without any.
    """

    def __init__(
        self,
        desk: FailedDesk,
        edits: Mapping[str, Edit],
        items: Sequence[dict[str, Any]],
    ) -> None:
        self._desk = desk
        self._edits = dict(edits)
        self._items = list(items)
        self._ids = frozenset(item["entry"] for item in items)
        self.text = _text([_with(item, edits.get(item["entry"], Edit())) for item in items])
        self.original = _text(items)

    @classmethod
    async def open(
        cls,
        desk: FailedDesk,
        ids: Sequence[str],
        edits: Mapping[str, Edit],
        index: int | None = None,
    ) -> EditSheet:
        """The records of these entries that would be sent; with `index` only that one of them.

        Raises:
            WorkbenchError: an entry can't be replayed, there is nothing to edit, or too much.
        """
        request = ReplayRequest(EntryFilter(ids=frozenset(ids)), accept_duplicates=True)
        original = _only(await editable(desk, ids, request), index)
        if not original:
            raise SettingsError("this record is written already, and would not be sent")
        if len(original) > _MOST_ITEMS:
            raise SettingsError(
                f"{len(original):,} records are too many for one text: set a field of all of them, "
                "or mark fewer"
            )
        return cls(desk, edits, original)

    @property
    def name(self) -> str:
        """What is edited, for a title."""
        if len(self._items) > 1:
            return f"{len(self._items):,} records"
        item = self._items[0]
        if "event" in item:
            return f"the event of {item['entry']}"
        return f"record {item['index'] + 1} of {item['entry']}"

    def edits_of(self, text: str) -> dict[str, Edit]:
        """All edits, after these records are as the text says; what is as it was is none.

        Raises:
            SettingsError: the text does not hold them.
        """
        found = edited(self._items, self._listed(text))
        edits = dict(self._edits)
        for item in self._items:
            id = item["entry"]
            given = found.get(id, Edit())
            if "event" in item:
                edits[id] = Edit(data=given.data)
            else:
                index = item["index"]
                records = dict(edits.get(id, Edit()).records)
                records.pop(index, None)
                if given.records.get(index, item["record"]) != item["record"]:
                    records[index] = given.records[index]
                edits[id] = Edit(records, edits.get(id, Edit()).data)
        return {id: edit for id, edit in edits.items() if edit != Edit()}

    async def check(self, text: str) -> Checked:
        """Look at the text, and plan what it would come to."""
        try:
            edits = self.edits_of(text)
            if len(self._ids) > _MOST_PLANNED:
                return Checked(difference=f"// {len(edits):,} entries are edited")
            wanted = EntryFilter(ids=self._ids)
            chosen = {id: edit for id, edit in edits.items() if id in self._ids}
            plan = await self._desk.dry_run(
                ReplayRequest(wanted, edits=chosen, accept_duplicates=True)
            )
        except WorkbenchError as error:
            return Checked(problem=str(error))
        lines: list[str] = []
        for difference in plan.differences:
            if difference.lines and len(self._ids) > 1:
                lines.append(f"// {difference.id}")
            lines += difference.lines
        warning = "; ".join(f"{id} would be left alone: {why}" for id, why in plan.skipped[:2])
        return Checked(warning=warning, difference="\n".join(lines))

    def _listed(self, text: str) -> str:
        """A single record or event as the list that `edited` reads."""
        if len(self._items) > 1:
            return text
        item = self._items[0]
        if "event" in item:
            return encode_pretty([{**item, "event": text}])
        try:
            return encode_pretty([{**item, "record": decode(text)}])
        except ValueError as error:
            raise SettingsError(str(error)) from error


def _only(items: list[dict[str, Any]], index: int | None) -> list[dict[str, Any]]:
    return items if index is None else [i for i in items if i.get("index", index) == index]


def _with(item: dict[str, Any], edit: Edit) -> dict[str, Any]:
    if "event" in item:
        data = edit.data
        return item if data is None else {**item, "event": data.decode("utf-8", "replace")}
    return {**item, "record": edit.records.get(item["index"], item["record"])}


def _text(items: Sequence[dict[str, Any]]) -> str:
    if len(items) > 1:
        return encode_pretty(list(items))
    item = items[0]
    return str(item["event"]) if "event" in item else encode_pretty(item["record"])
