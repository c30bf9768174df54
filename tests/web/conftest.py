"""Two processes of the service over one ledger, with a task of a hostile table, for tests of pages."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.http_service import follow
from tests.tenant_kit import OPERATOR, House, house, sent
from tests.web.browser_kit import chromium

HOSTILE = "<img src=x onerror=alert(1)>.csv"


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Tests that revoke a key or use one up hand out their own."""
    folder: Path = tmp_path_factory.mktemp("shared")
    with house(folder) as made:
        yield made


@pytest.fixture(scope="session")
def hostile_task(shared: House) -> str:
    """A completed task of the operator, with a rejected row and a name that is markup."""
    folder = Path(shared.first.said).parent.parent / "tables"
    (folder / HOSTILE).write_text("id,<script>alert(1)</script>\n1,\u202egnp.exe\n,=1+1\n2,<b>bold</b>\n")
    with shared.first.client(OPERATOR) as api:
        task_id = sent(api, data_source="s3_csv", s3_key=HOSTILE)
        assert follow(api, task_id)[-1] == "end"
        return task_id


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened
