"""From a batch to the request that carries it; pure, so preview and dry run show the real thing."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import quote

from workbench import codec
from workbench.errors import SettingsError
from workbench.model import Batch, Group, Record
from workbench.salesforce.operations import Body, CompositeSettings, field_of

__all__ = [
    "DEFAULT_API_VERSION",
    "MAX_API_VERSION",
    "Request",
    "RequestBuilder",
    "compressed",
    "normal_version",
]

# Winter '27, the newest that the facts are read from; newer ones an org offers are not used.
# https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/, 2026-11-23
MAX_API_VERSION = "68.0"
DEFAULT_API_VERSION = MAX_API_VERSION
# Collections upsert came with 46.0, collateSubrequests with 48.0.
MIN_API_VERSION = "48.0"


class Request(NamedTuple):
    """A request as it leaves, but for the token; `body` is before compression."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes


def normal_version(version: object) -> str:
    """`68.0` from what a person may write: `68`, `68.0`, `v68.0`.

    Raises:
        SettingsError: it is no version, or one that lacks what is used here.
    """
    text = str(version).strip().lower().removeprefix("v")
    number, _, rest = text.partition(".")
    if not number.isdecimal() or rest not in ("", "0"):
        raise SettingsError(
            f"api_version {version!r} is no version of the Salesforce API; write it as "
            f"{DEFAULT_API_VERSION!r}"
        )
    if int(number) < float(MIN_API_VERSION):
        raise SettingsError(
            f"api_version {version!r} is too old; workbench needs {MIN_API_VERSION} or later"
        )
    return f"{number}.0"


class RequestBuilder:
    """Builds the requests of one task.

    The shape follows from the batch: one group is a collections call with the group's own
    `allOrNone`; several groups are a composite call with a collections subrequest each, bound
    together or not by `is_atomic`. Under an outer `allOrNone: true` the inner one is true as
    well, because with false inside the answer shows rows as written that are rolled back
    (https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/resources_composite_allornone.htm,
    2026-11-23).
    """

    def __init__(self, settings: CompositeSettings, api_version: str = DEFAULT_API_VERSION) -> None:
        self.settings = settings
        self.api_version = normal_version(api_version)
        row = settings.row
        self._root = f"/services/data/v{self.api_version}/"
        self._target = self._root + row.path.format(
            sobject=quote(settings.sobject_type, safe=""),
            key=quote(settings.external_id_field or "", safe=""),
        )
        self._attributes = {"type": settings.sobject_type} if settings.sobject_type else {}
        self._opening = codec.encode({"attributes": self._attributes})[:-1] + b","
        self.headers: Mapping[str, str] = self._headers()

    def _headers(self) -> dict[str, str]:
        """Sent with every request of the task; none is a secret.

        https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/headers.htm,
        2026-11-23: the defaults of Auto-Assign and Mru are TRUE, and slow down or surprise
        integrations; the duplicate rule header's are all false.
        """
        headers = {
            "Accept": "application/json",
            "Accept-Encoding": "gzip",
            "Content-Type": "application/json",
            "Sforce-Call-Options": "client=workbench",
        }
        if self.settings.row.body is not Body.IDS_IN_BODY:
            headers["Sforce-Auto-Assign"] = "FALSE"
            headers["Sforce-Mru"] = "updateMru=false"
        if self.settings.allow_duplicate_save:
            headers["Sforce-Duplicate-Rule-Header"] = "allowSave=true"
        return headers

    def build(self, batch: Batch) -> Request:
        """The request for a batch.

        Raises:
            TypeError: a record holds something that JSON has no form for.
        """
        row = self.settings.row
        if len(batch.groups) == 1:
            group = batch.groups[0]
            target = self._target_of(group, group.all_or_none or batch.is_atomic)
            all_or_none = group.all_or_none or batch.is_atomic
            if row.body is Body.RECORDS:
                data = self._collection(group.records, all_or_none)
            else:
                body = self._body_of(group, all_or_none)
                data = b"" if body is None else codec.encode(body)
            return Request(row.method, target, self.headers, data)
        if row.max_groups == 1:
            return self.build(Batch(batch.id, batch.task, [Group(batch.records)]))
        return Request("POST", self._root + "composite", self.headers, self._composite(batch))

    def _composite(self, batch: Batch) -> bytes:
        subrequests = []
        for index, group in enumerate(batch.groups):
            all_or_none = batch.is_atomic or group.all_or_none
            subrequest: dict[str, Any] = {
                "method": self.settings.row.method,
                "url": self._target_of(group, all_or_none),
                "referenceId": f"group{index}",
            }
            # Of a composite's own headers it is not said that they reach its subrequests.
            inherited = {k: v for k, v in self.headers.items() if k in _SUBREQUEST_HEADERS}
            if inherited:
                subrequest["httpHeaders"] = inherited
            body = self._body_of(group, all_or_none)
            if body is not None:
                subrequest["body"] = body
            subrequests.append(subrequest)
        return codec.encode(
            {
                "allOrNone": batch.is_atomic,
                "collateSubrequests": False,
                "compositeRequest": subrequests,
            }
        )

    def _target_of(self, group: Group, all_or_none: bool) -> str:
        if self.settings.row.body is not Body.IDS_IN_QUERY:
            return self._target
        ids = ",".join(quote(id_of(record), safe="") for record in group.records)
        return f"{self._target}?ids={ids}&allOrNone={'true' if all_or_none else 'false'}"

    def _body_of(self, group: Group, all_or_none: bool) -> dict[str, Any] | None:
        match self.settings.row.body:
            case Body.RECORDS:
                return {"allOrNone": all_or_none, "records": self._typed(group.records)}
            case Body.TREE:
                return {"records": self._referenced(group.records)}
            case Body.IDS_IN_QUERY:
                return None
            case Body.IDS_IN_BODY:
                ids = [id_of(record) for record in group.records]
                return {"ids": ids, "fields": list(self.settings.fields) or ["Id"]}

    def _collection(self, records: list[Record], all_or_none: bool) -> bytes:
        """The text of `_body_of`, the records encoded as they are and `attributes` put before
        their fields, which is cheaper than making new records first.

        `},{` stands between any two records. When it stands nowhere else, not even in a text, and
        no record is empty or has attributes of its own, every place is known:
        `[{"a":1},{"a":2}]` becomes `[{"attributes":{…},"a":1},{"attributes":{…},"a":2}]`.
        """
        rows = codec.encode(records)
        if self._attributes:
            parts = rows[2:].split(b"},{")
            if len(parts) == len(records) and all(records) and b'"attributes"' not in rows:
                opening = self._opening
                rows = b"[" + opening + (b"}," + opening).join(parts)
            else:
                rows = codec.encode(self._typed(records))
        return b'{"allOrNone":%s,"records":%s}' % (b"true" if all_or_none else b"false", rows)

    def _typed(self, records: list[Record]) -> list[Record]:
        """The records with `attributes.type`, which the docs ask for even where the URL tells."""
        attributes = self._attributes
        if not attributes:
            return records
        return [
            {"attributes": attributes, **record}
            if "attributes" not in record
            else self._with_attributes(record, attributes)
            for record in records
        ]

    @staticmethod
    def _with_attributes(record: Record, more: Mapping[str, Any]) -> Record:
        own = record["attributes"]
        if own is None:
            own = {}
        if not isinstance(own, dict) or more.keys() <= own.keys():
            return record
        return {**record, "attributes": {**more, **own}}

    def _referenced(self, roots: list[Record]) -> list[Record]:
        """The trees with a reference id on every record that has none, by which answers match.

        The type of a child is not known here: the flow gives it in the child's `attributes`.
        """
        taken = {name for root in roots for name in reference_ids(root)}
        counter = 0

        def walk(record: Record, attributes: Mapping[str, Any]) -> Record:
            nonlocal counter
            own = record.get("attributes")
            if not isinstance(own, dict) or "referenceId" not in own:
                counter += 1
                while f"ref{counter}" in taken:
                    counter += 1
                attributes = {**attributes, "referenceId": f"ref{counter}"}
            walked = self._with_attributes({"attributes": None, **record}, attributes)
            for name, value in record.items():
                if children := _children(value):
                    rows = [walk(child, {}) for child in children]
                    walked[name] = {**value, "records": rows}
            return walked

        return [walk(root, self._attributes) for root in roots]

    def tree_references(self, records: list[Record]) -> list[list[str]]:
        """Per tree, the reference ids of its root (first) and all its children, as sent."""
        return [list(reference_ids(root)) for root in self._referenced(records)]


_SUBREQUEST_HEADERS = {"Sforce-Auto-Assign", "Sforce-Mru", "Sforce-Duplicate-Rule-Header"}


def id_of(record: Record) -> str:
    """The record id under `Id` in whatever case; empty where there is none."""
    value = field_of(record, "Id")
    return value if isinstance(value, str) else "" if value is None else str(value)


def _children(value: Any) -> list[Record]:
    """The child records under a relationship name, none for a plain field."""
    if not isinstance(value, dict):
        return []
    rows = value.get("records")
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def reference_ids(record: Record) -> list[str]:
    """The reference ids that are set in a tree, root first."""
    attributes = record.get("attributes")
    found = []
    if isinstance(attributes, dict) and "referenceId" in attributes:
        found.append(str(attributes["referenceId"]))
    for value in record.values():
        for child in _children(value):
            found += reference_ids(child)
    return found


_WINDOW_BITS = 16 + 13
"""A gzip stream whose window is 8 kB: records repeat what the record before them said."""
_MEMORY_LEVEL = 6


def compressed(body: bytes) -> bytes:
    """The body as a gzip stream at level 1.

    zlib makes and clears its window and tables for each body; the usual ones are larger and take
    longer, and records do not become smaller for them.
    """
    packer = zlib.compressobj(1, zlib.DEFLATED, _WINDOW_BITS, _MEMORY_LEVEL)
    return packer.compress(body) + packer.flush()
