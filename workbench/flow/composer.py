"""YAML text into nodes, event by event.

libyaml reads the text where PyYAML has it; PyYAML's own composer and constructors are not used:
nodes keep their place, and aliases are counted instead of copied.
"""

from __future__ import annotations

from typing import Any

from workbench.flow.nodes import Mapping, Node, Scalar, Sequence, Span

__all__ = ["MAX_DEPTH", "MAX_NODES", "Refused", "compose"]

MAX_DEPTH = 64
MAX_NODES = 50_000
"""Nodes of a file with every alias written out: what bounds a file that doubles itself."""

_TAGS = {"tag:yaml.org,2002:str", "tag:yaml.org,2002:int", "tag:yaml.org,2002:float"} | {
    f"tag:yaml.org,2002:{name}" for name in ("bool", "null", "map", "seq")
}
_STR_TAG = "tag:yaml.org,2002:str"


def compose(text: str) -> Node | None:
    """The root of the text's one document, None where it has none.

    Raises:
        yaml.YAMLError: it is not YAML.
        Refused: it is, and still not for us.
    """
    return _Composer(text).compose()


class Refused(Exception):
    """YAML that is well-formed and still not for us."""

    def __init__(self, code: str, message: str, span: Span) -> None:
        self.code, self.message, self.span = code, message, span
        super().__init__(message)


class _Composer:
    """Events into nodes, with a stack of its own so that depth is a count and not a crash."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.anchors: dict[str, Node] = {}
        self.open_anchors: set[str] = set()

    def compose(self) -> Node | None:
        import yaml

        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        root: Node | None = None
        documents = 0
        stack: list[_Open] = []
        for event in yaml.parse(self.text, Loader=loader):
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise Refused(
                        "yaml.documents",
                        "the file holds several YAML documents ('---'); a file is one flow",
                        _span(event),
                    )
            elif isinstance(event, yaml.CollectionStartEvent):
                self._open(event, stack)
            elif isinstance(event, yaml.CollectionEndEvent):
                node = self._close(event, stack)
                root = self._place(node, stack, root)
            elif isinstance(event, yaml.ScalarEvent):
                root = self._place(self._scalar(event), stack, root)
            elif isinstance(event, yaml.AliasEvent):
                root = self._place(self._alias(event), stack, root)
        return root

    def _open(self, event: Any, stack: list[_Open]) -> None:
        import yaml

        span = _span(event)
        if len(stack) >= MAX_DEPTH:
            raise Refused("yaml.depth", f"the file is nested deeper than {MAX_DEPTH} levels", span)
        self._check_tag(event)
        if event.anchor:
            self.open_anchors.add(event.anchor)
            self.anchors.pop(event.anchor, None)
        is_mapping = isinstance(event, yaml.MappingStartEvent)
        stack.append(_Open(span, is_mapping, bool(event.flow_style), event.anchor))

    def _close(self, event: Any, stack: list[_Open]) -> Node:
        top = stack.pop()
        end = _span(event)
        span = Span(top.span.line, top.span.column, end.end_line, end.end_column)
        if not top.is_flow_style and top.items:
            last = top.items[-1].span
            begin = (top.span.line, top.span.column)
            if (last.end_line, last.end_column) >= begin:
                span = Span(*begin, last.end_line, last.end_column)
        node: Node
        if top.is_mapping:
            node = mapping = Mapping(span, top.is_flow_style)
            merges: list[Node] = []
            for key, value in zip(top.items[::2], top.items[1::2], strict=True):
                if isinstance(key, Scalar) and key.is_plain and key.text == "<<":
                    merges.append(value)
                else:
                    mapping.add(key, value)
            for value in merges:
                if not mapping.merge(value):
                    raise Refused(
                        "yaml.merge", "'<<' merges a mapping or a list of mappings", value.span
                    )
        else:
            node = Sequence(span, top.items)
        if top.anchor:
            self.open_anchors.discard(top.anchor)
            self.anchors[top.anchor] = node
        if node.size > MAX_NODES:
            raise Refused(
                "yaml.expansion",
                f"with its aliases written out the file has more than {MAX_NODES:,} values",
                span,
            )
        return node

    def _scalar(self, event: Any) -> Node:
        self._check_tag(event)
        is_plain = not event.style and event.tag != "!"
        node = Scalar(_span(event), event.value, is_plain, event.tag == _STR_TAG)
        if event.anchor:
            self.anchors[event.anchor] = node
        return node

    def _alias(self, event: Any) -> Node:
        node = self.anchors.get(event.anchor)
        if node is not None:
            return node
        message = (
            f"'*{event.anchor}' stands inside the value it names"
            if event.anchor in self.open_anchors
            else f"'*{event.anchor}' names an anchor that is not defined above"
        )
        raise Refused("yaml.alias", message, _span(event))

    def _place(self, node: Node, stack: list[_Open], root: Node | None) -> Node | None:
        if not stack:
            return node
        stack[-1].items.append(node)
        return root

    def _check_tag(self, event: Any) -> None:
        if event.tag and event.tag != "!" and event.tag not in _TAGS:
            raise Refused(
                "yaml.tag", f"the tag '{event.tag}' means nothing in a flow file", _span(event)
            )


class _Open:
    """A collection whose end has not come yet."""

    __slots__ = ("anchor", "is_flow_style", "is_mapping", "items", "span")

    def __init__(
        self, span: Span, is_mapping: bool, is_flow_style: bool, anchor: str | None
    ) -> None:
        self.span = span
        self.is_mapping = is_mapping
        self.is_flow_style = is_flow_style
        self.anchor = anchor
        self.items: list[Node] = []


def _span(event: Any) -> Span:
    start, end = event.start_mark, event.end_mark
    return Span(start.line + 1, start.column + 1, end.line + 1, end.column + 1)
