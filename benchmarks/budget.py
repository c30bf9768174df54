"""How much of OpenAI's budget the production stack uses, with 1, 2 and 4 worker processes that share it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.findings import Findings, Goal, Plot, Table, at_least, at_most, number
from benchmarks.load import seconds_between, wish
from benchmarks.process import Account
from benchmarks.production import OPENAI_KEY, Production, producing
from benchmarks.section import Section, Sizes
from benchmarks.table import write_table
from benchmarks.watch import ended
from rowvec.embedders.openai import OpenAIEmbedder
from standins.process import Standin

WORDS = 120
"""Of a row: some 830 characters, 208 tokens."""

REQUESTS_PER_SECOND = 20.0
TOKENS_PER_MINUTE = 5e6
RATE = TOKENS_PER_MINUTE / 60
"""Tokens a second."""
FREE_SECONDS = 4.0
"""Of tokens, which a bucket that was full at the start gives beside what comes in."""

OPENAI: dict[str, Any] = {"latency": {"mean": 0.25, "sigma": 0.5}}
LIMITS = {"requests_per_second": REQUESTS_PER_SECOND, "tokens_per_minute": TOKENS_PER_MINUTE}
PINECONE: dict[str, Any] = {"latency": {"mean": 0.05, "sigma": 0.5}}
"""Under Pinecone's own documented limits, which are the stand-in's defaults."""

_CAPACITY_SECONDS = 4.0
_ASKED_AT_ONCE = 8
_LOOK_EVERY_SECONDS = 1.0
WINDOW_SECONDS = 5.0


def share_used(tokens: int, seconds: float, free: float) -> float:
    """Ideal time / measured time, of the budget of tokens. `free` are the seconds of it that a full bucket
    gave for nothing."""
    return (tokens / RATE - free) / seconds


@dataclass(frozen=True, slots=True)
class Use:
    """One table through the stack. `seconds` are from its submission to its end.

    `landed` are vectors in the index, `tokens` those billed, `refused` the requests answered 429. `capacity`
    is how many tokens a second the stand-in answered without limits to one asking process. `billed` has pairs
    of seconds since the submission and tokens billed till then. `others` is as in Load.
    """

    rows: int
    landed: int
    seconds: float
    tokens: int
    requests: int
    refused: int
    paid_twice: int
    capacity: float
    worker_cpu: float
    others: float
    billed: list[tuple[float, float]]

    @property
    def share(self) -> float:
        """Ideal time / measured time. The budget of requests would do for many times as many."""
        return share_used(self.tokens, self.seconds, FREE_SECONDS)

    @property
    def refused_percent(self) -> float:
        return 100 * self.refused / self.requests


def _measure(folder: Path, sizes: Sizes) -> Iterator[tuple[str, Use]]:
    tables = folder / "tables"
    tables.mkdir()
    table = tables / "rows.csv"
    write_table(table, sizes.budget_rows, words=WORDS, different=sizes.budget_rows)
    for count in sizes.processes:
        with producing(folder / f"of-{count}", tables, count, OPENAI, PINECONE) as stack:
            yield str(count), _use(stack, table, sizes.budget_rows)


def _use(stack: Production, table: Path, rows: int) -> Use:
    """Raises RuntimeError when the task does not go well."""
    capacity = _capacity(stack.openai)
    stack.openai.set(**OPENAI, **LIMITS)
    stack.openai.reset()
    account = Account(*stack.workers)
    task_id = stack.api.submit(**wish(table))
    status, billed = _followed(stack, task_id)
    cpu, others = account.spent()
    counted = stack.openai.counters()
    return Use(
        rows=rows,
        landed=stack.landed(),
        seconds=seconds_between(status, "created_at", "completed_at"),
        tokens=counted["tokens_billed"],
        requests=counted["requests"],
        refused=counted["answered_429"],
        paid_twice=counted["texts_paid_twice"],
        capacity=capacity,
        worker_cpu=round(sum(cpu), 2),
        others=others,
        billed=billed,
    )


def _followed(stack: Production, task_id: str) -> tuple[dict[str, Any], list[tuple[float, float]]]:
    """The task's status at its end, and what was billed meanwhile, once a second."""
    began, billed = time.perf_counter(), [(0.0, 0.0)]
    while not ended(status := stack.api.status(task_id)):
        if status["status"] == "paused":
            raise RuntimeError(f"the task did not go well: {status}")
        time.sleep(_LOOK_EVERY_SECONDS)
        tokens = float(stack.openai.counters()["tokens_billed"])
        billed.append((round(time.perf_counter() - began, 2), tokens))
    return status, billed


def _capacity(openai: Standin) -> float:
    """Tokens a second that the stand-in answers when nothing holds it back, at least."""
    openai.set(latency={}, requests_per_second=None, tokens_per_minute=None)
    openai.reset()
    began = time.perf_counter()
    asyncio.run(_ask_for(_CAPACITY_SECONDS, f"{openai.url}/v1"))
    seconds = time.perf_counter() - began
    return round(float(openai.counters()["tokens_billed"]) / seconds)


async def _ask_for(seconds: float, url: str) -> None:
    """Requests as large as those of a worker, eight at once, by the client that workers use."""
    embedder = OpenAIEmbedder.open({"OPENAI_BASE_URL": url, "OPENAI_API_KEY": OPENAI_KEY})
    texts = [f"{row} " + "capacity " * 92 for row in range(200)]
    until = time.perf_counter() + seconds

    async def ask() -> None:
        while time.perf_counter() < until:
            await embedder.embed(texts)

    await asyncio.gather(*(ask() for _ in range(_ASKED_AT_ONCE)))
    await embedder.close()


def _present(uses: Mapping[str, Use]) -> Findings:
    return Findings([_table(uses)], list(_goals(uses)), _plots(uses))


def _goals(uses: Mapping[str, Use]) -> Iterator[Goal]:
    for count, bound in (("1", 0.97), ("2", 0.93), ("4", 0.97)):
        use = uses.get(count)
        name = f"budget, {count} worker process{'' if count == '1' else 'es'}"
        yield at_least(f"{name}: used of it", bound, "of 1", lambda one: one.share, use)
        yield at_most(f"{name}: requests answered 429", 1, "%", lambda one: one.refused_percent, use)
        yield at_least(f"{name}: rows that landed", 100, "%", lambda one: 100 * one.landed / one.rows, use)


def _table(uses: Mapping[str, Use]) -> Table:
    columns = (
        *("worker processes", "rows", "seconds", "share of the budget", "requests", "answered 429"),
        *("landed", "paid twice", "CPU of the workers, µs a row", "others’ share of the CPU"),
        "the stand-in alone, times the budget",
    )
    return Table(
        columns, [_row(count, use) for count, use in uses.items()],
        f"OpenAI at {1000 * OPENAI['latency']['mean']:.0f} ms, {REQUESTS_PER_SECOND:.0f} requests a second "
        f"and {TOKENS_PER_MINUTE / 1e6:.0f} million tokens a minute, settings at their defaults; Pinecone; "
        "Celery on Redis; PostgreSQL. Seconds are from the submission to the end, the share is ideal time ÷ "
        "measured time.",
    )  # fmt: skip


def _row(count: str, use: Use) -> list[str]:
    return [
        *(count, f"{use.rows:,}", number(use.seconds), f"{use.share:.3f}", f"{use.requests:,}"),
        *(f"{use.refused:,}", f"{use.landed:,}", f"{use.paid_twice:,}"),
        *(number(1e6 * use.worker_cpu / use.rows), f"{use.others:.0%}"),
        number(use.capacity / RATE),
    ]


def _plots(uses: Mapping[str, Use]) -> list[Plot]:
    if not uses:
        return []
    return [
        Plot(
            "budget", "Use of OpenAI's budget", "seconds since the submission",
            f"tokens billed, of those that came in within {WINDOW_SECONDS:.0f} s, %",
            {f"worker processes: {count}": over_time(use.billed) for count, use in uses.items()},
        )
    ]  # fmt: skip


def over_time(billed: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Pairs of seconds and the percentage of the budget that was used within the window before."""
    points = []
    for at, tokens in billed:
        since, before = max(pair for pair in billed if pair[0] <= max(0.0, at - WINDOW_SECONDS))
        if at > since:
            points.append((at, 100 * (tokens - before) / (at - since) / RATE))
    return points


SECTION = Section("budget", "OpenAI's budget", Use, _measure, _present)
