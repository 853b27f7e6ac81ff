"""Who answers which path of the data API, in the order in which they are tried."""

from __future__ import annotations

from . import composite, graph, metadata, queries, replication, rows, sobject_collections, tree
from .api import Answer, Call, Route

__all__ = ["ROUTES"]

COLLECTIONS_SINCE = 42
COLLECTION_UPSERT_SINCE = 46
GRAPH_SINCE = 50


def _tooling_query(call: Call) -> Answer:
    from .events import tooling_query  # needs Avro, which few runs do

    return tooling_query(call)


ROUTES = (
    Route((), {"GET": metadata.resources}),
    Route(("limits",), {"GET": metadata.limits}),
    Route(("query",), {"GET": queries.query}),
    Route(("queryAll",), {"GET": queries.query_all}),
    Route(("query", "*"), {"GET": queries.more}),
    Route(("queryAll", "*"), {"GET": queries.more}),
    Route(("tooling", "query"), {"GET": _tooling_query}),
    Route(("sobjects",), {"GET": metadata.sobjects}),
    Route(("sobjects", "*"), {"GET": metadata.basic, "POST": rows.create}),
    Route(("sobjects", "*", "describe"), {"GET": metadata.describe}),
    Route(("sobjects", "*", "updated"), {"GET": replication.updated}),
    Route(("sobjects", "*", "deleted"), {"GET": replication.deleted}),
    Route(("sobjects", "*", "*"), {"GET": rows.get, "PATCH": rows.update, "DELETE": rows.delete}),
    Route(
        ("sobjects", "*", "*", "**"),
        {
            "GET": rows.get_by_key,
            "PATCH": rows.upsert,
            "POST": rows.upsert,
            "DELETE": rows.delete_by_key,
        },
    ),
    Route(("composite",), {"GET": metadata.composite_resources, "POST": composite.post}),
    Route(("composite", "batch"), {"POST": composite.batch}),
    Route(("composite", "graph"), {"POST": graph.post}, GRAPH_SINCE),
    Route(("composite", "tree", "*"), {"POST": tree.post}),
    Route(
        ("composite", "sobjects"),
        {
            "POST": sobject_collections.create,
            "PATCH": sobject_collections.update,
            "DELETE": sobject_collections.delete,
        },
        COLLECTIONS_SINCE,
    ),
    Route(
        ("composite", "sobjects", "*"),
        {"GET": sobject_collections.retrieve_get, "POST": sobject_collections.retrieve_post},
        COLLECTIONS_SINCE,
    ),
    Route(
        ("composite", "sobjects", "*", "*"),
        {"PATCH": sobject_collections.upsert},
        COLLECTION_UPSERT_SINCE,
    ),
)
