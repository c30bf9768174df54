"""What `doctor` looks at: each look says in a line how a part is, or raises what is wrong and what to do."""

from __future__ import annotations

import asyncio
import secrets
import shutil
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx2

from app.cli.address import check_free, other_port
from app.config import Settings
from app.workers.doorbell import doorbell_for
from rowvec.errors import RowvecError
from rowvec.machine import Machine
from rowvec.model import TaskState
from rowvec.sweeper import living

LEAST_FREE = 1024**3
"""Bytes of disk below which a task is likely to be stopped halfway."""

LEADS = {
    "file store": "FILE_STORE_URL and AWS_ENDPOINT_URL",
    "source": "AWS_ENDPOINT_URL",
    "metabase": "METABASE_URL",
    "vector store": "VECTOR_STORE_URL, PINECONE_CONTROLLER_HOST and PINECONE_HOST",
    "embedder": "OPENAI_BASE_URL",
}
"""What leads to a part that does not answer."""

Look = Callable[[], Awaitable[str]]


class Problem(Exception):
    """A part is not as it must be; the message says what to do."""


def looks(config: Settings, machine: Machine, sized: bool = True) -> dict[str, Look]:
    """In an order in which what is needed by others comes first. `sized` says whether the machine's embedder
    is the one of the settings, so that the store can be asked for its dimension."""
    return {
        "data folder": lambda: asyncio.to_thread(_data_folder, config.data),
        "ledger": lambda: _ledger(machine),
        "broker": lambda: _broker(config),
        "file store": lambda: _file_store(machine),
        "source": lambda: _source(config, machine),
        "metabase": lambda: _metabase(config, machine),
        "vector store": lambda: _vector_store(machine, sized),
        "embedder": lambda: _embedder(machine),
        "tokens": lambda: asyncio.to_thread(machine.embedder.counting),
        "address": lambda: _address(config),
        "worker": lambda: _worker(config, machine),
        "API key": lambda: _key(config, machine),
    }


async def python() -> str:
    return f"{sys.version.split()[0]} ({sys.executable})"


def _data_folder(data: Path) -> str:
    try:
        data.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=data):
            free = shutil.disk_usage(data).free
    except OSError as error:
        raise Problem(
            f"{data} cannot be written: {error.strerror}. Give it to this user, or set DATA_DIR to another."
        ) from error
    if free < LEAST_FREE:
        raise Problem(
            f"{data} has only {free / 1e9:.1f} GB free. Make room, or set DATA_DIR to another disk."
        )
    return f"{data}, {free / 1e9:,.1f} GB free"


async def _ledger(machine: Machine) -> str:
    await machine.ledger.ready()
    await machine.ledger.ping()
    return _shown(machine.settings["LEDGER_URL"])


async def _broker(config: Settings) -> str:
    if await doorbell_for(config).ping():
        return _shown(config.broker_url)
    return "none: the service works with its embedded worker, on this host alone"


async def _file_store(machine: Machine) -> str:
    """Written, read and removed: what may be asked and not written would pass a ping."""
    name, data = f"doctor/{secrets.token_hex(8)}", b"written by doctor"
    await machine.files.write(name, data)
    read = await machine.files.read(name)
    await machine.files.delete(name)
    if read != data:
        raise Problem(f"{machine.settings['FILE_STORE_URL']} gives back other bytes than were written.")
    return machine.settings["FILE_STORE_URL"]


async def _source(config: Settings, machine: Machine) -> str:
    """What `s3_csv` reads."""
    if config.reads_local_files:
        if not config.local_files_dir.exists() and "local_files_dir" not in config.model_fields_set:
            return f"none: there is no folder {config.local_files_dir}, and no S3_BUCKET"
        await machine.source("local").ping()
        return f"s3_csv reads the folder {config.local_files_dir}"
    await machine.source("s3").ping()
    return f"s3_csv reads the bucket {config.s3_bucket}"


async def _metabase(config: Settings, machine: Machine) -> str:
    if not config.metabase_url:
        return "none: METABASE_URL is not set"
    await machine.source("metabase").ping()
    return _shown(config.metabase_url)


async def _vector_store(machine: Machine, sized: bool) -> str:
    url = _shown(machine.settings["VECTOR_STORE_URL"])
    if not sized:
        await machine.store.ping()
        return f"{url}; whether the vectors fit it, only the embedder can tell"
    await machine.store.check(machine.embedder.dimension)
    return url


async def _embedder(machine: Machine) -> str:
    await machine.embedder.ping()
    return f"{machine.embedder_name} ({machine.embedder.model}, {machine.embedder.dimension} dimensions)"


def _shown(url: str) -> str:
    """An address without user and password."""
    scheme, slashes, rest = url.partition("://")
    return f"{scheme}{slashes}{rest.rpartition('@')[2]}"


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


async def _worker(config: Settings, machine: Machine) -> str:
    start = "celery -A app.workers.celery_app worker" if config.broker_url else "make serve"
    alive = await living(machine.ledger, machine.limits.lease_seconds)
    if alive:
        return f"{len(alive)} alive"
    waiting = [
        await machine.ledger.tasks(limit=1, state=s) for s in (TaskState.PENDING, TaskState.PROCESSING)
    ]
    if any(page.tasks for page in waiting):
        raise Problem(f"Tasks wait and nobody works on them. Start a worker with: {start}")
    return f"none runs, and nothing waits; {start} starts one"


async def _key(config: Settings, machine: Machine) -> str:
    stored = [key for key in await machine.ledger.keys() if key.revoked_at is None]
    if config.api_keys:
        return f"{len(config.api_keys)} in API_KEYS"
    if stored:
        return f"{len(stored)} in the ledger"
    if await machine.ledger.keys():
        raise Problem("Every key is revoked. Make one with: ./vectordb keys create")
    return "none yet; the first start makes one and shows it once"
