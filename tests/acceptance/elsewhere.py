"""`python -m tests.acceptance.elsewhere HOST …`: Celery, in a process that takes its machine to be HOST.

So that a worker can be killed of which no other can see by itself that it is gone.
"""

from __future__ import annotations

import socket
import sys

from celery.__main__ import main

if __name__ == "__main__":
    _, host, *arguments = sys.argv
    socket.gethostname = lambda: host
    sys.argv = ["celery", *arguments]
    main()
