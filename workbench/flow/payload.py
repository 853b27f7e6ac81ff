"""A payload with templates in it, compiled once into one Python function.

Every leaf becomes Python source: a literal, a path (`data["order_id"]`), texts joined, or a slot of
the one Jinja expression that holds all leaves which need Jinja. The fast function only says that
something is missing; `_Slow` then walks the same leaves to say which, and where.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from workbench.errors import RenderError
from workbench.flow import expression
from workbench.flow.expression import (
    Lookup,
    MissingValueError,
    PathError,
    Roots,
    TemplateProblem,
)
from workbench.flow.nodes import Path, format_path
from workbench.model import Event

__all__ = ["Compiled", "Leaf", "Renderer"]

Renderer = Callable[[Event, Any, Any], Any]
"""`(event, data, record) -> value`; raises RenderError."""


class Leaf:
    """One text with a template: what it reads, and how it is rendered.

    `parts` are texts and paths where the template is nothing but those, else None and `program`
    holds what Jinja compiled. `lookups` are the paths it reads; those in `required` must be there,
    the others stand under a `default` or `is defined`.
    """

    __slots__ = ("lookups", "parts", "program", "required", "text")

    def __init__(self, text: str, scope: str) -> None:
        self.text = text
        self.parts = expression.split_template(text.removesuffix("\n"))
        self.program: Any = None
        if self.parts is None:
            from workbench.flow import jinja

            self.program = jinja.analyse(text.removesuffix("\n"), scope)
            self.lookups: tuple[Lookup, ...] = self.program.lookups
            self.required: tuple[Lookup, ...] = self.program.required
        else:
            self.lookups = tuple(part for part in self.parts if isinstance(part, tuple))
            self.required = self.lookups
        for lookup in self.lookups:
            try:
                expression.check_lookup(lookup, scope)
            except PathError as error:
                fix = text.replace(expression.format_lookup(lookup), error.fix or "")
                raise TemplateProblem(
                    "template.unknown_name", str(error), fix if error.fix else None
                ) from error

    def uses(self, root: str) -> bool:
        """Whether it reads `record`, say."""
        return any(lookup[0] == root for lookup in self.lookups)


class Compiled:
    """A value of mappings, lists and scalars with the templates in it compiled.

    `bind` gives the function that renders it. Making one raises TemplateProblem for the first
    template that is wrong.
    """

    __slots__ = ("leaves", "value")

    def __init__(self, value: Any, scope: str) -> None:
        self.value = value
        self.leaves = dict(_leaves(value, scope, ()))

    def uses(self, root: str) -> bool:
        """Whether any of its templates reads `root`."""
        return any(leaf.uses(root) for leaf in self.leaves.values())

    def bind(self, task: str, field: str, env: Mapping[str, str]) -> Renderer:
        """The rendering function; errors name `task` and the place below `field`."""
        return _Generated(self, task, field, env).function()


def _leaves(value: Any, scope: str, path: Path) -> Iterator[tuple[Path, Leaf]]:
    if isinstance(value, str):
        if "{{" in value or "{%" in value:
            yield path, Leaf(value, scope)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _leaves(item, scope, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _leaves(item, scope, (*path, index))


class _Generated:
    """One payload's Python source, and what the source refers to."""

    def __init__(self, compiled: Compiled, task: str, field: str, env: Mapping[str, str]) -> None:
        self.compiled = compiled
        self.task = task
        self.field = field
        self.env = dict(env)
        self.programs: list[tuple[Path, Leaf]] = [
            (path, leaf) for path, leaf in compiled.leaves.items() if leaf.program is not None
        ]
        self.slots = {path: index for index, (path, _) in enumerate(self.programs)}
        self.inputs: dict[Lookup, str] = {}
        for _, leaf in self.programs:
            for lookup in leaf.lookups:
                self.inputs.setdefault(lookup, f"wb_{len(self.inputs)}")

    def function(self) -> Renderer:
        names: dict[str, Any] = {
            "env": self.env,
            "meta": expression.meta,
            "timestamp": expression.event_timestamp,
            "text": _fast_text,
            "slow": self.explain,
        }
        body = self._source(self.compiled.value, ())
        lines = ["def render(event, data, record):", "  try:"]
        if self.programs:
            from workbench.flow import jinja, sandbox

            program = jinja.compile_together(
                [leaf.program for _, leaf in self.programs], self.inputs
            )
            names |= {"root": program.root, "Frame": jinja.Frame, "clean": sandbox.clean}
            names |= {"start": jinja.start, "tolerant": self._tolerant}
            inputs = ", ".join(
                f"{name!r}: {expression.source(lookup)}" for lookup, name in self.inputs.items()
            )
            lines += [
                "    try:",
                f"      inputs = {{{inputs}}}",
                "    except (KeyError, IndexError, TypeError):",
                "      inputs = tolerant(event, data, record)",
                "    start()" if program.is_counted else "    pass",
                "    frame = Frame(inputs)",
                "    next(root(frame), None)",
                f"    j = frame.vars[{jinja.RESULT!r}]",
            ]
        lines += [
            f"    return {body}",
            "  except Exception as error:",
            "    raise slow(event, data, record, error) from error",
        ]
        # The source holds nothing of the file but reprs of its texts, keys and numbers.
        exec("\n".join(lines), names)
        renderer: Renderer = names["render"]
        return renderer

    def _source(self, value: Any, path: Path) -> str:
        leaf = self.compiled.leaves.get(path)
        if leaf is not None:
            return self._leaf_source(leaf, path)
        if isinstance(value, dict):
            items = (f"{key!r}: {self._source(v, (*path, key))}" for key, v in value.items())
            return "{" + ", ".join(items) + "}"
        if isinstance(value, list):
            items = (self._source(item, (*path, index)) for index, item in enumerate(value))
            return "[" + ", ".join(items) + "]"
        return repr(value)

    def _leaf_source(self, leaf: Leaf, path: Path) -> str:
        if leaf.parts is None:
            slot = self.slots[path]
            return f"(x if type(x := j[{slot}]) is str else clean(x))"
        if len(leaf.parts) == 1 and isinstance(leaf.parts[0], tuple):
            return expression.source(leaf.parts[0])
        parts = [
            repr(part) if isinstance(part, str) else f"text({expression.source(part)})"
            for part in leaf.parts
        ]
        return "''.join((" + ", ".join(parts) + ",))"

    def _tolerant(self, event: Event, data: Any, record: Any) -> dict[str, Any]:
        """The inputs with Jinja's undefined for what is not there, so that `default` can work."""
        from workbench.flow import jinja

        roots = Roots(event, data, record, self.env)
        values = {}
        for lookup, name in self.inputs.items():
            try:
                values[name] = expression.look_up(lookup, roots)
            except MissingValueError as error:
                values[name] = jinja.undefined(str(error))
        return values

    def explain(self, event: Event, data: Any, record: Any, error: Exception) -> RenderError:
        """The first leaf that fails, as an error with its place."""
        roots = Roots(event, data, record, self.env)
        for path, leaf in self.compiled.leaves.items():
            try:
                self._render_leaf(leaf, roots)
            except (ValueError, LookupError) as reason:
                said = str(reason.args[0]) if reason.args else str(reason)
                return RenderError(self.task, self._place(path), said)
        return RenderError(self.task, self.field, f"it can't be rendered: {error}")

    def _render_leaf(self, leaf: Leaf, roots: Roots) -> Any:
        if leaf.parts is None:
            from workbench.flow import jinja

            return jinja.run_one(leaf.program, roots)
        for part in leaf.parts:
            if isinstance(part, tuple):
                value = expression.look_up(part, roots)
                if len(leaf.parts) > 1:
                    try:
                        _fast_text(value)
                    except ValueError as reason:
                        raise ValueError(f"{expression.format_lookup(part)} {reason}") from reason
        return None

    def _place(self, path: Path) -> str:
        place = format_path(path)
        if not place or place.startswith("["):
            return self.field + place
        return f"{self.field}.{place}"


def _fast_text(value: Any) -> str:
    if type(value) is str:
        return value
    return expression.text_of(value)
