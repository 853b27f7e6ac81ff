"""The reference page of the flow file, kept as `docs/flow-reference.md`.

Made by `python -m workbench.flow.reference > docs/flow-reference.md`.
"""

from __future__ import annotations

from collections.abc import Iterator

from workbench.flow.declaration import Field, Section
from workbench.flow.expression import EVENT_NAMES
from workbench.flow.language import FLOW, KNOWN_TASKS, RUN_TASKS
from workbench.flow.shapes import Tasks

__all__ = ["reference"]

_HEAD = """\
# Flow file reference

Made from the declarations in `workbench/flow/language.py` by
`python -m workbench.flow.reference`; do not edit by hand.

A flow file is YAML with one key, `flow`. Words mean what YAML 1.2 says: only `true` and `false`
are booleans (`yes`, `on` and `off` are texts), `12:30` and `0123` are texts. Anchors, aliases and
`<<` are allowed; keys that stand twice, tags, tabs for indentation and several documents are not.
A file has at most 1 MiB, 64 levels, and 50,000 values with its aliases written out.

*Template* says what a text may use: `env` is rendered once when the flow starts, `event` for every
event, `record` also for every record. Fields marked **workbench** are ours and ignored by other
engines that read the same file; fields marked *ignored* are for other engines.
"""

_TEMPLATES = """\
## Templates

Jinja2, sandboxed and strict: a name that is not there is an error of that event, never a blank.

- A value that is exactly one `{{ expression }}` keeps its type: number, list, object, true, null.
- With text around it, it becomes a text: numbers as they are, `true` and `false` as in JSON; null,
  lists and objects are errors there (`| default("...", true)` and `| tojson` help).
- `a.b` is always a key: `event.data.items` is the key `items`. Only a call (`x.upper()`) is a
  method, of texts, mappings and lists.
- `{% if %}`, `{% for %}` and `{% set %}` work; macros, includes and imports do not.
- Loops go round 10,000 times in one rendering, a step gives at most 1,000,000 characters.
- A mapping that reads `record` gives one record for each element of `event.data` (one, where
  `event.data` is no list). One that does not gives one record per event. A list of mappings gives
  the records of the first mapping, then those of the second, and so on. In `order_by`, `record` is
  the rendered record.
- `ids` gives one id or a list of ids per entry; `get` and `delete` then work on `{"id": ...}`.
  With `payload` instead, each record's `id` (in any case) is taken; with `from_event: true` the
  data may also be plain ids.
- With `from_event: true` the data is one object or a list of objects; an empty list writes nothing.

| name | what it is |
|---|---|
"""


def reference() -> str:
    """The page, as Markdown."""
    parts = [_HEAD]
    parts += _section(FLOW, "flow")
    for name, section in RUN_TASKS.items():
        parts += _section(section, name)
    parts.append("## Known task types\n")
    parts.append(
        "These load and are checked for their place in the flow, but workbench does not run them; "
        "`check` warns and a run refuses to start:\n"
    )
    parts.append(", ".join(f"`{name}`" for name in sorted(KNOWN_TASKS)) + ".\n")
    names = [f"| `event.{name}` | {text} |" for name, text in EVENT_NAMES.items()]
    names.append("| `env` | the environment's variables: `env.NATS_URL` |")
    names.append("| `record` | the element of `event.data` at hand |")
    parts.append(_TEMPLATES + "\n".join(names) + "\n")
    return "\n".join(parts)


def _section(section: Section, title: str) -> Iterator[str]:
    yield f"## {title}\n"
    yield section.description + "\n"
    for rule in section.requirements:
        values = ", ".join(f"`{value}`" for value in rule.values)
        needs = " or ".join(f"`{name}`" for name in rule.one_of)
        yield f"- {rule.field} {values}: needs {needs}"
    if section.requirements:
        yield ""
    yield "| key | value | default | template | meaning |\n|---|---|---|---|---|"
    nested = []
    for field in section.fields:
        if isinstance(field.kind, Section):
            nested.append(field.kind)
        yield _row(field)
    yield ""
    for kind in nested:
        if kind.name != "retry" or section is FLOW:
            yield from _section(kind, f"{title}.{kind.name}")


def _row(field: Field) -> str:
    default = "**required**" if field.is_required else f"`{_default(field)}`"
    if not field.is_required and field.default is None:
        default = ""
    marks = " **workbench**" if field.is_ours else " *ignored*" if field.is_ignored else ""
    example = f" Example: `{field.example}`." if field.example else ""
    kind = "list of tasks, below" if isinstance(field.kind, Tasks) else field.kind.describe()
    scope = getattr(field.kind, "scope", None) or getattr(
        getattr(field.kind, "item", None), "scope", ""
    )
    if field.name == "payload":
        scope = "record" if getattr(field.kind, "many", False) else "event"
    template = "" if scope == "none" else scope
    meaning = f"{field.description}{marks}{example}"
    return f"| `{field.name}` | {kind} | {default} | {template} | {meaning} |"


def _default(field: Field) -> str:
    if isinstance(field.default, bool):
        return "true" if field.default else "false"
    return str(field.default)


if __name__ == "__main__":
    import sys

    sys.stdout.write(reference())
