"""Objects and platform events, declared in YAML.

    objects:
      Invoice__c:
        label: Invoice                    # default: made from the name
        key_prefix: a00                   # default: the next free aXX
        writeable: true
        fields:
          Number__c: {type: text, length: 20, external_id: true, unique: true, required: true}
          Account__c: {type: lookup, reference_to: Account, relationship_name: Account__r,
                       child_relationship: Invoices__r}
        validation_rules:                 # forms: rules.py
        duplicate_rules:
    events:
      Shipped__e:
        fields:
          Order__c: {type: text}

The types a field may have are in fields.py:FIELD_TYPES, the settings are the attributes of
fields.py:Field.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from .fields import FIELD_TYPES, Field
from .rules import DuplicateRule, ValidationRule

__all__ = ["DeclarationError", "EventType", "ObjectType", "Schema", "load_schema"]

_OBJECT_KEYS = {
    "label", "key_prefix", "writeable", "fields", "validation_rules", "duplicate_rules",
}  # fmt: skip
_EVENT_KEYS = {"label", "fields"}
_EVENT_FIELD_TYPES = {"text", "textarea", "number", "boolean", "date", "datetime"}
_SETTINGS = {f.name: f for f in dataclasses.fields(Field)}
_BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


Rule = TypeVar("Rule", ValidationRule, DuplicateRule)


class DeclarationError(ValueError):
    """A file of objects cannot be used; the text says where and why."""


@dataclass(slots=True)
class ObjectType:
    """One sObject: its fields by name, and the rules its rows must pass."""

    name: str
    label: str
    key_prefix: str
    fields: dict[str, Field]
    writeable: bool = True
    validation_rules: list[ValidationRule] = field(default_factory=list)
    duplicate_rules: list[DuplicateRule] = field(default_factory=list)
    plain: dict[str, Callable[[Any], Any]] = field(default_factory=dict)
    """Checkers of the fields that a caller may write and that refer to nothing: the fast path."""
    relationships: dict[str, Field] = field(default_factory=dict)
    """Lookups by relationship name: `Account` of a Contact is its `AccountId`."""
    defaults: dict[str, Any] = field(default_factory=dict)
    """What a new row gets for fields that the caller leaves out."""
    required: tuple[str, ...] = ()
    autonumbers: list[Field] = field(default_factory=list)
    unique: list[Field] = field(default_factory=list)
    _by_lower: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.complete()

    def complete(self) -> None:
        """Work out what is looked up per row; to be called again after a field was added."""
        fields = self.fields.values()
        self.plain = {f.name: f.checker() for f in fields if not f.read_only and not f.reference_to}
        self.defaults = {
            f.name: f.default
            for f in fields
            if f.default is not None and f.type not in ("boolean", "autonumber")
        }
        self.relationships = {f.relationship_name: f for f in fields if f.relationship_name}
        self.required = tuple(f.name for f in fields if f.required)
        self.autonumbers = [f for f in fields if f.type == "autonumber"]
        self.unique = [f for f in fields if f.unique]
        self._by_lower = {name.lower(): name for name in (*self.fields, *self.relationships)}

    def find(self, name: str) -> Field | None:
        """The field called so, in any case of letters."""
        found = self.fields.get(name)
        if found is None:
            found = self.fields.get(self._by_lower.get(name.lower(), ""))
        return found

    def find_relationship(self, name: str) -> Field | None:
        """The lookup whose relationship is called so, in any case of letters."""
        found = self.relationships.get(name)
        if found is None:
            found = self.relationships.get(self._by_lower.get(name.lower(), ""))
        return found

    @property
    def key_fields(self) -> list[Field]:
        """The fields by which rows are found; each has an index."""
        return [f for f in self.fields.values() if f.is_key]


@dataclass(frozen=True, slots=True)
class EventType:
    """One platform event; `fields` are the custom ones, in declared order.

    Field types are text, textarea, number, boolean, date and datetime: what the Avro schemas of
    custom events are seen to hold.
    """

    name: str
    label: str
    fields: tuple[Field, ...]

    @property
    def topic(self) -> str:
        """`/event/OrderStatus__e`."""
        return f"/event/{self.name}"


@dataclass(slots=True)
class Schema:
    """Everything that is declared: objects and events by API name."""

    objects: dict[str, ObjectType] = field(default_factory=dict)
    events: dict[str, EventType] = field(default_factory=dict)

    def find(self, name: str) -> ObjectType | None:
        """The object called so, in any case of letters."""
        found = self.objects.get(name)
        if found is None:
            lower = name.lower()
            found = next((o for o in self.objects.values() if o.name.lower() == lower), None)
        return found


def load_schema(*files: str | Path) -> Schema:
    """The standard org, extended by `files` in order.

    Raises:
        DeclarationError: a file that cannot be read or says something impossible.
    """
    schema = Schema()
    for path in (Path(__file__).with_name("standard.yaml"), *map(Path, files)):
        _Reader(schema, path.name if path.parent == Path(__file__).parent else str(path)).read(path)
    _check_references(schema)
    return schema


class _Reader:
    """Reads one file into a schema; the names in its errors lead to the place."""

    def __init__(self, schema: Schema, source: str) -> None:
        self.schema = schema
        self.source = source

    def fail(self, where: str, problem: str) -> DeclarationError:
        return DeclarationError(f"{self.source}: {where}: {problem}")

    def read(self, path: Path) -> None:
        import yaml

        try:
            content = yaml.safe_load(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise DeclarationError(f"{path} cannot be read: {error.strerror}") from error
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            said = " ".join(str(error).split())
            raise DeclarationError(f"{path} is not YAML: {said}") from error
        parts = self.mapping("the file", content, {"objects", "events"})
        for name, body in self.mapping("objects", parts.get("objects")).items():
            self.read_object(str(name), body)
        for name, body in self.mapping("events", parts.get("events")).items():
            self.read_event(str(name), body)

    def mapping(self, where: str, value: Any, allowed: set[str] | None = None) -> Mapping[str, Any]:
        """`value`, or an empty mapping for what was left out."""
        if value is None:
            return {}
        if not isinstance(value, Mapping):
            raise self.fail(where, "it must be a mapping")
        for key in value:
            if allowed is not None and key not in allowed:
                raise self.fail(where, f"unknown key {key!r}; known are {sorted(allowed)}")
        return value

    def read_object(self, name: str, body: Any) -> None:
        where = f"objects.{name}"
        body = self.mapping(where, body, _OBJECT_KEYS)
        found = self.schema.objects.get(name)
        if found is None:
            if not name.replace("_", "").isalnum():
                raise self.fail(where, "a name has letters, digits and underscores")
            prefix = str(body.get("key_prefix") or self.free_prefix())
            found = ObjectType(name, str(body.get("label") or _plain(name)), prefix, {})
            found.fields = _system_fields(name)
            self.schema.objects[name] = found
        found.label = str(body.get("label") or found.label)
        found.writeable = bool(body.get("writeable", found.writeable))
        for field_name, settings in self.mapping(where, body.get("fields")).items():
            place = f"{where}.fields.{field_name}"
            found.fields[field_name] = self.read_field(place, field_name, settings)
        found.complete()
        found.validation_rules += self.read_rules(
            where, body, "validation_rules", lambda rule: ValidationRule.parse(rule, found.find)
        )
        found.duplicate_rules += self.read_rules(
            where, body, "duplicate_rules", lambda rule: DuplicateRule.parse(rule, found.find)
        )

    def read_rules(
        self, where: str, body: Mapping[str, Any], key: str, parse: Callable[[Any], Rule]
    ) -> list[Rule]:
        rules = []
        for place, settings in enumerate(body.get(key) or []):
            try:
                rules.append(parse(settings))
            except ValueError as error:
                raise self.fail(f"{where}.{key}[{place}]", str(error)) from error
        return rules

    def free_prefix(self) -> str:
        taken = {o.key_prefix for o in self.schema.objects.values()}
        return next(p for a in _BASE62 for b in _BASE62 if (p := f"a{a}{b}") not in taken)

    def read_event(self, name: str, body: Any) -> None:
        where = f"events.{name}"
        body = self.mapping(where, body, _EVENT_KEYS)
        if not name.endswith("__e"):
            raise self.fail(where, "the name of a platform event ends in __e")
        before = self.schema.events.get(name)
        fields = {f.name: f for f in before.fields} if before else {}
        for field_name, settings in self.mapping(where, body.get("fields")).items():
            found = self.read_field(f"{where}.fields.{field_name}", field_name, settings)
            if found.type not in _EVENT_FIELD_TYPES:
                raise self.fail(
                    f"{where}.fields.{field_name}",
                    f"an event has no {found.type} fields; "
                    f"it may have {sorted(_EVENT_FIELD_TYPES)}",
                )
            fields[field_name] = found
        label = str(body.get("label") or (before.label if before else _plain(name)))
        self.schema.events[name] = EventType(name, label, tuple(fields.values()))

    def read_field(self, where: str, name: str, settings: Any) -> Field:
        allowed = set(_SETTINGS) - {"name"}
        given = dict(self.mapping(where, settings, allowed))
        kind = given.setdefault("type", "text")
        if kind not in FIELD_TYPES or kind == "id":
            raise self.fail(where, f"unknown type {kind!r}; known are {sorted(FIELD_TYPES)}")
        for key in ("values", "reference_to", "parts"):
            if key in given:
                value = given[key]
                given[key] = (value,) if isinstance(value, str) else tuple(map(str, value))
        for key in ("length", "precision", "scale"):
            if key in given and (type(given[key]) is not int or given[key] < 0):
                raise self.fail(where, f"{key} must be a whole number, not {given[key]!r}")
        if kind == "lookup":
            if not given.get("reference_to"):
                raise self.fail(where, "a lookup needs reference_to")
            if name.endswith("__c"):
                given.setdefault("relationship_name", name[:-1] + "r")
        if kind == "autonumber":
            given.setdefault("default", "auto")
        return Field(name=name, **given)


def _plain(name: str) -> str:
    return name.removesuffix("__c").removesuffix("__e").replace("_", " ")


def _system_fields(name: str) -> dict[str, Field]:
    """The fields that every object has. A custom object's Name may be left out."""
    fields = [
        Field("Id", "id", label=f"{_plain(name)} ID"),
        Field("OwnerId", "lookup", "Owner ID", reference_to=("User",), relationship_name="Owner"),
        Field("IsDeleted", "boolean", "Deleted", read_only=True),
        Field("CreatedDate", "datetime", read_only=True),
        _stamp("CreatedBy", "Created By ID"),
        Field("LastModifiedDate", "datetime", read_only=True),
        _stamp("LastModifiedBy", "Last Modified By ID"),
        Field("SystemModstamp", "datetime", read_only=True),
    ]
    if name.endswith("__c"):
        fields.insert(1, Field("Name", "text", length=80))
    return {f.name: f for f in fields}


def _stamp(relationship: str, label: str) -> Field:
    """The field that says who did it."""
    return Field(
        f"{relationship}Id",
        "lookup",
        label,
        reference_to=("User",),
        relationship_name=relationship,
        read_only=True,
    )


def _check_references(schema: Schema) -> None:
    for kind in schema.objects.values():
        for found in kind.fields.values():
            for target in found.reference_to:
                if target not in schema.objects:
                    raise DeclarationError(
                        f"{kind.name}.{found.name}: it refers to {target}, which is not declared"
                    )
