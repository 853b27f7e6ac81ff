"""What holds for all tests."""

from __future__ import annotations

import os
import signal

# Processes that tests start are forked with file descriptors closed on purpose; gRPC, once it runs
# in the same test process, would mind that in the child.
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell that runs the tests in the background has them ignore Ctrl-C; so would every program
    # that they start and interrupt.
    signal.signal(signal.SIGINT, signal.default_int_handler)
