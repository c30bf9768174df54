"""Who held which work from when to when, as PostgreSQL itself wrote it down: nothing of ours is asked."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, LiteralString

import psycopg

PLAN, SETTLE = -1, -2
"""In place of a chunk's number."""
HELD = ("claimed", "planning", "settling")
DONE, OPEN = "done", "open"

_WATCH = """
CREATE TABLE chaos_history (
    id bigserial PRIMARY KEY, at double precision, task text, number bigint, first_row bigint, rows bigint,
    state text, worker text, fence bigint
);
CREATE FUNCTION chaos_note(task text, number bigint, first_row bigint, rows bigint, state text, worker text,
                           fence bigint) RETURNS void LANGUAGE sql AS $$
    INSERT INTO chaos_history (at, task, number, first_row, rows, state, worker, fence)
    VALUES (extract(epoch FROM clock_timestamp()), $1, $2, $3, $4, $5, $6, $7)
$$;
CREATE FUNCTION chaos_of_chunk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    PERFORM chaos_note(NEW.task_id, NEW.number, NEW.first_row, NEW.rows, NEW.state, NEW.worker, NEW.fence);
    RETURN NULL;
END $$;
CREATE FUNCTION chaos_of_task() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    PERFORM chaos_note(NEW.id, CASE NEW.state WHEN 'settling' THEN -2 ELSE -1 END, 0, 0, NEW.state,
                       NEW.worker, NEW.fence);
    RETURN NULL;
END $$;
CREATE TABLE chaos_workers AS SELECT id, extract(epoch FROM clock_timestamp())::float8 AS since FROM workers;
CREATE FUNCTION chaos_of_worker() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO chaos_workers VALUES (NEW.id, extract(epoch FROM clock_timestamp()));
    RETURN NULL;
END $$;
CREATE TRIGGER chaos_watch AFTER INSERT ON workers FOR EACH ROW EXECUTE FUNCTION chaos_of_worker();
CREATE TRIGGER chaos_watch AFTER UPDATE ON chunks FOR EACH ROW
    WHEN ((OLD.state, OLD.worker, OLD.fence) IS DISTINCT FROM (NEW.state, NEW.worker, NEW.fence))
    EXECUTE FUNCTION chaos_of_chunk();
CREATE TRIGGER chaos_watch AFTER UPDATE ON tasks FOR EACH ROW
    WHEN ((OLD.state, OLD.worker, OLD.fence) IS DISTINCT FROM (NEW.state, NEW.worker, NEW.fence))
    EXECUTE FUNCTION chaos_of_task();
"""


@dataclass(frozen=True, slots=True)
class Note:
    """What became of a chunk (or of a plan or a settling, by their numbers) at a moment."""

    at: float
    number: int
    first_row: int
    rows: int
    state: str
    worker: str | None
    fence: int


@dataclass(frozen=True, slots=True)
class Hold:
    """One claim, from `since` to `until`; `ended` is the state that its work was in then."""

    number: int
    first_row: int
    rows: int
    worker: str
    fence: int
    since: float
    until: float = float("inf")
    ended: str = OPEN

    @property
    def numbers(self) -> range:
        """Its rows."""
        return range(self.first_row, self.first_row + self.rows)


class History:
    """A ledger in PostgreSQL that notes each change of hands from now on. Asking it raises psycopg's
    OperationalError while the ledger is away."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._kept: psycopg.Connection[Any] | None = None

    def begin(self) -> None:
        self._ask(_WATCH)

    def close(self) -> None:
        if self._kept:
            self._kept.close()

    def notes(self, task_id: str) -> list[Note]:
        """In the order in which they happened to each chunk."""
        query = (
            "SELECT at, number, first_row, rows, state, worker, fence FROM chaos_history "
            "WHERE task = %s ORDER BY id"
        )
        return [Note(*row) for row in self._ask(query, task_id).fetchall()]

    def workers(self) -> dict[str, float]:
        """When each came, or was there already."""
        return dict(self._ask("SELECT id, since FROM chaos_workers").fetchall())

    def done(self, task_id: str) -> int:
        """Chunks that are committed."""
        query = "SELECT count(*) FROM chunks WHERE task_id = %s AND state = 'done'"
        return int(self._ask(query, task_id).fetchall()[0][0])

    def busy(self) -> set[int]:
        """The processes that hold chunks now."""
        claimed = self._ask("SELECT DISTINCT worker FROM chunks WHERE state = 'claimed'").fetchall()
        return {pid_of(worker) for (worker,) in claimed}

    def _ask(self, query: LiteralString, *values: Any) -> psycopg.Cursor[Any]:
        if self._kept is None or self._kept.closed:
            self._kept = psycopg.connect(self._url, autocommit=True, connect_timeout=5)
        return self._kept.execute(query, values or None)


def pid_of(worker: str) -> int:
    """As a worker's id tells it."""
    return int(worker.rsplit("-", 2)[1])


def holds(notes: Iterable[Note]) -> dict[int, list[Hold]]:
    """By number, in order."""
    by_number: defaultdict[int, list[Note]] = defaultdict(list)
    for note in notes:
        by_number[note.number].append(note)
    return {number: list(_holds(each)) for number, each in by_number.items()}


def _holds(notes: Iterable[Note]) -> Iterator[Hold]:
    now: Hold | None = None
    for note in notes:
        held = note.worker is not None and note.state in HELD
        if now and not (held and note.fence == now.fence):
            yield replace(now, until=note.at, ended=note.state)
            now = None
        if held and now is None and note.worker is not None:
            now = Hold(note.number, note.first_row, note.rows, note.worker, note.fence, note.at)
    if now:
        yield now
