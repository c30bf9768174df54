"""What every test shares."""

import os

import pytest
from hypothesis import settings

from tests.servers.postgres import postgres_server as postgres_server
from tests.servers.redis import redis_server as redis_server

# CI looks at the same examples each time: a red run is about the change. Elsewhere each run finds new ones.
settings.register_profile("ci", derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """The machine runs on asyncio."""
    return "asyncio"
