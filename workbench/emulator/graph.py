"""Composite Graph: several composites at once, each all-or-none, independent of one another."""

from __future__ import annotations

import re
from typing import Any

from .api import Answer, Call
from .composite import HALTED, Subrequest, parse_subrequests, run
from .refusals import ApiError

__all__ = ["post"]

MOST_GRAPHS = 75
MOST_NODES = 500
MOST_DEPTH = 15
MOST_NODE_KINDS = 15
MOST_FAILED = 14
"""After more failed graphs than this the rest are not tried;
https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/resources_composite_graph_limits.htm
(2026-11-23)"""

_GRAPH_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,39}")
_NODE = re.compile(
    r"/services/data/v\d+\.\d/sobjects/"
    r"(?P<object>\w+)(?:/(?P<id>[^/?]+)(?P<value>/[^?]+)?)?/?(?:\?.*)?"
)
_REFERRED = re.compile(r"@\{([A-Za-z0-9_]+)[.\[]")


def post(call: Call) -> Answer:
    """POST composite/graph."""
    graphs = call.object_body("graphs").get("graphs")
    if not isinstance(graphs, list) or not all(isinstance(g, dict) for g in graphs):
        raise ApiError(400, "JSON_PARSER_ERROR", "graphs must be a list of objects")
    parsed = [(_graph_id(g), parse_subrequests(g.get("compositeRequest"))) for g in graphs]
    _check_limits(parsed)
    answers: list[dict[str, Any]] = []
    rows = failed_rows = failed_graphs = 0
    for graph_id, nodes in parsed:
        if failed_graphs > MOST_FAILED:
            responses, failed = _not_tried(nodes), len(nodes)
        else:
            responses, count, failed = run(call, nodes, all_or_none=True)
            rows += count
        failed_graphs += bool(failed)
        failed_rows += failed
        answers.append(
            {
                "graphId": graph_id,
                "graphResponse": {"compositeResponse": responses},
                "isSuccessful": not failed,
            }
        )
    return Answer(200, {"graphs": answers}, rows=rows, failed_rows=failed_rows)


def _graph_id(graph: dict[str, Any]) -> str:
    graph_id = graph.get("graphId")
    if not isinstance(graph_id, str) or not _GRAPH_ID.fullmatch(graph_id):
        raise _invalid(
            f"a graphId has up to 40 characters, a letter or digit first; this has not: {graph_id}"
        )
    return graph_id


def _check_limits(graphs: list[tuple[str, list[Subrequest]]]) -> None:
    if len(graphs) > MOST_GRAPHS:
        raise _limit(f"{MOST_GRAPHS} graphs")
    if len({graph_id for graph_id, _ in graphs}) < len(graphs):
        raise _invalid("each graph needs a graphId of its own")
    nodes = [node for _, nodes in graphs for node in nodes]
    if len(nodes) > MOST_NODES:
        raise _limit(f"{MOST_NODES} nodes")
    for _, own in graphs:
        for node in own:
            _check_node(node)
        if len({_kind(node) for node in own}) > MOST_NODE_KINDS:
            raise _limit(f"{MOST_NODE_KINDS} kinds of nodes in a graph")
        if _depth(own) > MOST_DEPTH:
            raise _limit(f"a depth of {MOST_DEPTH}")


def _check_node(node: Subrequest) -> None:
    match = _NODE.fullmatch(node.url)
    allowed: tuple[str, ...] = ()
    if match is not None:
        if match["id"] is None:
            allowed = ("POST",)
        elif match["value"] is None:
            allowed = ("GET", "PATCH", "DELETE")
        else:
            allowed = ("GET", "PATCH", "POST", "DELETE")
    if node.method not in allowed:
        raise _invalid(f"{node.reference_id}: {node.method} {node.url} cannot be a node of a graph")


def _kind(node: Subrequest) -> tuple[str, str, str]:
    """Version, method and object: what makes nodes of one kind."""
    parts = node.url.split("/")
    return parts[3], node.method, parts[5].partition("?")[0]


def _depth(nodes: list[Subrequest]) -> int:
    """How many nodes stand on one another; only earlier ones can be referred to."""
    depths: dict[str, int] = {}
    for node in nodes:
        referred = _REFERRED.findall(node.url) + _REFERRED.findall(repr(node.body))
        depths[node.reference_id] = 1 + max((depths.get(r, 0) for r in referred), default=0)
    return max(depths.values(), default=0)


def _not_tried(nodes: list[Subrequest]) -> list[dict[str, Any]]:
    return [
        {"body": HALTED, "httpHeaders": {}, "httpStatusCode": 400, "referenceId": n.reference_id}
        for n in nodes
    ]


def _invalid(message: str) -> ApiError:
    return ApiError(400, "INVALID_INPUT", message)


def _limit(what: str) -> ApiError:
    return ApiError(400, "LIMIT_EXCEEDED", f"Limit exceeded: at most {what} in a call")
