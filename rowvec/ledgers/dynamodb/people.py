"""The way of workers and API keys into their items and back."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields

from rowvec.api_key import ApiKey, Grants
from rowvec.ledgers.dynamodb.keys import KEYS, WORKERS, keyed
from rowvec.ledgers.dynamodb.table import Item
from rowvec.model import WorkerInfo
from rowvec.usage import Usage


@dataclass(frozen=True, slots=True)
class Enlisted:
    """A worker, the number of its last write, and a mark that is another one with each beat.

    One that is not alive is leaving: it gets no work, and what it holds is being taken back.
    """

    worker: WorkerInfo
    rev: int
    mark: str


def worker_item(enlisted: Enlisted) -> Item:
    told = {"waits": dict(enlisted.worker.waits), "usage": enlisted.worker.usage.as_dict()}
    worker = asdict(enlisted.worker) | {name: json.dumps(value) for name, value in told.items()}
    return keyed((WORKERS, worker.pop("id")), rev=enlisted.rev, mark=enlisted.mark, **worker)


def enlisted_of(item: Item) -> Enlisted:
    own = {f.name: item[f.name] for f in fields(WorkerInfo) if f.name in item}
    times = {name: float(item[name]) for name in ("pid_started", "beat_at")}
    waits, usage = (json.loads(item.get(name, "{}")) for name in ("waits", "usage"))
    known = own | times | {"id": item["sk"], "waits": waits, "usage": Usage.of(usage)}
    return Enlisted(WorkerInfo(**known), item["rev"], item["mark"])


def key_item(key: ApiKey) -> Item:
    values = {f.name: getattr(key, f.name) for f in fields(ApiKey)} | {"grants": key.grants.to_json()}
    return keyed((KEYS, values.pop("id")), **values)


def key_of(item: Item) -> ApiKey:
    times = ("created_at", "revoked_at", "expires_at")
    known = {name: float(item[name]) for name in times if name in item}
    grants = Grants.from_json(item.get("grants", "{}"))
    return ApiKey(item["sk"], item["sha256"], item["name"], **known, grants=grants)
