"""Tables to measure with: rows of sixty words in six columns, one in five with quotes and a newline."""

from __future__ import annotations

import csv
import io
import random
from pathlib import Path

HEADER = b"id,title,body,price,active,created_at\r\n"
TAILS = 20_000
"""So many different rows; after those only the ids are new."""

WORDS = [
    "invoice", "harbor", "winter", "battery", "garden", "ledger", "copper", "violet", "engine", "thunder",
    "window", "market", "river", "planet", "silver", "doctor", "letter", "bridge", "camera", "forest",
    "island", "mirror", "needle", "orange", "pencil", "rocket", "saddle", "tunnel", "umbrella", "valley",
    "wagon", "yellow", "zebra", "anchor", "basket", "candle", "desert", "ember", "falcon", "glacier",
    "hammer",
]  # fmt: skip


def write_table(path: Path, rows: int, seed: int = 7, words: int = 60, different: int = TAILS) -> int:
    """Write a table of so many rows, each with an id of its own; its size in bytes.

    They have so many words to be embedded, and so many of them are `different` in more than their ids.
    """
    tails = _tails(min(rows, different), seed, words)
    with path.open("wb") as file:
        file.write(HEADER)
        file.writelines(b"row-%d%b" % (number, tails[number % len(tails)]) for number in range(rows))
    return path.stat().st_size


def write_large_table(path: Path, size: int, seed: int = 7) -> int:
    """Write a table of at least `size` bytes by repeating a block of rows, ids and all; its rows."""
    tails = _tails(TAILS, seed)
    block = b"".join(b"row-%d%b" % (number, tail) for number, tail in enumerate(tails))
    blocks = -(-size // len(block))
    with path.open("wb") as file:
        file.write(HEADER)
        for _ in range(blocks):
            file.write(block)
    return blocks * len(tails)


def _tails(rows: int, seed: int, words: int = 60) -> list[bytes]:
    """All of each row but its id, from the first comma to the end of the line."""
    chance = random.Random(seed)
    return [_tail(number, chance, words) for number in range(rows)]


def _tail(number: int, chance: random.Random, length: int) -> bytes:
    words = chance.choices(WORDS, k=length)
    if number % 5 == 0:
        words[20] = 'a "quoted" word,\nand a new line'
    day = f"2025-{number % 12 + 1:02d}-{number % 28 + 1:02d}"
    line = io.StringIO(newline="")
    csv.writer(line).writerow(["", " ".join(words[:5]), " ".join(words), number % 997 / 4, "true", day])
    return line.getvalue().encode()
