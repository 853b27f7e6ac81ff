"""Where failed batches are kept when no stream keeps them: files on this machine."""

from workbench.failed.file_store import FileStore

__all__ = ["FileStore"]
