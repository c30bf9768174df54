"""The real service, its worker a process of its own, with OpenAI as its embedder."""

from __future__ import annotations

import secrets
from pathlib import Path

from standins.process import Standin
from tests.http_service import follow, serve, uvicorn
from tests.openai_embedder.conftest import KEY

API_KEY = secrets.token_hex(24)
COLUMNS = {"id_column": "id", "text_columns": ["text"]}


def test_a_table_is_embedded_searched_and_estimated_over_http(
    standin: Standin, settings: dict[str, str], tmp_path: Path
) -> None:
    """From the settings to the search, with what it cost; OpenAI's key is in no log and no answer."""
    rows = "id,text\n" + "".join(f"{n},text of row {n}.\n" for n in range(300))
    given = settings | {"EMBEDDER": "openai", "API_KEYS": API_KEY}
    with serve(uvicorn(), tmp_path, **given) as service, service.client(API_KEY) as api:
        upload = api.post("/api/v1/files", content=rows.encode(), headers={"Content-Type": "text/csv"}).json()
        wish = {"data_source": "upload", "file_id": upload["file_id"]} | COLUMNS
        estimate = api.post("/api/v1/estimate", json=wish).json()
        accepted = api.post("/api/v1/process", json=wish).json()
        assert follow(api, accepted["task_id"])[-1] == "end"
        status = api.get(f"/api/v1/status/{accepted['task_id']}").json()
        found = api.post("/api/v1/search", json={"query": "text of row 123.", "limit": 1}).json()
        health = api.get("/api/v1/health").json()
    assert estimate["price"] == 0.02 and estimate["dollars"] > 0
    assert (status["status"], status["progress"]["processed_records"]) == ("completed", 300)
    assert (found["model"], found["matches"][0]["id"]) == ("text-embedding-3-small", "123")
    assert health["embedder"] == "connected"
    assert KEY not in service.stderr + str([estimate, status, found, health])
    assert standin.counters()["texts_billed"] <= 302


def test_health_tells_a_refused_key_from_silence(settings: dict[str, str], tmp_path: Path) -> None:
    """The embedder answers, and turns us away: whoever looks knows that waiting does not help."""
    given = settings | {"EMBEDDER": "openai", "OPENAI_API_KEY": "sk-proj-wrong", "API_KEYS": API_KEY}
    with serve(uvicorn(), tmp_path, **given) as service, service.client() as anybody:
        health = anybody.get("/health").json()
    assert (health["status"], health["embedder"], health["ledger"]) == ("degraded", "refusing", "connected")
    assert "The embedder is refusing: rows wait until it is well again." in health["message"]
    assert "sk-proj-wrong" not in service.stderr
