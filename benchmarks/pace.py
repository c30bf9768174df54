"""How fast the machine is at this hour: a virtual one may be half as fast in the next."""

from __future__ import annotations

import json
import random
import time

NUMBERS = 1536
_ROUNDS, _CALLS = 5, 200


def pace() -> float:
    """µs of CPU in which the standard library reads an embedding that was sent as JSON: the best of some
    rounds. It is work of no part of ours, so that two measurements can be set beside each other by it."""
    chance = random.Random(NUMBERS)
    text = json.dumps([chance.uniform(-0.1, 0.1) for _ in range(NUMBERS)])
    return min(_round(text) for _ in range(_ROUNDS)) * 1e6


def _round(text: str) -> float:
    began = time.process_time()
    for _ in range(_CALLS):
        json.loads(text)
    return (time.process_time() - began) / _CALLS
