"""Two tenants on one service, which runs in two processes: what the tests of tenants and limits share."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx2
from fastapi.routing import APIRoute

from app.api.routes import events, files, process, search, tasks
from app.keys import for_tenant, make_key
from rowvec.api_key import Grants, Scope
from rowvec.ledgers.base import Ledger
from rowvec.ledgers.sql import SqlLedger
from tests.http_service import Running, serve, uvicorn

T = TypeVar("T")
OPERATOR = "Zq3kT9vB2mXw7RfLh5NcYd8PsJ4gUa6E"
TABLE = "id,title\np1,a lamp for the desk\np2,a tall lamp\n,a row without an id\n"


@dataclass
class House:
    """`first` and `second` are two API processes over one ledger; the keys are in it."""

    first: Running
    second: Running
    ledger_url: str
    keys: dict[str, str] = field(default_factory=dict)

    def api(self, name: str, of: Running | None = None) -> httpx2.Client:
        return (of or self.first).client(self.keys[name])

    def ask(self, do: Callable[[Ledger], Awaitable[T]]) -> T:
        """Something of the ledger itself, as the command line would."""

        async def run() -> T:
            ledger = SqlLedger(self.ledger_url)
            await ledger.ready()
            try:
                return await do(ledger)
            finally:
                await ledger.close()

        return asyncio.run(run())

    def hand_out(self, name: str, grants: Grants, expires_at: float | None = None) -> str:
        """A new key under that name; returns its id."""
        stored, self.keys[name] = make_key(name, 0.0, grants, expires_at)
        self.ask(lambda ledger: ledger.add_key(stored))
        return stored.id


@contextmanager
def house(folder: Path, **settings: str) -> Iterator[House]:
    tables = folder / "tables"
    (tables / "acme").mkdir(parents=True)
    for place in (tables / "own.csv", tables / "acme" / "mine.csv"):
        place.write_text(TABLE)
    shared = {
        "API_KEYS": OPERATOR, "DATA_DIR": str(folder / "data"), "LOCAL_FILES_DIR": str(tables), **settings,
    }  # fmt: skip
    with (
        serve(uvicorn(), folder / "first", **shared) as first,
        serve(uvicorn(), folder / "second", **shared) as second,
    ):
        made = House(first, second, f"sqlite:///{folder}/data/ledger.db", {"operator": OPERATOR})
        for running in (first, second):
            with running.client() as client:
                client.get("/readyz").raise_for_status()
        for tenant in ("acme", "other"):
            for scope in Scope:
                made.hand_out(f"{tenant}-{scope}", for_tenant(tenant, Grants(scope)))
        yield made


def routes() -> list[APIRoute]:
    """Every route that needs a key, in whichever room it stands."""
    rooms = (files, events, process, search, tasks)
    found = [route for room in rooms for route in room.router.routes if isinstance(route, APIRoute)]
    assert len(found) > 15
    return found


def send(api: httpx2.Client, headers: dict[str, str] | None = None, **wish: Any) -> httpx2.Response:
    """Upload the table and submit it."""
    if "file_id" not in wish and wish.get("data_source", "upload") == "upload":
        answer = api.post("/api/v1/files", content=TABLE, headers={"Content-Type": "text/csv"})
        wish["file_id"] = answer.raise_for_status().json()["file_id"]
    body = {"data_source": "upload", "id_column": "id", **wish}
    return api.post("/api/v1/process", json=body, headers=headers)


def sent(api: httpx2.Client, **wish: Any) -> str:
    answer = send(api, **wish)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["task_id"])


def until(api: httpx2.Client, task_id: str, *states: str) -> dict[str, Any]:
    """The status once it is one of these. Raises TimeoutError when it never is."""
    give_up = time.monotonic() + 60
    while (status := api.get(f"/api/v1/status/{task_id}").json())["status"] not in states:
        if time.monotonic() > give_up:
            raise TimeoutError(status)
        time.sleep(0.05)
    return dict(status)


def told(answer: httpx2.Response, *names: str) -> tuple[int, dict[str, Any]]:
    """Status and body, without the names that were asked for and the id of the request."""
    text = answer.text
    for name in names:
        text = text.replace(name, "NAME")
    body = httpx2.Response(200, text=text).json()
    body.pop("instance", None)
    return answer.status_code, body
