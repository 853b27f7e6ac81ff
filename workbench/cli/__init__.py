"""The command line: `main` is the `workbench` program.

Commands import what they need when they run, so that each starts as fast as what it does allows.
"""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line of this process; ends by `SystemExit` with one of `exits`' codes."""
    try:
        from workbench.app.asked import mind_what_is_dropped

        mind_what_is_dropped()
        from workbench.cli.root import run
        from workbench.cli.streams import mend_streams

        mend_streams()
        code = run(sys.argv[1:])
    except KeyboardInterrupt:  # while it was being loaded
        code = 130
    sys.exit(code)
