"""grpc, kept quiet: it would write lines of its own to standard error, among our JSON lines or
across the screen. What they tell comes to us as errors too.

The level is read once, when grpc is first imported, so it is imported nowhere else. A level that
the environment gives is kept.
"""

from __future__ import annotations

import os

os.environ.setdefault("GRPC_VERBOSITY", "NONE")

import grpc

__all__ = ["grpc"]
