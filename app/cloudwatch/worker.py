"""What a worker tells: what it did itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from app.cloudwatch.point import Point, points_of
from app.families import work
from rowvec.tally import Tally
from rowvec.worker import Worker


class OfWorker:
    """The difference to what was written last, so that CloudWatch's sums over all workers are the whole, and
    the memory of the process."""

    def __init__(self, worker: Worker) -> None:
        self._telling = worker.telling
        self._looked, self._told = (Tally(), 0), (Tally(), 0)

    async def points(self) -> Sequence[Point]:
        self._looked = self._telling.whole(), self._telling.taken_back
        done, taken_back = self._looked[0] - self._told[0], self._looked[1] - self._told[1]
        memory = Point("WorkerMemoryBytes", self._telling.memory())
        return [memory, *filter(lambda point: point.value, _came_to_pass(done, taken_back))]

    def written(self) -> None:
        self._told = self._looked


def _came_to_pass(done: Tally, taken_back: int) -> Iterator[Point]:
    yield from points_of(work(done))
    yield Point("PiecesTakenBack", taken_back)
    rows = sum(count for outcome, count in done.rows.items() if outcome != "failed")
    if rows:
        yield Point("SecondsPerThousandRows", done.seconds * 1000 / rows)
