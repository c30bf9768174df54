"""What may be paid twice: the rows of a chunk that has changed hands, and answers that were of no use."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from rowvec.ledgers.books.book import Book
from rowvec.model import Chunk, ChunkState, TaskState
from tests.simulation.goods import Goods
from tests.simulation.problem import Kind, Problem, some


class Payments:
    """By task and chunk the workers that had it, and by task the fences under which it was settled."""

    def __init__(self) -> None:
        self._hands: dict[tuple[str, int], set[str]] = defaultdict(set)
        self._settling: dict[str, set[int]] = defaultdict(set)

    def see(self, book: Book) -> None:
        """Who holds what, after a write."""
        for entry in book.newest(100, None, None, None):
            task = entry.task
            if task.worker and task.state is TaskState.SETTLING:
                self._settling[task.id].add(task.fence)
            for chunk in book.chunks(task.id, 10_000, -1, ChunkState.CLAIMED):
                if chunk.worker:
                    self._hands[task.id, chunk.plan.number].add(chunk.worker)

    def allowed(self, goods: Goods, task_id: str, chunks: Sequence[Chunk]) -> Counter[str]:
        """How often each text of a task may have been paid, but for answers that were spoilt."""
        times = Counter[str]()
        for chunk in chunks:
            hands = len(self._hands[task_id, chunk.plan.number])
            for row in range(chunk.plan.first_row, chunk.plan.first_row + chunk.plan.rows):
                for text in goods.texts.get(row, ()):
                    times[text] += hands
        for number in goods.doubled_winners:
            times.update(dict.fromkeys(goods.texts[number], len(self._settling[task_id])))
        return times


def beyond(paid: Counter[str], allowed: Counter[str]) -> list[Problem]:
    """Texts that were paid more often than they may be."""
    more = [
        f"{times} times, not {allowed[text]}: {text[:40]!r}"
        for text, times in paid.items()
        if times > allowed[text]
    ]
    return some(Kind.PAID, "texts were paid too often", more)
