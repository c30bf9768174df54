"""What the providers do wrong all the while, and what they say they did."""

from __future__ import annotations

from collections import Counter
from typing import Any

from standins.process import Standin

OPENAI = {
    "error-500": 0.05, "error-503": 0.05, "billed-vanish": 0.04, "billed-hang": 0.01,
    "hang": 0.01, "vanish": 0.01, "cut": 0.02,
}  # fmt: skip
"""Of all requests: one in ten an error, one in twenty done and then timed out, and a few more."""
PINECONE = {
    "unavailable": 0.05, "internal": 0.05, "done-unavailable": 0.04, "done-hang": 0.01,
    "hang": 0.01, "cut": 0.02,
}  # fmt: skip
LATENCY = {"mean": 0.25, "sigma": 0.4}


def rage(openai: Standin, pinecone: Standin) -> None:
    openai.set(faults=OPENAI, latency=LATENCY)
    pinecone.set(faults=PINECONE)


def calm(openai: Standin, pinecone: Standin) -> None:
    openai.set(faults={}, latency={}, tokens_per_minute=None)
    pinecone.set(faults={})


def counted(openai: Standin, pinecone: Standin) -> Counter[str]:
    """Faults by provider and kind, as the stand-ins counted them; refusals for being too fast among them."""
    embedder, store = openai.counters(), pinecone.counters()
    told: Counter[str] = Counter({f"OpenAI {kind}": number for kind, number in embedder["faults"].items()})
    told["OpenAI 429"] = embedder["answered_429"]
    for name, number in store.items():
        if name.startswith("fault "):
            told[f"Pinecone {name.removeprefix('fault ')}"] = number
        elif name.endswith("refused 429"):
            told["Pinecone 429"] += number
    return told


def requests(openai: Standin, pinecone: Standin) -> dict[str, Any]:
    """How many each was asked, to see the shares by."""
    return {"OpenAI": openai.counters()["requests"], "Pinecone upserts": pinecone.counters()["upsert"]}
