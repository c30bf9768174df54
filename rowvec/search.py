"""Search by meaning: the proof that the data landed."""

from __future__ import annotations

from rowvec.errors import InvalidRequest
from rowvec.gates import EMBEDDER, VECTOR_STORE
from rowvec.machine import Machine
from rowvec.text import clean
from rowvec.vectors import Match


async def search(machine: Machine, namespace: str, query: str, limit: int = 10) -> list[Match]:
    """The rows nearest to the query, nearest first. Raises InvalidRequest, RetryLater or PauseNeeded.

    The query's embedding goes through the same budget as the rows'.
    """
    text = clean(query)
    if not text:
        raise InvalidRequest("The query is empty: type what you are looking for.", "query")
    await machine.gates.check(machine.ledger, EMBEDDER, VECTOR_STORE)
    async with machine.governor.turn(sum(machine.embedder.estimate_tokens([text]))) as turn:
        embedding = await machine.embedder.embed([text])
        await turn.settle(embedding.tokens, embedding.rates)
    return await machine.store.search(namespace, embedding.vectors[0], limit)
