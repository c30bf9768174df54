"""Keys are exchanged by the commands of docs/operations.md, while the service runs."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.acceptance.documented import documented
from tests.acceptance.service import Service

PATIENCE = 60.0
OLD = "Zq3kT9vB2mXw7RfLh5NcYd8PsJ4gUa6E"
NEW = "hV4nC8xQ1pLs6KdGz3TyWm9RbJ7fEu5A"
KEY = re.compile(r"vdb_live_(\w+?)_\w+")


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    with Service(tmp_path, EMBEDDER="memory", API_KEYS=OLD) as started:
        started.start()
        started.wait_alive()
        yield started


def opens(service: Service, key: str) -> bool:
    answer = httpx2.get(f"{service.url}/api/v1/tasks", headers={"X-API-Key": key}, timeout=60)
    assert answer.status_code in (200, 401), answer.text
    return answer.status_code == 200


def until_closed(service: Service, key: str) -> None:
    give_up = time.monotonic() + PATIENCE
    while opens(service, key):
        assert time.monotonic() < give_up, "the key still opens"
        time.sleep(0.1)


def run(service: Service, mark: str, **values: str) -> str:
    return documented(mark, service.folder, DATA_DIR=str(service.data), EMBEDDER="memory", **values)


def test_a_key_is_exchanged_without_a_gap(service: Service) -> None:
    """Both open while callers change; then the old one is revoked, and opens nothing from then on."""
    first = KEY.search(run(service, "keys: first"))
    assert first and opens(service, first[0])
    new = KEY.search(run(service, "keys: rotate", ID=first[1]))
    assert new and new[0] != first[0]
    assert opens(service, first[0]) and opens(service, new[0])
    assert run(service, "keys: list").count(first[1]) == 1
    run(service, "keys: revoke", ID=first[1])
    assert (opens(service, first[0]), opens(service, new[0])) == (False, True)


def test_the_old_key_ends_by_itself(service: Service) -> None:
    """Nobody has to come back when the hours of the overlap are over."""
    first = KEY.search(run(service, "keys: first"))
    assert first
    new = KEY.search(run(service, "keys: rotate briefly", ID=first[1]))
    assert new and opens(service, new[0])
    until_closed(service, first[0])
    assert opens(service, new[0])


def test_a_key_of_the_settings_is_exchanged(service: Service) -> None:
    """Both stand in API_KEYS from one restart to the next."""
    assert opens(service, OLD) and not opens(service, NEW)
    for keys, both in ((f"{NEW},{OLD}", (True, True)), (NEW, (False, True))):
        service.stop()
        service.start(API_KEYS=keys)
        service.wait_alive()
        assert (opens(service, OLD), opens(service, NEW)) == both
