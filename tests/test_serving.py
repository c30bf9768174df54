"""The ways to start the service that the original guide shows, word for word, and its curl calls."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx2

import simple_server
from tests.acceptance.production import until
from tests.http_service import ROOT, Running, follow, free_port, serve, uvicorn

KEY_LINE = re.compile(r"vdb_live_[0-9a-f]{12}_[0-9a-f]{64}_[0-9a-f]{8}")


def shown_keys(service: Running) -> list[str]:
    return KEY_LINE.findall(service.stderr)


def curl(command: str) -> Any:
    """What a command of the guide prints, read as JSON."""
    run = subprocess.run(
        command + " -sS --fail-with-body", shell=True, capture_output=True, timeout=60, check=False
    )
    assert run.returncode == 0, (command, run.stdout, run.stderr)
    return json.loads(run.stdout)


def test_the_guides_four_calls_against_the_simple_server(tmp_path: Path) -> None:
    """Health, submit, status and list, as the guide writes them, with the key that the first start showed."""
    assert simple_server.PORT == 8001
    port = free_port()
    settings = {"PORT": str(port), "LOCAL_FILES_DIR": str(ROOT / "test_data" / "csv_files")}
    with serve([sys.executable, str(ROOT / "simple_server.py")], tmp_path, **settings) as service:
        base = f"http://localhost:{port}"
        transport = httpx2.HTTPTransport(retries=7)
        with httpx2.Client(base_url=base, transport=transport, timeout=60) as client:
            assert client.get("/livez").status_code == 200
            assert "server" not in client.get("/livez").headers
        (key,) = shown_keys(service)
        assert curl(f"curl {base}/health")["version"] == "1.0.0"
        accepted = curl(
            f'curl -X POST {base}/api/v1/process \\\n  -H "X-API-Key: {key}" \\\n'
            '  -H "Content-Type: application/json" \\\n'
            """  -d '{"data_source": "s3_csv", "s3_key": "sample.csv", "batch_size": 1000}'"""
        )
        task_id = accepted["task_id"]
        assert accepted["status"] == "pending"
        with httpx2.Client(base_url=base, headers={"X-API-Key": key}, timeout=60) as client:
            assert follow(client, task_id)[-1] == "end"
        status = curl(f'curl {base}/api/v1/status/{task_id} \\\n  -H "X-API-Key: {key}"')
        assert status["status"] == "completed"
        assert status["progress"]["total_records"] == status["progress"]["processed_records"] == 10
        listed = curl(f'curl {base}/api/v1/tasks \\\n  -H "X-API-Key: {key}"')
        assert [task["task_id"] for task in listed["tasks"]] == [task_id]


def test_four_gunicorn_processes_share_one_worker_and_one_key(tmp_path: Path) -> None:
    """Of four processes that start at once one makes the key, and one runs the worker."""
    command = [
        sys.executable,
        "-m",
        "gunicorn",
        "app.main:app",
        "-w",
        "4",
        "-k",
        "uvicorn.workers.UvicornWorker",
    ]
    with serve([*command, "--bind", "fd://{fd}"], tmp_path) as service, service.client() as client:
        assert client.get("/livez").status_code == 200
        first_row = client.post("/api/v1/files", content=b"id\n1\n")
        assert first_row.status_code == 401
        (key,) = shown_keys(service)
        client.headers["X-API-Key"] = key
        file_id = client.post("/api/v1/files", content=b"id,text\n1,one\n").json()["file_id"]
        body = {"data_source": "upload", "file_id": file_id}
        task_id = client.post("/api/v1/process", json=body).json()["task_id"]
        assert follow(client, task_id)[-1] == "end"
        assert client.get("/health").json()["workers"]["active"] == 1
        service.process.terminate()
        service.process.wait(60)
        assert shown_keys(service) == [key]


def test_a_second_start_makes_no_second_key(tmp_path: Path) -> None:
    """The key of the first start goes on working; nothing is printed again."""
    command = [sys.executable, "-m", "uvicorn", "app.main:app", "--fd", "{fd}"]
    with serve(command, tmp_path) as service, service.client() as client:
        assert client.get("/livez").status_code == 200
        (key,) = shown_keys(service)
    with serve(command, tmp_path) as service, service.client(key) as client:
        assert client.get("/api/v1/tasks").status_code == 200
        assert shown_keys(service) == []


def test_a_service_nobody_has_asked_yet_loads_what_a_search_needs(tmp_path: Path) -> None:
    """The first search of many callers would keep all of them waiting while it loads the store's library."""
    with serve(uvicorn(), tmp_path) as service:
        maps = Path(f"/proc/{service.process.pid}/maps")
        assert until(lambda: "lancedb" in maps.read_text(), "the store's library is not loaded")
