"""Templates that need Jinja, compiled into one function per payload.

The paths in an expression are taken out and handed in ready (see `payload`), so that Jinja looks
nothing up; all expressions of a payload stand in one generated function. This is imported only
when a template needs it: Jinja takes longer to import than a flow file takes to check.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar

from jinja2 import StrictUndefined, TemplateSyntaxError, nodes
from jinja2.exceptions import TemplateError
from jinja2.nodes import EvalContext
from jinja2.runtime import Context

from workbench.flow import expression
from workbench.flow.expression import Lookup, MissingValueError, Roots, TemplateProblem
from workbench.flow.sandbox import BOUNDED, EACH, METHOD, OUTPUT, RANGE, TEXT, Sandbox, clean

__all__ = [
    "RESULT",
    "Analysis",
    "Frame",
    "Program",
    "analyse",
    "compile_together",
    "run_one",
    "start",
    "undefined",
]

MAX_TEMPLATE = 20_000
MAX_DEPTH = 100
"""Python reads 200 nested brackets at most, and the compiled template nests as the source does."""
_TOO_DEEP = "the template is nested too deeply"
_ROOTS = ("event", "env", "record")
RESULT = "_wb_result"
_ENVIRONMENT = Sandbox()
start = _ENVIRONMENT.start
_ALLOWED = (
    nodes.Output, nodes.TemplateData, nodes.Name, nodes.Const, nodes.Tuple, nodes.List,
    nodes.Dict, nodes.Pair, nodes.Keyword, nodes.CondExpr, nodes.Filter, nodes.Test, nodes.Call,
    nodes.Getitem, nodes.Getattr, nodes.Slice, nodes.Concat, nodes.Compare, nodes.Operand,
    nodes.BinExpr, nodes.UnaryExpr, nodes.For, nodes.If, nodes.Assign, nodes.AssignBlock,
)  # fmt: skip


class Analysis:
    """One parsed template: the paths it reads, and its tree for `compile_together`.

    `required` are the paths that are read whatever happens; the others stand under a `default`,
    an `is defined` or a condition.
    """

    __slots__ = ("lookups", "required", "scope", "text", "tree")

    def __init__(self, text: str, scope: str) -> None:
        self.text = text
        self.scope = scope
        self.tree = _parse(text)
        finder = _Rewriter({}, collect=True)
        finder.visit_body(_parse(text))
        self.lookups: tuple[Lookup, ...] = tuple(finder.found)
        self.required: tuple[Lookup, ...] = tuple(finder.required)
        self._check_names(finder)
        self._dry_compile()

    def _check_names(self, finder: _Rewriter) -> None:
        from workbench.flow.reader import nearest

        for name in sorted(finder.stored & {*_ROOTS, "range", "loop"}):
            raise TemplateProblem("template.name", f"'{name}' can't be given another meaning")
        known = {*finder.stored, "loop"}
        for name in finder.loaded:
            if name in _ROOTS:
                continue
            if name not in known or name.startswith(("wb_", "_")):
                roots = expression.SCOPE_NAMES[self.scope]
                fix = nearest(name, [*roots, *finder.stored])
                said = " and ".join(repr(root) for root in roots)
                raise TemplateProblem(
                    "template.unknown_name",
                    f"there is no '{name}', only {said}",
                    self.text.replace(name, fix, 1) if fix else None,
                )

    def _dry_compile(self) -> None:
        try:
            inputs = {lookup: f"wb_{index}" for index, lookup in enumerate(self.lookups)}
            compile_together([self], inputs)
        except TemplateSyntaxError as error:
            raise _syntax_problem(error, self.text) from error
        except (SyntaxError, RecursionError, MemoryError) as error:
            raise TemplateProblem("template.syntax", _TOO_DEEP) from error


class Program:
    """The compiled expressions of one payload, in pieces that `payload` writes into its function.

    `root(Frame(inputs))` is a generator that leaves the values, in order, in `frame.vars[RESULT]`;
    `start` is called before where anything has to be counted.
    """

    __slots__ = ("is_counted", "root")

    def __init__(self, root: Any, is_counted: bool) -> None:
        self.root = root
        self.is_counted = is_counted

    def run(self, inputs: dict[str, Any]) -> list[Any]:
        """The value of every expression, in order, for these inputs.

        Raises:
            Exception: whatever a template can run into; `run_one` tells it apart.
        """
        start()
        frame = Frame(inputs)
        next(self.root(frame), None)
        return [clean(value) for value in frame.vars[RESULT]]


class Frame(Context):
    """Jinja's context without what it copies for each rendering: all but `vars` is shared."""

    environment = _ENVIRONMENT
    eval_ctx = EvalContext(_ENVIRONMENT)
    exported_vars: ClassVar[set[str]] = set()  # type: ignore[misc]
    name = None
    blocks: ClassVar[dict[str, Any]] = {}  # type: ignore[misc]

    def __init__(self, inputs: dict[str, Any]) -> None:
        self.parent = inputs
        self.vars: dict[str, Any] = {}
        # Instance attribute over the method: names are known to be there, a dict answers fastest.
        self.resolve_or_missing = inputs.__getitem__  # type: ignore[method-assign,assignment]


def analyse(text: str, scope: str) -> Analysis:
    """Parse a template and find what it reads.

    Raises:
        TemplateProblem: it is wrong; the message says how.
    """
    if len(text) > MAX_TEMPLATE:
        raise TemplateProblem(
            "template.too_long", f"a template has at most {MAX_TEMPLATE:,} characters"
        )
    return Analysis(text, scope)


def compile_together(analyses: list[Analysis], inputs: Mapping[Lookup, str]) -> Program:
    """One function for all of them; `inputs` names the variable that carries each path's value."""
    rewriter = _Rewriter(inputs)
    body: list[nodes.Node] = []
    results: list[nodes.Expr] = []
    for index, analysis in enumerate(analyses):
        parts = rewriter.visit_body(_parse(analysis.text))
        if all(isinstance(part, nodes.Output) for part in parts):
            results.append(_expression(parts))
        else:
            name = f"wb_text_{index}"
            for output in [o for part in parts for o in _outputs(part)]:
                output.nodes = [_as_text(node, OUTPUT) for node in output.nodes]
            body.append(nodes.AssignBlock(nodes.Name(name, "store"), None, parts))
            results.append(nodes.Filter(nodes.Name(name, "load"), BOUNDED, [], [], None, None))
    body.append(nodes.Assign(nodes.Name(RESULT, "store"), nodes.Tuple(results, "load")))
    template = nodes.Template(body, lineno=1)
    template.set_lineno(1)
    template.set_environment(_ENVIRONMENT)
    namespace: dict[str, Any] = {"environment": _ENVIRONMENT}
    exec(_ENVIRONMENT.compile(template, name="template", filename="<template>"), namespace)
    is_counted = bool(body[:-1]) or template.find(nodes.For) is not None
    return Program(namespace["root"], is_counted)


def run_one(analysis: Analysis, roots: Roots) -> Any:
    """The value of one template by itself.

    Raises:
        ValueError: what is wrong, as a sentence.
    """
    inputs: dict[str, Any] = {}
    names: dict[Lookup, str] = {}
    for index, lookup in enumerate(analysis.lookups):
        names[lookup] = name = f"wb_{index}"
        try:
            inputs[name] = expression.look_up(lookup, roots)
        except MissingValueError as error:
            inputs[name] = undefined(str(error))
    try:
        return compile_together([analysis], names).run(inputs)[0]
    except Exception as error:
        said = str(error) or type(error).__name__
        raise ValueError(said if isinstance(error, TemplateError) else _sentence(error)) from error


def undefined(why: str) -> StrictUndefined:
    """Jinja's undefined; using it in any way but a test or `default` raises with `why`."""
    return StrictUndefined(hint=why)


class _Rewriter:
    """Puts variables in place of paths, and filters of ours in place of calls and loops."""

    def __init__(self, inputs: Mapping[Lookup, str], *, collect: bool = False) -> None:
        self.inputs = inputs
        self.collect = collect
        self.found: dict[Lookup, None] = {}
        self.required: dict[Lookup, None] = {}
        self.loaded: dict[str, None] = {}
        self.stored: set[str] = set()
        self.depth = 0

    def visit_body(self, body: list[nodes.Node]) -> list[nodes.Node]:
        return [self.visit(node, guarded=False) for node in body]

    def visit(self, node: Any, guarded: bool) -> Any:
        if self.depth >= MAX_DEPTH:
            raise TemplateProblem("template.syntax", _TOO_DEEP)
        self.depth += 1
        visited = self._visit(node, guarded)
        self.depth -= 1
        return visited

    def _visit(self, node: Any, guarded: bool) -> Any:
        if not isinstance(node, _ALLOWED):
            word = type(node).__name__.lower()
            raise TemplateProblem(
                "template.not_supported", f"'{word}' can't be used in a flow file"
            )
        lookup = _lookup(node)
        if lookup is not None and lookup[0] in _ROOTS:
            return self._replaced(lookup, guarded)
        if isinstance(node, nodes.Name):
            if node.ctx == "load":
                self.loaded[node.name] = None
            else:
                self.stored.add(node.name)
            return node
        if isinstance(node, nodes.Call):
            return self._call(node, guarded)
        self._check_filter(node)
        self._children(node, guarded)
        if isinstance(node, nodes.For):
            if node.recursive:
                raise TemplateProblem("template.not_supported", "a loop can't be recursive")
            node.iter = nodes.Filter(node.iter, EACH, [], [], None, None)
        elif isinstance(node, nodes.Concat):
            parts = [nodes.Filter(part, TEXT, [], [], None, None) for part in node.nodes]
            return nodes.Filter(nodes.Concat(parts), BOUNDED, [], [], None, None)
        return node

    def _check_filter(self, node: Any) -> None:
        if isinstance(node, nodes.Filter) and node.name.startswith("wb_"):
            raise TemplateProblem("template.not_supported", f"there is no filter '{node.name}'")

    def _children(self, node: Any, guarded: bool) -> None:
        if isinstance(node, nodes.Filter):
            guarded_child = guarded or node.name in {"default", "d"}
        else:
            guarded_child = guarded or isinstance(
                node, (nodes.Test, nodes.CondExpr, nodes.And, nodes.Or, nodes.If, nodes.For)
            )
        for name, value in node.iter_fields():
            if isinstance(value, list):
                setattr(
                    node,
                    name,
                    [
                        self.visit(item, guarded_child) if isinstance(item, nodes.Node) else item
                        for item in value
                    ],
                )
            elif isinstance(value, nodes.Node):
                setattr(node, name, self.visit(value, guarded_child))

    def _call(self, node: nodes.Call, guarded: bool) -> nodes.Expr:
        target = node.node
        if isinstance(target, nodes.Getattr):
            name = nodes.Const(target.attr)
            call = nodes.Filter(
                target.node, METHOD, [name, *node.args], node.kwargs, node.dyn_args,
                node.dyn_kwargs,
            )  # fmt: skip
            for field, value in list(call.iter_fields()):
                if isinstance(value, nodes.Node):
                    setattr(call, field, self.visit(value, guarded))
                elif isinstance(value, list):
                    setattr(call, field, [self.visit(item, guarded) for item in value])
            return call
        if not (isinstance(target, nodes.Name) and target.name == "range") or node.kwargs:
            raise TemplateProblem(
                "template.not_supported", "only range() and methods can be called in a template"
            )
        call = nodes.Filter(nodes.Const(None), RANGE, node.args, [], node.dyn_args, None)
        self._children(call, guarded)
        return call

    def _replaced(self, lookup: Lookup, guarded: bool) -> nodes.Expr:
        self.found[lookup] = None
        if not guarded:
            self.required[lookup] = None
        return nodes.Name(self.inputs.get(lookup, "wb_input"), "load")


def _parse(text: str) -> list[nodes.Node]:
    try:
        return _ENVIRONMENT.parse(text).body
    except TemplateSyntaxError as error:
        raise _syntax_problem(error, text) from error
    except RecursionError as error:
        raise TemplateProblem("template.syntax", _TOO_DEEP) from error


def _syntax_problem(error: TemplateSyntaxError, text: str) -> TemplateProblem:
    from workbench.flow.reader import nearest

    message = error.message or "it can't be read"
    for kind, known in (("filter", _ENVIRONMENT.filters), ("test", _ENVIRONMENT.tests)):
        if message.startswith(f"No {kind} named "):
            name = message.split("'")[1]
            near = nearest(name, [n for n in known if not n.startswith("wb_")])
            fix = re.sub(rf"\b{re.escape(name)}\b", near, text) if near else None
            return TemplateProblem("template.unknown_filter", f"there is no {kind} '{name}'", fix)
    return TemplateProblem("template.syntax", f"the template can't be read: {message}")


def _lookup(node: Any) -> Lookup | None:
    """The path that a chain of names and constant keys is."""
    parts: list[str | int] = []
    while True:
        if isinstance(node, nodes.Name):
            return (node.name, *reversed(parts)) if node.ctx == "load" else None
        if isinstance(node, nodes.Getattr):
            parts.append(node.attr)
        elif isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Const):
            if type(node.arg.value) not in (str, int):
                return None
            parts.append(node.arg.value)
        else:
            return None
        node = node.node


def _expression(parts: list[Any]) -> nodes.Expr:
    """The one expression of a template without blocks: the value itself, or texts joined."""
    items = [node for part in parts for node in part.nodes]
    if len(items) == 1 and not isinstance(items[0], nodes.TemplateData):
        only: nodes.Expr = items[0]
        return only
    joined = nodes.Concat([_as_text(item) for item in items])
    return nodes.Filter(joined, BOUNDED, [], [], None, None)


def _as_text(node: nodes.Expr, filter_name: str = TEXT) -> nodes.Expr:
    if isinstance(node, nodes.TemplateData):
        node = nodes.Const(node.data)
        if filter_name == TEXT:
            return node
    return nodes.Filter(node, filter_name, [], [], None, None)


def _outputs(node: nodes.Node) -> list[nodes.Output]:
    own = [node] if isinstance(node, nodes.Output) else []
    return [*own, *node.find_all(nodes.Output)]


def _sentence(error: Exception) -> str:
    text = str(error) or type(error).__name__
    return text if isinstance(error, ValueError) else f"the template fails: {text}"
