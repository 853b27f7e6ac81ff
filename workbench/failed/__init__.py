"""Failed batches: what a store of them promises, the one that keeps them in a file, claims."""

from workbench.failed.claims import LEASE_SECONDS, Claimant, user_at_host
from workbench.failed.file_store import FileStore
from workbench.failed.port import Change, FailedStore

__all__ = [
    "LEASE_SECONDS",
    "Change",
    "Claimant",
    "FailedStore",
    "FileStore",
    "user_at_host",
]
