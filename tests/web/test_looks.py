"""Chunks, errors and limits as people see them: escaped, within a tenant, and only for who may act."""

from __future__ import annotations

import csv
import html
import json
import re
import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.http_service import follow
from tests.tenant_kit import House, house, sent, until
from tests.web.page_kit import Visitor

HOSTILE = "id,title\n" + "".join(
    f"{name},{text}\n"
    for name, text in [
        ("p1", "<script>alert(1)</script>"),
        ("p2", '=HYPERLINK(""http://x"")'),
        ("", "<img src=x onerror=alert(2)>"),
        ("p4", "a \u202eright to left,<b>surplus</b>"),
        ("p5", "'\"><svg onload=alert(3)>,=1+1"),
        *((f"q{n}", f"lamp {n}") for n in range(20)),
    ]
)
LIVE = ("chunks", "errors")


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("house") / "tables"


@pytest.fixture(scope="module")
def home(tables: Path) -> Iterator[House]:
    with house(tables.parent) as made:
        yield made


def visitor(home: House, name: str) -> Visitor:
    return Visitor(home.first.url, home.keys[name])


@pytest.fixture(scope="module")
def admin(home: House) -> Iterator[Visitor]:
    with visitor(home, "acme-admin") as made:
        yield made


@pytest.fixture(scope="module")
def task(home: House) -> str:
    """An ended task of acme's over a hostile table."""
    with home.api("acme-admin") as api:
        answer = api.post("/api/v1/files", content=HOSTILE.encode(), headers={"Content-Type": "text/csv"})
        task_id = sent(api, file_id=answer.json()["file_id"], batch_size=5)
        assert follow(api, task_id)[-1] == "end"
        assert api.get(f"/api/v1/status/{task_id}").json()["conservation"]["rejected"] >= 2
    return task_id


def data_of(page: str) -> dict[str, object]:
    found = re.search(r'<script type="application/json" id="grid-data">(.*?)</script>', page, re.S)
    assert found
    return dict(json.loads(found[1]))


def is_harmless(page: str) -> bool:
    """Nothing of the table stands in the page as markup."""
    return not re.search(r"<script>alert|<img src=x|<svg onload|<b>surplus|<b>gone", page)


@pytest.mark.parametrize("path", ["chunks", "chunks/0", "chunks/table", "errors"])
def test_hostile_rows_are_text(admin: Visitor, task: str, path: str) -> None:
    """On every page about them, also in the pieces that scripts ask for."""
    answer = admin.get(f"/tasks/{task}/{path}")
    assert answer.status_code == 200 and is_harmless(answer.text)
    assert "unsafe-inline" not in answer.headers["content-security-policy"]
    for name in LIVE:
        told = admin.get(f"/live/tasks/{task}/{name}", headers={"Accept": "application/json"})
        assert is_harmless(told.json()["regions"].get("errors", ""))


def test_the_sample_is_shown(admin: Visitor, task: str) -> None:
    """The rows of a chunk as they stand in the table."""
    page = html.unescape(admin.get(f"/tasks/{task}/chunks/0", headers={"HX-Request": "true"}).text)
    assert "<script>alert(1)</script>" in page and "Row 1, line 2" in page
    assert admin.get(f"/tasks/{task}/chunks/99").status_code == 404


def test_the_grid_is_all_chunks(home: House, admin: Visitor, task: str) -> None:
    """One letter a chunk, the same in the page, in what scripts fetch, and in the API."""
    grid = data_of(admin.get(f"/tasks/{task}/chunks").text)
    assert (grid["total"], set(str(grid["states"]))) == (5, {"d", "p"})
    assert len(str(grid["tries"])) == 5
    seconds = grid["seconds"]
    assert isinstance(seconds, list) and all(value >= 0 for value in seconds)
    assert admin.get(f"/tasks/{task}/chunks/cells").json() == grid
    with home.api("acme-read") as api:
        assert api.get(f"/api/v1/tasks/{task}/chunks/grid").json() == grid
        assert len(api.get(f"/api/v1/tasks/{task}/chunks/grid?after=1").json()["states"]) == 3


def test_errors_are_grouped_and_downloaded(home: House, admin: Visitor, task: str) -> None:
    """By cause; the rows of one alone, as a CSV that no spreadsheet takes for formulas."""
    with home.api("acme-read") as api:
        found = api.get(f"/api/v1/tasks/{task}/errors").json()
    rows = sum(group["rows"] for group in found["groups"])
    assert rows == found["rows_rejected"] == found["rows_looked_at"]
    page = admin.get(f"/tasks/{task}/errors").text
    for group in found["groups"]:
        assert html.escape(group["pattern"]).split("&")[0] in page
        rows = admin.get(f"/tasks/{task}/rejected?format=csv&group={group['id']}")
        assert rows.headers["content-disposition"].startswith("attachment")
        cells = list(csv.reader(rows.text.splitlines()))
        assert len(cells) == 1 + group["rows"]
        assert not any(cell.startswith(("=", "+", "@", "\t")) for row in cells for cell in row)
    assert admin.get(f"/tasks/{task}/rejected?group=nonsense").status_code == 422


def test_failed_chunks_are_retried_by_group(home: House, tables: Path, task: str) -> None:
    """From the page and over the API; a key that may only read sees no button, and is refused."""
    failed = made_to_fail(home, tables)
    with visitor(home, "operator") as operator:
        page = operator.get(f"/tasks/{failed}/errors").text
        assert is_harmless(page) and "Retry these" in page
        (group,) = set(re.findall(r"/errors/([0-9a-f]{12})/retry", page))
        answer = operator.post(f"/tasks/{failed}/errors/{group}/retry", htmx=True)
        assert answer.status_code in (200, 409) and is_harmless(answer.text)
    with visitor(home, "acme-read") as reader:
        assert reader.get(f"/tasks/{failed}/errors").status_code == 404
        assert "Retry these" not in reader.get(f"/tasks/{task}/errors").text
        assert reader.post(f"/tasks/{task}/errors/{group}/retry").status_code == 403
    with home.api("acme-admin") as api:
        both = api.post(f"/api/v1/tasks/{task}/retry", json={"group": group, "rejected": True})
        assert both.status_code == 422
        none = api.post(f"/api/v1/tasks/{task}/retry", json={"group": group})
        assert (none.status_code, none.json()["code"]) == (409, "wrong-state")


def made_to_fail(home: House, tables: Path) -> str:
    """A task of the operator's whose file goes away while its chunks wait for the embedder."""
    table = tables / "<b>gone<b>.csv"
    table.write_text("id,title\n" + "".join(f"p{n},lamp {n}\n" for n in range(200)))
    with home.api("operator") as api:
        api.post("/api/v1/providers/embedder/pause").raise_for_status()
        failed = sent(api, data_source="s3_csv", s3_key=table.name, batch_size=1)
        until(api, failed, "processing")
        table.unlink()
        api.post("/api/v1/providers/embedder/resume").raise_for_status()
        until(api, failed, "failed")
    return failed


def test_a_foreign_task_has_no_pages(home: House, admin: Visitor, task: str) -> None:
    """They are those of an id that nobody ever gave, also where its owner has just looked."""
    with visitor(home, "other-admin") as other, home.api("other-admin") as api:
        assert admin.get(f"/tasks/{task}/chunks/cells").status_code == 200
        assert api.get(f"/api/v1/tasks/{task}/chunks/grid").status_code == 404
        for path in ("chunks", "chunks/0", "chunks/table", "chunks/cells", "errors", "rejected"):
            assert other.get(f"/tasks/{task}/{path}").status_code == 404
        for name in LIVE:
            assert other.get(f"/live/tasks/{task}/{name}").status_code == 404
        assert other.get(f"/tasks/{uuid.uuid4()}/chunks").status_code == 404


def test_nobody_is_served_unsigned(home: House, task: str) -> None:
    """Without a session pages lead to the sign-in page, and the rest is refused."""
    with httpx2.Client(base_url=home.first.url) as stranger:
        for path in (f"/tasks/{task}/chunks/cells", f"/live/tasks/{task}/errors", "/live/limits"):
            assert stranger.get(path).status_code == 401
        assert stranger.post("/limits/embedder/pause").status_code in (401, 403)


# Workers and limits


def test_providers_are_paused_by_the_operator(home: House) -> None:
    """On the page and over the API, in every process; tenants and readers are refused, nothing changes."""
    for name in ("acme-admin", "other-read", "acme-write"):
        with visitor(home, name) as tenant, home.api(name) as api:
            assert tenant.get("/limits").status_code == 200
            assert "Pause all calls" not in tenant.get("/limits").text
            assert tenant.post("/limits/embedder/pause").status_code == 403
            assert api.post("/api/v1/providers/embedder/pause").status_code == 403
            assert api.get("/api/v1/limits").json()["workers"] is None
    with visitor(home, "operator") as operator, home.api("operator", home.second) as api:
        reason = "<script>alert(1)</script>"
        assert operator.post("/limits/vector_store/pause", {"reason": reason}, htmx=True).status_code == 200
        page = operator.get("/limits").text
        assert is_harmless(page) and html.escape(reason) in page and "Paused by hand" in page
        (store,) = [p for p in api.get("/api/v1/limits").json()["providers"] if p["paused"]]
        assert store["provider"] == "vector_store" and reason in store["paused"]
        refused = api.post("/api/v1/search", json={"query": "lamp"})
        assert (refused.status_code, refused.json()["code"]) == (503, "provider-paused")
        assert api.post("/api/v1/providers/vector_store/resume").json()["paused"] is None
        assert "Paused by hand" not in operator.get("/limits").text
        assert api.post("/api/v1/providers/openai/pause").status_code == 422
        assert operator.post("/limits/openai/pause").status_code == 422


def test_the_operator_sees_who_works(home: House, task: str) -> None:
    """Hosts and processes of the workers that are alive."""
    with home.api("operator") as api, visitor(home, "operator") as operator:
        view = api.get("/api/v1/limits").json()
        assert view["workers_alive"] == len(view["workers"]) >= 1
        assert str(view["workers"][0]["pid"]) in operator.get("/limits").text
