"""How a peer's program is told to begin, and tells that it has ended: each by one line.

What is measured lies between the two, without the imports.
"""

import sys
from collections.abc import Callable


def run(main: Callable[[str], None]) -> None:
    """Wait for a line, do `main` of the table that the command line names, say so, and wait to be read."""
    print("ready", flush=True)
    sys.stdin.readline()
    main(sys.argv[1])
    print("done", flush=True)
    sys.stdin.readline()
