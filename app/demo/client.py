"""The four calls that the demo makes, over HTTP like any other caller."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

import httpx2

from app.api.status import StatusView
from app.api.views import Accepted, MatchView, SearchResult, UploadedFile
from app.demo.service import DemoFailed


class Client:
    """Raises DemoFailed with the service's own words for every answer that is no success."""

    def __init__(self, url: str, key: str) -> None:
        self._http = httpx2.Client(base_url=url, headers={"X-API-Key": key}, timeout=60.0, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def upload(self, table: Path) -> str:
        """Stream a file to the service; returns the id under which it can be processed."""
        with table.open("rb") as content:
            answer = self._call(
                "POST", "/api/v1/files", content=content, headers={"Content-Type": "text/csv"}
            )
        return UploadedFile.model_validate_json(answer).file_id

    def process(self, file_id: str, **options: Any) -> str:
        """Start a task on an upload; returns the task's id."""
        body = {"data_source": "upload", "file_id": file_id, **options}
        return Accepted.model_validate_json(self._call("POST", "/api/v1/process", json=body)).task_id

    def status(self, task_id: str) -> StatusView:
        return StatusView.model_validate_json(self._call("GET", f"/api/v1/status/{task_id}"))

    def search(self, query: str, namespace: str, limit: int) -> list[MatchView]:
        body = {"query": query, "namespace": namespace, "limit": limit}
        return SearchResult.model_validate_json(self._call("POST", "/api/v1/search", json=body)).matches

    def _call(self, method: str, path: str, **what: Any) -> bytes:
        try:
            answer = self._http.request(method, path, **what)
        except httpx2.TransportError as error:
            raise DemoFailed(f"The service does not answer {method} {path}: {error}.") from error
        if not answer.is_success:
            raise DemoFailed(f"{method} {path} was answered with {answer.status_code}: {answer.text[:400]}")
        return answer.content
