"""Under OpenAI's latency and limits: how much of the budget each way uses, and what a 429 does to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.budget import (
    FREE_SECONDS,
    LIMITS,
    OPENAI,
    REQUESTS_PER_SECOND,
    TOKENS_PER_MINUTE,
    WINDOW_SECONDS,
    over_time,
    share_used,
)
from benchmarks.findings import Findings, Goal, Plot, Table, at_least, at_most, number
from benchmarks.peers.attempt import follow
from benchmarks.peers.lineup import CELERY, EMBEDDED, OURS, TITLES, Entrant, lineup, unmeasured
from benchmarks.peers.scene import PINECONE, Scene, scene, table_of
from benchmarks.section import Section, Sizes

PEER_SECONDS = 60.0
"""So long a peer is followed; ours does its whole table."""

LEAST_PEER_ROWS = 10_000
_LOOK_EVERY_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Used:
    """One table under limits. `refused` are the requests answered 429, the first of them seen after
    `first_refused` seconds. `free` are seconds of tokens that are taken off what was used, for a bucket that
    was full at the start gives them: with ours, and with no peer. `billed` is as in Use."""

    rows: int
    landed: int
    seconds: float
    tokens: int
    requests: int
    refused: int
    first_refused: float | None
    paid_twice: int
    free: float
    ending: str
    billed: list[tuple[float, float]]

    @property
    def share(self) -> float:
        return share_used(self.tokens, self.seconds, self.free)


@dataclass(slots=True)
class _Meter:
    """Reads the stand-in's counters once a second; true after so many seconds."""

    stage: Scene
    seconds: float
    billed: list[tuple[float, float]] = field(default_factory=lambda: [(0.0, 0.0)])
    first_refused: float | None = None

    def __call__(self, seconds: float) -> bool:
        if seconds - self.billed[-1][0] >= _LOOK_EVERY_SECONDS:
            counted = self.stage.openai.counters()
            self.billed.append((round(seconds, 2), float(counted["tokens_billed"])))
            if self.first_refused is None and counted["answered_429"]:
                self.first_refused = round(seconds, 1)
        return seconds >= self.seconds


def _measure(folder: Path, sizes: Sizes) -> Iterator[tuple[str, Used]]:
    """In Celery form ours is measured by the section before, with one process and with several."""
    forms = [form for form in sizes.ours if form != CELERY]
    for entrant in lineup(forms, sizes.peers):
        rows = max(entrant.peer.rows, LEAST_PEER_ROWS) if entrant.peer else sizes.budget_rows
        rows = min(rows, sizes.budget_rows)
        with scene(
            folder / entrant.name, table_of(folder, rows), rows, {**OPENAI, **LIMITS}, PINECONE
        ) as stage:
            yield entrant.name, _used(entrant, stage)


def _used(entrant: Entrant, stage: Scene) -> Used:
    meter = _Meter(stage, PEER_SECONDS if entrant.peer else float("inf"))
    with entrant.way(stage) as start, start() as attempt:
        followed = follow(attempt, meter)
        counted = stage.openai.counters()
        ending = attempt.ending() if attempt.over() else "still running"
    return Used(
        rows=stage.rows,
        landed=stage.landed().rows,
        seconds=followed.seconds,
        tokens=counted["tokens_billed"],
        requests=counted["requests"],
        refused=counted["answered_429"],
        first_refused=meter.first_refused,
        paid_twice=stage.paid_twice(),
        free=0.0 if entrant.peer else FREE_SECONDS,
        ending=ending,
        billed=meter.billed,
    )


def _present(uses: Mapping[str, Used]) -> Findings:
    lines = {TITLES[name]: over_time(use.billed) for name, use in uses.items()}
    plot = Plot(
        "peers-budget", "Use of OpenAI's budget, beside others", "seconds since the start",
        f"tokens billed, of those that came in within {WINDOW_SECONDS:.0f} s, %", lines,
    )  # fmt: skip
    return Findings([_table(uses)], list(_goals(uses)), [plot] if lines else [])


def _goals(uses: Mapping[str, Used]) -> Iterator[Goal]:
    use, name = uses.get(EMBEDDED), f"{TITLES[EMBEDDED]}, under OpenAI’s limits"
    yield at_least(f"{name}: used of the budget", 0.97, "of 1", lambda one: one.share, use)
    yield at_most(f"{name}: requests answered 429", 1, "%", lambda one: 100 * one.refused / one.requests, use)
    yield at_least(f"{name}: rows that landed", 100, "%", lambda one: 100 * one.landed / one.rows, use)


def _table(uses: Mapping[str, Used]) -> Table:
    columns = (
        *("", "rows", "seconds", "landed", "share of the budget", "ours uses so many times as much"),
        *("requests", "answered 429", "first 429 after, s", "paid twice", "ended"),
    )
    return Table(
        columns, [_row(name, uses) for name in TITLES if name != CELERY],
        f"OpenAI at {1000 * OPENAI['latency']['mean']:.0f} ms, {REQUESTS_PER_SECOND:.0f} requests a second "
        f"and {TOKENS_PER_MINUTE / 1e6:.0f} million tokens a minute; Pinecone at 50 ms. "
        f"A peer is stopped after {PEER_SECONDS:.0f} s. From what ours used, the {FREE_SECONDS:.0f} s are "
        "taken off that a full bucket gives for free, from the peers’ nothing.",
    )  # fmt: skip


def _row(name: str, uses: Mapping[str, Used]) -> list[str]:
    if name not in uses:
        return [TITLES[name], *["–"] * 9, unmeasured(name)]
    use, ours = uses[name], uses.get(EMBEDDED)
    times = "1" if name in OURS else "–" if ours is None else number(ours.share / use.share)
    first = "never" if use.first_refused is None else number(use.first_refused)
    return [
        *(TITLES[name], f"{use.rows:,}", number(use.seconds), f"{use.landed:,}", f"{use.share:.3f}", times),
        *(f"{use.requests:,}", f"{use.refused:,}", first, f"{use.paid_twice:,}", use.ending),
    ]


SECTION = Section("peers-limited", "Beside other ways: under OpenAI's limits", Used, _measure, _present)
