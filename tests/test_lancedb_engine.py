"""LanceDB is loaded without the client that it only names, and that client is there for whoever asks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
_LOADED = """
import sys
from rowvec.vectorstores.lancedb.engine import engine

engine()
print("lance_namespace_urllib3_client.api" in sys.modules)
import lance_namespace_urllib3_client as client
print(client.TableApi is client.api.table_api.TableApi)
print("lance_namespace_urllib3_client.api" in sys.modules)
"""


def test_what_is_not_used_is_loaded_by_the_first_who_asks() -> None:
    """It would take a worker as long to load as all else, for nothing."""
    done = subprocess.run([sys.executable, "-c", _LOADED], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.split() == ["False", "True", "True"], done.stderr
