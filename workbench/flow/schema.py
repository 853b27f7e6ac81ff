"""The language as JSON Schema, for editors that understand yaml-language-server."""

from __future__ import annotations

from typing import Any

from workbench.flow.language import FILE

__all__ = ["schema"]


def schema() -> dict[str, Any]:
    """A draft 7 schema of the flow file.

    It refuses what the loader refuses with a code that begins with `schema.`. It can't see task
    names and the graph, what stands inside templates, nor what YAML itself is refused for.
    """
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "workbench flow file",
        **FILE.schema(),
    }
