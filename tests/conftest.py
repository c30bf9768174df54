"""What every test shares."""

import os
import signal
from collections.abc import Iterator

import pytest
from hypothesis import settings
from structlog.testing import capture_logs

from tests.servers.metabase import metabase as metabase
from tests.servers.metabase import metabase_server as metabase_server
from tests.servers.moto import moto as moto
from tests.servers.postgres import postgres_server as postgres_server
from tests.servers.redis import redis_server as redis_server

# Shells let what they start in the background ignore Ctrl-C, and so would the programs that tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)

# CI looks at the same examples each time: a red run is about the change. Elsewhere each run finds new ones.
settings.register_profile("ci", derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """The machine runs on asyncio."""
    return "asyncio"


@pytest.fixture
def quiet() -> Iterator[None]:
    """Failures that are meant to happen are logged to nobody: rendering their tracebacks takes seconds."""
    with capture_logs():
        yield
