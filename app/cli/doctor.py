"""`doctor`: what is configured, what answers, and what to do about the rest."""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx2
import typer

from app.assembly import assemble
from app.cli.address import check_free, other_port
from app.cli.door import configured, explained
from app.cli.exits import Exit
from app.cli.screen import Json, Screen
from app.config import Settings
from rowvec.errors import RowvecError
from rowvec.machine import Machine
from rowvec.model import TaskState
from rowvec.sweeper import living

LEAST_FREE = 1024**3
"""Bytes of disk below which a task is likely to be stopped halfway."""

PATIENCE = 15.0
"""Seconds a part has to answer."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found about one part; a problem's detail says what to do."""

    part: str
    ok: bool
    detail: str


class Problem(Exception):
    """A part is not as it must be; the message says what to do."""


def doctor(json: Json = False) -> None:
    """Check every part, and say what to do about what is missing."""
    screen = Screen(json)
    with explained(screen):
        findings = asyncio.run(_examined())
        well = all(finding.ok for finding in findings)
        document = {"ok": well, "checks": [asdict(finding) for finding in findings]}
        screen.answer(document, lambda: _listed(findings))
        code = Exit.DONE if well else Exit.FAILED
    raise typer.Exit(code)


def _listed(findings: list[Finding]) -> str:
    return "\n".join(f"{'ok' if f.ok else 'PROBLEM':<8} {f.part:<13} {f.detail}" for f in findings)


async def _examined() -> list[Finding]:
    """Every part that can be looked at; without settings there is nothing to look at."""
    findings = [await _finding("python", _python)]
    try:
        config = configured()
        machine = assemble(config)
    except RowvecError as error:
        return [*findings, Finding("settings", False, error.message)]
    try:
        for part, look in _looks(config, machine).items():
            findings.append(await _finding(part, look))
    finally:
        await machine.close()
    return findings


async def _finding(part: str, look: Callable[[], Awaitable[str]]) -> Finding:
    try:
        return Finding(part, True, await asyncio.wait_for(look(), PATIENCE))
    except RowvecError as error:
        return Finding(part, False, error.message)
    except TimeoutError:
        return Finding(part, False, f"No answer within {PATIENCE:.0f} seconds: is it running, and reachable?")
    except (Problem, OSError) as error:
        return Finding(part, False, str(error))


def _looks(config: Settings, machine: Machine) -> dict[str, Callable[[], Awaitable[str]]]:
    return {
        "data folder": lambda: asyncio.to_thread(_data_folder, config.data),
        "ledger": lambda: _ledger(machine),
        "file store": lambda: _answers(machine.files.ping(), machine.settings["FILE_STORE_URL"]),
        "vector store": lambda: _answers(machine.store.ping(), machine.settings["VECTOR_STORE_URL"]),
        "embedder": lambda: _answers(machine.embedder.ping(), _embedder(machine)),
        "address": lambda: _address(config),
        "worker": lambda: _worker(machine),
        "API key": lambda: _key(config, machine),
    }


async def _python() -> str:
    return f"{sys.version.split()[0]} ({sys.executable})"


def _data_folder(data: Path) -> str:
    data.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=data):
        free = shutil.disk_usage(data).free
    if free < LEAST_FREE:
        raise Problem(
            f"{data} has only {free / 1e9:.1f} GB free. Make room, or set DATA_DIR to another disk."
        )
    return f"{data}, {free / 1e9:,.1f} GB free"


async def _ledger(machine: Machine) -> str:
    await machine.ledger.ready()
    return await _answers(machine.ledger.ping(), _without_secret(machine.settings["LEDGER_URL"]))


async def _answers(ping: Awaitable[None], what: str) -> str:
    await ping
    return _without_secret(what)


def _without_secret(url: str) -> str:
    scheme, slashes, rest = url.partition("://")
    return f"{scheme}{slashes}{rest.rpartition('@')[2]}"


def _embedder(machine: Machine) -> str:
    return f"{machine.embedder_name} ({machine.embedder.model}, {machine.embedder.dimension} dimensions)"


async def _address(config: Settings) -> str:
    """Free, or taken by this very service."""
    try:
        check_free(config.host, config.port, other_port(config.port, "serve"))
    except RowvecError:
        if await _is_ours(config.port):
            return f"the service answers on port {config.port}"
        raise
    return f"port {config.port} is free"


async def _is_ours(port: int) -> bool:
    try:
        async with httpx2.AsyncClient(timeout=2.0) as client:
            answer = await client.get(f"http://127.0.0.1:{port}/api/v1/health")
    except httpx2.HTTPError:
        return False
    return '"vector_store"' in answer.text


async def _worker(machine: Machine) -> str:
    alive = await living(machine.ledger, machine.limits.lease_seconds)
    if alive:
        return f"{len(alive)} alive"
    waiting = [
        await machine.ledger.tasks(limit=1, state=s) for s in (TaskState.PENDING, TaskState.PROCESSING)
    ]
    if any(page.tasks for page in waiting):
        raise Problem("Tasks wait and nobody works on them. Start a worker with: make serve")
    return "none runs, and nothing waits; make serve starts one"


async def _key(config: Settings, machine: Machine) -> str:
    stored = [key for key in await machine.ledger.keys() if key.revoked_at is None]
    if config.api_keys:
        return f"{len(config.api_keys)} in API_KEYS"
    if stored:
        return f"{len(stored)} in the ledger"
    if await machine.ledger.keys():
        raise Problem("Every key is revoked. Make one with: ./vectordb keys create")
    return "none yet; the first start makes one and shows it once"
