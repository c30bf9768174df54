"""Rates, latency, faults, and the account's standing: all that happens to a call whatever it asks."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from standins.buckets import Bucket, wait_for_all
from standins.faults import Faults
from standins.pinecone import refusals
from standins.pinecone.settings import FAULTS, RATES, Settings
from standins.web import Hang

T = TypeVar("T")
WRITES = ("upsert", "delete", "update")


class Cut(Exception):
    """The answer is to break off on its way. It holds what would have been said."""


@dataclass(frozen=True, slots=True)
class Call:
    """A call of the data plane. `scope` is the index and, where the limit is its own, the namespace."""

    operation: str
    key: str
    index: str
    namespace: str = ""
    records: int = 0
    size: int = 0
    by_filter: bool = False


class Weather:
    def __init__(self, settings: Settings) -> None:
        self.counters: Counter[str] = Counter()
        self.apply(settings)

    def apply(self, settings: Settings) -> None:
        """Raises ValueError for faults that are unknown."""
        self._faults = Faults(FAULTS, settings.faults, settings.script)
        self._settings = settings
        self._dice = random.Random(settings.seed)  # noqa: S311 - hides nothing
        self._buckets: dict[tuple[str, str], Bucket] = {}
        self._units_left = settings.units_left

    async def perform(self, call: Call, work: Callable[[], T]) -> T:
        """What the work gives. Raises Refused, Hang, or Cut with what it gave."""
        self.counters[call.operation] += 1
        try:
            self._admit(call)
        except refusals.Refused as refused:
            self.counters[f"{call.operation} refused {refused.status}"] += 1
            raise
        seconds = self._settings.latency.draw(self._dice)
        if seconds:
            await asyncio.sleep(seconds)
        fault = self._faults.draw(self._dice) if call.operation in self._settings.faulty else None
        if fault:
            self.counters[f"fault {fault}"] += 1
        return self._done(call, fault, work)

    def _done(self, call: Call, fault: str | None, work: Callable[[], T]) -> T:
        if fault in ("unavailable", "internal"):
            raise refusals.unavailable() if fault == "unavailable" else refusals.internal()
        if fault == "hang":
            raise Hang
        try:
            result = work()
        except refusals.Refused as refused:
            self.counters[f"{call.operation} refused {refused.status}"] += 1
            raise
        self.counters[f"{call.operation} records"] += call.records
        self.counters[f"{call.operation} bytes"] += call.size
        if fault == "done-unavailable":
            raise refusals.unavailable()
        if fault == "done-hang":
            raise Hang
        if fault == "cut":
            raise Cut(result)
        return result

    def _admit(self, call: Call) -> None:
        self.authenticate(call.key)
        writes = call.operation in WRITES
        if self._settings.account == "payment due":
            raise refusals.payment_due()
        if writes and self._settings.account == "forbidden":
            raise refusals.forbidden()
        if self._settings.account == "storage full" and call.operation == "upsert":
            raise refusals.storage_full()
        self._pace(call)
        self._charge(call, writes)

    def authenticate(self, key: str) -> None:
        if key not in self._settings.keys:
            raise refusals.unauthorized()

    def _pace(self, call: Call) -> None:
        of_index = call.operation in ("fetch", "list", "describe_index_stats")
        scope = f"index {call.index}" if of_index else f"namespace {call.namespace}"
        demands = [(call.operation, 1.0)]
        if call.operation == "upsert":
            demands.append(("upsert bytes", float(call.size)))
        elif call.operation == "delete":
            demands.append(("delete by filter", 1.0) if call.by_filter else ("delete records", call.records))
        now = asyncio.get_running_loop().time()
        buckets = [self._bucket(name, f"{call.index} {scope}") for name, _ in demands]
        amounts = [amount for _, amount in demands]
        wait, full = wait_for_all(list(zip(buckets, amounts, strict=True)), now)
        if full is not None:
            raise refusals.too_fast(demands[buckets.index(full)][0], scope, wait)

    def _bucket(self, name: str, scope: str) -> Bucket:
        """It holds a second's worth, and one at least."""
        if (name, scope) not in self._buckets:
            rate = self._settings.rate(name) if name in RATES else None
            self._buckets[name, scope] = Bucket(rate, max(1.0, 1.0 / rate if rate else 0.0))
        return self._buckets[name, scope]

    def _charge(self, call: Call, writes: bool) -> None:
        """Monthly units: one a record, at least one a call."""
        if self._units_left is None:
            return
        units = max(1, call.records)
        if self._units_left < units:
            raise refusals.units_used("write" if writes else "read")
        self._units_left -= units
