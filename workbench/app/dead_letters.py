"""Where the failed batches of flows are kept: a file for each flow in one folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from workbench.engine import DeadLetters
from workbench.failed import FileStore
from workbench.flow import Flow

__all__ = ["file_stores"]


def file_stores(folder: Path) -> Callable[[Flow], DeadLetters]:
    """Opens the file of a flow, named after it; the folder is made with the first failed batch."""

    def store_of(flow: Flow) -> DeadLetters:
        safe = "".join(c if c.isalnum() or c in "-_." else "_" for c in flow.name)
        return FileStore(folder / f"{safe}.jsonl")

    return store_of
