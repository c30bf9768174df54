"""What gunicorn reads by itself where it is started in this folder; its command line goes before it."""

import os
import shutil
import tempfile
from typing import Any

keepalive = 75  # longer than proxies keep a connection: with 2 s a request may meet one that is just closed

_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
if _FOLDER not in os.environ:  # the processes of one service count their answers together
    os.environ[_FOLDER] = tempfile.mkdtemp(prefix="vectordb-metrics-")


def on_exit(_server: Any) -> None:
    shutil.rmtree(os.environ[_FOLDER], ignore_errors=True)
