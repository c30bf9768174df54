"""What every test shares."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

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


LONG = (
    "acceptance/test_production.py", "test_cli.py", "infrastructure/test_deploys.py", "test_chaos.py",
    "test_fuzz.py", "contracts/test_proof.py", "contracts/test_ledger_races.py",
    "contracts/test_ledger_model.py", "test_readme.py", "acceptance/test_celery.py",
    "contracts/test_ledger_dynamodb.py", "test_serving.py", "test_simulation.py",
    "acceptance/test_production_commands.py", "acceptance/test_hundred_thousand_rows.py",
    "test_tasks_metabase.py", "web/test_browser_pages.py", "web/test_browser_embedded.py",
    "web/test_browser_production.py", "test_api.py", "acceptance/test_deploy.py",
    "acceptance/test_on_dynamodb.py", "test_cli_promises.py", "test_bounded_memory.py",
)  # fmt: skip
"""Files that take longest, longest first: whatever begins last is what the others wait for at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first; `make test` hands files out in this order."""
    turn = {Path(__file__).parent / name: number for number, name in enumerate(LONG)}
    items.sort(key=lambda item: turn.get(item.path, len(LONG)))


def pytest_xdist_auto_num_workers() -> int:
    """For `-n auto`: half as many again as there are cores, because tests wait for other processes, too."""
    return -(-3 * (os.cpu_count() or 1) // 2)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """The machine runs on asyncio."""
    return "asyncio"


@pytest.fixture
def quiet() -> Iterator[None]:
    """Failures that are meant to happen are logged to nobody: rendering their tracebacks takes seconds."""
    with capture_logs():
        yield
